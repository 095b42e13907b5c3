"""Text from outside as it may stand on a terminal and in a table."""

from __future__ import annotations

import unicodedata

WIDEST_CELL = 60
"""Code points of a name from outside that a table shows."""
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that a terminal obeys, or that break a line."""


def printable(text: str, keep: str = "") -> str:
    """``text`` with U+FFFD for each character that steers a terminal, but those of ``keep``."""
    if text.isprintable():
        return text
    return "".join(
        character if character in keep or unicodedata.category(character) not in _STEERING else "\ufffd"
        for character in text
    )


def cell(text: str, most: int = WIDEST_CELL) -> str:
    """``text`` as it stands in a table: printable, and not longer than ``most``."""
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")
