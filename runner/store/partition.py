"""The partition of a key."""

from __future__ import annotations

import hashlib


def partition_of(key: str, partitions: int) -> int:
    """The partition of ``key``, an account's or a contact's: eight bytes of its SHA-256, modulo their number."""
    if partitions == 1:
        return 0
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % partitions
