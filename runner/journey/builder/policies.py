"""The policies of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from runner.journey.builder.kinds import parse_time
from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.catalog import Catalog, OptIn, OptInCase
from runner.journey.expression import Scope
from runner.journey.policies import TRANSACTIONAL, Cap, Hold, Holdout, Over, Policies, QuietHours
from runner.journey.values import BOOLEAN
from runner.journey.yaml import Fields, Scalar, Value

WHOLE = 10_000
"""Hundredths of a percent in all."""


def build_policies(notes: Notes, root: Fields, catalog: Catalog) -> Policies:
    """The policies of the catalog file ``root``, which speak of what ``catalog`` declares."""
    fields = fields_of(root.get("policies"))
    if fields is None:
        return Policies()
    builder = _PolicyBuilder(notes, catalog)
    return Policies(
        quiet_hours=builder.quiet_hours(fields_of(fields.get("quiet_hours"))),
        caps=tuple(builder.caps(fields.get("frequency_cap"))),
        priority=tuple(builder.priority(fields.get("priority"))),
        holds=tuple(builder.holds(fields.get("hold"))),
        holdout=builder.holdout(fields_of(fields.get("holdout"))),
    )


def build_opt_in_cases(notes: Notes, root: Fields, catalog: Catalog) -> Catalog:
    """``catalog`` with the cases of those topics whose opt-in is a list of them."""
    topics = dict(catalog.topics)
    declared = fields_of(root.get("topics"))
    for field in declared.fields if declared else ():
        options = fields_of(field.value)
        opt_in = options.get("opt_in") if options else None
        items = [fields for item in items_of(opt_in) if (fields := fields_of(item))]
        if not items or field.key not in topics or opt_in is None:
            continue
        if "else" not in items[-1] or any("else" in each for each in items[:-1]):
            message = "The last case, and no other, is the `else` case: it says how all others consent."
            notes.note("topic/opt-in", message, opt_in.span, "End with `{else: explicit}`.")
            continue
        scope = Scope(catalog=catalog)
        cases = []
        for item in items[:-1]:
            kind = text_of(item.get("is"))
            when = notes.expression(item.get("when"), scope, expect=BOOLEAN)
            if when is not None and kind in set(OptIn):
                cases.append(OptInCase(opt_in=OptIn(kind), when=when))
        otherwise = text_of(items[-1].get("else"))
        if otherwise in set(OptIn):
            topics[field.key] = replace(topics[field.key], opt_in=OptIn(otherwise), cases=tuple(cases))
    return replace(catalog, topics=topics)


def share_of(notes: Notes, value: Value | None) -> int | None:
    """Hundredths of a percent: of a number, or of a text that ends in %."""
    number: object = value.value if isinstance(value, Scalar) else None
    if isinstance(number, str) and number.endswith("%"):
        try:
            number = Decimal(number[:-1].strip())
        except ArithmeticError:
            return None
    if value is None or isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    hundredths = Decimal(number) * 100
    if hundredths != int(hundredths):
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return None  # its schema has said so
        notes.note("split/percent", "A percentage has two decimals at most.", value.span)
        return None
    return int(hundredths) if 0 <= hundredths <= WHOLE else None


class _PolicyBuilder:
    def __init__(self, notes: Notes, catalog: Catalog) -> None:
        self.notes = notes
        self.catalog = catalog

    def quiet_hours(self, fields: Fields | None) -> QuietHours | None:
        if fields is None:
            return None
        begins, ends = (
            parse_time(text_of(fields.get("from")) or ""),
            parse_time(text_of(fields.get("to")) or ""),
        )
        channels = tuple(self.known("channel", fields.get("channels")))
        if begins is None or ends is None:
            return None
        if begins == ends:
            message = "Quiet hours that end when they begin would never end."
            self.notes.note("policies/quiet-hours", message, fields.key_span("to"))
            return None
        return QuietHours(begins=begins, ends=ends, channels=channels)

    def caps(self, value: Value | None) -> Iterator[Cap]:
        items = items_of(value) or ((value,) if value is not None else ())
        for fields in (fields for item in items if (fields := fields_of(item))):
            most = fields.get("max")
            number = most.value if isinstance(most, Scalar) else None
            per = self.notes.duration(fields.get("per"))
            channel = self.one("channel", fields.get("channel"))
            topic = self.one("topic", fields.get("topic"))
            over = text_of(fields.get("over"))
            if topic is not None and self.catalog.topics[topic].transactional:
                message = f"`{topic}` needs no consent, and such messages are exempt from frequency caps."
                self.notes.note("policies/cap", message, fields.key_span("topic"))
            if isinstance(number, int) and not isinstance(number, bool) and number > 0 and per:
                yield Cap(
                    most=number,
                    per=per,
                    channel=channel,
                    topic=topic,
                    over=Over(over) if over in set(Over) else Over.DROP,
                )

    def priority(self, value: Value | None) -> Iterator[str]:
        seen: set[str] = set()
        for item in items_of(value):
            name = text_of(item)
            if name is None:
                continue
            if name in seen:
                self.notes.note("policies/priority", f"`{name}` has its place already.", item.span)
            elif name != TRANSACTIONAL and name not in self.catalog.topics:
                self.notes.unknown("topic", name, [*self.catalog.topics, TRANSACTIONAL], item.span)
            else:
                yield name
            seen.add(name)

    def holds(self, value: Value | None) -> Iterator[Hold]:
        scope = Scope(catalog=self.catalog)
        for fields in (fields for item in items_of(value) if (fields := fields_of(item))):
            when = self.notes.expression(fields.get("when"), scope, expect=BOOLEAN)
            topics = tuple(self.known("topic", fields.get("topics")))
            if when is not None:
                yield Hold(when=when, topics=topics)

    def holdout(self, fields: Fields | None) -> Holdout | None:
        if fields is None:
            return None
        share = share_of(self.notes, fields.get("percent"))
        return Holdout(name=text_of(fields.get("name")) or "global", share=share) if share else None

    def known(self, what: str, value: Value | None) -> Iterator[str]:
        """The names in a list, as far as the catalog declares them."""
        for item in items_of(value):
            name = self.one(what, item)
            if name is not None:
                yield name

    def one(self, what: str, value: Value | None) -> str | None:
        """A name that the catalog declares."""
        name = text_of(value)
        declared = self.catalog.channels if what == "channel" else self.catalog.topics
        if value is None or name is None:
            return None
        if name not in declared:
            self.notes.unknown(what, name, list(declared), value.span)
            return None
        return name
