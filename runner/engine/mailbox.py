"""Whom a message is from, and who gets its answers: a display name and an address.

Which is which, the template alone says. People fill in values, so a bracket in a value is a part of the name, and never
begins an address.
"""

from __future__ import annotations

import re
from functools import lru_cache

from runner.journey.template_pieces import Kind, pieces_of

_OPENED, _CLOSED = "\x02", "\x03"
_BRACKETS = str.maketrans("<>", _OPENED + _CLOSED)
_NAMED = re.compile(f"([^{_OPENED}{_CLOSED}]*){_OPENED}([^{_OPENED}{_CLOSED}]*){_CLOSED}")
_PART = r'[^\s\x00-\x1f\x7f<>()\[\]\\,;:"@]+'
_ADDRESS = re.compile(f"{_PART}@{_PART}")


@lru_cache(maxsize=512)
def marked(source: str) -> str:
    """The template of a mailbox, ``Name <address>``, with the brackets that its text has made marks: they are found
    again once it is rendered, and no value of a person has any. Raises TemplateTrouble."""
    pieces = pieces_of(source, "", 1)
    return "".join(
        piece.text.translate(_BRACKETS) if piece.kind is Kind.TEXT else piece.text for piece in pieces
    )


def mailbox(text: str, source: str) -> tuple[str | None, str] | None:
    """The name, if there is one, and the address, of what the template ``source``, which was ``marked``, came out as.
    None where that is not one plain address (the ``addr-spec`` of RFC 5322 without quotes)."""
    named = _NAMED.fullmatch(text.strip()) if _OPENED in source else None
    name, address = (named[1].strip(), named[2].strip()) if named else ("", text.strip())
    if not _ADDRESS.fullmatch(address):
        return None
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name or None, address
