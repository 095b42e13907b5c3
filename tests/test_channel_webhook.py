"""Webhooks against a real HTTPS server on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path

import pytest

from channels.base import Rejected, Result, RetryLater, Sent, Unknown
from channels.webhook import WebhookSettings, is_public, open_webhook, settings_from, signature
from tests.sample_message import AT, a_message
from tests.servers import SECRET, Answer, HttpServer, an_http_server, free_port, webhook_settings


def send(server: HttpServer, **changed: object) -> Result:
    return open_webhook(webhook_settings(server, **changed), clock=lambda: AT).send(a_message())


def test_a_call_carries_the_message_its_key_and_a_signature_that_holds() -> None:
    with an_http_server(Answer(202, body=b'{"id": "msg_7"}')) as server:
        assert send(server) == Sent("msg_7")
        (request,) = server.requests
    body = json.loads(request.body)
    assert request.path == "/hooks/journeys?a=b"
    assert body["timestamp"] == "2026-03-01T10:00:00Z"
    assert body["data"]["recipient"] == "ana@shop.example"
    assert body["data"]["id"] == request.headers["webhook-id"] == request.headers["idempotency-key"]
    signed = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    )
    digest = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification (standard-webhooks, "Symmetric signatures").
    body = b'{"test": 2432232314}'
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), Sent()),
        (Answer(204), Sent()),
        (Answer(429), RetryLater("HTTP 429")),
        (Answer(429, {"Retry-After": "120"}), RetryLater("HTTP 429", timedelta(minutes=2), unreachable=True)),
        (
            Answer(503, {"Retry-After": "9999999"}),
            RetryLater("HTTP 503", timedelta(days=1), unreachable=True),
        ),
        (Answer(503, {"Retry-After": "soon"}), RetryLater("HTTP 503")),
        (Answer(503, {"Retry-After": f"Fri, 31 Dec 2027 23:59:59 +{10**20}"}), RetryLater("HTTP 503")),
        (Answer(500), RetryLater("HTTP 500")),
        (Answer(408), RetryLater("HTTP 408")),
        (Answer(400), Rejected("HTTP 400")),
        (Answer(404), Rejected("HTTP 404")),
        (
            Answer(307, {"Location": "https://elsewhere.example/"}),
            Rejected("HTTP 307: redirects are not followed"),
        ),
    ],
)
def test_the_status_decides(answer: Answer, expected: Result) -> None:
    with an_http_server(answer) as server:
        assert send(server) == expected
        assert len(server.requests) == 1


def test_a_retry_after_that_is_a_date_counts_from_the_answers_own_clock() -> None:
    headers = {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}
    with an_http_server(Answer(503, headers)) as server:
        result = send(server)
    assert isinstance(result, RetryLater)
    assert result.after == timedelta(days=1)


@pytest.mark.parametrize("answer", [Answer(200, silent=True), Answer(200, hang_up=True)])
def test_no_answer_is_unknown_unless_the_receiver_knows_repeated_calls(answer: Answer) -> None:
    with an_http_server(answer) as server:
        assert isinstance(send(server, timeout=0.3), Unknown)
    with an_http_server(answer) as server:
        assert isinstance(send(server, timeout=0.3, idempotent=True), RetryLater)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with an_http_server(Answer(200, body=b" " * 3_000_000)) as server:
        assert send(server) == Sent()


def test_a_receiver_that_cannot_be_reached_or_proven_is_tried_later() -> None:
    with an_http_server(Answer(200)) as server:
        for changed in (
            {"url": f"https://localhost:{free_port()}/"},
            {"url": "https://nobody.invalid/"},
            {"ca_file": None},
            {"url": server.url.replace("https://localhost", "https://127.0.0.2")},
        ):
            result = send(server, **changed)
            assert isinstance(result, RetryLater)
            assert result.unreachable
        assert server.requests == []


def test_private_addresses_are_refused_unless_allowed() -> None:
    with an_http_server(Answer(200)) as server:
        result = send(server, allow_private=False)
        assert isinstance(result, RetryLater)
        assert "private" in result.reason
        assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *(
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1%eth0",
            "fc00::1",
            "::ffff:10.0.0.1",
            "ff02::1",
        ),
        *("64:ff9b::a00:1", "2002:0a00:0001::", "2001:0:1::"),
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


def test_plain_http_is_for_those_who_allow_it() -> None:
    with an_http_server(Answer(200), tls=False) as server:
        assert send(server, allow_http=True) == Sent()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "url and secret"),
        ({"url": "https://x.example/", "secret": "short"}, "secret"),
        ({"url": "http://x.example/", "secret": SECRET}, "https"),
        ({"url": "ftp://x.example/", "secret": SECRET}, "https"),
        ({"url": "https://user:pw@x.example/", "secret": SECRET}, "login"),
        ({"url": "https://x.example/\r\nX: y", "secret": SECRET}, "ASCII"),
        ({"url": "https://x.example/", "secret": SECRET, "idempotent": "yes"}, "idempotent"),
        ({"url": "https://x.example/", "secret": SECRET, "timeout": 0}, "timeout"),
        ({"url": "https://x.example/", "secret": SECRET, "retries": 3}, "retries"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings_from(options, Path())


def test_settings_hold_what_the_options_say() -> None:
    options = {"url": "https://x.example/", "secret": SECRET, "idempotent": True, "timeout": 3}
    assert settings_from(options, Path()) == WebhookSettings(
        url="https://x.example/", secret=SECRET, idempotent=True, timeout=3.0
    )
