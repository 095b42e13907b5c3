"""The project that the campaigns run, what is fed to it, and what an undisturbed run of the same input sends."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from runner.engine.apply import apply_project
from runner.engine.intake import consent_arrival
from runner.engine.tick import EXACT, tick
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED, Catalog
from runner.journey.fit import fit_event, fit_traits
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.tables import contact, message
from tests.written import write_files

PEOPLE = 4
"""Who sign up with each batch."""

CATALOG = """
timezone: UTC
locale: en
attributes:
  name: {type: string}
  visits: {type: number}
events:
  Signed Up: {plan: string}
  Ordered: {}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
  hook: {uses: file, sender: {name: Shop, address: hello@shop.example}}
  paper: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""

JOURNEY = """
journey: chaos
language: 1
title: Four messages through three channels
topic: offers
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - id: hello
    send: {channel: email, template: hello}
  - id: order
    wait: {event: Ordered, up_to: 6h, timeout: [{id: gone, exit: gone}]}
  - id: note
    update: {set: {visits: = contact.visits + 1}}
  - id: receipt
    send: {channel: paper, template: visit}
  - id: arms
    branch:
      - when: trigger.plan == "pro"
        name: pro
        steps: [{id: thanks-pro, send: {channel: hook, template: visit}}]
      - name: free
        else: [{id: thanks, send: {channel: hook, template: visit}}]
  - id: moment
    wait: 1s
  - id: bye
    send: {channel: email, template: visit}
"""

HELLO = """---
subject: Hello {{ contact.name|default("nobody") }}
---
Hello {{ contact.name }}.
"""

VISIT = """---
subject: Visit {{ contact.visits|number }} of {{ contact.name|default("nobody") }}
---
Hello {{ contact.name }}, this is visit {{ contact.visits|number }}.
"""

FILES = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/chaos/journey.yaml": JOURNEY,
    "journeys/chaos/hello.txt": HELLO,
    "journeys/chaos/visit.txt": VISIT,
}


@dataclass(frozen=True, order=True)
class Wanted:
    """A message as people tell it from others: a contact gets no two of one channel with the same subject."""

    contact: str
    channel: str
    subject: str


def write_project(folder: Path, *, smtp_port: int, http_port: int, timeout: float, workers: int = 2) -> None:
    """The project in ``folder``. Its database is what the environment variable CHAOS_DATABASE says."""
    settings = textwrap.dedent(f"""\
        database: ${{CHAOS_DATABASE}}
        channels:
          email:
            smtp: {{host: 127.0.0.1, port: {smtp_port}, tls: none, timeout: {timeout}}}
          hook:
            webhook:
              url: "http://127.0.0.1:{http_port}/hook"
              secret: "${{CHAOS_SECRET}}"
              idempotent: true
              allow_http: true
              allow_private: true
              timeout: {timeout}
          paper:
            file: {{folder: outbox}}
        limits: {{tick_every: 1s, connections: {workers}, grace: 5s}}
        """)
    write_files(folder, {**FILES, "journeys.yaml": settings})


def apply(database: Database, now: datetime) -> Catalog:
    """Put the journey into force."""
    project = load_project(FILES)
    errors = [problem for problem in project.problems if problem.severity.value == "error"]
    if errors:
        raise AssertionError(errors)
    apply_project(database, project, now=now, author="chaos", git_commit=None)
    return project.catalog


def batch(catalog: Catalog, number: int, at: datetime) -> tuple[list[Arrival], list[Arrival]]:
    """What the feeder stores as batch ``number``: history, and what takes its turn in the engine.

    Everybody of the batch signs up, half of them known by history and half by events; and everybody of the batch
    before orders. What is the same when it is stored again has the same keys.
    """
    history: list[Arrival] = []
    pending: list[Arrival] = []
    for person in people(number):
        (history if person.endswith(("0", "2")) else pending).extend(_made_known(catalog, person, at))
        pending.append(_event(catalog, person, "Signed Up", at, plan="pro" if person < "c00100" else "free"))
    if number:
        pending.extend(_event(catalog, person, "Ordered", at) for person in people(number - 1))
    return history, pending


def people(number: int) -> list[str]:
    return [f"c{number:05}-{place}" for place in range(PEOPLE)]


def store(database: Database, history: Sequence[Arrival], pending: Sequence[Arrival], now: datetime) -> None:
    """Store a batch in one transaction."""
    with database.begin() as connection:
        store_events(connection, database.deployment, history, pending=False, received_at=now)
        store_events(connection, database.deployment, pending, pending=True, received_at=now)


def undisturbed(batches: int, begin: datetime) -> list[Wanted]:
    """What the same input gives when nothing befalls it: in virtual time, on a database of its own."""
    with Database.scratch() as database:
        catalog = apply(database, begin - timedelta(days=1))
        versions = load_versions(database)
        instant = begin
        for number in range(batches):
            instant = begin + timedelta(milliseconds=number)
            store(database, *batch(catalog, number, instant), instant)
        while tick(database, versions, instant + timedelta(seconds=2), EXACT).more:
            pass
        rows = select(contact.c.key, message.c.step, message.c.channel).join(
            contact, (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact)
        )
        with database.read() as connection:
            return sorted(wanted(row.key, row.step, row.channel) for row in connection.execute(rows))


def wanted(contact: str, step: str, channel: str) -> Wanted:
    """The message of that step. After the update it says that there was one visit: a run that was advanced twice would
    say two."""
    return Wanted(contact, channel, f"Hello {contact}" if step == "hello" else f"Visit 1 of {contact}")


def _made_known(catalog: Catalog, person: str, at: datetime) -> Iterator[Arrival]:
    traits = fit_traits(catalog, {"email": f"{person}@x.example", "name": person, "visits": 0})
    yield _arrival(person, IDENTIFIED, at, traits.properties)
    yield consent_arrival(person, "offers", "*", at, "chaos", person)


def _event(catalog: Catalog, person: str, name: str, at: datetime, **properties: str) -> Arrival:
    return _arrival(person, name, at, fit_event(catalog, name, properties).properties)


def _arrival(person: str, name: str, at: datetime, properties: object) -> Arrival:
    assert isinstance(properties, dict)
    return Arrival(
        contact=person, name=name, at=at, properties=properties, undeclared={}, dedup_key=f"{name} {person}"
    )
