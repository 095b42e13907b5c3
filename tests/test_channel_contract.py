"""What every channel promises, whatever carries it. A new channel joins ``CHANNELS`` and passes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from channels.base import Channel, Message, Recoverable, Rejected, Result, RetryLater, Sent, Unknown
from channels.call import CallChannel, CallSettings
from channels.file import Carried, FileChannel
from channels.smtp import SmtpChannel
from channels.webhook import open_webhook
from tests.sample_message import AT, a_message
from tests.servers import (
    SECRET,
    Answer,
    HttpServer,
    an_http_server,
    an_smtp_server,
    smtp_settings,
    webhook_settings,
)


@dataclass(frozen=True)
class Case:
    """A channel with the other side under the test's control. ``arrived`` answers the idempotency keys that came."""

    channel: Channel
    arrived: Callable[[], list[str]]


def a_file_channel(stack: ExitStack, folder: Path) -> Case:
    del stack
    outbox = folder / "outbox"
    return Case(FileChannel(outbox), lambda: [_key(path.read_bytes()) for path in sorted(outbox.iterdir())])


def a_folder_of_letters(stack: ExitStack, folder: Path) -> Case:
    del stack
    outbox = folder / "letters"
    channel = FileChannel(outbox, carried=Carried(emails=False))
    return Case(
        channel, lambda: [json.loads(path.read_bytes())["data"]["id"] for path in sorted(outbox.iterdir())]
    )


def an_smtp_channel(stack: ExitStack, folder: Path) -> Case:
    del folder
    server = stack.enter_context(an_smtp_server())
    return Case(SmtpChannel(smtp_settings(server)), lambda: [_key(content) for content in server.contents])


def a_webhook_channel(stack: ExitStack, folder: Path) -> Case:
    del folder
    server = stack.enter_context(an_http_server(Answer(200)))
    channel = open_webhook(webhook_settings(server), clock=lambda: AT)
    return Case(channel, lambda: [request.headers["idempotency-key"] for request in server.requests])


def an_idempotent_webhook(stack: ExitStack, folder: Path) -> Case:
    del folder
    server = stack.enter_context(an_http_server(Answer(200)))
    channel = open_webhook(webhook_settings(server, idempotent=True), clock=lambda: AT)
    return Case(channel, lambda: [request.headers["idempotency-key"] for request in server.requests])


class _Calling:
    """Calls a server with what each message says."""

    def __init__(self, server: HttpServer) -> None:
        settings = CallSettings(secret=SECRET, allow_private=True, ca_file=webhook_settings(server).ca_file)
        self._channel = CallChannel(settings, clock=lambda: AT)
        self._payload = {"url": server.url, "method": "POST"}
        self.look_up = self._channel.look_up
        self.close = self._channel.close

    def send(self, message: Message) -> Result:
        payload = {**self._payload, "json": {"text": message.text, "subject": message.subject}}
        return self._channel.send(dataclasses.replace(message, kind="call", payload=payload))


def a_call_channel(stack: ExitStack, folder: Path) -> Case:
    del folder
    server = stack.enter_context(an_http_server(Answer(200)))
    return Case(_Calling(server), lambda: [request.headers["idempotency-key"] for request in server.requests])


CHANNELS = {
    "call": a_call_channel,
    "file": a_file_channel,
    "letters": a_folder_of_letters,
    "smtp": an_smtp_channel,
    "webhook": a_webhook_channel,
    "idempotent webhook": an_idempotent_webhook,
}


def _key(content: bytes) -> str:
    return content.split(b"Message-ID: <")[1].split(b"@")[0].decode()


@pytest.fixture(params=CHANNELS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    with ExitStack() as stack:
        case = CHANNELS[request.param](stack, tmp_path)
        yield case
        case.channel.close()


def test_a_message_arrives_with_its_key(case: Case) -> None:
    message = a_message(html="<p>Hello</p>")
    assert isinstance(case.channel.send(message), Sent)
    assert case.arrived() == [message.idempotency_key]


def test_many_messages_arrive_once_each(case: Case) -> None:
    messages = [a_message(idempotency_key=f"{number:064x}", contact=f"c{number}") for number in range(20)]
    assert all(isinstance(case.channel.send(message), Sent) for message in messages)
    assert sorted(case.arrived()) == sorted(message.idempotency_key for message in messages)


def test_every_script_gets_through(case: Case) -> None:
    for number, subject in enumerate(["თქვენი კალათა", "سلتك في انتظارك", "ጋሪዎ እየጠበቀዎት ነው"]):
        message = a_message(idempotency_key=f"{number:064x}", subject=subject, text=subject, contact=subject)
        assert isinstance(case.channel.send(message), Sent)
    assert len(case.arrived()) == 3


def test_the_worst_message_is_an_answer_and_not_an_exception(case: Case) -> None:
    worst = a_message(
        subject="a\r\nBcc: b@c", recipient="\0\n", contact="../" * 200, text="\ud800", sender_name="\n"
    )
    assert isinstance(case.channel.send(worst), Sent | Rejected)
    assert isinstance(case.channel.send(a_message()), Sent)


def test_a_look_up_needs_the_identity_alone_and_never_denies_what_arrived(case: Case) -> None:
    message = a_message()
    identity = dataclasses.replace(message, recipient="", subject="", text="", sender_address=None, locale="")
    if isinstance(case.channel, Recoverable):
        assert isinstance(case.channel.look_up(identity), RetryLater | Unknown)
    assert isinstance(case.channel.send(message), Sent)
    if isinstance(case.channel, Recoverable):
        # Sent, or a second sending that changes nothing.
        assert isinstance(case.channel.look_up(identity), Sent | RetryLater)
        assert isinstance(case.channel.send(message), Sent)
        assert len(set(case.arrived())) == 1


def test_close_may_be_called_on_an_unused_channel(case: Case) -> None:
    case.channel.close()
