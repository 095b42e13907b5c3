"""A message as a channel is given it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from channels.base import Message

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def a_message(**changed: Any) -> Message:
    values: dict[str, Any] = {
        "idempotency_key": "0123456789abcdef" * 4,
        "recipient": "ana@shop.example",
        "let_go_at": AT,
        "journey": "abandoned-cart",
        "step": "remind",
        "contact": "ana",
        "locale": "en",
        "subject": "Your cart",
        "text": "Hello Ana",
        "sender_name": "Shop",
        "sender_address": "hello@shop.example",
    }
    return Message(**{**values, **changed})
