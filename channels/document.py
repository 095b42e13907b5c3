"""A message as JSON: what a webhook posts, and what the file channel writes of a message that is no email."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from channels.base import Message

_TYPES = {
    "message": "message.send",
    "call": "call",
    "task": "task.create",
    "audience": "audience.change",
}


def document(message: Message) -> dict[str, Any]:
    """``type``, ``timestamp`` and ``data``, as Standard Webhooks 1.0.0 recommends. The same at every attempt."""
    data: dict[str, Any] = {
        "id": message.idempotency_key,
        "journey": message.journey,
        "step": message.step,
        "contact": message.contact,
        "recipient": message.recipient,
        "locale": message.locale,
        "subject": message.subject,
        # The line break that ends a template's file is no part of what it says.
        "text": message.text.rstrip("\n"),
        "html": message.html,
        "sender": {"name": message.sender_name, "address": message.sender_address},
        "reply_to": message.reply_to,
    }
    if message.title:
        data["title"] = message.title
    if message.attachments:
        data["attachments"] = [
            {"name": each.name, "type": each.media_type, "text": each.text} for each in message.attachments
        ]
    if message.payload is not None:
        data = {key: data[key] for key in ("id", "journey", "step", "contact")} | dict(message.payload)
    instant = message.let_go_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"type": _TYPES[message.kind], "timestamp": instant, "data": data}
