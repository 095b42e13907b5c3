"""A small shop for the tests of delivery: one journey that greets whoever signs up, through the real engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from channels.base import Message, Result, Sent
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, Pace, tick
from runner.engine.versions import Versions, load_versions
from runner.journey.catalog import IDENTIFIED
from runner.journey.fit import fit_event, fit_traits
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.contacts import grant_consent
from runner.store.people.events import store_events
from runner.store.tables import ConsentState, contact, message

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)

CATALOG = """
timezone: Asia/Tbilisi
locale: en
attributes:
  first_name: {type: string, pii: true}
  points: {type: number}
  born: {type: date}
  vip: {type: boolean}
events:
  Signed Up: {plan: string, seats: number, items: [{sku: string}]}
  Left: {}
topics:
  offers: {title: Offers, opt_in: explicit}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""

GREET = """
journey: greet
language: 1
title: Greet whoever signs up
topic: offers
trigger: {event: Signed Up}
entry: {reentry: always}
exit:
  - {event: Left, reason: left}
steps:
  - id: hello
    send: {channel: email, template: hello, valid_for: 6h}
  - id: day
    wait: 1d
  - id: again
    send: {channel: email, template: hello}
"""

HELLO_HTML = """---
subject: Hello {{ contact.first_name|default("you") }}
preheader: Your plan is {{ trigger.plan }}
---
<!doctype html>
<html><body>
<p>Hello {{ contact.first_name }}, {{ trigger.seats }} seats.</p>
</body></html>
"""
HELLO_TXT = """Hello {{ contact.first_name }}, {{ trigger.seats }} seats.
"""

FILES: Mapping[str, str] = {
    "journeys/catalog.yaml": CATALOG,
    "journeys/greet/journey.yaml": GREET,
    "journeys/greet/hello.html": HELLO_HTML,
    "journeys/greet/hello.txt": HELLO_TXT,
}


@dataclass
class Sink:
    """A channel that keeps what it is given, and answers as told (by contact, else Sent)."""

    answers: dict[str, Result | Exception] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    on_send: Any = None

    def send(self, message: Message) -> Result:
        self.messages.append(message)
        if self.on_send:
            self.on_send(message)
        answer = self.answers.get(message.contact, Sent(f"id-{len(self.messages)}"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass

    @property
    def contacts(self) -> list[str]:
        return [message.contact for message in self.messages]


class Shop:
    """The shop in one database. ``sign_up`` makes people's first message ready at the instant ``at``."""

    def __init__(self, database: Database, files: Mapping[str, str] = FILES) -> None:
        self.database = database
        project = load_project(files)
        assert not project.problems, project.problems
        self.catalog = project.catalog
        apply_project(database, project, now=START - timedelta(days=1), author="tests", git_commit=None)
        self.versions: Versions = load_versions(database)

    def arrive(self, arrivals: Iterable[Arrival], *, pending: bool = True) -> None:
        with self.database.begin() as connection:
            store_events(connection, self.database.deployment, list(arrivals), pending=pending)

    def identify(self, key: str, at: datetime = START, **traits: Any) -> None:
        fitted = fit_traits(self.catalog, {"email": f"{key}@x.example", **traits})
        arrival = Arrival(
            contact=key,
            name=IDENTIFIED,
            at=at,
            properties=fitted.properties,
            undeclared={},
            dedup_key=f"identify {key} {at}",
        )
        self.arrive([arrival], pending=False)
        self.consent(key)

    def consent(self, key: str, state: ConsentState = ConsentState.GIVEN, channel: str = "*") -> None:
        with self.database.begin() as connection:
            grant_consent(
                connection,
                self.database.deployment,
                [key],
                topic="offers",
                channel=channel,
                state=state,
                at=START,
                source="tests",
            )

    def grant(self, key: str, topic: str) -> None:
        """Give the contact's consent to a topic, by every channel."""
        self._grant([key], topic)

    def grant_all(self, topic: str) -> None:
        self._grant(None, topic)

    def _grant(self, keys: list[str] | None, topic: str) -> None:
        with self.database.begin() as connection:
            grant_consent(
                connection,
                self.database.deployment,
                keys,
                topic=topic,
                channel="*",
                state=ConsentState.GIVEN,
                at=START,
                source="tests",
            )

    def event(self, key: str, name: str, at: datetime = START, **properties: Any) -> Arrival:
        fitted = fit_event(self.catalog, name, properties)
        return Arrival(
            contact=key,
            name=name,
            at=at,
            properties=fitted.properties,
            undeclared={},
            dedup_key=f"{name} {key} {at}",
        )

    def sign_up(self, *keys: str, at: datetime = START, **traits: Any) -> None:
        for key in keys:
            self.identify(key, at, **traits)
        self.arrive(self.event(key, "Signed Up", at, plan="pro", seats=3) for key in keys)
        self.tick(at)

    def tick(self, now: datetime, pace: Pace = LIVE) -> None:
        while tick(self.database, self.versions, now, pace).more:
            pass

    def ledger(self) -> dict[str, Any]:
        """The messages by contact and step."""
        rows = select(contact.c.key, message).join(
            contact, (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact)
        )
        with self.database.read() as connection:
            return {f"{row.key}/{row.step}": row for row in connection.execute(rows.order_by(contact.c.key))}

    def messages(self) -> list[tuple[str, Any]]:
        """Every message with its contact's key and step, in order of contact, instant and run."""
        rows = select(contact.c.key.label("contact_key"), message).join(
            contact, (contact.c.partition == message.c.partition) & (contact.c.id == message.c.contact)
        )
        order = (contact.c.key, message.c.let_go_at, message.c.journey, message.c.run, message.c.step)
        with self.database.read() as connection:
            return [
                (f"{row.contact_key}/{row.step}", row) for row in connection.execute(rows.order_by(*order))
            ]

    def statuses(self) -> dict[str, str]:
        return {name: row.status for name, row in self.ledger().items()}
