"""Values from outside are made to fit their catalog type; ``values.py`` describes the stored form.

What is meant without doubt is taken: a number written as text, a number where text is declared, a day cut
from an instant. What does not fit becomes None and is named among the rejected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from runner.journey.catalog import CONTACT_FIELDS, OWN_FIELDS, RESERVED_PROPERTIES, Catalog
from runner.journey.expression.canonical import number_text
from runner.journey.longest import too_long_for, too_long_in
from runner.journey.values import LARGEST, MILLIONTHS, STRING, Kind, ValueType
from runner.journey.zone_names import known_zone

_NUMBER = re.compile(r"\s*[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?\s*", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LARGEST_EXPONENT = 13
"""Of ten, in the largest number; checked before anything is computed with a number of a billion digits."""
_FRACTIONS = (Decimal, float)
_MILLIONTH = Decimal("0.000001")
_EXACT = Context(prec=64)
_DEEPEST = 32
"""Levels of an undeclared value that are kept."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that did not fit, as it came; ``why`` reads after "is": "no number"."""

    value: object
    why: str


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """``properties`` are declared ones in their stored form, ``undeclared`` what else arrived; ``rejected``
    is what did not fit, by name. In traits a value of None clears; in properties of an event none is None."""

    properties: Mapping[str, Any]
    undeclared: Mapping[str, Any]
    rejected: Mapping[str, Misfit]


def fit(value: object, type_: ValueType) -> Any:
    """The stored form of ``value``, as JSON would read it, or None where it does not fit ``type_``."""
    return _FITTERS[type_.kind](value, type_)


def fit_event(catalog: Catalog, name: str, raw: Mapping[str, object]) -> Fitted:
    """The properties of a track call, ``raw`` as JSON reads it (numbers as int, float or Decimal)."""
    event = catalog.events.get(name)
    declared = event.properties if event else RESERVED_PROPERTIES.get(name, {})
    fitted = _fit_all(declared, raw, clears=False)
    rejected = {
        word: Misfit(raw[word], why)
        for word, text in fitted.properties.items()
        if (why := too_long_in(name, word, text))
    }
    if not rejected:
        return fitted
    fits = {word: text for word, text in fitted.properties.items() if word not in rejected}
    return replace(fitted, properties=fits, rejected={**fitted.rejected, **rejected})


def fit_traits(
    catalog: Catalog, raw: Mapping[str, object], *, known_zone: Callable[[str], bool] = known_zone
) -> Fitted:
    """The traits of an identify call: attributes, and what every contact has. A ``timezone`` that is no
    name of the IANA database does not fit, nor an ``email`` that is surely no address, nor what is too long to be an
    address or a key (``longest.py``); ``tags`` are sorted, each once."""
    fitted = _fit_all(_trait_types(catalog), raw, clears=True)
    properties, rejected = dict(fitted.properties), fitted.rejected
    zone = properties.get("timezone")
    if zone is not None and not known_zone(zone):
        properties["timezone"] = None
        rejected = {**rejected, "timezone": Misfit(raw["timezone"], "no time zone of the IANA database")}
    for name in OWN_FIELDS:
        text = properties.get(name)
        if text is not None and (why := too_long_for(name, text)):
            properties[name] = None
            rejected = {**rejected, name: Misfit(raw[name], why)}
    address = properties.get("email")
    if address and not _may_be_address(address.strip()):
        properties["email"] = None
        rejected = {**rejected, "email": Misfit(raw["email"], "no email address")}
    if properties.get("tags"):
        properties["tags"] = sorted(set(properties["tags"]))
    return Fitted(properties=properties, undeclared=fitted.undeclared, rejected=rejected)


def _may_be_address(text: str) -> bool:
    """Whether it may be an address of mail: something on both sides of one ``@``, no blanks, no empty part of a domain.
    Before the ``@`` all of that may stand in quotes. Whether there is a mailbox, the mail server says."""
    local, _, domain = text.rpartition("@")
    bare = domain if local.startswith('"') else local + domain
    return (
        bool(local and domain)
        and not domain.startswith(".")
        and ".." not in domain
        and not any(sign == "@" or sign.isspace() for sign in bare)
    )


def fit_account(catalog: Catalog, raw: Mapping[str, object]) -> Fitted:
    """What is said of an account."""
    declared = {name: attribute.type for name, attribute in catalog.accounts.items()}
    return _fit_all(declared, raw, clears=True)


def present(stored: Any, type_: ValueType) -> Any:
    """A stored value as templates and reports read it: Decimal, date, datetime (UTC), tuple, dict, str or bool.

    None for a value that was stored when the catalog gave it another type: SQL reads it as missing, too."""
    if not _is_stored_as(stored, type_.kind):
        return None
    match type_.kind:
        case Kind.NUMBER:
            return Decimal(stored) / MILLIONTHS
        case Kind.DATE:
            return date.fromisoformat(stored)
        case Kind.DATETIME:
            return datetime.fromisoformat(stored)
        case Kind.LIST:
            items = type_.items or STRING
            return tuple(present(item, items) for item in stored)
        case Kind.OBJECT:
            return {name: present(stored.get(name), field) for name, field in type_.fields.items()}
    return stored


_JSON_TYPES: Mapping[Kind, type] = {
    Kind.NUMBER: int,
    Kind.BOOLEAN: bool,
    Kind.LIST: list,
    Kind.OBJECT: dict,
}
_SHAPES: Mapping[Kind, re.Pattern[str]] = {
    Kind.DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    Kind.DATETIME: re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
}


def _is_stored_as(stored: Any, kind: Kind) -> bool:
    if isinstance(stored, bool) != (kind is Kind.BOOLEAN) or not isinstance(
        stored, _JSON_TYPES.get(kind, str)
    ):
        return False
    return kind not in _SHAPES or _SHAPES[kind].fullmatch(str(stored)) is not None


def millionths(value: object) -> int | None:
    """A number in whole millionths, rounded half away from zero; None for what is no number or too large."""
    match value:
        case bool():
            return None
        case int():
            whole = value * MILLIONTHS
        case Decimal():
            if not value.is_finite() or value.adjusted() > _LARGEST_EXPONENT:
                return None
            whole = int(value.quantize(_MILLIONTH, ROUND_HALF_UP, _EXACT).scaleb(6))
        case float():
            # The shortest text that reads back as this float is what was written.
            return millionths(Decimal(repr(value)))
        case str() if _NUMBER.fullmatch(value):
            return millionths(Decimal(value.strip()))
        case _:
            return None
    return whole if -LARGEST <= whole <= LARGEST else None


def stored_instant(instant: datetime) -> str:
    """The stored form of an aware instant."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_instant(text: str) -> datetime | None:
    """The aware UTC instant that an ISO 8601 text names, one without offset being UTC; None where it names
    none."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def clean_text(text: str) -> bool:
    """Whether every database stores ``text`` as it is: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _trait_types(catalog: Catalog) -> Mapping[str, ValueType]:
    declared = {name: attribute.type for name, attribute in catalog.attributes.items()}
    return {name: type_ for name, type_ in {**CONTACT_FIELDS, **declared}.items() if name != "id"}


def _fit_all(declared: Mapping[str, ValueType], raw: Mapping[str, object], *, clears: bool) -> Fitted:
    properties: dict[str, Any] = {}
    undeclared: dict[str, Any] = {}
    rejected: dict[str, Misfit] = {}
    for name, value in raw.items():
        type_ = declared.get(name)
        if type_ is None:
            left_out: list[object] = []
            kept = _as_it_came(value, left_out, _DEEPEST)
            if left_out:
                rejected[name] = Misfit(left_out[0], "no value that can be stored")
            if kept is not None and clean_text(name):
                undeclared[name] = kept
        elif value is None:
            if clears:
                properties[name] = None
        else:
            stored = _FITTERS[type_.kind](value, type_)
            if stored is None:
                rejected[name] = Misfit(value, _why(type_))
                if clears:
                    properties[name] = None
            else:
                properties[name] = stored
    return Fitted(properties=properties, undeclared=undeclared, rejected=rejected)


_WHY: Mapping[Kind, str] = {
    Kind.STRING: "no text",
    Kind.NUMBER: "no number",
    Kind.BOOLEAN: "neither true nor false",
    Kind.DATE: "no date like 2026-03-01",
    Kind.DATETIME: "no instant like 2026-03-01T10:00:00Z",
    Kind.LIST: "no list of what the catalog says",
    Kind.OBJECT: "no object of what the catalog says",
}


def _why(type_: ValueType) -> str:
    """What a value is that does not fit ``type_``."""
    return f"none of {', '.join(type_.one_of)}" if type_.one_of else _WHY[type_.kind]


def _as_it_came(value: object, left_out: list[object], depth: int) -> Any:
    """An undeclared value for keeping: what no database takes is left out."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, _FRACTIONS):
        # A large decimal has no float, a signaling NaN not even a comparison.
        number = float(value) if not isinstance(value, Decimal) or value.is_finite() else math.nan
        if math.isfinite(number):
            return number
    elif isinstance(value, str):
        if clean_text(value):
            return value
    elif depth and isinstance(value, list):
        return [_as_it_came(item, left_out, depth - 1) for item in value]
    elif depth and isinstance(value, dict):
        return {key: _as_it_came(item, left_out, depth - 1) for key, item in value.items() if clean_text(key)}
    left_out.append(value)
    return None


def _string(value: object, type_: ValueType) -> str | None:
    if not isinstance(value, str):
        number = millionths(value)
        if number is None:
            return None
        value = number_text(number)
    elif not clean_text(value):
        return None
    return value if not type_.one_of or value in type_.one_of else None


def _number(value: object, type_: ValueType) -> int | None:
    del type_
    return millionths(value)


def _boolean(value: object, type_: ValueType) -> bool | None:
    del type_
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _date(value: object, type_: ValueType) -> str | None:
    del type_
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not _DATE.match(text) or read_instant(text) is None:
        return None
    return text[:10]


def _datetime(value: object, type_: ValueType) -> str | None:
    del type_
    if isinstance(value, datetime):
        return stored_instant(value if value.tzinfo else value.replace(tzinfo=UTC))
    if not isinstance(value, str) or not _DATE.match(value.strip()):
        return None
    instant = read_instant(value.strip())
    return None if instant is None else stored_instant(instant)


def _list(value: object, type_: ValueType) -> list[Any] | None:
    """A list with a member that does not fit does not fit."""
    if not isinstance(value, list | tuple):
        return None
    items = type_.items or STRING
    stored = [fit(item, items) for item in value]
    return None if any(item is None for item in stored) else stored


def _object(value: object, type_: ValueType) -> dict[str, Any] | None:
    """The declared members. A member that is missing or null is left out; one that does not fit makes the
    object not fit."""
    if not isinstance(value, Mapping):
        return None
    stored: dict[str, Any] = {}
    for name, field in type_.fields.items():
        if value.get(name) is not None:
            member = fit(value[name], field)
            if member is None:
                return None
            stored[name] = member
    return stored


def _nothing(value: object, type_: ValueType) -> None:
    del value, type_


_FITTERS: Mapping[Kind, Callable[[object, ValueType], Any]] = {
    Kind.STRING: _string,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.LIST: _list,
    Kind.OBJECT: _object,
    Kind.DURATION: _nothing,
    Kind.NONE: _nothing,
}
