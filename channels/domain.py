"""A domain as mail is written to it."""

from __future__ import annotations


def ascii_domain(domain: str) -> str:
    """The domain in ASCII (IDNA, RFC 3490). Raises UnicodeError where it is none: an empty or too long label, a
    character that no domain may hold."""
    return domain.encode("idna").decode("ascii")
