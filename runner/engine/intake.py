"""Reading what others recorded: Segment-spec NDJSON (gzip too) and CSV, a line at a time, into arrivals.

A bad line becomes a ``Rejected`` and does not stop the rest; a value that does not fit becomes None, and
its arrival says so.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from runner.engine.against_catalog import BY_SPACES, event_name, fitted_event, topic_and_channel
from runner.engine.line import (
    LONGEST_LINE,
    BadLine,
    is_utf8,
    key_of,
    noted,
    object_of,
    parsed,
    shown,
    unfolded,
)
from runner.journey.catalog import ACCOUNT_IDENTIFIED, CONSENT_GRANTED, IDENTIFIED, MESSAGE_EVENTS, Catalog
from runner.journey.fit import Fitted, fit_account, fit_traits, read_instant
from runner.problem import JourneysError
from runner.store.people.arrival import NOBODY, Arrival

_YEARS = range(1900, 2200)
"""Of events: within them every database computes with instants exactly."""

_KEY_COLUMNS = ("userId", "user_id", "id", "key", "contact")
_TIME_COLUMNS = ("timestamp", "at")
_MESSAGE_COLUMNS = ("messageId", "message_id")
_EVENT_COLUMN = "event"
_CONSENTS_COLUMN = "consents"

Progress = Callable[[int], None]
"""Told how many bytes of the file have been read."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A line, or a row of a CSV file, that is not taken. ``line`` counts from 1; ``text`` is the line as
    it stands."""

    line: int
    reason: str
    text: str = ""


def read_arrivals(
    path: Path,
    catalog: Catalog,
    *,
    received_at: datetime | None = None,
    only_contacts: bool = False,
    as_event: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Arrival | Rejected]:
    """What ``path`` records, line by line.

    The name says the format: ``.csv`` is CSV, all else NDJSON; ``.gz`` after it is gzip. What has no
    timestamp happened at ``received_at``, and nothing later; without ``received_at``, as for a recording,
    a line without timestamp is rejected. Raises JourneysError for a file that cannot be read, or is cut
    off. ``as_event``: every line is that event, and need not say so.
    """
    reader = _Reader(
        catalog=catalog,
        received_at=received_at,
        only_contacts=only_contacts,
        source=f"import of {path.name}",
        as_event=as_event,
    )
    with _opened(path) as (stream, raw):
        lines = _lines(stream, raw, progress)
        yield from reader.csv(lines, path) if _is_csv(path) else reader.ndjson(lines)


def csv_header(path: Path) -> str | None:
    """The first line of a CSV file; None for a file that is none. Raises JourneysError where it cannot be
    read."""
    if not _is_csv(path):
        return None
    with _opened(path) as (stream, _):
        return stream.readline(LONGEST_LINE).decode("utf-8-sig", errors="surrogateescape").rstrip("\r\n")


def _is_csv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".csv")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """What a file says, and the file itself, whose place tells how much of it has been read."""
    try:
        with path.open("rb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as unzipped:
                    yield cast("IO[bytes]", unzipped), raw
            else:
                yield raw, raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise JourneysError(f"{path} is no whole gzip file: {error}") from error
    except OSError as error:
        raise JourneysError(f"{path} cannot be read: {error.strerror or error}") from error


def _lines(stream: IO[bytes], raw: IO[bytes], progress: Progress | None) -> Iterator[bytes]:
    """The lines of ``stream``; of one that is too long, the beginning, which is longer than
    ``LONGEST_LINE``."""
    count = 0
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(LONGEST_LINE)
        count += 1
        if progress and count % 1000 == 0:
            progress(raw.tell())
        yield line
    if progress:
        progress(raw.tell())


@dataclass(frozen=True, kw_only=True)
class _Reader:
    catalog: Catalog
    received_at: datetime | None
    only_contacts: bool
    source: str
    as_event: str | None = None

    def ndjson(self, lines: Iterator[bytes]) -> Iterator[Arrival | Rejected]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield from self._from_json(line, number)
            except BadLine as bad:
                yield Rejected(line=number, reason=str(bad), text=line.decode(errors="replace").rstrip("\n"))

    def _from_json(self, line: bytes, number: int) -> Iterator[Arrival]:
        record = parsed(line)
        kind = record.get("type") if self.as_event is None else "track"
        if kind not in ("identify", "track", "account", "group"):
            raise BadLine(f"`type` is {shown(kind)}; taken are identify, track and account")
        if kind in ("account", "group"):
            yield from self._of_account(record, line, number)
            return
        key = NOBODY if self._has_no_contact(record) else key_of(record.get("userId"), "userId")
        at = self._instant(record.get("timestamp"))
        dedup_key = self._dedup_key(record.get("messageId"), line)
        if kind == "identify":
            fitted = fit_traits(self.catalog, object_of(record, "traits"))
            yield _arrival(key, IDENTIFIED, at, dedup_key, fitted, number)
            return
        if self.only_contacts:
            raise BadLine("a track call; `journeys events import` takes it")
        name = self.as_event or event_name(record.get("event"))
        fitted = fitted_event(self.catalog, name, object_of(record, "properties"))
        text = line.decode(errors="replace").rstrip("\n") if name in MESSAGE_EVENTS else ""
        yield _arrival(key, name, at, dedup_key, fitted, number, text)

    def _has_no_contact(self, record: Mapping[str, Any]) -> bool:
        """Whether it is a broadcast; one that names a contact all the same happened to that contact."""
        name = record.get("event")
        declared = self.catalog.events.get(name) if isinstance(name, str) else None
        return record.get("userId") is None and declared is not None and declared.broadcast

    def _of_account(self, record: Mapping[str, Any], line: bytes, number: int) -> Iterator[Arrival]:
        """What is known of an account; and, where a ``userId`` stands beside it, that the contact belongs to it."""
        name = "groupId" if record.get("type") == "group" else "account"
        account = key_of(record.get(name), name)
        at = self._instant(record.get("timestamp"))
        dedup_key = self._dedup_key(record.get("messageId"), line)
        fitted = fit_account(self.catalog, object_of(record, "traits"))
        of_contact = None if record.get("userId") is None else key_of(record["userId"], "userId")
        yield _arrival(account, ACCOUNT_IDENTIFIED, at, dedup_key, fitted, number)
        if of_contact is not None:
            belongs = fit_traits(self.catalog, {"account": account})
            yield _arrival(of_contact, IDENTIFIED, at, dedup_key, belongs, number)

    def _instant(self, value: object) -> datetime:
        if value is None:
            if self.received_at is None:
                raise BadLine("`timestamp` is missing")
            return self.received_at
        instant = read_instant(value) if isinstance(value, str) else None
        if instant is None or instant.year not in _YEARS:
            raise BadLine(f"`timestamp` is {shown(value)}, not an instant like 2026-03-01T10:00:00Z")
        return instant if self.received_at is None else min(instant, self.received_at)

    def _dedup_key(self, value: object, line: bytes) -> str:
        if value is None or value == "":
            return f"line:{hashlib.sha256(line.strip()).hexdigest()[:32]}"
        return key_of(value, "messageId")

    # CSV ------------------------------------------------------------------------------------------

    def csv(self, lines: Iterator[bytes], path: Path) -> Iterator[Arrival | Rejected]:
        """Rows with an ``event`` column are tracks, others are identifies."""
        # What is no UTF-8 stays visible as lone surrogates, of which UTF-8 has none.
        text = (line.decode(errors="surrogateescape") for line in lines)
        first = next(text, "").removeprefix("\ufeff")
        delimiter = max(",;\t", key=first.count)
        try:
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        except csv.Error as error:
            raise JourneysError(
                f"{path}: its first line is not CSV: {error}; lines end with LF or CRLF"
            ) from error
        if not is_utf8(first):
            raise JourneysError(f"{path}: its first line is not UTF-8; save the file as UTF-8")
        columns = _Columns.of(header, path)
        if columns.is_events and self.only_contacts:
            raise JourneysError(f"{path} has a column {_EVENT_COLUMN!r}; `journeys events import` takes it")
        raw: list[str] = []
        """The lines of the row at hand as they stand."""
        rows = csv.reader(noted(text, raw), delimiter=delimiter, strict=True)
        while True:
            raw.clear()
            # The header is the first line.
            number = rows.line_num + 2
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Rejected(line=number, reason=f"not CSV: {error}", text="".join(raw).rstrip("\r\n"))
                continue
            if not any(cells):
                continue
            try:
                yield from self._from_row(columns, cells, number, "".join(raw).rstrip("\r\n"))
            except BadLine as bad:
                yield Rejected(line=number, reason=str(bad), text="".join(raw).rstrip("\r\n"))

    def _from_row(self, columns: _Columns, cells: list[str], number: int, text: str) -> Iterator[Arrival]:
        if len(cells) != len(columns.names):
            why = f"{len(cells)} cells under {len(columns.names)} columns"
            raise BadLine(f"{why}; {BY_SPACES}" if _CONSENTS_COLUMN in columns.names else why)
        row = {name: cell for name, cell in zip(columns.names, cells, strict=True) if cell != ""}
        if wrong := next((name for name, cell in row.items() if not is_utf8(cell)), None):
            raise BadLine(f"not UTF-8 in the column {shown(wrong)}; save the file as UTF-8")
        line = "\x1f".join(cells).encode()
        key = key_of(row.pop(columns.key, None), columns.key)
        at = self._instant(row.pop(columns.time, None) if columns.time else None)
        dedup_key = self._dedup_key(row.pop(columns.message, None) if columns.message else None, line)
        if columns.is_events or self.as_event is not None:
            name = self.as_event or event_name(row.pop(_EVENT_COLUMN, None))
            yield _arrival(
                key, name, at, dedup_key, fitted_event(self.catalog, name, unfolded(row)), number, text
            )
            return
        # All of them are looked at first: a row is taken as a whole or not at all.
        consents = [topic_and_channel(self.catalog, text) for text in row.pop(_CONSENTS_COLUMN, "").split()]
        yield _arrival(key, IDENTIFIED, at, dedup_key, fit_traits(self.catalog, unfolded(row)), number)
        for topic, channel in consents:
            yield consent_arrival(key, topic, channel, at, self.source, dedup_key)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Which column of a CSV file is what."""

    names: tuple[str, ...]
    key: str
    time: str | None
    message: str | None
    is_events: bool

    @classmethod
    def of(cls, header: list[str], path: Path) -> _Columns:
        key = next((name for name in _KEY_COLUMNS if name in header), None)
        if key is None:
            raise JourneysError(
                f"{path}: no column says whose row it is; expected {', '.join(_KEY_COLUMNS)},"
                f" found {', '.join(header) or 'nothing'}"
            )
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise JourneysError(f"{path}: more than one column is named {', '.join(twice)}")
        return cls(
            names=tuple(header),
            key=key,
            time=next((name for name in _TIME_COLUMNS if name in header), None),
            message=next((name for name in _MESSAGE_COLUMNS if name in header), None),
            is_events=_EVENT_COLUMN in header,
        )


def consent_arrival(key: str, topic: str, channel: str, at: datetime, source: str, cause: str) -> Arrival:
    """A consent that an import gives for a contact, once for each ``cause``."""
    return Arrival(
        contact=key,
        name=CONSENT_GRANTED,
        at=at,
        properties={"topic": topic, "channel": channel, "source": source},
        undeclared={},
        dedup_key=f"consent:{topic}:{channel}:{hashlib.sha256(cause.encode()).hexdigest()[:32]}",
    )


def _arrival(
    key: str, name: str, at: datetime, dedup_key: str, fitted: Fitted, line: int, text: str = ""
) -> Arrival:
    return Arrival(
        contact=key,
        name=name,
        at=at,
        properties=fitted.properties,
        undeclared=fitted.undeclared,
        dedup_key=dedup_key,
        rejected=fitted.rejected,
        line=line,
        text=text,
    )
