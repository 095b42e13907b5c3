"""What a line of the log looks like, for people and for machines."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from runner.daemon.log import LogFormat, formatter, log_to_stderr
from runner.store.database import Database
from runner.store.tables import message

AT = datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def line(
    say: Callable[[logging.Logger], object],
    form: LogFormat = LogFormat.AUTO,
    stream: io.StringIO | None = None,
) -> str:
    """What a logger of its own writes."""
    stream = stream or io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form, stream))
    logger = logging.Logger("runner.some.module")
    logger.addHandler(handler)
    logger.addFilter(lambda record: setattr(record, "created", AT.timestamp()) or True)
    say(logger)
    return stream.getvalue()


def json_line(say: Callable[[logging.Logger], object]) -> dict[str, Any]:
    (text,) = line(say).splitlines()
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_record_is_a_json_object_with_its_fields_as_keys() -> None:
    fields = json_line(lambda log: log.info("ticked", extra={"contacts": 12, "passes": 3, "at": AT}))
    assert fields == {
        "timestamp": "2026-03-01T10:00:00.250Z",
        "level": "info",
        "event": "ticked",
        "contacts": 12,
        "passes": 3,
        "at": "2026-03-01 10:00:00.250000+00:00",
        "logger": "runner.some.module",
    }
    assert list(fields)[:3] == ["timestamp", "level", "event"]


def test_a_record_of_a_library_is_one_too() -> None:
    fields = json_line(lambda log: log.warning("%s said\nNO ვერა", "the other side"))
    assert (fields["level"], fields["event"]) == ("warning", "the other side said\nNO ვერა")


def raises(log: logging.Logger) -> None:
    try:
        secret = "a value of somebody"
        raise ValueError(f"{len(secret)} letters")
    except ValueError:
        log.exception("a stage failed", extra={"stage": "tick"})


def test_an_exception_is_one_field_without_local_variables() -> None:
    fields = json_line(raises)
    assert fields["stage"] == "tick"
    assert fields["exception"].startswith("Traceback (most recent call last):\n")
    assert fields["exception"].endswith("ValueError: 19 letters")
    assert "= 'a value" not in fields["exception"]


def test_what_led_to_an_exception_is_told_first() -> None:
    def fails(log: logging.Logger) -> None:
        try:
            try:
                raise KeyError("one")
            except KeyError as error:
                raise ValueError("two") from error
        except ValueError:
            log.exception("failed")

    text = json_line(fails)["exception"]
    assert text.index("KeyError: 'one'") < text.index("ValueError: two")


def test_a_terminal_gets_lines_for_people_with_colours() -> None:
    text = line(lambda log: log.info("ticked", extra={"contacts": 12}), stream=Terminal())
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[\d*m", "", text)
    assert plain == "2026-03-01T10:00:00.250Z [info     ] ticked contacts=12\n"


@pytest.mark.parametrize("value", ["1", "yes"])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    text = line(raises, stream=Terminal())
    assert "\x1b[" not in text
    assert "ValueError: 19 letters" in text


def test_each_form_can_be_asked_for() -> None:
    say = lambda log: log.info("ticked")  # noqa: E731
    assert line(say, LogFormat.TEXT) == "2026-03-01T10:00:00.250Z [info     ] ticked\n"
    assert json.loads(line(say, LogFormat.JSON, Terminal()))["event"] == "ticked"


def test_nothing_in_a_field_moves_the_cursor_or_begins_a_line() -> None:
    key = "ana\n2026 [error] forged\x1b[2J"
    text = line(lambda log: log.info("about %s", key, extra={"contact": key}), LogFormat.TEXT)
    assert text.count("\n") == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
def test_an_error_of_the_database_shows_no_values_of_rows(database: Database, form: LogFormat) -> None:
    """The driver repeats the row that a constraint refused, and SQLAlchemy all parameters."""

    def refused(log: logging.Logger) -> None:
        try:
            with database.begin() as connection:
                name = "Ana\n\nKapanadze"
                row = {"partition": 0, "contact": 1, "run": 1, "visit": 1, "step": name, "reason": name}
                connection.execute(insert(message).values(**row))
        except IntegrityError:
            log.exception("refused")

    text = line(refused, form)
    assert "IntegrityError" in text
    assert "in refused" in text
    assert "Kapanadze" not in text


def test_the_whole_process_logs_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogFormat.JSON)
    logging.getLogger("some.library").warning("odd")
    logging.getLogger("apscheduler.scheduler").warning("still at work")
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("runner").debug("too fine")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(each)["event"] for each in captured.err.splitlines()] == ["odd"]


def test_lines_that_nobody_takes_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.daemon.log_aside.MOST_WAITING", 3)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        monkeypatch.setattr("sys.stderr", stream)
        log_to_stderr(LogFormat.JSON, aside=True)
        long = "x" * 100_000  # more than a pipe holds
        for _ in range(20):
            logging.getLogger("runner").info(long)
        lines = 0
        while lines < 20:
            event = json.loads(reader.readline())
            missing = event["event"] == "the log was not read in time; lines are missing"
            lines += event["lines"] if missing else 1
    assert lines == 20
