"""Three days of a small shop that touches every stage: what is stopped at each of its points in turn. Runs are started
by events, other runs, time, segments and a broadcast.

An act is something that a process does at an instant, until there is nothing more to do; done again, it changes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from runner.engine.apply import apply_project
from runner.engine.broadcasting import send_broadcast
from runner.engine.deliver import LEASE
from runner.engine.imports import Granted, import_file
from runner.journey.catalog import CONSENT_WITHDRAWN, IDENTIFIED
from runner.journey.fit import fit_event, fit_traits
from runner.journey.project import load_project
from runner.store import tables
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from tests.shop import CATALOG, START
from tests.simulation.process import Process

JOURNEY = """
journey: greet
language: 1
title: Greet whoever signs up
topic: offers
trigger: {event: Signed Up}
entry: {again: restart, reentry: always, per: trigger.plan}
exit:
  - {event: Left, reason: left}
  - {when: contact.points > 100, reason: rich}
goal: {event: Bought, within: 3d, then: exit}
steps:
  - {id: hello, send: {channel: email, template: hello}}
  - id: count
    update: {set: {points: = contact.points + 1}, add_tags: [greeted], run: {seats: = trigger.seats}}
  - id: halves
    split:
      arms:
        - name: a
          percent: 50
          steps: [{id: note, send: {channel: email, template: hello, topic: receipts}}]
        - {name: b, percent: 50, steps: [{id: pause, wait: 6h}]}
  - id: answer
    wait:
      event: Answered
      up_to: 12h
      then: [{id: thanks, send: {channel: email, template: hello, topic: receipts}}]
  - id: which
    branch:
      - name: vip
        when: contact.vip
        steps: [{id: party, wait: {until: contact.born, if_past: continue, if_missing: continue}}]
      - name: rest
        else:
          - id: often
            condition: {if: 'count("Signed Up", within="2d") >= 1', else: [{id: off, exit: seldom}]}
  - {id: morning, wait: {for: 1d, at: "09:00"}}
  - {id: last, send: {channel: email, template: hello}}
"""
BY_TIME = """
journey: NAME
language: 1
title: What time and others cause
topic: receipts
trigger: TRIGGER
entry: {reentry: always}
steps:
  - {id: told, emit: {event: Told}}
"""
ECHO = """
journey: echo
language: 1
title: What other journeys cause
topic: receipts
trigger: {event: Told, where: "contact.vip"}
entry: {reentry: always}
steps:
  - {id: heard, update: {set: {points: = contact.points + 1}}}
"""
TRIGGERS = {
    "sale": '{event: Sale Began, where: "event.day == contact.born and contact.points >= 2"}',
    "nine": '{schedule: "0 9 * * *", timezone: contact}',
    "birthday": '{date: contact.born, at: "08:00"}',
    "rich": "{segment: rich, change: enter}",
}
FILES: Mapping[str, str] = {
    "journeys/catalog.yaml": CATALOG.replace(
        "  Left: {}\n",
        "  Left: {}\n  Bought: {}\n  Answered: {}\n  Told: {}\n  Sale Began: {broadcast: true, day: date}\n",
    )
    + "segments:\n  rich: {when: contact.points >= 2}\n",
    "journeys/greet/journey.yaml": JOURNEY,
    "journeys/echo/journey.yaml": ECHO,
    **{
        f"journeys/{name}/journey.yaml": BY_TIME.replace("NAME", name).replace("TRIGGER", trigger)
        for name, trigger in TRIGGERS.items()
    },
    "journeys/greet/hello.txt": "---\nsubject: Hello\n---\nHello {{ contact.first_name }}, {{ run.seats }}\n",
}
PROJECT = load_project(FILES)
CHANGED = load_project({**FILES, "journeys/greet/hello.txt": "---\nsubject: Other\n---\nHello\n"})
PEOPLE = ("ana", "bob", "cy", "dan", "eve", "fay", "gus")
HISTORY = tuple(
    {"type": "identify", "messageId": f"i-{key}", "userId": key, "timestamp": "2026-02-01T00:00:00Z",
     "traits": {"email": f"{key}@x.example", "first_name": key, "points": 1, "vip": key in ("bob", "eve"),
                "born": "2026-03-02"}}
    for key in PEOPLE
)  # fmt: skip


@dataclass(frozen=True)
class Act:
    """``at`` is the process's present; ``do`` answers whether there is more to do."""

    name: str
    at: datetime
    do: Callable[[Process, datetime], bool]


def _event(key: str, name: str, at: datetime, **properties: Any) -> Arrival:
    fitted = (
        fit_traits(PROJECT.catalog, properties)
        if name == IDENTIFIED
        else fit_event(PROJECT.catalog, name, properties)
    )
    return Arrival(
        contact=key, name=name, at=at, properties=fitted.properties, undeclared={}, dedup_key=f"{name} {at}"
    )


def _store(*arrivals: Arrival) -> Callable[[Process, datetime], bool]:
    def act(process: Process, now: datetime) -> bool:
        with process.database.begin() as connection:
            deployment = process.database.deployment
            store_events(connection, deployment, list(arrivals), received_at=now, pending=True)
        return False

    return act


def _apply(project: Any) -> Callable[[Process, datetime], bool]:
    def act(process: Process, now: datetime) -> bool:
        apply_project(process.database, project, now=now, author="tests", git_commit=None)
        return False

    return act


def _broadcast(process: Process, now: datetime) -> bool:
    send_broadcast(process.database, PROJECT.catalog, "Sale Began", {"day": "2026-03-02"}, "march", now)
    return False


def _import(folder: Path) -> Callable[[Process, datetime], bool]:
    path = folder / "history.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in HISTORY), encoding="utf-8")

    def act(process: Process, now: datetime) -> bool:
        import_file(
            process.database,
            PROJECT.catalog,
            path,
            received_at=now,
            pending=False,
            rejects=folder,
            batch=4,
            grants=[Granted(topic="offers", channel="*", source="tests")],
        )
        return False

    return act


def _tick(process: Process, now: datetime) -> bool:
    ticked = process.tick()
    return ticked.more or ticked.outdated


def _deliver(process: Process, now: datetime) -> bool:
    process.recover()
    return process.deliver().claimed > 0


def acts(folder: Path) -> Sequence[Act]:
    """The whole, in its order. ``folder`` is for the file that is imported."""
    hour = timedelta(hours=1)
    soon, end = START + timedelta(minutes=10), START + 68 * hour
    signed_up = [_event(key, "Signed Up", START, plan="pro", seats=3) for key in PEOPLE[:-1]]

    def deliver(at: datetime) -> list[Act]:
        # Again after the first retry, and after a lease: then nothing is left to do, whatever happened before.
        later = (
            timedelta(),
            timedelta(minutes=1),
            LEASE + timedelta(minutes=1),
            2 * LEASE + timedelta(minutes=1),
        )
        return [Act(f"deliver after {wait}", at + wait, _deliver) for wait in later]

    return (
        Act("apply", START - hour, _apply(PROJECT)),
        Act("import", START - hour, _import(folder)),
        Act("store", START, _store(*signed_up)),
        Act("tick", START, _tick),
        *deliver(START),
        Act("apply again", soon, _apply(CHANGED)),
        Act(
            "store more",
            soon,
            _store(
                _event("ana", "Answered", soon),
                _event("bob", "Answered", soon),
                _event("cy", "Signed Up", soon, plan="pro", seats=4),
                _event("cy", "Signed Up", soon + timedelta(seconds=1), plan="free", seats=5),
                _event("dan", "Left", soon),
                _event("gus", "Signed Up", soon, plan="pro", seats=6),
                _event("gus", "Left", soon),
                _event("eve", "Bought", soon),
                _event("fay", CONSENT_WITHDRAWN, soon, topic="offers"),
                _event("fay", IDENTIFIED, soon, points=200, timezone="Europe/Berlin"),
            ),
        ),
        Act("tick", soon + timedelta(minutes=1), _tick),
        *deliver(soon + timedelta(minutes=1)),
        Act("tick", START + 7 * hour, _tick),
        Act("broadcast", START + 8 * hour, _broadcast),
        Act("tick", START + 8 * hour, _tick),
        Act("tick", START + 26 * hour, _tick),
        Act("tick", end, _tick),
        *deliver(end),
    )


def lives(database: Database) -> Mapping[str, list[tuple[Any, ...]]]:
    """All that may not differ, by table; instants of handing over, leases and attempts may. Names stand for numbers:
    those that a sequence of PostgreSQL has given out to a process that died are not given out again."""
    message = tables.message
    queries = {
        "runs": select(tables.run),
        "steps": select(tables.step_log),
        "events": select(*(c for c in tables.event.c if c.name != "received_at")),
        "contacts": select(*(c for c in tables.contact.c if c.name != "id")),
        "consents": select(tables.consent),
        "proofs": select(tables.consent_log),
        "conversions": select(tables.conversion),
        "arms": select(tables.assignment),
        "in force": select(tables.journey),
        "messages": select(
            message.c.partition,
            message.c.contact,
            message.c.run,
            message.c.step,
            message.c.let_go_at,
            message.c.status,
        ),
    }
    with database.read() as connection:
        names = _Names.of(connection)
        return {
            name: sorted(names.instead_of_numbers(row) for row in connection.execute(query).mappings())
            for name, query in queries.items()
        }


@dataclass(frozen=True, kw_only=True)
class _Names:
    """By partition and number, and of events by contact too: what each is known by outside."""

    people: Mapping[tuple[int, int], str]
    events: Mapping[tuple[int, int, int], str]
    versions: Mapping[int, str]

    @classmethod
    def of(cls, connection: Connection) -> _Names:
        contact, event, version = (
            table.c for table in (tables.contact, tables.event, tables.journey_version)
        )
        rows = connection.execute(select(event.partition, event.contact, event.id, event.dedup_key)).all()
        events = {(row[0], row[1], row[2]): row[3] for row in rows}
        # The key of somebody's entry into a segment ends with the number of the event that made them enter.
        for number, key in events.items():
            begin, _, cause = key.rpartition(":")
            if begin.startswith("segment:"):
                events[number] = f"{begin}:{events[(*number[:2], int(cause))]}"
        return cls(
            people={
                (row[0], row[1]): row[2]
                for row in connection.execute(select(contact.partition, contact.id, contact.key))
            },
            events=events,
            versions={row[0]: row[1] for row in connection.execute(select(version.id, version.hash))},
        )

    def instead_of_numbers(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The values of a row as texts."""
        named = dict(row)
        if "dedup_key" in row:
            named["dedup_key"] = self.events[(row["partition"], row["contact"], named.pop("id"))]
        if "contact" in row:
            who = (row["partition"], row["contact"])
            named["contact"] = self.people[who]
            for column in ("event", "cause"):
                if row.get(column) is not None:
                    named[column] = self.events[(*who, row[column])]
            if "entry_key" in row:
                begin, _, cause = row["entry_key"].rpartition(":")
                if begin.split(":")[0] in ("event", "segment"):
                    named["entry_key"] = f"{begin}:{self.events[(*who, int(cause))]}"
        if "version" in row:
            named["version"] = self.versions[row["version"]]
        return tuple(map(str, named.values()))
