"""A contact as the reference model holds it: what is known of it, and what expressions read of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from runner.journey.catalog import CONTACT_UPDATED, IDENTIFIED, MESSAGE_OPENED, Catalog, OptIn, Topic
from runner.journey.expression import Expression
from runner.journey.expression.tree import People, walk
from tests.reference.expressions import EPOCH, MICROSECOND, Situation, evaluate
from tests.reference.lives import Happening, Run

DAY = timedelta(days=1)
OWN_FIELDS = ("email", "phone", "timezone", "locale", "account")


EVERYWHERE = "*"
"""The channel of a consent that names none."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """What was said last about a consent: given, withdrawn or pending."""

    state: str
    since: datetime


class Person:
    """``past`` are the events that have been handled, in the order in which they were."""

    def __init__(
        self, key: str, catalog: Catalog, runs: Sequence[Run], accounts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.key = key
        self.accounts = accounts
        self.runs = runs
        self.catalog = catalog
        self.past: list[Happening] = []
        self.fields: dict[str, str | None] = dict.fromkeys(OWN_FIELDS)
        self.attributes: dict[str, Any] = {}
        self.tags: set[str] = set()
        self.words: dict[tuple[str, str], Word] = {}
        self.everybody: Sequence[Person] = (self,)
        """Who may be a colleague."""
        self.acting = False
        """Whether others do something at the present instant."""
        self.moving = False
        """Whether one of them may change their account."""
        self.suppressed: dict[tuple[str, str], bool] = {}
        """By channel and address: whether receipts are kept from it too."""

    def receive(self, event: Happening) -> bool:
        """The event becomes past, and traits are taken over. Answers whether waits may have moved."""
        self.past.append(event)
        if event.name == IDENTIFIED:
            for name, value in event.properties.items():
                self.set(name, value)
        return event.name in (IDENTIFIED, CONTACT_UPDATED)

    def fitted(self, name: str, value: Any) -> Any:
        """The value, or None where it is none of those that the attribute may have."""
        declared = self.catalog.attributes.get(name)
        closed = declared is not None and declared.type.one_of
        return None if closed and value not in closed else value

    def set(self, name: str, value: Any) -> None:
        if name in OWN_FIELDS:
            self.fields[name] = value
        else:
            self.attributes[name] = value

    def get(self, name: str) -> Any:
        return self.fields[name] if name in OWN_FIELDS else self.attributes.get(name)

    def word(self, topic: str, channel: str) -> Word | None:
        """What was said last about the topic on that channel: of it, or else of all channels."""
        own = self.words.get((topic, channel))
        return self.words.get((topic, EVERYWHERE)) if own is None else own

    def say(self, topic: str, channel: str, word: Word) -> None:
        """A word for every channel overrides all earlier ones."""
        if channel == EVERYWHERE:
            self.words |= {known: word for known in self.words if known[0] == topic}
        self.words[topic, channel] = word

    def opt_in(self, topic: Topic, now: datetime) -> OptIn:
        """How the contact consents to the topic."""
        for case in topic.cases:
            if case.when is None or self.value(case.when, now) is True:
                return case.opt_in
        return topic.opt_in

    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.fields["timezone"] or self.catalog.timezone)

    # Reading ---------------------------------------------------------------------------------------------

    def value(
        self,
        expression: Expression,
        now: datetime,
        *,
        run: Run | None = None,
        event: Happening | None = None,
        trigger: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value of ``expression`` at the instant ``now``, in its stored form. ``trigger`` is the run's own, where
        there is a run."""
        situation = self._situation(now, run, event, run.trigger if run else trigger)
        if asks_about_colleagues(expression):
            if self.moving or (self.acting and asks_what_colleagues_are(expression)):
                raise AmbiguousError
            members = [colleague._situation(now, None, None, None) for colleague in self.colleagues()]
            situation = replace(situation, members=members)
        return evaluate(expression, situation)

    def colleagues(self) -> list[Person]:
        """All who share the account, the contact too; nobody shares none."""
        account = self.fields["account"]
        return [other for other in self.everybody if account and other.fields["account"] == account]

    def _situation(
        self, now: datetime, run: Run | None, event: Happening | None, trigger: Mapping[str, Any] | None
    ) -> Situation:
        return Situation(
            instant=microseconds(now),
            zone=self.zone().key,
            columns={"id": self.key, **self.fields},
            attributes=self.attributes,
            tags=sorted(self.tags),
            trigger=trigger,
            event=event.properties if event else None,
            run=run.data if run else None,
            entered_at=microseconds(run.entered_at) if run else None,
            run_number=run.number if run else None,
            events=[
                (happening.name, microseconds(happening.at), happening.properties)
                for happening in sorted(self.past, key=lambda happening: happening.order)
            ],
            sent=frozenset(step for step, _ in run.let_go) if run else frozenset(),
            runs=[(other.journey.name, other.status) for other in self.runs],
            consents={about: word.state == "given" for about, word in self.words.items()},
            consents_since={about: microseconds(word.since) for about, word in self.words.items()},
            suppressed=frozenset(self.suppressed),
            account=self.accounts.get(self.fields["account"] or ""),
        )

    def per(self, per: Expression | None, event: Happening) -> str:
        """The text of ``entry.per`` for the run that ``event`` starts; empty where the value is missing."""
        return as_text(self.value(per, event.at, trigger=event.properties)) if per else ""

    def text(self, expression: Expression, now: datetime, run: Run) -> str:
        """A value as a part of a name; empty where it is missing."""
        return as_text(self.value(expression, now, run=run))

    def best_hour(self, now: datetime) -> int | None:
        """The hour of their day at which they opened most messages lately; None where that is too little to tell."""
        hours = [
            happening.at.astimezone(self.zone()).hour
            for happening in self.past
            if happening.name == MESSAGE_OPENED
            and now - 90 * DAY < happening.at <= now
            and happening.properties.get("bot") is not True
        ]
        if len(hours) < 3:
            return None
        return min(hours, key=lambda hour: (-hours.count(hour), hour))


class AmbiguousError(Exception):
    """Something hangs on which of two contacts does something first at one instant, which nobody promises."""


@cache
def asks_what_colleagues_are(expression: Expression) -> bool:
    """And not only what they did before."""
    return any(isinstance(node, People) for node in walk(expression.tree))


@cache
def asks_about_colleagues(expression: Expression) -> bool:
    return any(
        isinstance(node, People) or getattr(node, "by_account", False) for node in walk(expression.tree)
    )


def as_text(value: Any) -> str:
    """A stored value in words; empty where it is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain_number(value) if isinstance(value, int) else str(value)


def microseconds(instant: datetime) -> int:
    """Since 1970, UTC."""
    return (instant - EPOCH) // MICROSECOND


def number(millionths: int) -> Decimal:
    return Decimal(millionths) / 1_000_000


def plain_number(millionths: int) -> str:
    """In decimal notation without superfluous zeros: ``12.5``, ``-3``."""
    text = f"{number(millionths):.6f}"
    return text.rstrip("0").rstrip(".")


def as_date_or_instant(stored: str) -> date | datetime:
    """A stored date or datetime as what it means."""
    return date.fromisoformat(stored) if len(stored) == len("2026-03-01") else datetime.fromisoformat(stored)
