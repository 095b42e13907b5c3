"""A journey that is changed under the people in it: for tests of what becomes of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from runner.engine.apply import apply_project
from runner.engine.in_flight import Crossed
from runner.engine.tick import EXACT, Pace, tick
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.tables import contact, run
from tests.shop import CATALOG, START, Shop

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def files(steps: str, head: str = "", catalog: str = CATALOG) -> Mapping[str, str]:
    """A project with one journey: ``head`` are further keys of it."""
    journey = (
        "journey: tour\nlanguage: 1\ntitle: A tour\ntopic: offers\ntrigger: {event: Signed Up}\n"
        f"entry: {{reentry: always}}\n{head}\nsteps:\n{steps}"
    )
    return {
        "journeys/catalog.yaml": catalog,
        "journeys/tour/journey.yaml": journey,
        "journeys/tour/hello.html": "---\nsubject: Hello\n---\n<p>Hello</p>\n",
        "journeys/tour/hello.txt": "Hello\n",
    }


def sends(*names: str) -> str:
    return "".join(f"  - {{id: {name}, send: {{channel: email, template: hello}}}}\n" for name in names)


def wait(name: str, text: str) -> str:
    return f"  - {{id: {name}, wait: {text}}}\n"


class Tour(Shop):
    """People are in the journey ``tour``, and it is changed. Time is virtual unless a ``pace`` is said."""

    def __init__(
        self,
        database: Database,
        steps: str,
        head: str = "",
        *,
        pace: Pace = EXACT,
        catalog: str = CATALOG,
    ) -> None:
        super().__init__(database, files(steps, head, catalog))
        self.pace = pace
        self._catalog = catalog

    def change(
        self, steps: str, now: datetime, head: str = "in_flight: follow", *, per_minute: int = 600
    ) -> Crossed:
        """Apply other steps at the instant ``now``, once all that is due by then has come."""
        return self.change_to(files(steps, head, self._catalog), now, per_minute=per_minute)

    def change_to(self, tree: Mapping[str, str], now: datetime, *, per_minute: int = 600) -> Crossed:
        self.until(now)
        project = load_project(tree)
        errors = [problem for problem in project.problems if problem.severity == "error"]
        assert not errors, errors
        applied = apply_project(
            self.database, project, now=now, author="tests", git_commit=None, released_per_minute=per_minute
        )
        self.versions = load_versions(self.database, self.versions)
        return next(one.crossed for one in applied if one.journey == "tour")

    def enter(self, *keys: str, at: datetime = START) -> None:
        for key in keys:
            self.identify(key, at)
        self.arrive(self.event(key, "Signed Up", at, plan="pro", seats=3) for key in keys)
        self.until(at)

    def until(self, now: datetime) -> None:
        ticks = 0
        while tick(self.database, self.versions, now, self.pace).more:
            ticks += 1
            assert ticks < 1_000, "the same is due again and again"

    def got(self, key: str = "ana") -> list[tuple[str, float]]:
        """What somebody was sent: each step, and how many hours after the start."""
        return [
            (row.step, (row.let_go_at - START) / HOUR)
            for name, row in self.messages()
            if name.split("/")[0] == key and row.status == "ready" and row.kind == "message"
        ]

    def where(self, key: str = "ana") -> tuple[str | None, str | None, float | None]:
        """Of the last run of somebody: the step at which it stands, why it has ended, and when its timer is due."""
        query = (
            select(run.c.step, run.c.reason, run.c.due_at)
            .join(contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact))
            .where(contact.c.key == key)
            .order_by(run.c.id.desc())
        )
        with self.database.read() as connection:
            found = connection.execute(query).first()
        assert found is not None
        return found.step, found.reason, (found.due_at - START) / HOUR if found.due_at else None

    def data(self) -> dict[str, Any]:
        """What the only run keeps as ``run.NAME``."""
        with self.database.read() as connection:
            found: dict[str, Any] = connection.execute(select(run.c.data)).scalar_one()
        return found
