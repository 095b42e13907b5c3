"""Sticky chance: which of ten thousand parts a text falls into."""

from __future__ import annotations

import hashlib

PARTS = 10_000
"""The arms of a split and the shares of a holdout are measured in these: a hundredth of a percent each."""


def bucket(text: str) -> int:
    """The first eight bytes of SHA-256, as an unsigned big-endian number, modulo ``PARTS``."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % PARTS
