"""Messages as signed HTTP calls (Standard Webhooks 1.0.0: webhook-id, webhook-timestamp, webhook-signature)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from channels.base import Message, Rejected, Result, RetryLater, Sent, Unknown
from channels.document import document

LARGEST_ANSWER = 65_536
"""Bytes of an answer that are read; its status alone decides, so the rest is left."""
LONGEST_RETRY_AFTER = timedelta(days=1)

Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """``secret`` is the receiver's, ``whsec_`` and base64. ``timeout`` is in seconds and bounds the whole call.

    ``idempotent`` says that the receiver honours the idempotency key, so that a call without an answer may be repeated.
    ``allow_http`` and ``allow_private`` are for receivers on one's own machine or network.
    Raises ValueError for a URL or a secret that is none.
    """

    url: str
    secret: str
    idempotent: bool = False
    allow_http: bool = False
    allow_private: bool = False
    ca_file: Path | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.fragment:
            raise ValueError("url must be https://host/path, without a login in it")
        if parts.scheme == "http" and not self.allow_http:
            raise ValueError("url must be https, unless allow_http is true")
        if not re.fullmatch(r"[\x21-\x7e]+", self.url):
            raise ValueError("url must be printable ASCII")
        _key(self.secret)


class _NotReached(Exception):
    """Nothing was sent. The text says why."""


class WebhookChannel:
    """Posts each message as JSON. 2xx is Sent; 408, 425, 429 and 5xx are RetryLater, a ``Retry-After`` is obeyed; every
    other status, a redirect included, is Rejected; no answer to what was sent is Unknown."""

    method = "POST"

    def __init__(
        self, settings: WebhookSettings, *, clock: Clock, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._context = context or trusting(settings.ca_file)

    def send(self, message: Message) -> Result:
        """Make one call. Nothing is retried here."""
        body = self.body(message)
        try:
            connection = self._connect()
        except (_NotReached, OSError) as error:
            return RetryLater(f"{type(error).__name__.strip('_')}: {error}"[:200], unreachable=True)
        # One bound for the whole call: a server that drips a byte a second would pass every single read.
        deadline = threading.Timer(self._settings.timeout, _cut, (connection.sock,))
        deadline.daemon = True
        deadline.start()
        try:
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
        except (OSError, ValueError) as error:
            deadline.cancel()
            connection.close()
            return RetryLater(f"no TLS: {type(error).__name__}: {error}"[:200], unreachable=True)
        try:
            connection.request(self.method, self._target(), body, self.headers(message, body))
            response = connection.getresponse()
            answer = response.read(LARGEST_ANSWER)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return self._unanswered(f"no answer: {type(error).__name__}")
        finally:
            deadline.cancel()
            connection.close()
        return self.result(response, answer)

    def check(self) -> str | None:
        """Why the receiver cannot be reached, or offers no TLS that holds; None where it does. Nothing is posted."""
        try:
            with contextlib.closing(self._connect()) as connection:
                if isinstance(connection.sock, ssl.SSLSocket):
                    connection.sock.do_handshake()
        except (_NotReached, OSError, ValueError) as error:
            return str(error)[:200]
        return None

    def close(self) -> None:
        """Nothing is held between calls."""

    def _unanswered(self, reason: str) -> Result:
        return RetryLater(reason) if self._settings.idempotent else Unknown(reason)

    def _target(self) -> str:
        parts = urlsplit(self._settings.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def body(self, message: Message) -> bytes:
        """What is sent. The same bytes at every attempt."""
        return json.dumps(document(message), ensure_ascii=False).encode("utf-8", "replace")

    def headers(self, message: Message, body: bytes) -> dict[str, str]:
        """Signed as Standard Webhooks says."""
        timestamp = str(int(self._clock().timestamp()))
        identity = message.idempotency_key
        return {
            "Content-Type": "application/json",
            "User-Agent": "journeys-as-code",
            "Idempotency-Key": identity,
            "webhook-id": identity,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._settings.secret, identity, timestamp, body),
            "Connection": "close",
        }

    def _connect(self) -> http.client.HTTPConnection:
        """A connection to the address that was checked: the name is looked up once, so that it cannot point elsewhere
        at the second look (DNS rebinding)."""
        settings, parts = self._settings, urlsplit(self._settings.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _NotReached(f"the name {host} has no address") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not settings.allow_private and any(not is_public(address) for address in addresses):
            raise _NotReached(f"{host} is an address of a private network; allow_private permits it")
        raw = socket.create_connection((addresses[0], port), timeout=settings.timeout)
        connection = http.client.HTTPConnection(host, port, timeout=settings.timeout)
        connection.sock = raw
        if parts.scheme == "https":
            connection.sock = self._context.wrap_socket(
                raw, server_hostname=host, do_handshake_on_connect=False
            )
        return connection

    def result(self, response: http.client.HTTPResponse, answer: bytes) -> Result:
        """What an answer means."""
        status = response.status
        if 200 <= status < 300:
            return Sent(_provider_id(answer))
        reason = f"HTTP {status}"
        if status in (408, 425, 429) or status >= 500:
            after = _retry_after(response.headers)
            return RetryLater(reason, after, unreachable=after is not None)
        if 300 <= status < 400:
            reason += ": redirects are not followed"
        return Rejected(reason)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """How TLS is spoken: the authorities of the system are trusted, and those of ``ca_file``."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    return context


class IdempotentWebhookChannel(WebhookChannel):
    """A webhook whose receiver honours the idempotency key: what was cut short is simply called again."""

    def look_up(self, message: Message) -> RetryLater:  # noqa: ARG002 (the answer is the same for every message)
        """Whatever became of the call, another one does no harm."""
        return RetryLater("cut short; the receiver tells repeated calls by their key")


def open_webhook(settings: WebhookSettings, *, clock: Clock) -> WebhookChannel:
    """The channel that fits ``settings.idempotent``."""
    return (IdempotentWebhookChannel if settings.idempotent else WebhookChannel)(settings, clock=clock)


def settings_from(options: Mapping[str, object], folder: Path) -> WebhookSettings:
    """The settings that a deployment's ``options`` describe; ``ca_file`` is relative to ``folder``.

    Raises ValueError that names the option that is wrong or unknown.
    """
    flags = ("idempotent", "allow_http", "allow_private")
    known = {"url", "secret", "ca_file", "timeout", *flags}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; webhook has {', '.join(sorted(known))}")
    url, secret, ca_file = options.get("url"), options.get("secret"), options.get("ca_file")
    if not isinstance(url, str) or not isinstance(secret, str):
        raise ValueError("webhook needs url and secret")
    if ca_file is not None and not isinstance(ca_file, str):
        raise ValueError("ca_file must be a path")
    timeout = options.get("timeout", 10)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 120:
        raise ValueError("timeout must be a number of seconds, 120 at most")
    values: dict[str, bool] = {}
    for flag in flags:
        value = options.get(flag, False)
        if not isinstance(value, bool):
            raise ValueError(f"{flag} must be true or false")
        values[flag] = value
    return WebhookSettings(
        url=url,
        secret=secret,
        ca_file=folder / ca_file if ca_file else None,
        timeout=float(timeout),
        **values,
    )


def signature(secret: str, identity: str, timestamp: str, body: bytes) -> str:
    """The ``webhook-signature`` header: ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def check_secret(secret: str) -> None:
    """Raises ValueError for a secret that cannot sign."""
    _key(secret)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(
            "secret must be whsec_ and the base64 of 24 to 64 bytes;"
            ' `echo "whsec_$(openssl rand -base64 24)"` makes one'
        )
    return key


_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 ranges that stand for IPv4 addresses, private ones too (NAT64, 6to4, Teredo)."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _provider_id(answer: bytes) -> str | None:
    """The receiver's own id of the message, where its answer is JSON with an ``id``."""
    with contextlib.suppress(ValueError, RecursionError):
        decoded = json.loads(answer)
        if isinstance(decoded, dict) and isinstance(decoded.get("id"), str):
            return re.sub(r"[^\x20-\x7e]", "?", decoded["id"])[:200]
    return None


def _retry_after(headers: http.client.HTTPMessage) -> timedelta | None:
    """``Retry-After`` in seconds, or as a date, which is read against the answer's own ``Date`` (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    wait: timedelta | None = None
    if re.fullmatch(r"\d{1,9}", value):
        wait = timedelta(seconds=int(value))
    elif value:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    if wait is None:
        return None
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
