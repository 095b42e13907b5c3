"""Real servers on loopback that the tests of channels talk to: SMTP with STARTTLS and login, and HTTP(S)."""

from __future__ import annotations

import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from sqlalchemy import create_engine, text

from channels.smtp import SmtpSettings
from channels.webhook import WebhookSettings

CERTIFICATES = Path(__file__).parent / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
USER, PASSWORD = "journeys", "correct horse"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem")
    return context


@dataclass
class SmtpServer:
    """What an SMTP server received, and what it answers: ``mail``, ``rcpt`` and ``data`` replace its 250."""

    port: int = 0
    contents: list[bytes] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    connections: int = 0
    mail: str | None = None
    rcpt: str | None = None
    data: str | None = None
    hang_up_at: str | None = None
    extensions: list[str] = field(default_factory=list)
    on_data: Callable[[int], None] = lambda _number: None

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*(f"250-{extension}" for extension in self.extensions), *responses]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.hang_up_at == "MAIL":
            server.transport.abort()
        if self.mail is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.mail or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt is None:
            envelope.rcpt_tos.append(address)
        return self.rcpt or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content
        assert content is not None
        self.contents.append(content)
        self.envelopes.append(envelope)
        self.on_data(len(self.contents))
        if self.hang_up_at == "DATA":
            server.transport.abort()
        return self.data or f"250 2.0.0 Ok: queued as Q{len(self.contents)}"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    assert isinstance(data, LoginPassword)
    known = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@contextmanager
def an_smtp_server(**options: Any) -> Iterator[SmtpServer]:
    """A server that wants STARTTLS and a login, unless ``options`` of aiosmtpd say otherwise."""
    handler = SmtpServer()

    class Counting(SMTP):
        def connection_made(self, transport: Any) -> None:
            if not isinstance(transport, ssl.SSLSocket) and self.transport is None:
                handler.connections += 1
            super().connection_made(transport)

    class OnLoopback(Controller):
        def factory(self) -> SMTP:
            return Counting(self.handler, **self.SMTP_kwargs)

    defaults = {
        "tls_context": server_context(),
        "require_starttls": True,
        "authenticator": _authenticate,
        "auth_required": True,
        "enable_SMTPUTF8": True,
    }
    controller = OnLoopback(handler, hostname="127.0.0.1", port=free_port(), **{**defaults, **options})
    controller.start()
    handler.port = controller.port
    handler.connections = 0  # the controller's own, by which it sees that the server is up
    try:
        yield handler
    finally:
        controller.stop()


def smtp_settings(server: SmtpServer, **changed: Any) -> SmtpSettings:
    defaults: dict[str, Any] = {
        "host": "localhost",
        "port": server.port,
        "user": USER,
        "password": PASSWORD,
        "ca_file": AUTHORITY,
        "timeout": 10.0,
        "local_hostname": "tests.example",
    }
    return SmtpSettings(**{**defaults, **changed})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answers: ``hang_up`` without a word, or ``silent`` until the test is over."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hang_up: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Request:
    path: str
    headers: Any
    body: bytes


@dataclass
class HttpServer:
    url: str = ""
    answer: Answer = field(default_factory=lambda: Answer(200))
    requests: list[Request] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def an_http_server(answer: Answer, *, tls: bool = True) -> Iterator[HttpServer]:
    state = HttpServer(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append(Request(self.path, self.headers, body))
            answer = state.answer
            if answer.silent:
                state.done.wait(30)
            if answer.hang_up or answer.silent:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = server_context().wrap_socket(server.socket, server_side=True)
    state.url = f"{'https' if tls else 'http'}://localhost:{server.server_port}/hooks/journeys?a=b"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.done.set()
        server.shutdown()
        server.server_close()


def webhook_settings(server: HttpServer, **changed: Any) -> WebhookSettings:
    defaults: dict[str, Any] = {
        "url": server.url,
        "secret": SECRET,
        "allow_private": True,
        "ca_file": AUTHORITY,
        "timeout": 10.0,
    }
    return WebhookSettings(**{**defaults, **changed})


@contextmanager
def own_database(server: str, options: str = "") -> Iterator[str]:
    """The URL of a new database on the PostgreSQL server."""
    name = f"versions_{secrets.token_hex(6)}"
    engine = create_engine(
        server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {options}"))
    yield engine.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
