"""SMTP against a real server on loopback, with STARTTLS and a login."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dkim
import pytest
from aiosmtpd.smtp import AuthResult

from channels.base import Rejected, RetryLater, Sent, Unknown
from channels.smtp import SmtpChannel, SmtpSettings, Tls, settings_from
from tests.sample_message import a_message
from tests.servers import SmtpServer, an_smtp_server, free_port, smtp_settings
from tests.test_dkim import RSA_SIGNER, dns


@pytest.fixture(params=[[], ["PIPELINING"]], ids=["one by one", "pipelining"])
def server(request: pytest.FixtureRequest) -> Iterator[SmtpServer]:
    with an_smtp_server() as server:
        server.extensions = request.param
        yield server


@pytest.fixture
def channel(server: SmtpServer) -> Iterator[SmtpChannel]:
    channel = SmtpChannel(smtp_settings(server))
    yield channel
    channel.close()


def test_a_message_goes_over_tls_after_a_login(server: SmtpServer, channel: SmtpChannel) -> None:
    result = channel.send(a_message(subject="გამარჯობა", text=".a line that begins with a dot\n..two\n"))
    assert result == Sent("2.0.0 Ok: queued as Q1")
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("hello@shop.example", ["ana@shop.example"])
    parsed = email.message_from_bytes(server.contents[0], policy=email.policy.default)
    assert parsed["Subject"] == "გამარჯობა"
    assert parsed.get_content().replace("\r\n", "\n") == ".a line that begins with a dot\n..two\n"


def test_one_connection_carries_many_messages(server: SmtpServer, channel: SmtpChannel) -> None:
    for number in range(10):
        assert isinstance(channel.send(a_message(idempotency_key=f"{number:064x}")), Sent)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(
    server: SmtpServer, channel: SmtpChannel
) -> None:
    assert isinstance(channel.send(a_message()), Sent)
    assert channel._server is not None
    assert channel._server.sock is not None
    channel._server.sock.close()
    assert isinstance(channel.send(a_message()), Sent)
    assert len(server.contents) == 2


def test_each_message_is_signed(server: SmtpServer) -> None:
    channel = SmtpChannel(smtp_settings(server, dkim=(RSA_SIGNER,)))
    assert isinstance(channel.send(a_message(subject="გამარჯობა", text=".a dot\n", html="<p>x")), Sent)
    channel.close()
    assert dkim.verify(server.contents[0], dnsfunc=dns)
    assert not dkim.verify(server.contents[0].replace(b"a dot", b"a dog"), dnsfunc=dns)


def test_addresses_outside_ascii_go_to_servers_that_take_them(
    server: SmtpServer, channel: SmtpChannel
) -> None:
    assert isinstance(channel.send(a_message(recipient="ანა@shop.example")), Sent)
    assert server.envelopes[0].rcpt_tos == ["ანა@shop.example"]
    with an_smtp_server(enable_SMTPUTF8=False) as old:
        other = SmtpChannel(smtp_settings(old))
        assert isinstance(other.send(a_message(recipient="ანა@shop.example")), Rejected)
        assert isinstance(other.send(a_message()), Sent)
        other.close()


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(("answer", "kind"), [("451 later please", RetryLater), ("550 never", Rejected)])
def test_answers_decide(
    server: SmtpServer, channel: SmtpChannel, stage: str, answer: str, kind: type[RetryLater | Rejected]
) -> None:
    setattr(server, stage, answer)
    result = channel.send(a_message())
    assert isinstance(result, kind)
    assert answer in result.reason
    setattr(server, stage, None)
    assert isinstance(channel.send(a_message()), Sent), "the connection is good for the next message"
    assert server.connections == 1


def test_a_server_that_says_goodbye_is_tried_again_later(server: SmtpServer, channel: SmtpChannel) -> None:
    server.data = "421 shutting down"
    assert isinstance(channel.send(a_message()), RetryLater)
    server.data = None
    assert isinstance(channel.send(a_message()), Sent)
    assert server.connections == 2


def test_a_disconnect_before_data_is_tried_again_and_one_after_it_is_unknown(
    server: SmtpServer, channel: SmtpChannel
) -> None:
    server.hang_up_at = "MAIL"
    assert isinstance(channel.send(a_message()), RetryLater)
    server.hang_up_at = "DATA"
    assert isinstance(channel.send(a_message()), Unknown)
    server.hang_up_at = None
    assert isinstance(channel.send(a_message()), Sent)


PIPELINING = {"EHLO": "250-fine\r\n250 PIPELINING"}


@contextmanager
def a_plain_server(
    *,
    stop: str = "never",
    answers: Mapping[str, str],
    greeting: str = "220 ready",
    said: list[str] | None = None,
    dripping: bool = False,
) -> Iterator[int]:
    """A server that answers commands as told, else with 250, and falls silent after the command ``stop`` (``DATA``:
    within it; ``.``: at its end). ``said`` takes the commands; ``dripping``: an answer as told is followed by more of
    it, byte by byte."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with suppress(OSError), connection, connection.makefile("rwb", buffering=0) as stream:

            def say(line: str) -> None:
                connection.sendall(line.encode() + b"\r\n")

            say(greeting)
            in_data = False
            for line in stream:
                command = line.strip().decode(errors="replace").upper()
                if in_data and command != ".":
                    continue
                if command.startswith(stop):
                    break
                in_data = command == "DATA"
                verb = command.partition(":")[0].partition(" ")[0]
                if said is not None:
                    said.append(verb)
                if dripping and verb in answers:
                    while not over.wait(0.01):
                        connection.sendall(b"x")
                say({"DATA": "354 go on", **answers}.get(verb, "250 fine"))
            over.wait(20)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()


def plain_channel(port: int, **changed: float) -> SmtpChannel:
    seconds = {"timeout": 0.3, **changed}
    return SmtpChannel(
        SmtpSettings(host="127.0.0.1", port=port, tls=Tls.NONE, local_hostname="tests.example", **seconds)
    )


@pytest.mark.parametrize("answers", [{}, PIPELINING], ids=["one by one", "pipelining"])
@pytest.mark.parametrize(
    ("stop", "kind"), [("MAIL", RetryLater), ("RCPT", RetryLater), ("DATA", RetryLater), (".", Unknown)]
)
def test_silence_is_unknown_only_after_the_final_dot(
    stop: str, kind: type[RetryLater | Unknown], answers: Mapping[str, str]
) -> None:
    with a_plain_server(stop=stop, answers=answers) as port:
        channel = plain_channel(port)
        assert isinstance(channel.send(a_message()), kind)
        channel.close()


def test_a_refused_recipient_gets_nothing_though_the_server_wants_data() -> None:
    answers = {**PIPELINING, "RCPT": "550 nobody here", ".": "554 for nobody", "RSET": "250 anew"}
    with a_plain_server(answers=answers) as port:
        channel = plain_channel(port)
        for _ in range(2):
            assert channel.send(a_message()) == Rejected("RCPT TO: 550 nobody here")
        channel.close()


@pytest.mark.parametrize("answers", [{}, PIPELINING], ids=["one by one", "pipelining"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "."])
def test_the_first_digit_of_a_yes_counts(verb: str, answers: Mapping[str, str]) -> None:
    said: list[str] = []
    with a_plain_server(answers={**answers, verb: "252 will try"}, said=said) as port:
        channel = plain_channel(port)
        assert isinstance(channel.send(a_message()), Sent)
        channel.close()
    assert said.count(".") == 1


@pytest.mark.parametrize("refused", [{"MAIL": "550 not you"}, {"MAIL": "354 what"}, {"RCPT": "354 what"}])
def test_nobody_who_was_not_refused_gets_an_empty_message(refused: Mapping[str, str]) -> None:
    said: list[str] = []
    with a_plain_server(answers={**PIPELINING, **refused}, said=said) as port:
        channel = plain_channel(port)
        assert isinstance(channel.send(a_message()), RetryLater | Rejected)
        channel.close()
    assert "." not in said


ENDLESS = "\r\n".join(["250-and on"] * 20_000)


@pytest.mark.parametrize(
    ("verb", "kind"), [("", RetryLater), ("EHLO", RetryLater), ("RCPT", RetryLater), (".", Unknown)]
)
def test_a_reply_without_an_end_is_not_read_to_its_end(verb: str, kind: type[RetryLater | Unknown]) -> None:
    with a_plain_server(answers={verb: ENDLESS}, greeting=ENDLESS if not verb else "220 ready") as port:
        channel = plain_channel(port)
        result = channel.send(a_message())
        assert isinstance(result, kind)
        assert "without an end" in result.reason
        assert channel._server is None


@pytest.mark.parametrize(("verb", "kind"), [("EHLO", RetryLater), ("RCPT", RetryLater), (".", Unknown)])
def test_an_attempt_as_a_whole_has_its_time(verb: str, kind: type[RetryLater | Unknown]) -> None:
    """A server that sends a byte again and again passes every single read."""
    with a_plain_server(answers={verb: "250-"}, dripping=True) as port:
        channel = plain_channel(port, attempt=0.5, timeout=20.0)
        result = channel.send(a_message())
        assert isinstance(result, kind)
        assert "too long" in result.reason or "timed out" in result.reason


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_password_may_hold_any_letters(mechanism: str) -> None:
    """SASL has it as UTF-8 (RFC 4616); bytes that are none go as they are."""
    password = "pässwörd\udcff"
    known: list[tuple[bytes, bytes]] = []

    def authenticate(
        _server: object, _session: object, _envelope: object, _mechanism: str, data: Any
    ) -> AuthResult:
        known.append((data.login, data.password))
        return AuthResult(success=True)

    others = [name for name in ("PLAIN", "LOGIN") if name != mechanism]
    with an_smtp_server(authenticator=authenticate, auth_exclude_mechanism=others) as server:
        channel = SmtpChannel(smtp_settings(server, user="bärbel", password=password))
        assert isinstance(channel.send(a_message()), Sent)
        channel.close()
    assert known == [("bärbel".encode(), "pässwörd".encode() + b"\xff")]


def test_what_fails_unforeseen_before_the_final_dot_was_not_handed_over(server: SmtpServer) -> None:
    """``getaddrinfo`` raises ValueError for a name like this one, which settings do not let through."""
    settings = smtp_settings(server)
    object.__setattr__(settings, "host", "mail..shop.example")
    channel = SmtpChannel(settings)
    result = channel.send(a_message())
    assert isinstance(result, RetryLater)
    assert result.unreachable
    assert "mail..shop.example" in (channel.check() or "")


def test_nothing_is_sent_to_a_server_that_cannot_prove_who_it_is(server: SmtpServer) -> None:
    channel = SmtpChannel(smtp_settings(server, ca_file=None))
    result = channel.send(a_message())
    assert isinstance(result, RetryLater)
    assert result.unreachable
    assert "certificate" in result.reason.lower()
    assert server.contents == []


def test_nothing_is_sent_in_the_clear_where_tls_is_wanted() -> None:
    with an_smtp_server(
        tls_context=None, require_starttls=False, auth_require_tls=False, auth_required=False
    ) as plain:
        refused = SmtpChannel(smtp_settings(plain))
        assert isinstance(refused.send(a_message()), RetryLater)
        assert plain.contents == []
        allowed = SmtpChannel(smtp_settings(plain, tls=Tls.NONE, user=None, password=None))
        assert isinstance(allowed.send(a_message()), Sent)
        allowed.close()


def test_a_wrong_password_or_an_absent_server_says_so_and_waits(server: SmtpServer) -> None:
    wrong = SmtpChannel(smtp_settings(server, password="wrong"))
    result = wrong.send(a_message())
    assert isinstance(result, RetryLater)
    assert result.unreachable
    assert "535" in result.reason
    assert "wrong" not in result.reason
    absent = SmtpChannel(smtp_settings(server, port=free_port()))
    result = absent.send(a_message())
    assert isinstance(result, RetryLater)
    assert result.unreachable


def test_a_message_without_a_sender_waits_for_the_catalog(channel: SmtpChannel) -> None:
    assert isinstance(channel.send(a_message(sender_address=None)), RetryLater)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs host"),
        ({"host": "h", "prot": 25}, "prot"),
        ({"host": "h", "port": "25"}, "port"),
        ({"host": "h", "tls": "maybe"}, "tls"),
        ({"host": "h", "timeout": 0}, "timeout"),
        ({"host": "mail..shop.example"}, "host"),
        ({"host": "a" * 64 + ".example"}, "host"),
        ({"host": "mail .example"}, "host"),
        ({"host": "h", "local_hostname": "münchen"}, "ASCII"),
        ({"host": "h", "user": "u"}, "password"),
        ({"host": "h", "user": "u", "password": "p", "tls": "none"}, "TLS"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings_from(options, Path())


def test_the_port_follows_the_kind_of_tls() -> None:
    ports = {
        tls: settings_from({"host": "h", "tls": tls}, Path()).port for tls in ("starttls", "implicit", "none")
    }
    assert ports == {"starttls": 587, "implicit": 465, "none": 25}
