"""A domain in ASCII, as mail is written to it and the DNS has it (IDNA, RFC 3490)."""

from __future__ import annotations


def written_domain(domain: str) -> str:
    """The domain in ASCII. Raises UnicodeError where it is none: an empty or too long label, a character that no domain
    may hold."""
    return domain.encode("idna").decode("ascii")


def ascii_domain(domain: str) -> str:
    """The domain as the DNS has it, in lower case; as it is where it is none."""
    try:
        return written_domain(domain).lower()
    except UnicodeError:
        return domain
