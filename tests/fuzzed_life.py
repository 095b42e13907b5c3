"""A stretch of life in a generated project: events of every kind arrive, messages go out, calls are answered."""

# ruff: noqa: E501
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import select
from whole_catalog import ATTRIBUTES, EVENTS, TOPICS, ZONES

from channels.base import Answer, Message, Rejected, Result, RetryLater, Sent, Unknown
from runner.engine.apply import apply_project
from runner.engine.deliver import deliver
from runner.engine.enrolling import enroll_one, enrolling
from runner.engine.presses import press
from runner.engine.tick import EXACT, LIVE, tick
from runner.engine.timed import begin_anew
from runner.engine.versions import Versions, load_versions
from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    IDENTIFIED,
    MESSAGE_EVENTS,
    TASK_EVENTS,
    Catalog,
)
from runner.journey.fit import fit_account, fit_event, fit_traits
from runner.journey.model import Leave, UpToDate, WaitUntil
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.accounts import apply_account_traits
from runner.store.people.arrival import NOBODY, Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.sending.pools import replace_values
from runner.store.tables import contact, event, message, run
from runner.store.watching import due, story

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
LASTS = timedelta(days=60)
CHANNELS = ("email", "sms", "push", "crm", "audiences", "call")
MOST = 200
"""Ticks, or deliveries, at one instant; more are a circle."""


class Anybody:
    """A channel that answers whatever a channel may answer."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def send(self, message: Message) -> Result:
        if message.kind == "call":
            answers = (
                {"ok": True, "value": 3},
                {"ok": "x", "items": [{"sku": 1}]},
                {"value": "9"},
                None,
                [1],
                "text",
            )
            answer = Answer(
                status=self._random.choice([200, 200, 404, 500]), json=self._random.choice(answers)
            )
            return self._random.choice(
                [Sent(answer=answer), Rejected("no", answer), RetryLater("later"), Sent()]
            )
        later = RetryLater("later", timedelta(minutes=3))
        return self._random.choice(
            [Sent(), Sent("it"), Sent(), Rejected("no"), later, Unknown("nobody can tell")]
        )

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, kw_only=True)
class Coming:
    """What happens at an instant: an event, or somebody (``who``) is enrolled, or presses a link."""

    at: datetime
    kind: str
    who: str
    arrival: Arrival | None = None


class Life:
    """``exact``: in virtual time, from instant to instant; else as a daemon lives, with pauses of any length."""

    def __init__(self, database: Database, files: Mapping[str, str], random: Random, *, exact: bool) -> None:
        self.database, self.random, self.exact = database, random, exact
        project = load_project(files)
        assert not [problem for problem in project.problems if problem.severity == "error"]
        self.catalog: Catalog = project.catalog
        begin = START - timedelta(days=1)
        apply_project(database, project, now=begin, author=None, git_commit=None)
        self.versions: Versions = load_versions(database)
        self.people = [f"person-{number}" for number in range(random.randint(1, 4))]
        with database.begin() as connection:
            begin_anew(connection, self.versions, begin)
            replace_values(connection, {"vouchers": ["A", "B"]})
            shop = fit_account(self.catalog, {"seats": 9, "industry": "retail"})
            apply_account_traits(connection, database.deployment, [("shop", shop.properties)], begin)
            known = [self._arrival(who, IDENTIFIED, begin, self._traits(who), who) for who in self.people]
            store_events(connection, database.deployment, known, pending=False)
            for topic in TOPICS[:3]:
                if random.random() < 0.7:
                    grant_consent(
                        connection, database.deployment, self.people,
                        topic=topic, channel="*", at=begin, source="fuzz",
                    )  # fmt: skip
        self.to_come = sorted(map(self._coming, range(random.randint(5, 40))), key=lambda each: each.at)
        self.channels = dict.fromkeys(CHANNELS, Anybody(random))
        self.happened: Counter[str] = Counter()

    def live(self) -> None:
        """From the start to the end. Raises whatever the engine raises; AssertionError where it never comes to rest."""
        now: datetime | None = START
        while now is not None and now <= START + LASTS:
            while self.to_come and self.to_come[0].at <= now:
                self._happen(self.to_come.pop(0), now)
            self._to_rest(now)
            now = self._next(now)

    def stuck(self) -> list[str]:
        """The runs that stand somewhere and will not be looked at by time, though nothing says that they may."""
        columns = (run.c.journey, run.c.version, run.c.node, run.c.next_at, run.c.deferred)
        with self.database.read() as connection:
            rows = connection.execute(select(*columns).where(run.c.status == "active")).all()
        found = []
        for row in rows:
            verb = self.versions.by_id[row.version].program.nodes[row.node].verb
            missing = isinstance(verb, WaitUntil) and verb.if_missing is Leave.WAIT
            dated = isinstance(getattr(verb, "up_to", None), UpToDate)
            if row.next_at is None and not missing and not dated:
                found.append(f"{row.journey} at {verb}")
        return found

    def left_undone(self) -> int:
        """Events that still wait to be handled."""
        with self.database.read() as connection:
            until = START + LASTS
            waiting = select(event.c.id).where(event.c.pending, event.c.at <= until)
            return len(connection.execute(waiting).all())

    def stories(self) -> list[Sequence[story.Entry]]:
        with self.database.read() as connection:
            return [story.story(connection, who) for who in self.people]

    # What happens

    def _next(self, now: datetime) -> datetime | None:
        if not self.exact:
            return now + timedelta(minutes=self.random.choice([1, 7, 60, 600, 3000]))
        with self.database.read() as connection:
            coming = [
                due.next_due(connection),
                due.next_pending(connection),
                due.next_timed(connection),
            ]
        instants = [instant for instant in coming if instant is not None] + [
            each.at for each in self.to_come[:1]
        ]
        return min(instants, default=None)

    def _to_rest(self, now: datetime) -> None:
        """Do all that is due at ``now``, and what comes of it at that instant."""
        for _ in range(MOST):
            ticked = tick(self.database, self.versions, now, EXACT if self.exact else LIVE)
            delivered = deliver(self.database, self.versions, self.channels, now, exact=self.exact)
            following = self._next(now) if self.exact else None
            if not ticked.more and not delivered.claimed and (following is None or following > now):
                return
        raise AssertionError(f"what is due at {now} is never done")

    def _happen(self, what: Coming, now: datetime) -> None:
        if what.arrival is not None:
            with self.database.begin() as connection:
                store_events(connection, self.database.deployment, [what.arrival], pending=True)
        elif what.kind == "enroll":
            raw = {"plan": "pro", "seats": 3}
            enroll_one(self.database, enrolling(self.versions, "next"), what.who, raw, f"at {what.at}", now)
        else:
            self._press(now)

    def _press(self, now: datetime) -> None:
        columns = (contact.c.key, message.c.journey, message.c.run, message.c.step, message.c.visit)
        owner = (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact)
        query = select(*columns).join_from(message, contact, owner).order_by(message.c.contact, message.c.run)
        with self.database.read() as connection:
            sent = connection.execute(query).all()
        if sent:
            key, journey, number, step, visit = self.random.choice(sent)
            answer = press(
                self.database, self.versions,
                contact=key, journey=journey, run=number, step=step, visit=visit, at=now,
                link=self.random.choice(["later", "stop", "done", "confirm", "no", "begin"]),
                option=self.random.choice(["1d", "1w", None]),
                values={"started": self.random.choice(["2027-01-01", "soon", None]), "amount": self.random.choice([3, 50])},
            )  # fmt: skip
            self.happened[f"press {answer}"] += 1

    # What comes

    def _coming(self, number: int) -> Coming:
        random = self.random
        minutes = random.choice([0, 0, 60, 1440, random.randint(0, 80_000)])
        at = START + timedelta(minutes=minutes, seconds=random.choice([0, 0, 7]))
        who, kind = random.choice(self.people), random.choice("iiiccmepooooooo")
        name, raw = "", {}
        match kind:
            case "i":
                name, raw = IDENTIFIED, self._traits(who)
            case "c":
                name = random.choice([CONSENT_GRANTED, CONSENT_GRANTED, CONSENT_WITHDRAWN])
                raw = {
                    "topic": random.choice(TOPICS),
                    "channel": random.choice(["email", "*"]),
                    "confirmed": random.random() < 0.5,
                }
            case "m":
                name = random.choice([*MESSAGE_EVENTS, *TASK_EVENTS])
                raw = {
                    "run": random.randint(1, 4), "journey": random.choice(["demo", "next"]), "visit": 1,
                    "step": random.choice(["hello", "s1", "s3"]), "link": "stop", "channel": "email", "bot": random.random() < 0.2,
                }  # fmt: skip
            case "e" | "p":
                return Coming(at=at, kind="enroll" if kind == "e" else "press", who=who)
            case _:
                name = random.choice(list(EVENTS))
                raw = {
                    key: self._value(of)
                    for key, of in EVENTS[name].items()
                    if key != "broadcast" and random.random() < 0.9
                }
                who = NOBODY if "broadcast" in EVENTS[name] else who
        return Coming(
            at=at, kind="event", who=who, arrival=self._arrival(who, name, at, raw, f"event {number}")
        )

    def _arrival(self, who: str, name: str, at: datetime, raw: Mapping[str, Any], key: str) -> Arrival:
        fitted = fit_traits(self.catalog, raw) if name == IDENTIFIED else fit_event(self.catalog, name, raw)
        return Arrival(
            contact=who,
            name=name,
            at=at,
            properties=fitted.properties,
            undeclared=fitted.undeclared,
            dedup_key=key,
        )

    def _traits(self, who: str) -> Mapping[str, Any]:
        random = self.random
        said = {name: self._value(of["type"]) for name, of in ATTRIBUTES.items() if random.random() < 0.5}
        own = {
            "timezone": random.choice([*ZONES, "Mars/Olympus", None]),
            "email": random.choice([f"{who}@shop.example", f"{who}@shop.example", None]),
            "phone": "+4912345",
            "locale": random.choice(["en", "pt-BR", "zz"]),
            "account": random.choice(["shop", "other", None]),
        }
        return said | {name: value for name, value in own.items() if random.random() < 0.6}

    def _value(self, of: Any) -> Any:
        """A value of a type, now and then a missing one, or one that does not fit."""
        random = self.random
        if isinstance(of, dict):
            return {name: self._value(inner) for name, inner in of.items()}
        if isinstance(of, list):
            return [self._value(of[0]) for _ in range(random.randint(0, 3))]
        if random.random() < 0.1:
            return None
        if random.random() < 0.03:
            return random.choice(
                ["x", "", 1e300, 10.0**13, -0.0, [1], {"a": 1}, "9999-12-31", "0001-01-01T00:00:00Z"]
            )
        day = START.date() + timedelta(days=random.randint(-400, 90))
        return {
            "string": random.choice(["free", "pro", "AT", "US", "x-1", "o-1", "", "retail", "problem"]),
            "number": random.choice([0, 1, 3, 60, 99.5, -7, 1000, 0.000001]),
            "boolean": random.random() < 0.5,
            "date": random.choice([str(day), str(day), "2024-02-29"]),
            "datetime": (START + timedelta(minutes=random.randint(-40_000, 80_000))).isoformat(),
        }[of]
