"""Where others ask how a process is: ``GET /metrics``, ``/health`` and ``/ready`` over HTTP, from a thread of its own.

Nothing that is answered is about a person, and nothing can be changed. A client that is slow, or says nothing, has a
connection of few and loses it after some seconds, so that it holds up no other.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from runner.daemon.observe.health import Health, Reasons
from runner.daemon.observe.metrics import Metrics
from runner.problem import JourneysError

logger = logging.getLogger(__name__)

CONNECTION_SECONDS = 10.0
"""How long a connection lasts at most, from the first byte to the last."""
CONNECTIONS = 32
"""How many there are at a time at most; others are closed at once."""

_TAKEN = "; another runner has it? `--listen HOST:PORT` overrides `listen` of journeys.yaml"
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: HTTPStatus
    media_type: str
    body: bytes


Page = Callable[[str], Answer]
"""Answers a GET; it is given the ``Accept`` of the request."""


def pages(metrics: Metrics, health: Health) -> Mapping[str, Page]:
    """What there is to be asked."""

    def told() -> Page:
        def page(accept: str) -> Answer:
            body, media_type = metrics.text(accept)
            return Answer(status=HTTPStatus.OK, media_type=media_type, body=body)

        return page

    def judged(judge: Callable[[], Reasons]) -> Page:
        return lambda _accept: _verdict(judge())

    return {"/metrics": told(), "/health": judged(health.unhealthy), "/ready": judged(health.unready)}


def _verdict(reasons: Reasons) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    body = json.dumps({"ok": not reasons, "reasons": reasons})
    return Answer(status=status, media_type="application/json", body=f"{body}\n".encode())


@contextmanager
def listening(address: str, answering: Mapping[str, Page]) -> Iterator[tuple[str, int]]:
    """Answer at ``address`` (``127.0.0.1:9464``, ``[::1]:9464``, ``localhost:9464``; port 0 is any free one) as long as
    the block lasts. Yields host and port.

    Raises JourneysError where that is no address of this machine, or somebody else listens there.
    """
    family, place = _resolved(address)
    try:
        server = _Server(family, place, answering)
    except OSError as error:
        hint = _TAKEN if error.errno == errno.EADDRINUSE else ""
        raise JourneysError(f"cannot listen on {address}: {error.strerror or error}{hint}") from error
    host, port = server.server_address[:2]
    extra = {"host": str(host), "port": port}
    if not ipaddress.ip_address(str(host)).is_loopback:
        logger.warning("whoever reaches this address can read the metrics of this process", extra=extra)
    logger.info("listening for questions about health and metrics", extra=extra)
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()
    try:
        yield str(host), int(port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _resolved(address: str) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise JourneysError(f"cannot listen on {address!r}: write HOST:PORT, such as 127.0.0.1:9464")
    host = match["six"] or match["host"]
    try:
        found = socket.getaddrinfo(host, int(match["port"]), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise JourneysError(f"cannot listen on {address}: {error.strerror or error}") from error
    family, _, _, _, place = found[0]
    return family, place


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(
        self, family: socket.AddressFamily, place: tuple[Any, ...], answering: Mapping[str, Page]
    ) -> None:
        self.address_family = family
        self.pages = answering
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(place, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        ending = threading.Timer(CONNECTION_SECONDS, _cut, (request,))
        ending.daemon = True
        ending.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            ending.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        logger.debug("a connection broke", exc_info=True)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("a connection was closed already")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "journeys"
    sys_version = ""
    timeout = CONNECTION_SECONDS

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The method of a request is looked up as an attribute: what is not below is not allowed.
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self._send(_plain(HTTPStatus.NOT_FOUND, f"There are {', '.join(self.server.pages)}."))
            return
        try:
            answer = page(self.headers.get("Accept", ""))
        except Exception:
            logger.exception("a question could not be answered", extra={"path": self.path})
            answer = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "The log of the process says why.")
        self._send(answer)

    def _refuse(self) -> None:
        self._send(_plain(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD."), {"Allow": "GET, HEAD"})

    def _send(self, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _plain(status: HTTPStatus, text: str) -> Answer:
    return Answer(status=status, media_type="text/plain; charset=utf-8", body=f"{text}\n".encode())
