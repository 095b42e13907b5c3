"""Files of calendars (.ics) and of address books (.vcf), as RFC 5545 and RFC 6350 have their lines."""

from __future__ import annotations

import re

LONGEST_LINE = 75
"""Bytes of one line, its break left out (RFC 5545, 3.1; RFC 6350, 3.2)."""

_METHOD = re.compile(r"^METHOD:([A-Z-]{1,20})$", re.MULTILINE)


_LINE_BREAK = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
CONTROL = re.compile("[\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")
"""What no value may hold as it is (RFC 5545, 3.1: CONTROL), and what programs take for a line break."""


def escaped(text: str) -> str:
    """A value of the type TEXT (RFC 5545, 3.3.11): backslash, semicolon, comma and line break escaped, of whatever kind
    it is; other control characters, which it cannot hold, are left out."""
    lines = CONTROL.sub(lambda match: match[0] if match[0] == "\n" else "", _LINE_BREAK.sub("\n", text))
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
