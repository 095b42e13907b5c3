"""Email over SMTP (RFC 5321) with STARTTLS and login, signed (DKIM), over one kept connection.

Where the server offers it (PIPELINING, RFC 2920) the envelope goes over in one piece.
"""

from __future__ import annotations

import contextlib
import logging
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from channels.base import Message, Rejected, Result, RetryLater, Sent, Unknown
from channels.dkim import Signer, signed, signers_from
from channels.header import Unfit
from channels.mime import NO_SENDER, Mail, build
from channels.smtp_session import Session, Utf8

logger = logging.getLogger(__name__)

DONE = range(200, 300)
"""Answers that say yes, whatever else they say (RFC 5321, 4.2.1)."""
RECIPIENT = "RCPT TO"
FAREWELL = 5.0
"""Seconds that a server gets to answer QUIT."""


class Tls(StrEnum):
    STARTTLS = "starttls"  # port 587: begins in the clear, refused where the server offers no TLS
    IMPLICIT = "implicit"  # port 465: TLS from the first byte
    NONE = "none"  # a relay on the same machine


@dataclass(frozen=True, kw_only=True)
class SmtpSettings:
    """``timeout`` is in seconds and holds for each answer of the server; ``attempt`` for all that one message takes,
    and is below the ten minutes after which a runner takes itself for hung. ``ca_file`` adds a certificate authority of
    one's own; certificates are always verified. ``dkim`` signs each message. Raises ValueError for a login that would
    go over the wire in the clear, and for names that no server can have."""

    host: str
    port: int = 587
    tls: Tls = Tls.STARTTLS
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    timeout: float = 30.0
    attempt: float = 540.0
    local_hostname: str | None = None
    messages_per_connection: int = 500
    dkim: tuple[Signer, ...] = ()

    def __post_init__(self) -> None:
        if self.user is not None and self.tls is Tls.NONE:
            raise ValueError("a login without TLS would show the password to everybody on the way")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if not _is_host(self.host):
            raise ValueError(f"host: {self.host!r} is no name of a server")
        if self.local_hostname is not None and not re.fullmatch(r"[!-~]+", self.local_hostname):
            raise ValueError("local_hostname must be ASCII; a name in other letters is written as xn--...")


class _Failed(Exception):
    """An attempt ended with ``result``; ``reconnect`` tells that the connection was stale and a new one may do."""

    def __init__(self, result: Result, *, reconnect: bool = False) -> None:
        super().__init__()
        self.result = result
        self.reconnect = reconnect

    @property
    def reason(self) -> str:
        """Why, in words."""
        return "" if isinstance(self.result, Sent) else self.result.reason


class SmtpChannel:
    """Hands messages to one SMTP server.

    4xx answers, connections that break and whatever else goes wrong before the final dot was sent are RetryLater; 5xx
    answers are Rejected; silence after the final dot is Unknown, because the server may have taken the message over
    (RFC 1047), and so is a reply without an end. An answer to
    the login or to STARTTLS says nothing of the message, so all of those are RetryLater.
    """

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._context = None if settings.tls is Tls.NONE else _trusting(settings.ca_file)
        self._server: Session | None = None
        self._used = 0
        self._deadline = 0.0

    def prepare(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Build and sign these messages. All are built before the first is signed: either goes faster by itself."""
        built: list[Mail | None] = []
        for message in messages:
            try:
                built.append(build(message))
            except Unfit:
                built.append(None)
        return [
            message if mail is None else replace(message, prepared=self._signed(mail))
            for message, mail in zip(messages, built, strict=True)
        ]

    def send(self, message: Message) -> Result:
        """Hand the message over, connecting where there is no connection."""
        mail = message.prepared
        if not isinstance(mail, Mail):
            try:
                mail = self._signed(build(message))
            except Unfit as unfit:
                return Rejected(str(unfit))
            except Exception as bug:
                logger.exception("a mail cannot be built", extra={"contact": message.contact})
                return RetryLater(f"a bug in the channel: {type(bug).__name__}")
        if mail.sender == NO_SENDER:
            return RetryLater("the catalog names no sender address for this channel", unreachable=True)
        self._begin()
        try:
            return self._attempt(mail)
        except _Failed as failed:
            if not failed.reconnect:
                return failed.result
        # A kept connection that the server had closed meanwhile: nothing was said yet, so a fresh one is tried at once.
        try:
            return self._attempt(mail)
        except _Failed as failed:
            return failed.result

    def check(self) -> str | None:
        """Why the server cannot be reached, or takes no login; None where it can. Greets and logs in, no more."""
        self._begin()
        try:
            self._server or self._connect()
        except _Failed as failed:
            return failed.reason
        return None

    def close(self) -> None:
        """Say QUIT and hang up."""
        if self._server is not None:
            self._server.deadline = time.monotonic() + FAREWELL
            with contextlib.suppress(Exception):
                self._server.quit()
        self._hang_up()

    def _begin(self) -> None:
        """From now on an attempt is made, which has its time as a whole."""
        self._deadline = time.monotonic() + self._settings.attempt
        if self._server is not None:
            self._server.deadline = self._deadline

    def _signed(self, mail: Mail) -> Mail:
        return replace(mail, content=signed(mail.content, self._settings.dkim))

    def _attempt(self, mail: Mail) -> Result:
        kept = self._server is not None
        server = self._server or self._connect()
        if mail.smtputf8 and not server.has_extn("smtputf8"):
            return Rejected("the server takes no addresses outside ASCII (SMTPUTF8)")
        envelope = _envelope(mail)
        if server.has_extn("pipelining"):
            self._ask(server, envelope, stale=kept)
        else:
            for place, command in enumerate(envelope):
                self._ask(server, [command], stale=kept and place == 0)
        try:
            server.send(_dots_doubled(mail.content) + b".\r\n")
        except Exception as error:
            # The final dot was not all given away, so the server cannot have taken the message.
            self._hang_up()
            raise _Failed(RetryLater(f"the connection broke within DATA: {_said(error)}")) from None
        return self._verdict(server)

    def _verdict(self, server: Session) -> Result:
        """The server's answer to the final dot."""
        try:
            code, answer = server.getreply()
        except Exception as error:
            self._hang_up()
            return Unknown(f"no answer after DATA: {_said(error)}")
        self._used += 1
        if code == 421 or self._used >= self._settings.messages_per_connection:
            self.close()
        if code in DONE:
            return Sent(_text(answer))
        if not 400 <= code < 600:
            # The connection broke within the answer, which may have been a 250: "25" is no refusal.
            self._hang_up()
            return Unknown(f"no answer after DATA that can be read: {code} {_text(answer)}")
        return _refusal(code, answer, "DATA")

    def _ask(self, server: Session, commands: Sequence[_Command], *, stale: bool) -> None:
        """Give commands in one piece and read their answers. Raises _Failed for the first that is not as wanted;
        ``stale`` tells that a new connection may do where the very first finds this one closed."""
        refused: _Failed | None = None
        asked = commands[0]
        code = 0
        nobody = False
        try:
            server.send(b"".join(command.line for command in commands))
            for asked in commands:
                code, answer = server.getreply()
                if code == 421:
                    refused = refused or _Failed(_refusal(code, answer, asked.name), reconnect=stale)
                    self.close()
                    raise refused
                nobody |= asked.name == RECIPIENT and 400 <= code < 600
                if code not in asked.wanted and refused is None:
                    refused = _Failed(_refusal(code, answer, asked.name))
        except Exception as error:
            self._hang_up()
            first = asked is commands[0]
            raise refused or _Failed(
                RetryLater(f"{asked.name}: {_said(error)}"), reconnect=stale and first
            ) from None
        if refused is not None:
            if code == 354 and not nobody:
                # The recipient was not refused, and would get an empty message.
                self._hang_up()
            else:
                self._begin_anew(server, within_data=code == 354)
            raise refused

    def _begin_anew(self, server: Session, *, within_data: bool) -> None:
        """Take back what the server holds of an envelope. One that wants data although it has refused the recipient
        gets an empty message for nobody (RFC 2920, 3.1)."""
        try:
            if within_data:
                server.send(b".\r\n")
                server.getreply()
            server.rset()
        except Exception:
            self._hang_up()

    def _connect(self) -> Session:
        settings = self._settings
        server: Session | None = None
        try:
            server = Session(
                settings.host,
                settings.port,
                local_hostname=settings.local_hostname,
                timeout=settings.timeout,
                deadline=self._deadline,
                implicit=self._context if settings.tls is Tls.IMPLICIT else None,
            )
            assert server.sock is not None
            # The end of a message must not wait until the server has acknowledged its beginning.
            server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.ehlo_or_helo_if_needed()
            if settings.tls is Tls.STARTTLS:
                server.starttls(context=self._context)
                server.ehlo_or_helo_if_needed()
            if settings.user is not None and settings.password is not None:
                server.login(settings.user, Utf8(settings.password))
        except Exception as error:
            if server is not None:
                server.close()
            raise _Failed(
                RetryLater(f"{settings.host}:{settings.port}: {_said(error)}", unreachable=True)
            ) from None
        self._server, self._used = server, 0
        return server

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def settings_from(options: Mapping[str, object], folder: Path) -> SmtpSettings:
    """The settings that a deployment's ``options`` describe; ``ca_file`` is relative to ``folder``.

    Raises ValueError that names the option that is wrong or unknown.
    """
    known = {"host", "port", "tls", "user", "password", "ca_file", "timeout", "local_hostname", "dkim"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; smtp has {', '.join(sorted(known))}")

    def text(name: str) -> str | None:
        value = options.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be a string")
        return value

    host, port, timeout = text("host"), options.get("port"), options.get("timeout", 30)
    if not host:
        raise ValueError("smtp needs host")
    try:
        tls = Tls(text("tls") or Tls.STARTTLS)
    except ValueError:
        raise ValueError("tls must be starttls, implicit or none") from None
    if port is None:
        port = {Tls.STARTTLS: 587, Tls.IMPLICIT: 465, Tls.NONE: 25}[tls]
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError("port must be a number between 1 and 65535")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 600:
        raise ValueError("timeout must be a number of seconds, 600 at most")
    ca_file = text("ca_file")
    return SmtpSettings(
        host=host,
        port=port,
        tls=tls,
        user=text("user"),
        password=text("password"),
        ca_file=folder / ca_file if ca_file else None,
        timeout=float(timeout),
        local_hostname=text("local_hostname"),
        dkim=signers_from(options["dkim"], folder) if "dkim" in options else (),
    )


class _Command(NamedTuple):
    """A line of the envelope, what it is called, and the answers that are wanted: their first digit counts, save for
    DATA, which has one."""

    line: bytes
    name: str
    wanted: range


def _envelope(mail: Mail) -> Sequence[_Command]:
    # The addresses hold no character that would have to be quoted, nor any that could end the line: see mime.py.
    raw = " SMTPUTF8" if mail.smtputf8 else ""
    return (
        _Command(f"MAIL FROM:<{mail.sender}>{raw}\r\n".encode(), "MAIL FROM", DONE),
        _Command(f"RCPT TO:<{mail.recipient}>\r\n".encode(), RECIPIENT, DONE),
        _Command(b"DATA\r\n", "DATA", range(354, 355)),
    )


def _is_host(name: str) -> bool:
    """Whether this can be looked up: no label is empty or longer than 63."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return re.search(r"[\s\x00-\x1f]", name) is None


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """The system's certificate authorities, and those of ``ca_file``. Raises OSError where that cannot be read."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    return context


def _refusal(code: int, answer: bytes, name: str) -> RetryLater | Rejected:
    reason = f"{name}: {code} {_text(answer)}"
    return Rejected(reason) if 500 <= code < 600 else RetryLater(reason)


def _text(answer: bytes) -> str:
    """A server's words, on one line, 200 characters at most."""
    return re.sub(r"\s+", " ", answer.decode("utf-8", "replace")).strip()[:200]


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        return f"{error.smtp_code} {_text(answer)}"
    return f"{type(error).__name__}: {error}"[:200]


def _dots_doubled(content: bytes) -> bytes:
    """RFC 5321, 4.5.2: a line that begins with a dot gets another one."""
    return content.replace(b"\r\n.", b"\r\n..")
