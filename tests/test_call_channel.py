"""Calls over a real HTTPS server on loopback, from the step to the answer in the run."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop import START, Shop
from test_asks import CALLS, shop

from channels.base import Answer as Answered
from channels.base import Rejected, Result, RetryLater, Sent
from channels.call import CallChannel, CallSettings, settings_from
from channels.webhook import signature
from runner.cli.opening import opener
from runner.engine.deliver import deliver
from runner.settings import load_settings
from runner.store.database import Database
from runner.store.tables import event, message, run
from tests.acting import rows
from tests.sample_message import AT, a_message
from tests.servers import AUTHORITY, SECRET, Answer, HttpServer, an_http_server, free_port


def channel() -> CallChannel:
    return CallChannel(CallSettings(secret=SECRET, allow_private=True, ca_file=AUTHORITY), clock=lambda: AT)


def call(server: HttpServer, **payload: Any) -> Result:
    asked = {"url": server.url, "method": "POST", "json": {"a": 1}, **payload}
    return channel().send(dataclasses.replace(a_message(), kind="call", payload=asked))


def test_a_call_is_signed_and_its_answer_read() -> None:
    with an_http_server(Answer(200, body=b'{"ok": true}')) as server:
        assert call(server, headers={"X-Shop": "a", "webhook-id": "forged"}) == Sent(
            answer=Answered(status=200, json={"ok": True})
        )
        (request,) = server.requests
    assert request.body == b'{"a": 1}'
    assert request.headers["x-shop"] == "a"
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == a_message().idempotency_key
    given = signature(
        SECRET, request.headers["webhook-id"], request.headers["webhook-timestamp"], request.body
    )
    assert request.headers["webhook-signature"] == given


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(204), Sent(answer=Answered(status=204))),
        (Answer(200, body=b"no json"), Sent(answer=Answered(status=200))),
        (Answer(404, body=b'{"why": 1}'), Rejected("HTTP 404", Answered(status=404, json={"why": 1}))),
        (Answer(503, {"Retry-After": "120"}), RetryLater("HTTP 503", timedelta(minutes=2))),
    ],
)
def test_what_an_answer_means(answer: Answer, expected: Result) -> None:
    """One receiver that is overloaded says nothing about the others: never ``unreachable``."""
    with an_http_server(answer) as server:
        assert call(server) == expected


def test_nobody_there_is_tried_again() -> None:
    with an_http_server(Answer(200)) as server:
        pass
    server.url = f"https://localhost:{free_port()}/"
    result = call(server)
    assert isinstance(result, RetryLater)
    assert not result.unreachable


def test_a_call_needs_a_secret_and_a_url_that_may_be_called() -> None:
    with pytest.raises(ValueError, match="secret"):
        settings_from({}, AUTHORITY.parent)
    asked = {"url": "http://shop.example/", "method": "GET"}
    refused = channel().send(dataclasses.replace(a_message(), kind="call", payload=asked))
    assert isinstance(refused, Rejected)


def called(database: Database, server: HttpServer) -> Shop:
    """A shop whose journey calls the server, which one person has entered."""
    journey = CALLS.replace('= "https://shop.example/" + trigger.plan', server.url.split("?")[0]).replace(
        "up_to: 2h", "retry: 1\n      up_to: 2h"
    )
    greeting = Shop(database, shop(demo=journey))
    greeting.sign_up("ana")
    return greeting


def test_the_run_goes_on_with_the_answer(database: Database) -> None:
    with an_http_server(Answer(200, body=b'{"ok": true, "value": 6.25}')) as server:
        greeting = called(database, server)
        deliver(database, greeting.versions, {"call": channel()}, START)
        body = json.loads(server.requests[0].body)
    assert body == {
        "contact": "ana",
        "seats": 3,
        "half": 1.5,
        "list": [1, "two", {"day": START.date().isoformat()}],
    }
    greeting.tick(START)
    assert rows(database, run.c.status, run.c.data) == [
        ("completed", {"score": {"ok": True, "value": 6_250_000}})
    ]


def test_further_attempts_are_made_and_then_given_up(database: Database) -> None:
    """``retry: 1`` is one attempt more; the run then goes on at once, and not only when its time is up."""
    with an_http_server(Answer(500)) as server:
        greeting = called(database, server)
        for minute in range(4):
            now = START + timedelta(minutes=minute)
            deliver(database, greeting.versions, {"call": channel()}, now)
            greeting.tick(now)
        assert len(server.requests) == 2
    assert rows(database, run.c.status, run.c.reason) == [("exited", "unknown")]
    assert rows(database, message.c.status, message.c.reason) == [("failed", "HTTP 500")]


def test_an_answer_comes_back_once(database: Database) -> None:
    """The event and the result are written together; the same answer again changes nothing."""
    with an_http_server(Answer(200, body=b'{"ok": true, "value": 6.25}')) as server:
        greeting = called(database, server)
        for _ in range(2):
            deliver(database, greeting.versions, {"call": channel()}, START)
            greeting.tick(START)
        assert len(server.requests) == 1
    assert [name for (name,) in rows(database, event.c.name) if name == "Call Answered"] == ["Call Answered"]


def test_calls_wait_where_the_settings_say_nothing_of_them(database: Database, tmp_path: Path) -> None:
    """And all else goes on."""
    greeting = Shop(database, shop(demo=CALLS))
    greeting.sign_up("ana")
    opened = opener(load_settings(tmp_path, {}))(greeting.versions)
    assert "call" not in opened
    deliver(database, greeting.versions, opened, START)
    assert set(greeting.statuses().values()) == {"ready"}
