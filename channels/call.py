"""Calls of steps: signed HTTP requests whose JSON answer is kept (Standard Webhooks 1.0.0, as the webhook channel)."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.base import Answer, Message, Rejected, Result, RetryLater, Sent
from channels.webhook import Clock, WebhookChannel, WebhookSettings, check_secret, trusting


@dataclass(frozen=True, kw_only=True)
class CallSettings:
    """``secret`` is ``whsec_`` and base64; the receivers know it. The rest is as for a webhook. Raises ValueError for a
    secret that is none."""

    secret: str
    allow_http: bool = False
    allow_private: bool = False
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        check_secret(self.secret)


class CallChannel:
    """Makes the call that a message's ``payload`` describes: method, url, headers, json, timeout in seconds.

    2xx is Sent with the answer; 408, 425, 429 and 5xx, and no answer at all, are RetryLater; every other status is
    Rejected with the answer. A receiver tells a repeated call by its ``Idempotency-Key``.
    """

    def __init__(self, settings: CallSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._context = trusting(settings.ca_file)

    def send(self, message: Message) -> Result:
        """Make one call. Nothing is retried here."""
        payload = message.payload or {}
        try:
            settings = WebhookSettings(
                url=str(payload.get("url")),
                secret=self._settings.secret,
                idempotent=True,
                allow_http=self._settings.allow_http,
                allow_private=self._settings.allow_private,
                timeout=float(payload.get("timeout", 10)),
            )
        except ValueError as error:
            return Rejected(f"{error}")
        result = _Call(settings, payload, clock=self._clock, context=self._context).send(message)
        if isinstance(result, RetryLater):
            # It is about this receiver: the calls of others go on.
            return RetryLater(result.reason, result.after)
        return result

    def look_up(self, message: Message) -> RetryLater:  # noqa: ARG002 (the answer is the same for every call)
        """The answer is lost with the process that waited for it: the call is made again, by the same key."""
        return RetryLater("cut short before its answer was known")

    def close(self) -> None:
        """Nothing is held between calls."""


class _Call(WebhookChannel):
    """One call."""

    def __init__(
        self, settings: WebhookSettings, payload: Mapping[str, Any], *, clock: Clock, context: ssl.SSLContext
    ) -> None:
        super().__init__(settings, clock=clock, context=context)
        self._payload = payload
        self.method = str(payload.get("method", "POST"))

    def body(self, message: Message) -> bytes:  # noqa: ARG002
        if "json" not in self._payload:
            return b""
        return json.dumps(self._payload["json"], ensure_ascii=False).encode("utf-8", "replace")

    def headers(self, message: Message, body: bytes) -> dict[str, str]:
        own = {str(name): str(value) for name, value in dict(self._payload.get("headers") or {}).items()}
        # What signs the call and bounds it is not the author's to change.
        return {**own, **super().headers(message, body)}

    def result(self, response: http.client.HTTPResponse, answer: bytes) -> Result:
        read = Answer(status=response.status, json=_json(answer))
        match super().result(response, answer):
            case Sent(provider_id=provider_id):
                return Sent(provider_id, answer=read)
            case Rejected(reason=reason):
                return Rejected(reason, answer=read)
            case result:
                return result


def _json(answer: bytes) -> object:
    """The answer as JSON; None where it is none."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(answer)
    return None


def settings_from(options: Mapping[str, object], folder: Path) -> CallSettings:
    """The settings that a deployment's ``options`` describe; ``ca_file`` is relative to ``folder``.

    Raises ValueError that names the option that is wrong or unknown.
    """
    known = {"secret", "ca_file", "allow_http", "allow_private"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; call has {', '.join(sorted(known))}")
    secret, ca_file = options.get("secret"), options.get("ca_file")
    if not isinstance(secret, str):
        raise ValueError("call needs secret, by which receivers know who calls")
    if ca_file is not None and not isinstance(ca_file, str):
        raise ValueError("ca_file must be a path")
    flags = {name: options.get(name, False) for name in ("allow_http", "allow_private")}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
    return CallSettings(
        secret=secret,
        ca_file=folder / ca_file if ca_file else None,
        allow_http=flags["allow_http"] is True,
        allow_private=flags["allow_private"] is True,
    )
