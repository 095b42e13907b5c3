"""Files of calendars (.ics) and of address books (.vcf), as RFC 5545 and RFC 6350 have their lines."""

from __future__ import annotations

import re

LONGEST_LINE = 75
"""Bytes of one line, its break left out (RFC 5545, 3.1; RFC 6350, 3.2)."""

_METHOD = re.compile(r"^METHOD:([A-Z-]{1,20})$", re.MULTILINE)


def escaped(text: str) -> str:
    """A value of the type TEXT (RFC 5545, 3.3.11): backslash, semicolon, comma and line break escaped."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    for character in ("\\", ";", ","):
        lines = lines.replace(character, f"\\{character}")
    return lines.replace("\n", "\\n")


def folded(text: str) -> str:
    """``text`` with lines of at most 75 bytes of UTF-8, the longer ones folded between characters, each ended with
    CRLF; empty lines, which these formats do not know, are left out."""
    lines = (line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip())
    return "".join(f"{part}\r\n" for line in lines for part in _parts(line))


def _parts(line: str) -> list[str]:
    parts, current, length = [], "", 0
    for character in line:
        size = len(character.encode())
        if length + size > LONGEST_LINE:
            parts.append(current)
            current, length = " ", 1
        current += character
        length += size
    return [*parts, current]


def method(text: str) -> str | None:
    """What a calendar asks of who gets it (``REQUEST``, ``CANCEL``, …); None where it does not say."""
    match = _METHOD.search(text.replace("\r\n", "\n"))
    return match[1] if match else None
