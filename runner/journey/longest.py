"""How long may be what is found again by an index: PostgreSQL's index rows hold some 2,700 bytes, and a text in UTF-8
takes up to four bytes a character."""

from __future__ import annotations

from runner.journey.catalog import MESSAGE_EVENTS, OWN_FIELDS
from runner.problem import JourneysError

LONGEST_KEY = 255
"""Characters of a contact's key, an event's name, a message id, a phone number, an account, a channel of feedback."""
LONGEST_EMAIL = 254
"""Octets of an address of mail: a path has 256 with its brackets (RFC 5321, section 4.5.3.1.3, and erratum 1690 of RFC
3696)."""


def too_long_for(field: str, text: str) -> str | None:
    """Why ``text`` is too long for the contact's ``field``, in words that read after "is"; None where it is not."""
    if field == "email":
        return f"longer than {LONGEST_EMAIL} octets" if len(text.encode()) > LONGEST_EMAIL else None
    return too_long(text) if field in OWN_FIELDS else None


def too_long_in(event: str, name: str, text: object) -> str | None:
    """Why ``text`` is too long for the property ``name`` of a reserved event; None where it is not."""
    found = event in MESSAGE_EVENTS and name in ("channel", "address") and isinstance(text, str)
    return too_long(str(text)) if found else None


def too_long(text: str) -> str | None:
    """Why ``text`` is too long for a key; None where it is not."""
    return f"longer than {LONGEST_KEY} characters" if len(text) > LONGEST_KEY else None


def refuse_long_key(key: str) -> None:
    """Raises JourneysError where ``key``, which a caller gave, is too long."""
    if why := too_long(key):
        raise JourneysError(f"The key is {why}.")
