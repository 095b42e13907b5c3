"""What a header of a message, which is one line, may not hold."""

from __future__ import annotations

import re

NOT_IN_HEADERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters, and what programs take for a line break. ``channels/header.py`` refuses them too, where nobody
knows any more which file they come from."""
ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[^?\s]*\?[^?]*\?=")
"""What a mail program would decode (RFC 2047), so that a header says something else than was written."""


def header_trouble(text: str) -> str | None:
    """What is wrong with ``text`` in a header, to be put behind the name of it; None where nothing is."""
    found = NOT_IN_HEADERS.search(text)
    if found is not None and found[0] in "\r\n":
        return "is one line of a message; this has several"
    if found is not None:
        return f"is one line of plain text; this holds the character U+{ord(found[0]):04X}"
    if ENCODED_WORD.search(text):
        return "is written as it is to be read; this holds an encoded-word (=?…?=)"
    return None
