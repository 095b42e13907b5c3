"""The functions that expressions need beside SQL's own: in Python for SQLite, in SQL for PostgreSQL, under one name.

None of them ever raises: what has no answer is NULL. Numbers are whole millionths; dates and datetimes ISO text in
their stored form (see ``runner.journey.values``); days and microseconds count from 1970.

====================================  ==============================================================================
``journeys_add(a, b)`` …              ``subtract``, ``multiply``, ``divide``: exact, then rounded to six places half
                                      away from zero; NULL on overflow and division by zero
``journeys_number(a)``                PostgreSQL only: ``a`` where it is no larger than the largest number
``journeys_total(upper, lower)``      SQLite only: a sum from those of its halves, 0 over no rows, NULL on overflow
``journeys_number_text(a)``           plain decimal notation: ``12.5``
``journeys_day_number(date)``         and back: ``journeys_date_text(days)``
``journeys_microseconds(datetime)``   and back: ``journeys_datetime_text(microseconds)``
``journeys_after(a, b)``              ``a`` where it is later than ``b`` and before the year 2255; microseconds
``journeys_earliest(a, …)``           SQLite only: the least that is not NULL
``journeys_bucket(text)``             ``runner.journey.bucket``
``journeys_key(text)``                ``text``, or its SHA-256 where it is too long for an index
``journeys_partition(key, count)``    SQLite only: the partition of a key
``journeys_lower(text)``              by the table of ``runner.journey.expression.lower``
``journeys_endswith(text, affix)``    and ``journeys_startswith``
``journeys_matches(text, pattern)``   SQLite only: whether the portable pattern is found
``journeys_in_list(item, list)``      SQLite only: whether a JSON array holds the value
``journeys_pluck(list, key, …)``      the members' members of that path, as a JSON array
====================================  ==============================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from runner.journey.bucket import PARTS, bucket
from runner.journey.expression.canonical import number_text
from runner.journey.expression.literals import datetime_text
from runner.journey.expression.lower import lower, lower_table
from runner.journey.values import LARGEST, MILLIONTHS
from runner.store.partition import partition_of
from runner.store.predicates.history import HALF
from runner.store.predicates.search import found

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAYS = (date.min.toordinal() - _EPOCH_DAY, date.max.toordinal() - _EPOCH_DAY)
"""The first and the last day of the years 1 to 9999."""
_MICROSECONDS = (_DAYS[0] * 86_400_000_000, (_DAYS[1] + 1) * 86_400_000_000 - 1)
_FAR_FUTURE = 2**53
"""In the year 2255. Until then microseconds fit a double, which PostgreSQL's intervals are multiplied as."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


# SQLite ---------------------------------------------------------------------------------------------------------


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to one SQLite connection."""
    for name, (arguments, function) in _FUNCTIONS.items():
        connection.create_function(f"journeys_{name}", arguments, function, deterministic=True)


LONGEST_KEY = 200
"""Code points of a value that stands in an index as it is: PostgreSQL's index rows hold some 2,700 bytes."""


def _key(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_KEY:
        return text
    return hashlib.sha256(text.encode()).hexdigest()


def _in_range(millionths: int) -> int | None:
    return millionths if -LARGEST <= millionths <= LARGEST else None


def _divided(dividend: int, divisor: int) -> int:
    """Rounded half away from zero."""
    quotient = (2 * abs(dividend) + abs(divisor)) // (2 * abs(divisor))
    return quotient if (dividend < 0) is (divisor < 0) else -quotient


def _add(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else _in_range(left + right)


def _subtract(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else _in_range(left - right)


def _multiply(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else _in_range(_divided(left * right, MILLIONTHS))


def _divide(left: int | None, right: int | None) -> int | None:
    return None if left is None or not right else _in_range(_divided(left * MILLIONTHS, right))


def _total(upper: int | None, lower: int | None) -> int | None:
    return _in_range((upper or 0) * HALF + (lower or 0))


def _number_text(millionths: int | None) -> str | None:
    return None if millionths is None else number_text(millionths)


def _day_number(text: str | None) -> int | None:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY if text and _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _date_text(days: int | None) -> str | None:
    if days is None or not _DAYS[0] <= days <= _DAYS[1]:
        return None
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


def _microseconds(text: str | None) -> int | None:
    try:
        if not text or not _DATETIME.fullmatch(text):
            return None
        return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except ValueError:
        return None


def _datetime_text(microseconds: int | None) -> str | None:
    if microseconds is None or not _MICROSECONDS[0] <= microseconds <= _MICROSECONDS[1]:
        return None
    return datetime_text(_EPOCH + microseconds * _MICROSECOND)


def _after(one: int | None, other: int | None) -> int | None:
    return one if one is not None and other is not None and other < one < _FAR_FUTURE else None


def _earliest(*instants: int | None) -> int | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _lower(text: str | None) -> str | None:
    return None if text is None else lower(text)


def _startswith(text: str | None, affix: str | None) -> bool | None:
    return None if text is None or affix is None else text.startswith(affix)


def _endswith(text: str | None, affix: str | None) -> bool | None:
    return None if text is None or affix is None else text.endswith(affix)


def _matches(text: str | None, pattern: str) -> bool | None:
    return None if text is None else found(text, pattern)


def _in_list(item: str | int | None, text: str | None) -> bool | None:
    if item is None or text is None:
        return None
    members: list[Any] = json.loads(text)
    return any(member == item and type(member) is type(item) for member in members)


def _in_booleans(item: int | None, text: str | None) -> bool | None:
    return None if item is None or text is None else any(member is bool(item) for member in json.loads(text))


def _pluck(text: str | None, *path: str) -> str | None:
    if text is None:
        return None
    members: list[Any] = json.loads(text)
    for key in path:
        members = [member.get(key) if isinstance(member, dict) else None for member in members]
    return json.dumps(members, ensure_ascii=False)


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "bucket": (1, bucket),
    "key": (1, _key),
    "partition": (2, partition_of),
    "add": (2, _add),
    "subtract": (2, _subtract),
    "multiply": (2, _multiply),
    "divide": (2, _divide),
    "total": (2, _total),
    "number_text": (1, _number_text),
    "day_number": (1, _day_number),
    "date_text": (1, _date_text),
    "microseconds": (1, _microseconds),
    "datetime_text": (1, _datetime_text),
    "after": (2, _after),
    "earliest": (-1, _earliest),
    "lower": (1, _lower),
    "startswith": (2, _startswith),
    "endswith": (2, _endswith),
    "matches": (2, _matches),
    "in_list": (2, _in_list),
    "in_booleans": (2, _in_booleans),
    "pluck": (-1, _pluck),
}


# PostgreSQL -----------------------------------------------------------------------------------------------------


def _function(name: str, arguments: str, result: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION journeys_{name}({arguments}) RETURNS {result}"
        f" LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT {body} $body$"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_UPPER = "".join(map(chr, lower_table()))
_LOWER = "".join(map(chr, lower_table().values()))
_DAY_PATTERN = "^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_LAST_OF_MONTH = (
    "CASE substr($1, 6, 2) WHEN '02' THEN 28 + (CASE WHEN mod(substr($1, 1, 4)::integer, 4) = 0"
    " AND (mod(substr($1, 1, 4)::integer, 100) <> 0 OR mod(substr($1, 1, 4)::integer, 400) = 0) THEN 1 ELSE 0 END)"
    " WHEN '04' THEN 30 WHEN '06' THEN 30 WHEN '09' THEN 30 WHEN '11' THEN 30 ELSE 31 END"
)
_DAY_OF = (
    "(make_date(substr($1, 1, 4)::integer, substr($1, 6, 2)::integer, substr($1, 9, 2)::integer)"
    " - date '1970-01-01')::bigint"
)


def _where_valid_day(pattern: str, then: str) -> str:
    """``then`` where ``$1`` has the pattern and its day exists. CASE keeps the order of the tests."""
    return (
        f"CASE WHEN $1 ~ '{pattern}' THEN"
        f" CASE WHEN substr($1, 9, 2)::integer <= {_LAST_OF_MONTH} THEN {then} END END"
    )


_QUOTIENT = "div(2 * abs({0}) + abs({1}), 2 * abs({1})) * sign({0}) * sign({1})"


def _horner() -> str:
    """The first eight bytes of ``digest`` as a big-endian number, modulo ``PARTS`` at each step."""
    total = "0"
    for place in range(8):
        total = f"mod({total} * 256 + get_byte(digest, {place}), {PARTS})"
    return total


POSTGRESQL_DDL: tuple[str, ...] = (
    _function(
        "key",
        "text",
        "text",
        f"CASE WHEN length($1) > {LONGEST_KEY} THEN encode(sha256(convert_to($1, 'UTF8')), 'hex') ELSE $1 END",
    ),
    _function(
        "bucket",
        "text",
        "integer",
        f"(SELECT {_horner()} FROM (SELECT sha256(convert_to($1, 'UTF8')) AS digest) AS d)",
    ),
    _function("number", "numeric", "numeric", f"CASE WHEN $1 BETWEEN -{LARGEST} AND {LARGEST} THEN $1 END"),
    _function("add", "numeric, numeric", "numeric", "journeys_number($1 + $2)"),
    _function("subtract", "numeric, numeric", "numeric", "journeys_number($1 - $2)"),
    # A product of two numeric values is exact, and round() goes half away from zero.
    _function("multiply", "numeric, numeric", "numeric", "journeys_number(round($1 * $2 * 0.000001))"),
    # A quotient is not exact: it is computed in whole numbers, so that nothing is rounded twice.
    _function(
        "divide",
        "numeric, numeric",
        "numeric",
        f"CASE WHEN $2 <> 0 THEN journeys_number({_QUOTIENT.format(f'($1 * {MILLIONTHS})', '$2')}) END",
    ),
    _function("number_text", "numeric", "text", "trim_scale($1 * 0.000001)::text"),
    _function("day_number", "text", "bigint", _where_valid_day(f"{_DAY_PATTERN}$", _DAY_OF)),
    _function(
        "date_text",
        "bigint",
        "text",
        f"CASE WHEN $1 BETWEEN {_DAYS[0]} AND {_DAYS[1]}"
        " THEN to_char(date '1970-01-01' + $1::integer, 'YYYY-MM-DD') END",
    ),
    _function(
        "microseconds",
        "text",
        "bigint",
        _where_valid_day(
            f"{_DAY_PATTERN}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{{6}}Z$",
            f"{_DAY_OF} * 86400000000 + substr($1, 12, 2)::bigint * 3600000000"
            " + substr($1, 15, 2)::bigint * 60000000 + substr($1, 18, 2)::bigint * 1000000"
            " + substr($1, 21, 6)::bigint",
        ),
    ),
    # The time of day is added to its own day: multiplied as an interval, microseconds pass through a double.
    _function(
        "datetime_text",
        "bigint",
        "text",
        f"CASE WHEN $1 BETWEEN {_MICROSECONDS[0]} AND {_MICROSECONDS[1]} THEN to_char("
        f"date '0001-01-01' + (($1 - {_MICROSECONDS[0]}) / 86400000000)::integer"
        f" + mod($1 - {_MICROSECONDS[0]}, 86400000000) * interval '1 microsecond',"
        """ 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END""",
    ),
    _function("after", "bigint, bigint", "bigint", f"CASE WHEN $1 > $2 AND $1 < {_FAR_FUTURE} THEN $1 END"),
    _function(
        "lower",
        "text",
        "text",
        'CASE WHEN octet_length($1) = length($1) THEN lower($1 COLLATE "C")'
        f" ELSE translate($1, {_quoted(_UPPER)}, {_quoted(_LOWER)}) END",
    ),
    _function("startswith", "text, text", "boolean", "starts_with($1, $2)"),
    _function("endswith", "text, text", "boolean", 'right($1, length($2)) = $2 COLLATE "C"'),
    _function(
        "pluck",
        "jsonb, VARIADIC text[]",
        "jsonb",
        "CASE WHEN $1 IS NOT NULL THEN (SELECT coalesce(jsonb_agg(coalesce(item #> $2, 'null'::jsonb) ORDER BY place),"
        " '[]'::jsonb) FROM jsonb_array_elements($1) WITH ORDINALITY AS members(item, place)) END",
    ),
)
"""What a PostgreSQL database runs once, before expressions are read in it."""
