"""Header fields of an email (RFC 5322, 2.2), written for the wire and read back.

What a value may hold, how it is folded and encoded, and what a mail program will make of it.

Reading is a reader of its own, on bytes, and not the inverse of writing: so a mistake in the one does not hide in the
other.
"""

from __future__ import annotations

import base64
import re

from channels.domain import written_domain

LONGEST_HEADER = 2_000
"""Code points of a header's value; more is a mistake in a template."""

_LINE = 78
_WORD = 72
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[^?\s]*\?[^?]*\?=")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u0080-\U0010ffff]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9\-\u0080-\U0010ffff]{1,63}(?:\.[A-Za-z0-9\-\u0080-\U0010ffff]{1,63})*")


class Unfit(ValueError):
    """The message cannot be written as an email that says what was meant; the text says why, without its content."""


# What a value may hold ---------------------------------------------------------------------------------------------


def check_value(name: str, value: str) -> None:
    """Raise Unfit for a value that could begin another header, or that a mail program would decode."""
    if _CONTROL.search(value):
        raise Unfit(f"the header {name} holds a control character or a line break")
    if "=?" in value and _ENCODED_WORD.search(value):
        raise Unfit(f"the header {name} holds an encoded-word (=?…?=)")
    if len(value) > LONGEST_HEADER:
        raise Unfit(f"the header {name} is longer than {LONGEST_HEADER} characters")


def address(text: str, role: str) -> str:
    """The address with its domain in ASCII (IDNA). Quoted local parts are refused: attackers alone have them."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or _CONTROL.search(text):
        raise Unfit(f"the {role} is not an email address that can be written to")
    try:
        return f"{local}@{written_domain(domain)}"
    except UnicodeError:
        raise Unfit(f"the {role}'s domain is not a domain name") from None


# Writing -----------------------------------------------------------------------------------------------------------


def written(name: str, value: str) -> bytes:
    """One field with its line break: folded where it is long, encoded-words where it is not ASCII."""
    if not value:
        return f"{name}:\r\n".encode()
    folded = _folded(f"{name}: {value}") if value.isascii() else None
    if folded is None:
        folded = f"{name}: {_encoded_words(value, len(name) + 2)}"
    return folded.encode() + b"\r\n"


def written_mailbox(name: str, display: str | None, address: str) -> bytes:
    """A field of one address with its line break: the display name quoted, or encoded where it is not ASCII."""
    if not display:
        return f"{name}: {address}\r\n".encode()
    if display.isascii() and len(display) < 50:
        quoted = re.sub(r'(["\\])', r"\\\1", display)
        fold = "\r\n" if len(name) + len(quoted) + len(address) + 7 > _LINE else ""
        return f'{name}: "{quoted}"{fold} <{address}>\r\n'.encode()
    return f"{name}: {_encoded_words(display, len(name) + 2)}\r\n <{address}>\r\n".encode()


def _folded(line: str) -> str | None:
    """An ASCII header folded at single spaces, or None where it cannot be without changing it."""
    if len(line) <= _LINE and not line.endswith(" "):
        return line
    words = line.split(" ")
    if any(not word or len(word) > _WORD for word in words):
        return None
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= _LINE or len(lines) == 1 == len(lines[0].split(" ")):
            lines[-1] += " " + word
        else:
            lines.append(word)
    return "\r\n ".join(lines)


def _encoded_words(text: str, used: int) -> str:
    """RFC 2047 encoded-words (UTF-8, base64), one a line; ``used`` columns of the first line are taken."""
    words: list[str] = []
    chunk = bytearray()
    room = (_LINE - used - 12) // 4 * 3
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > room:
            words.append(base64.b64encode(chunk).decode())
            chunk.clear()
            room = 45
        chunk += encoded
    words.append(base64.b64encode(chunk).decode())
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


# Reading -----------------------------------------------------------------------------------------------------------

_FIELD = re.compile(rb"([!-9;-~]+):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
_FOLD = re.compile(r"\r\n(?=[ \t])")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)" (<[^<>]*>)')
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]+(?==\?)")
_OUR_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]+)\?=")


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a head by name, with their values as they stand, folds and leading space included.

    Raises Unfit where any byte of ``head`` belongs to no field: a line that is neither one nor its continuation, a
    line break that is not CRLF.
    """
    found: list[tuple[bytes, bytes]] = []
    place = 0
    while place < len(head):
        match = _FIELD.match(head, place)
        if match is None:
            raise Unfit("its head holds a line that is no header")
        found.append((match[1], match[2]))
        place = match.end()
    return found


MAILBOXES = frozenset({"From", "Reply-To"})
"""The fields in which quotes stand around a name. Elsewhere they are what it says: a subject may be ``"Ana" <…>``."""


def shown(name: str, value: bytes) -> str:
    """What a mail program shows for the value of the field ``name`` as it stands: unfolded, decoded, names of mailboxes
    unquoted."""
    # The space after the colon is no part of the value (as every writer puts one there).
    text = value.decode("utf-8", "replace").removeprefix(" ")
    if "\r\n" in text:
        text = _FOLD.sub("", text)
    if name in MAILBOXES and text.startswith('"') and (quoted := _QUOTED.fullmatch(text)):
        return re.sub(r"\\(.)", r"\1", quoted[1]) + " " + quoted[2]
    if "=?" not in text:
        return text
    return _OUR_WORD.sub(
        lambda word: base64.b64decode(word[1]).decode("utf-8", "replace"), _BETWEEN_WORDS.sub(r"\1", text)
    )
