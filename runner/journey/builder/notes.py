"""What builders share: reading value trees that may not fit, and noting problems."""

from __future__ import annotations

import re
from decimal import Decimal

from runner.journey.broadcasts import ear_of
from runner.journey.catalog import Catalog
from runner.journey.duration import Duration, parse_duration
from runner.journey.expression import (
    Expression,
    ExpressionError,
    Finding,
    Scope,
    literal_expression,
    parse_expression,
)
from runner.journey.values import Kind, ValueType
from runner.journey.words import known, listed
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Problem, Severity, Span


def text_of(value: Value | None) -> str | None:
    """The text of a text; None for anything else."""
    return value.text if isinstance(value, Scalar) and isinstance(value.value, str) else None


def items_of(value: Value | None) -> tuple[Value, ...]:
    """The items of a list; none for anything else."""
    return value.items if isinstance(value, Items) else ()


def fields_of(value: Value | None) -> Fields | None:
    """A mapping; None for anything else."""
    return value if isinstance(value, Fields) else None


class Notes:
    """The problems of one file, and the readers of values that find them."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.problems: list[Problem] = []
        self.lacking: dict[str, list[str]] = {}
        """Of properties that only some of the triggers have: the events that lack them."""
        self.unsure: frozenset[str] = frozenset()
        """Names, as ``run.NAME``, of which nobody knows whether they exist, because what would say so is
        wrong and reported; ``trigger.`` alone stands for all of the trigger."""

    def note(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint, severity=severity))

    def duration(self, value: Value | None, *, negative: bool = False, zero: bool = False) -> Duration | None:
        """A duration, above zero unless said otherwise. The schema has reported what is no duration."""
        text = text_of(value)
        duration = parse_duration(text) if text else None
        if value is None or duration is None:
            return None
        if duration.elapsed < 0 and not negative:
            self.note("duration/negative", f"`{text}` lies in the past.", value.span)
            return None
        if duration.elapsed == 0 and not zero:
            self.note("duration/zero", f"`{text}` is no time at all.", value.span)
            return None
        if abs(duration.elapsed) > MOST_DAYS * 86_400_000_000:
            self.note("duration/too-long", f"`{text}` is more than a hundred years.", value.span)
            return None
        return duration

    def expression(
        self, value: Value | None, scope: Scope, *, expect: ValueType | None = None
    ) -> Expression | None:
        """The expression that ``value`` holds, with or without a leading ``=``."""
        if not isinstance(value, Scalar) or value.value is None:
            return None
        start = len(value.text) - len(value.text.lstrip())
        if value.text[start : start + 1] == "=":
            start += 1
            start += len(value.text[start:]) - len(value.text[start:].lstrip())
        source = value.text[start:].rstrip()
        for line_break in ("\r", "\n"):
            source = source.replace(line_break, " ")
        try:
            return parse_expression(source, scope, expect=expect)
        except ExpressionError as error:
            for finding in error.findings:
                if self.is_unsure(finding, source):
                    continue
                message, hint = self.told(finding, source)
                code = f"expression/{finding.code.removeprefix('expression-')}"
                self.note(code, message, value.place(start + finding.offset, finding.length), hint)
            return None

    def heard(self, event: str, where: Expression | None, options: Fields, span: Span, *sources: str) -> None:
        """Note where nobody would hear an event that has no contact: it needs an equality that finds them."""
        declared = self.catalog.events.get(event)
        if declared is None or not declared.broadcast or ear_of(where, *sources) is not None:
            return
        if where is None and "where" in options:
            return  # which is wrong, and noted
        values = listed([f"{source}.*" for source in sorted(sources)], "or")
        message = f"`{event}` is a broadcast: it has no contact, and nothing here says who hears it."
        hint = f"Compare one of its properties with {values} by ==, joined to the rest of `where` by `and`."
        self.note("broadcast/nobody", message, span, hint)

    def is_unsure(self, finding: Finding, source: str) -> bool:
        word = source[finding.offset : finding.offset + finding.length]
        if finding.code == "unknown-attribute" and word in self.catalog.unreadable:
            return True
        if finding.code == "unknown-segment" and word.strip("\"'") in self.catalog.unreadable_segments:
            return True
        owner = re.search(r"(\w+)\s*\.\s*$", source[: finding.offset])
        unknown = finding.code in ("unknown-property", "unknown-value")
        return unknown and bool(owner and {f"{owner[1]}.", f"{owner[1]}.{word}"} & self.unsure)

    def told(self, finding: Finding, source: str) -> tuple[str, str | None]:
        """Message and hint of a finding, with what this place of the file knows beyond it."""
        word = source[finding.offset : finding.offset + finding.length]
        before = source[: finding.offset]
        if before.rstrip().endswith("trigger.") and word in self.lacking:
            lacks = listed(self.lacking[word], "and")
            return (
                f"`{word}` is not a property of every trigger: {lacks} lacks it, or has another type.",
                None,
            )
        bare_date = re.search(r"(?<![\d\"'-])\d{4}-\d\d-\d\d(?![\d\"'])", source)
        if finding.hint is None and finding.code == "expression-syntax" and bare_date:
            return sentence(finding.message), f'Write date("{bare_date[0]}").'
        return sentence(finding.message), sentence(finding.hint) if finding.hint else None

    def assigned(self, value: Value, scope: Scope, type: ValueType) -> Expression | None:
        """The value of an assignment: an expression where it begins with ``=``, else a literal of
        ``type``."""
        if not isinstance(value, Scalar):
            return None
        if is_assigned_expression(value):
            return self.expression(value, scope, expect=type)
        return self.literal(value, type)

    def literal(self, value: Scalar, type: ValueType) -> Expression | None:
        plain: str | int | Decimal | bool | None = value.value
        try:
            return literal_expression(plain, type)
        except ExpressionError as error:
            yes_or_no = type.kind is Kind.BOOLEAN and value.text.lower() in ("yes", "no", "on", "off")
            hint = "Write true or false." if yes_or_no else None
            self.note("value/type", sentence(error.findings[0].message), value.span, hint)
            return None

    def unknown(self, what: str, name: str, names: list[str], span: Span) -> None:
        """Note that the catalog has no such topic, channel, event or attribute."""
        self.note(f"{what}/unknown", f'Unknown {what} "{name}".', span, known(what, names, name))


MOST_DAYS = 36_600
"""A hundred years: longer waits are a slip, and instants stay within what databases hold."""


def is_assigned_expression(value: Value) -> bool:
    """Whether a value that is literal by default holds an expression: it begins with ``=``."""
    return isinstance(value, Scalar) and isinstance(value.value, str) and value.text.lstrip().startswith("=")


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning and a full stop at its end."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."
