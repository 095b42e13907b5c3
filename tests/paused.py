"""A journey to pause, with the people in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from runner.engine.deliver import deliver
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.tables import contact, run, step_log
from tests.shop import CATALOG, Shop, Sink

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

COURT = """
journey: court
language: 1
title: Court whoever signs up
topic: offers
trigger: {event: Signed Up}
entry: {reentry: always}
exit:
  - {event: Left, reason: left}
  - {when: contact.vip, reason: vip}
goal: {event: Bought, within: 30d}
steps:
  - id: hello
    send: {channel: email, template: hello, valid_for: 6h}
  - id: bought
    wait:
      event: Bought
      up_to: 1d
      save_as: order
      then: [{id: thanks, send: {channel: email, template: hello}}, {id: happy, exit: happy}]
  - id: again
    send: {channel: email, template: hello}
"""

DATED = """
journey: dated
language: 1
title: Wait for a day
topic: offers
trigger: {event: Signed Up}
steps:
  - id: birthday
    wait: {until: contact.born, if_past: exit, if_missing: exit}
  - id: wish
    send: {channel: email, template: hello}
"""

AFTER = """
journey: after
language: 1
title: After a stop
topic: offers
trigger: {journey: court, outcome: stopped}
steps:
  - id: sorry
    send: {channel: email, template: hello}
"""

OTHER = """
journey: other
language: 1
title: Not paused
topic: offers
trigger: {event: Bought}
entry: {reentry: always}
steps:
  - id: note
    send: {channel: email, template: hello}
"""


def files(**journeys: str) -> dict[str, str]:
    catalog = CATALOG.replace("  Left: {}\n", "  Left: {}\n  Bought: {total: number}\n")
    catalog += "segments: {best: {when: contact.vip}}\n"
    texts = {"hello.html": "---\nsubject: Hello\n---\n<p>Hello</p>"}
    return {"journeys/catalog.yaml": catalog} | {
        f"journeys/{name}/{file}": text
        for name, journey in journeys.items()
        for file, text in {"journey.yaml": journey, **texts}.items()
    }


class Paused:
    """A shop with journeys, its sink, and what people's runs look like."""

    def __init__(self, database: Database, **journeys: str) -> None:
        self.database = database
        self.shop = Shop(database, files(**journeys))
        self.sink = Sink()

    def until(self, now: datetime) -> None:
        """Do all that is due at ``now``, as a daemon does it."""
        self.shop.versions = load_versions(self.database, self.shop.versions)
        self.shop.tick(now)
        while deliver(self.database, self.shop.versions, {"email": self.sink}, now).claimed:
            self.shop.tick(now)

    def happens(self, key: str, name: str, at: datetime, **properties: Any) -> None:
        self.shop.arrive([self.shop.event(key, name, at, **properties)])
        self.until(at)

    def pause(self, now: datetime, name: str = "court") -> None:
        pause_journey(self.database, name, now=now, who="tests")

    def resume(self, now: datetime, name: str = "court", per_minute: int = 600) -> None:
        resume_journey(self.database, name, now=now, who="tests", per_minute=per_minute)

    def runs(self, journey: str = "court") -> dict[str, tuple[str, str | None]]:
        """By contact: where their last run stands, or its status, and its reason."""
        of = (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
        query = select(contact.c.key, run).join(contact, of).where(run.c.journey == journey)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(run.c.id)).all()
        return {row.key: (row.step or row.status, row.reason) for row in rows}

    def row(self, key: str) -> Any:
        of = (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
        with self.database.read() as connection:
            return connection.execute(
                select(run).join(contact, of).where(contact.c.key == key, run.c.journey == "court")
            ).one()

    def outcomes(self) -> list[tuple[str, str, datetime]]:
        columns = (step_log.c.step, step_log.c.outcome, step_log.c.at)
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(step_log.c.at))]  # type: ignore[misc]
