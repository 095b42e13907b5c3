"""How templates print values and what they may do to them: a closed list of filters, in the reader's locale and zone.

No filter has a method of Python or a template of a person in its hands: values go in, text and values come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError, Undefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from runner.engine import formats
from runner.engine.budget import LARGEST_OUTPUT, UNIT, bounded, spend
from runner.engine.calendar import CONTROL, escaped
from runner.engine.reckoning import decimal, is_number
from runner.journey.template_tree import SURROGATE
from runner.journey.zone_names import known_zone

LONGEST_RANGE = 1_000
MOST_PLACES = 6
"""Decimal places of a number."""

ZONE = "_zone"
"""The name of the reader's zone among the values of a rendering."""
LOCALE = "_locale"
"""The name of the reader's locale there: the locale of the template, and the one that the contact asked for."""


@pass_context
def each(context: Context, values: Any) -> Sequence[Any]:
    """The members of what is gone through; nothing where there is None."""
    items = () if values is None else tuple(values)
    spend(context, len(items) + 1)
    return items


# Values, printed and formatted -------------------------------------------------------------------------------------


@pass_context
def printed(context: Context, value: Any) -> Any:
    """How ``{{ value }}`` reads: a missing value as nothing, 80.00 as 80, an instant in the contact's zone, a list with
    commas. Raises TemplateRuntimeError for an object: one prints its members."""
    if type(value) is str:
        if not value.isascii() and SURROGATE.search(value):
            raise TemplateRuntimeError("a value holds half a character (a lone surrogate), which is no text")
        return value if len(value) < UNIT else bounded(context, value)
    if value is None or isinstance(value, str | Undefined):
        return "" if value is None else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | float):
        return _plain(decimal(value))
    if isinstance(value, datetime):
        return f"{_local(context, value):%Y-%m-%d %H:%M}"
    if isinstance(value, date | int):
        return str(value)
    if isinstance(value, list | tuple):
        return _join(context, value, ", ")
    raise TemplateRuntimeError(
        f"an object cannot be printed whole ({type(value).__name__}): print its members"
    )


@pass_context
def printed_on_one_line(context: Context, value: Any) -> Any:
    """As ``printed``, where a line is a record: a value that would begin another is refused."""
    text = printed(context, value)
    if isinstance(text, str) and CONTROL.search(text):
        raise TemplateRuntimeError(
            "a value with a line break, or another control character, would end its line here: write |ics"
        )
    return text


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _zone(context: Context, named: Any = None) -> ZoneInfo:
    """The zone that is ``named``; the contact's, where none is, or one that there is not."""
    zone = ZoneInfo(named) if isinstance(named, str) and known_zone(named) else context.resolve(ZONE)
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")


def _local(context: Context, instant: datetime, named: Any = None) -> datetime:
    """On the clock of the zone that is ``named``, or of the contact's."""
    return instant.astimezone(_zone(context, named))


@pass_context
def _text(context: Context, value: Any) -> str:
    """A value as the text that printing it gives."""
    return str(printed(context, value))


@pass_context
def _escape(context: Context, value: Any) -> Markup:
    """A value as HTML has the text that printing it gives."""
    return escape(printed(context, value))


def _default(value: Any, instead: Any = "") -> Any:
    return instead if value is None or isinstance(value, Undefined) else value


@pass_context
def _join(context: Context, values: Iterable[Any], between: str = "") -> str:
    members = [printed(context, value) for value in each(context, values)]
    joined = (
        Markup(escape(between)).join(members)  # noqa: S704 (escaped, and join() escapes the members)
        if context.eval_ctx.autoescape
        else between.join(map(str, members))
    )
    made: str = bounded(context, joined)
    return made


def _rounded(value: Any, places: int = 0) -> Decimal | None:
    """Half away from zero; None stays None."""
    if value is None:
        return None
    try:
        return decimal(value).quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP)
    except InvalidOperation:
        message = f"round and number are for numbers, with 0 to {MOST_PLACES} places"
        raise TemplateRuntimeError(message) from None


# In the reader's locale --------------------------------------------------------------------------------------------


def _reader(context: Context) -> formats.Reader:
    return formats.reader(*context.resolve(LOCALE))


@pass_context
def _number(context: Context, value: Any, places: int = 0) -> str:
    """``1234.5|number(2)`` is ``1,234.50`` in English."""
    if value is None:
        return ""
    # Prices and counts come again and again.
    number = _number_again if type(value) is Decimal else _number_once
    return number(value, places, *context.resolve(LOCALE))


def _number_once(value: Any, places: int, written: str, wanted: str | None) -> str:
    rounded = _rounded(value, places)
    return "" if rounded is None else formats.number(rounded, formats.reader(written, wanted))


_number_again = lru_cache(maxsize=4096)(_number_once)


@pass_context
def _percent(context: Context, value: Any, places: int = 0) -> str:
    """``0.25|percent`` is ``25%``."""
    rounded = None if value is None else _rounded(_hundredfold(value), places)
    return "" if rounded is None else formats.percent(rounded, _reader(context))


def _hundredfold(value: Any) -> Decimal:
    if not is_number(value):
        raise TemplateRuntimeError("the filter percent is for numbers")
    return decimal(value) * 100


@pass_context
def _money(context: Context, value: Any, currency: Any, places: int | None = None) -> str:
    """``9.5|money("EUR")`` is ``€9.50``; a currency has as many places as ISO 4217 says."""
    if value is None:
        return ""
    usual = formats.currency_places(currency) if isinstance(currency, str) else None
    if usual is None:
        raise TemplateRuntimeError("the filter money needs a currency by its three letters")
    rounded = _rounded(value, usual if places is None else places)
    return "" if rounded is None else formats.money(rounded, currency, _reader(context))


@pass_context
def _date(context: Context, value: Any, pattern: str = "medium", zone: Any = None) -> str:
    """A date, or an instant in the contact's zone, or in the one that is named: a length, a pattern of the CLDR, or one
    of ``strftime``."""
    if value is None:
        return ""
    if not isinstance(value, date):
        raise TemplateRuntimeError("the filter date is for dates and instants")
    shown = _local(context, value, zone) if isinstance(value, datetime) else value
    if "%" in pattern:
        made: str = bounded(context, shown.strftime(pattern))
        return made
    day = shown.date() if isinstance(shown, datetime) else shown
    return formats.day(day, pattern, _reader(context))


@pass_context
def _time(context: Context, value: Any, pattern: str = "short", zone: Any = None) -> str:
    """The time of an instant on the contact's clock, or on that of the zone that is named."""
    if value is None:
        return ""
    if not isinstance(value, datetime):
        raise TemplateRuntimeError("the filter time is for instants")
    return formats.clock(value, _zone(context, zone), pattern, _reader(context))


@pass_context
def _plural(context: Context, value: Any, **texts: Any) -> str:
    """The text for a number, by its category in the language; ``#`` in it stands for the number."""
    if value is None:
        return ""
    if not is_number(value):
        raise TemplateRuntimeError("the filter plural is for numbers")
    reader = _reader(context)
    exact = decimal(value).normalize()
    if exact.as_tuple().exponent > 0:  # type: ignore[operator]
        exact = exact.quantize(Decimal(1))
    chosen = texts.get(formats.plural(exact, reader), texts.get("other"))
    if chosen is None:
        raise TemplateRuntimeError("the filter plural needs other=, for numbers that nothing else is for")
    text: str = bounded(context, _text(context, chosen))
    return text.replace("#", formats.number(exact, reader))


@pass_context
def _list(context: Context, values: Any, style: str = "and") -> str:
    """The members as a sentence has them."""
    members = [str(printed(context, value)) for value in each(context, values) if value is not None]
    if style not in formats.LISTS:
        raise TemplateRuntimeError("the filter list puts `and` or `or` between the last two")
    made: str = bounded(context, formats.listed(members, style, _reader(context)))
    return made


# In files that go along --------------------------------------------------------------------------------------------


@pass_context
def _ics(context: Context, value: Any) -> str:
    """A value as calendars and address books have it: instants in UTC, text escaped."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if isinstance(value, date):
        return f"{value:%Y%m%d}"
    if isinstance(value, list | tuple):
        return ",".join(_ics(context, member) for member in each(context, value))
    made: str = bounded(context, escaped(_text(context, value)))
    return made


@pass_context
def _csv(context: Context, value: Any) -> str:
    """A value as one field of a CSV file (RFC 4180): quoted where it must be, and never a formula."""
    text = _text(context, value)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number(value):
        text = f"'{text}"
    if any(character in text for character in '",;\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


# Text and lists ----------------------------------------------------------------------------------------------------


@pass_context
def _truncate(context: Context, value: Any, length: int = 255, end: str = "…") -> str:
    """At most ``length`` characters, cut at a space where there is one."""
    text = _text(context, value)
    if len(text) <= length:
        return text
    cut = text[: max(0, length - len(end))]
    within_word = not text[len(cut)].isspace()
    return ((cut.rpartition(" ")[0] if within_word else "") or cut).rstrip() + end


@pass_context
def _replace(context: Context, value: Any, old: str, new: str) -> str:
    text: str = bounded(context, _text(context, value))
    if not old or text.count(old) * len(new) > LARGEST_OUTPUT:
        raise TemplateRuntimeError("replace needs something to look for, and makes no endless texts")
    return text.replace(old, new)


def _on_text(change: Callable[[str], str]) -> Callable[..., str]:
    @pass_context
    def changed(context: Context, value: Any) -> str:
        text: str = bounded(context, _text(context, value))
        return change(text)

    return changed


@pass_context
def _sort(context: Context, values: Any, reverse: bool = False) -> list[Any]:
    return sorted((value for value in each(context, values) if value is not None), reverse=bool(reverse))


@pass_context
def _unique(context: Context, values: Any) -> list[Any]:
    found: list[Any] = []
    for value in each(context, values)[:LONGEST_RANGE]:
        spend(context, 1 + len(found) // UNIT)
        if value not in found:
            found.append(value)
    return found


@pass_context
def _reverse(context: Context, values: Any) -> list[Any]:
    return list(each(context, values))[::-1]


@pass_context
def _sum(context: Context, values: Any) -> Decimal:
    return sum((decimal(value) for value in each(context, values) if value is not None), Decimal())


FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": _default,
    "upper": _on_text(str.upper),
    "lower": _on_text(str.lower),
    "capitalize": _on_text(str.capitalize),
    "title": _on_text(str.title),
    "trim": _on_text(str.strip),
    "urlencode": _on_text(lambda text: quote(text, safe="")),
    "replace": _replace,
    "truncate": _truncate,
    "escape": _escape,
    "e": _escape,
    "length": lambda value: 0 if value is None else len(value),
    "first": lambda values: next(iter(values or ()), None),
    "last": lambda values: values[-1] if values else None,
    "join": _join,
    "sort": _sort,
    "unique": _unique,
    "reverse": _reverse,
    "sum": _sum,
    "abs": lambda value: None if value is None else abs(decimal(value)),
    "round": _rounded,
    "number": _number,
    "percent": _percent,
    "money": _money,
    "date": _date,
    "time": _time,
    "plural": _plural,
    "list": _list,
    "ics": _ics,
    "csv": _csv,
}
"""All that templates may use. ``safe`` is not among them: what comes from outside is always escaped."""
