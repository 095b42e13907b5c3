"""How numbers, money, dates and lists read in a locale, by the data of the CLDR (Unicode TR 35) that Babel carries.

Babel is loaded by what first formats something. What it says of a locale's numbers is asked once (the signs around a
number, its separators and groups); a number is then written without it, which costs a tenth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from babel import Locale

PLURALS = ("zero", "one", "two", "few", "many", "other")
"""The categories of numbers of which the CLDR knows; every language has ``other``."""
LENGTHS = ("short", "medium", "long", "full")
"""The lengths of a date or a time that every locale has."""
LISTS = {"and": "standard", "or": "or"}


@dataclass(frozen=True, eq=False)
class Reader:
    """Somebody who reads values in a locale. There is one a locale and text, so that each is itself alone."""

    locale: Locale


@lru_cache(maxsize=1024)
def reader(written: str, wanted: str | None) -> Reader:
    """Who reads a text in the locale ``written`` and asked for ``wanted``: values are in the locale of the text, in the
    region of the reader where the CLDR knows the two together."""
    from babel import Locale, UnknownLocaleError

    parts = re.split(r"[-_]", written)
    region = next((part for part in re.split(r"[-_]", wanted or "")[1:] if len(part) == 2), None)
    has_region = any(len(part) == 2 for part in parts[1:])
    candidates = [[*parts, region]] if region and not has_region else []
    candidates += [parts[:length] for length in range(len(parts), 0, -1)]
    for candidate in candidates:
        try:
            return Reader(Locale.parse("_".join(map(str, candidate))))
        except (ValueError, UnknownLocaleError):
            continue
    return Reader(Locale("en"))


# Numbers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """What a locale writes around and within a number of one kind, of one sign."""

    before: str
    after: str
    group: str
    point: str
    first: int
    further: int

    def write(self, number: Decimal) -> str:
        """The number, whose sign is left out, with the places that it has."""
        if (self.first, self.further) == (3, 3):
            digits = format(abs(number), ",f")
            if (self.group, self.point) != (",", "."):
                digits = digits.translate({ord(","): self.group, ord("."): self.point})
            return f"{self.before}{digits}{self.after}"
        whole, _, places = format(abs(number), "f").partition(".")
        if len(whole) > self.first:
            rest, whole = whole[: -self.first], whole[-self.first :]
            while rest:
                whole = rest[-self.further :] + self.group + whole
                rest = rest[: -self.further]
        return f"{self.before}{whole}{self.point + places if places else ''}{self.after}"


@lru_cache(maxsize=1024)
def _shape(by: Reader, kind: str, currency: str, negative: bool) -> _Shape:
    """Read off a number that Babel has written: its digits are known, so what else is there is the locale's."""
    from babel.numbers import format_currency, format_decimal, format_percent

    locale = by.locale
    one = Decimal(-1 if negative else 1)
    written = {
        "number": lambda: format_decimal(one, format=None, locale=locale),
        "percent": lambda: format_percent(one / 100, locale=locale),
        "money": lambda: format_currency(one, currency, locale=locale, currency_digits=False, format=None),
    }[kind]()
    before, after = re.split(r"1(?:\D0+)?", written, maxsplit=1)
    patterns = {
        "number": locale.decimal_formats[None],
        "percent": locale.percent_formats[None],
        "money": locale.currency_formats["standard"],
    }
    first, further = patterns[kind].grouping
    symbols = locale.number_symbols["latn"]
    return _Shape(before, after, symbols["group"], symbols["decimal"], first, further)


def number(value: Decimal, by: Reader) -> str:
    """The number with its places, in the locale's digits, points and groups."""
    return _shape(by, "number", "", value < 0).write(value)


def percent(value: Decimal, by: Reader) -> str:
    """A number of hundredths (25, for a quarter) as a percentage."""
    return _shape(by, "percent", "", value < 0).write(value)


def money(value: Decimal, currency: str, by: Reader) -> str:
    """The amount with its places, and the currency's sign where the locale puts it."""
    return _shape(by, "money", currency, value < 0).write(value)


@lru_cache(maxsize=256)
def currency_places(currency: str) -> int | None:
    """The decimal places of a currency by its code of ISO 4217; None where there is no such currency."""
    from babel.core import get_global
    from babel.numbers import get_currency_precision

    known = currency in get_global("all_currencies")
    return get_currency_precision(currency) if known else None


@lru_cache(maxsize=256)
def plurals_of(by: Reader) -> frozenset[str]:
    """The categories that numbers have in the language, ``other`` among them."""
    return frozenset(by.locale.plural_form.tags) | {"other"}


def plural(value: Decimal, by: Reader) -> str:
    """The category of a number in the language: one of ``PLURALS``."""
    category: str = by.locale.plural_form(value)
    return category


# Dates, times, lists -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def day(value: date, pattern: str, by: Reader) -> str:
    """A date, in one of ``LENGTHS`` or by a pattern of TR 35 (``d MMMM``)."""
    from babel.dates import format_date

    return format_date(value, pattern, locale=by.locale)


@lru_cache(maxsize=4096)
def clock(instant: datetime, zone: tzinfo, pattern: str, by: Reader) -> str:
    """The time of an instant on the clock of a zone, in one of ``LENGTHS`` or by a pattern of TR 35 (``HH:mm z``)."""
    from babel.dates import format_time

    # The zone is asked for by itself: instants of two zones are equal, and would be one to the cache.
    return format_time(instant.astimezone(zone), _OFFSET.sub(_spelled_out, pattern), locale=by.locale)


_OFFSET = re.compile("'[^']*'|O+")


def _spelled_out(match: re.Match[str]) -> str:
    """Of the letter O, Babel knows the long form alone (``GMT+04:00``), and prints "None" for the other."""
    return "OOOO" if match[0] == "O" else match[0]


def listed(members: list[str], style: str, by: Reader) -> str:
    """The members as a sentence has them: ``a, b and c``."""
    from babel.lists import format_list

    return format_list(members, style=_list_style(style), locale=by.locale)


def _list_style(style: str) -> Any:
    return LISTS[style]
