"""Random journeys are changed at random under the people in them: nobody is lost, nobody gets the same message twice,
and a plan says what then happens.

``JOURNEYS_FUZZ_MINUTES=10 pytest tests/test_changes_in_flight.py`` goes on for so long, from a seed of
``JOURNEYS_FUZZ_SEED``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from changed_journeys import Draft
from in_flight import START, Flight

from runner.engine.apply import Applied
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.tick import EXACT, LIVE
from runner.journey.model import Leave, WaitUntil
from runner.journey.project import Project, load_project
from runner.problem import ProblemsFound
from runner.review.plan import plan
from runner.review.planned import Change, Going
from runner.store.database import Database
from runner.store.watching import due

MINUTES = float(os.environ.get("JOURNEYS_FUZZ_MINUTES", "0"))
SEED = int(os.environ.get("JOURNEYS_FUZZ_SEED", "1"))
LASTS = timedelta(days=40)
END = START + timedelta(days=400)


def seeds(few: int, share: float) -> Iterator[int]:
    """``few`` of them, or as many as there is time for: its part of the minutes that are asked for."""
    until = time.monotonic() + MINUTES * 60 * share
    number = 0
    while number < few or time.monotonic() < until:
        yield SEED * 1_000_000 + number
        number += 1


class Changing:
    """A life of a few people in a journey that changes."""

    def __init__(self, database: Database, seed: int, *, exact: bool) -> None:
        self.random = Random(seed)
        self.exact = exact
        self.flight = Flight(database, EXACT if exact else LIVE)
        self.draft = Draft.fresh(self.random)
        self.people = [f"p{number}" for number in range(self.random.randint(4, 10))]
        self.kept = [self.draft.kept()]
        self.paused = self.ever_paused = False
        self.told: list[str] = []

    def live(self) -> None:
        self._apply(START - timedelta(days=1))
        self.flight.known(*self.people)
        for at, _, what in sorted(self._to_come(), key=lambda one: one[:2]):
            self._until(at)
            what(at)
            self.lawful()
        if self.paused:
            self._resume(START + LASTS)
        self._until(START + LASTS)
        self._until(END)
        self.lawful()
        runs = self.flight.runs()
        entered = Counter(row.key for row in runs)
        assert entered <= Counter(self.people), "each enters once at the most"
        # Nobody enters a journey that is paused, or by what a daemon that was away for a day finds.
        assert self.ever_paused or not self.exact or entered == Counter(self.people)
        assert not [row.key for row in runs if row.status != "exited" and row.status != "completed"]

    def _until(self, at: datetime) -> None:
        """Live on: in virtual time at once; else as a daemon that looks now and then."""
        self.flight.load()
        while not self.exact:
            with self.flight.database.read() as connection:
                coming = (due.next_due(connection), due.next_pending(connection))
            first = min((each for each in coming if each is not None), default=at)
            if first >= at:
                break
            late = timedelta(minutes=self.random.choice([0, 1, 60, 3_000]))
            self.flight.until(min(at, first + late))
        self.flight.until(at)

    # What happens

    def _to_come(self) -> list[tuple[datetime, int, Callable[[datetime], None]]]:
        random, found = self.random, []
        count = 0

        def add(what: Callable[[datetime], None], days: int, since: int = 0) -> None:
            nonlocal count
            count += 1
            at = START + timedelta(minutes=random.randint(since * 1_440, days * 1_440))
            found.append((at, count, what))

        for who in self.people:
            add(self._event(who, "Signed Up", {"plan": "pro"}), days=5)
            for _ in range(random.randint(0, 3)):
                name = random.choice(["Bought", "Bought", "Bought", "Read", "Read", "Read", "Read", "Left"])
                add(self._event(who, name, {"total": 3} if name == "Bought" else {}), days=20)
            if random.random() < 0.4:
                traits = random.choice(
                    [
                        {"vip": True},
                        {"born": "2026-03-20"},
                        {"born": "2026-03-05"},
                        {"timezone": "Asia/Tokyo"},
                    ]
                )
                add(self._event(who, "identify", traits), days=20)
        for _ in range(random.randint(3, 7)):
            add(self._change, days=16)
        for _ in range(random.choice([0, 0, 1, 2])):
            add(self._pause, days=20, since=4)
            add(self._resume, days=25, since=4)
        return found

    def _event(self, who: str, name: str, properties: dict[str, Any]) -> Callable[[datetime], None]:
        return lambda at: self.flight.happens(who, name, at, properties)

    def _pause(self, at: datetime) -> None:
        self.told.append(f"{at} pause")
        pause_journey(self.flight.database, "tour", now=at, who="tests")
        self.paused = self.ever_paused = True

    def _resume(self, at: datetime) -> None:
        self.told.append(f"{at} resume")
        rate = self.random.choice([1, 600])
        resume_journey(self.flight.database, "tour", now=at, who="tests", per_minute=rate)
        self.paused = False

    def _change(self, at: datetime) -> None:
        active = (row.step for row in self.flight.runs() if row.status == "active")
        self.draft.occupied = frozenset(active)
        if self.random.random() < 0.2:
            self.draft.back_to(self.random.choice(self.kept))
            what = ["back"]
        else:
            what = [self.draft.change() for _ in range(self.random.randint(1, 3))]
        self.told.append(f"{at} {', '.join(what)}")
        self._apply(at)
        self.kept.append(self.draft.kept())

    def _apply(self, at: datetime) -> None:
        """Apply the draft; now and then an author forgets to say where people go, or what a message was called, and is
        told, or asked."""
        moved = self.draft.moved_without_what_was_said()
        if moved and self.random.random() < 0.2:
            project = self._project({})
            before = self.flight.runs()
            found = plan(self.flight.database, project, now=at)
            if any(each.unsaid for each in found.journeys):
                self.told.append("  asked")
            else:
                try:
                    self._planned(project, at)
                except ProblemsFound:
                    assert self.flight.runs() == before
                    self.told.append("  refused")
                else:
                    self.draft.note_names({})
                    return
        self._planned(self._project(moved), at)
        self.draft.note_names(moved)

    def _project(self, moved: dict[str, Any]) -> Project:
        project = load_project(self.draft.files(moved))
        errors = [problem for problem in project.problems if problem.severity == "error"]
        assert not errors, errors
        self.text = project.files["journeys/tour/journey.yaml"]
        return project

    def _planned(self, project: Project, at: datetime) -> None:
        """Apply, and hold what comes of it against what a plan says."""
        rate = self.random.choice([1, 600])
        found = plan(self.flight.database, project, now=at, released_per_minute=rate)
        # Those who are in the version already that is gone back to.
        before = Counter(
            self.flight.numbers[row.version] for row in self.flight.runs() if row.status == "active"
        )
        if found.problems:
            with pytest.raises(ProblemsFound) as refused:
                self.flight.apply(project, at, f"at {at}", per_minute=rate)
            assert found.problems == refused.value.problems
            raise refused.value
        applied = self.flight.apply(project, at, f"at {at}", per_minute=rate)
        self.told.append(self.text)
        (told,) = found.journeys
        going: Counter[Going] = Counter()
        for version in told.versions:
            for each in version.steps:
                going[each.going] += each.people
        assert _counted(applied) == (
            going[Going.STAYS],
            going[Going.MOVES],
            going[Going.LEAVES],
            told.overdue,
        )
        assert applied.crossed.released_until == told.released_until
        if self.draft.follow and told.change is not Change.UNCHANGED:
            active = [row for row in self.flight.runs() if row.status == "active"]
            assert len({row.version for row in active}) <= 1
            there = going[Going.STAYS] + going[Going.MOVES]
            assert len(active) == there + before[told.after]

    # What holds at any time

    def lawful(self) -> None:
        self.flight.load()
        versions = self.flight.versions
        assert versions is not None
        for row in self.flight.runs():
            if row.status != "active":
                assert row.reason or row.status == "completed"
                continue
            node = versions.by_id[row.version].program.nodes[row.node]
            assert node.step.id == row.step
            missing = isinstance(node.verb, WaitUntil) and node.verb.if_missing is Leave.WAIT
            held = self.paused and row.leaves_by is not None
            assert row.next_at is not None or missing or held, f"{row.key} stands at {row.step} for ever"
        twice = [
            one
            for one, times in Counter((each.contact, each.subject) for each in self.flight.messages).items()
            if times > 1
        ]
        assert not twice, f"sent twice: {twice}"


def _counted(applied: Applied) -> tuple[int, int, int, int]:
    crossed = applied.crossed
    return crossed.carried, crossed.moved, crossed.left, crossed.overdue


def live(database: Database, seed: int, *, exact: bool) -> None:
    life = Changing(database, seed, exact=exact)
    try:
        life.live()
    except Exception as error:
        error.add_note(f"seed {seed}, {'virtual time' if exact else 'as a daemon lives'}")
        error.add_note("\n".join(life.told))
        raise


@pytest.mark.parametrize("exact", [True, False], ids=["virtual", "daemon"])
def test_nobody_is_lost_and_nothing_comes_twice_on_sqlite(exact: bool) -> None:
    for seed in seeds(3, 0.4):
        with Database.scratch() as database:
            live(database, seed, exact=exact)


def test_nobody_is_lost_and_nothing_comes_twice_on_postgresql(postgres_url: str) -> None:
    for seed in seeds(1, 0.2):
        with Database.scratch(postgres_url, partitions=4) as database:
            live(database, seed + 500_000, exact=seed % 2 == 0)
