"""A journey that is changed under the people in it, told as a timeline a person.

A case is a folder: ``case.yaml`` says what it shows, what happens to whom, and when the change comes; ``before/`` has
the journey that people enter, ``between/`` one that it is changed to before, if at all, and each ``after…/`` one that
it may be changed to. A send whose template is not written gets one whose subject is its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Table, select

from channels.base import Message, Result, Sent
from runner.engine.apply import Applied, apply_project
from runner.engine.deliver import deliver
from runner.engine.tick import EXACT, Pace, tick
from runner.engine.versions import Versions, load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.duration import parse_duration
from runner.journey.fit import fit_event, fit_traits
from runner.journey.project import Project, load_project
from runner.journey.version import version_hash
from runner.problem import ProblemsFound
from runner.review.plan import plan
from runner.review.plan_report import plan_text
from runner.review.reporters import text_report
from runner.store.database import Database
from runner.store.journeys.versions import hashes_of
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.tables import contact, run, step_log

START = datetime(2026, 3, 1, tzinfo=UTC)
CATALOG = """\
timezone: UTC
locale: en
attributes: {vip: {type: boolean}, name: {type: string}}
events:
  Signed Up: {plan: string}
  Bought: {total: number}
  Left: {}
topics: {offers: {title: Offers, opt_in: explicit}}
channels: {email: {uses: file}}
"""
_SEND = re.compile(r"id: ([a-z0-9-]+)[,\s]+send:")


def instant(text: str) -> datetime:
    """So long after the start."""
    duration = parse_duration(text)
    assert duration is not None, text
    return START + timedelta(microseconds=duration.elapsed)


def project_of(texts: Mapping[str, str]) -> Project:
    """The project of a journey ``tour`` and its templates, by their file names. Fails where it has errors."""
    sends = _SEND.findall(texts["journey.yaml"])
    files = {f"{name}.html": f"---\nsubject: {name}\n---\n<p>{name}</p>\n" for name in sends} | dict(texts)
    project = load_project(
        {"journeys/catalog.yaml": CATALOG}
        | {
            f"journeys/tour/{name}": text
            for name, text in files.items()
            if _used(name, files["journey.yaml"])
        }
    )
    errors = [problem for problem in project.problems if problem.severity == "error"]
    assert not errors, text_report(errors, project.files)
    return project


def _used(name: str, journey: str) -> bool:
    return name == "journey.yaml" or name.split(".")[0] in journey


class Flight:
    """People in the journey ``tour``, in virtual time unless another pace is said, and everything they get."""

    def __init__(self, database: Database, pace: Pace = EXACT) -> None:
        self.database = database
        self.pace = pace
        self.messages: list[Message] = []
        self.versions: Versions | None = None
        self.names: dict[str, str] = {}
        self.numbers: Mapping[int, str] = {}
        """The hash of each version, by its number."""
        self.happened: dict[str, list[tuple[datetime, str]]] = {}

    # The channel

    def send(self, message: Message) -> Result:
        self.messages.append(message)
        return Sent()

    def close(self) -> None:
        pass

    # What is done

    def apply(self, project: Project, now: datetime, name: str, per_minute: int = 600) -> Applied:
        """Apply a version under a name by which the timeline calls it."""
        for journey in project.journeys:
            self.names.setdefault(version_hash(project, journey), name)
        (applied,) = apply_project(
            self.database, project, now=now, author="tests", git_commit=None, released_per_minute=per_minute
        )
        self.versions = load_versions(self.database, self.versions)
        with self.database.read() as connection:
            self.numbers = hashes_of(connection, "tour")
        return applied

    def known(self, *people: str) -> None:
        arrivals = []
        for who in people:
            fitted = fit_traits(self.catalog, {"email": f"{who}@x.example"})
            arrivals.append(_arrival(who, IDENTIFIED, START - timedelta(days=1), fitted.properties))
        with self.database.begin() as connection:
            store_events(connection, self.database.deployment, arrivals, pending=False)
            grant_consent(
                connection, self.database.deployment, list(people),
                topic="offers", channel="*", at=START - timedelta(days=1), source="tests",
            )  # fmt: skip

    @property
    def catalog(self) -> Any:
        assert self.versions is not None
        return self.versions.current["tour"].catalog

    def load(self) -> None:
        """Take notice of what is in force."""
        self.versions = load_versions(self.database, self.versions)

    def happens(self, who: str, name: str, at: datetime, properties: Mapping[str, Any]) -> None:
        """Store an event, or what an ``identify`` says."""
        if name == "identify":
            fitted, event = fit_traits(self.catalog, properties), IDENTIFIED
        else:
            fitted, event = fit_event(self.catalog, name, properties), name
        with self.database.begin() as connection:
            arrived = [_arrival(who, event, at, fitted.properties)]
            store_events(connection, self.database.deployment, arrived, pending=True)

    def until(self, now: datetime) -> None:
        """Live on to ``now``."""
        assert self.versions is not None
        for _ in range(1_000):
            ticked = tick(self.database, self.versions, now, self.pace)
            delivered = deliver(
                self.database, self.versions, {"email": self}, now, exact=self.pace.exact, limit=1_000
            )
            if not ticked.more and not delivered.claimed:
                return
        raise AssertionError(f"what is due at {now} is never done")

    # What came of it

    def stands(self) -> dict[str, str]:
        """Where each active run stands, and until when, by its contact."""
        found = {}
        for row in self.runs():
            if row.status == "active":
                until = f" until {written(row.due_at)}" if row.due_at else ""
                found[row.key] = f"{self.called(row.version)}: at {row.step}{until}"
        return found

    def runs(self) -> Sequence[Any]:
        """Every run with the key of its contact, in the order of entry."""
        of = (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
        query = select(contact.c.key, run).join(contact, of).order_by(contact.c.key, run.c.id)
        with self.database.read() as connection:
            return connection.execute(query).all()

    def called(self, version: int) -> str:
        return self.names[self.numbers[version]]

    def story(self, who: str) -> list[tuple[datetime, str]]:
        """What became of somebody, in order: within an instant as the steps stand in the file."""
        found = [(at, -2, what) for at, what in self.happened.get(who, [])]
        for row in self.runs():
            if row.key == who:
                found.append((row.entered_at, -1, "enters"))
                if row.ended_at is not None:
                    found.append((row.ended_at, 10_000, f"ends: {row.reason or row.status}"))
        subjects = {one.step: one.subject for one in self.messages if one.contact == who}
        for row in self._of(step_log, who):
            sent = row.step in subjects and row.outcome == "ready"
            what = f"gets {row.step}: “{subjects[row.step]}”" if sent else f"leaves {row.step}: {row.outcome}"
            found.append((row.at, row.node, what))
        return [(at, what) for at, _, what in sorted(found)]

    def got(self, who: str) -> list[str]:
        """The messages that somebody got, by their steps."""
        return [one.step for one in self.messages if one.contact == who]

    def _of(self, table: Table, who: str) -> Sequence[Any]:
        owner = (contact.c.partition == table.c.partition) & (contact.c.id == table.c.contact)
        with self.database.read() as connection:
            return connection.execute(select(table).join(contact, owner).where(contact.c.key == who)).all()


def _arrival(who: str, name: str, at: datetime, properties: Mapping[str, Any]) -> Arrival:
    return Arrival(
        contact=who, name=name, at=at, properties=properties, undeclared={}, dedup_key=f"{who} {name} {at}"
    )


def written(at: datetime) -> str:
    """The day since the start, and the time."""
    return f"day {(at - START).days} {at:%H:%M}"


# Cases ----------------------------------------------------------------------------------------------------------------


def texts_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def told(case: Path, after: Path, database: Database) -> Iterator[str]:
    """The lines of one change of a case: what the plan says, and what each person then gets."""
    said = yaml.safe_load((case / "case.yaml").read_text(encoding="utf-8"))
    at, flight = instant(said["change"]), Flight(database)
    before = project_of(texts_in(case / "before"))
    flight.apply(before, START - timedelta(days=1), "BEFORE")
    flight.known(*said["people"])
    coming = sorted(
        (instant(each["at"]), who, each["event"], {k: v for k, v in each.items() if k not in ("at", "event")})
        for who, events in said["people"].items()
        for each in events
    )
    for when, who, event, properties in coming:
        flight.happened.setdefault(who, []).append((when, f"it is {event}"))
        if when <= at:
            flight.happens(who, event, when, properties)
    if "between" in said:
        flight.until(instant(said["between"]))
        flight.apply(project_of(texts_in(case / "between")), instant(said["between"]), "BETWEEN")
    flight.until(at)
    project = project_of(texts_in(after))
    yield from _plan(flight, project, at)
    stood, had = flight.stands(), {who: flight.got(who) for who in said["people"]}
    try:
        flight.apply(project, at, "AFTER")
    except ProblemsFound:
        yield "apply refuses"
        return
    stand = flight.stands()
    for when, who, event, properties in coming:
        if when > at:
            flight.happens(who, event, when, properties)
    flight.until(instant(said["until"]))
    for who, what in said["stands"].items():
        yield from ("", f"{who} {what}")
        if who in stood:
            yield f"  has had {', '.join(had[who])}; was at {stood[who].split(': at ')[1]}"
            yield f"  {written(at)}  the change: {stand.get(who, 'out')}"
        yield from (f"  {written(when)}  {text}" for when, text in flight.story(who) if when >= at)


def _plan(flight: Flight, project: Project, at: datetime) -> Iterator[str]:
    hashes = dict(flight.names)
    for journey in project.journeys:
        hashes.setdefault(version_hash(project, journey), "AFTER")
    found = plan(flight.database, project, now=at)
    text = plan_text(found, project.files)
    for hash_, name in hashes.items():
        text = text.replace(hash_[:12], name)
    yield from ("plan: " + text if number == 0 else text for number, text in enumerate(text.splitlines()))
