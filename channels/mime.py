"""An RFC 5322 message, as bytes, of a rendered ``Message``: written out, re-parsed by the standard library, compared.

The parts are 7-bit safe (quoted-printable or base64, whichever is shorter), so that no server needs 8BITMIME. Only an
address whose local part is not ASCII makes raw UTF-8 headers (RFC 6531) necessary. Written by hand because
``email.message.EmailMessage`` takes several times as long, and because on several releases of Python 3.11 it lets a
subject smuggle a header (CVE-2024-6923): nothing is handed over that does not parse back to what was meant.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.utils import format_datetime

from channels.base import Message

NO_SENDER = "journeys@sender.invalid"
"""The sender where the catalog names none; a transport that leaves the machine refuses it."""

LONGEST_HEADER = 2_000
"""Code points of a header's value; more is a mistake in a template."""

_BOUNDARY = "=_alternative"
"""Occurs in no body: ``=_`` is neither quoted-printable nor base64, and no 7bit body is written with it. The same for
all messages, because the standard library compiles a pattern for each that it meets."""
_LINE = 78
_WORD = 72
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[^?\s]*\?[^?]*\?=")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u0080-\U0010ffff]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9\-\u0080-\U0010ffff]{1,63}(?:\.[A-Za-z0-9\-\u0080-\U0010ffff]{1,63})*")
_OURS = frozenset(
    {"date", "from", "to", "cc", "bcc", "sender", "reply-to", "subject", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding"}
)


class Unfit(ValueError):
    """The message cannot be written as an email that says what was meant; the text says why, without its content."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A message as it goes over the wire. ``content`` ends its lines with CRLF; ``smtputf8`` tells that its headers
    hold raw UTF-8, which the receiving server must have offered to take."""

    sender: str
    recipient: str
    content: bytes
    smtputf8: bool


def build(message: Message) -> Mail:
    """The message as an email: its text always, the HTML beside it where there is one.

    ``Date`` is the instant at which policy let it go and ``Message-ID`` is made of the idempotency key, so every
    attempt builds the same bytes. Raises Unfit where an address is none, a header holds control characters or
    encoded-words, or the result does not parse back to what was meant.
    """
    sender = _address(message.sender_address or NO_SENDER, "sender")
    recipient = _address(message.recipient, "recipient")
    reply_to = _address(message.reply_to, "reply-to address") if message.reply_to else None
    smtputf8 = not (sender + recipient + (reply_to or "")).isascii()

    meant = [
        ("Date", format_datetime(message.let_go_at)),
        ("From", _mailbox(message.sender_name, sender)),
        ("To", recipient),
        *([("Reply-To", reply_to)] if reply_to else []),
        ("Subject", message.subject),
        ("Message-ID", f"<{message.idempotency_key}@{sender.rpartition('@')[2]}>"),
        *_extra(message),
        ("MIME-Version", "1.0"),
    ]
    for name, value in meant:
        if name not in ("From", "To", "Reply-To"):
            _check_value(name, value)

    text = _lines(message.text)
    parts = [("plain", text)] + ([("html", _lines(message.html))] if message.html else [])
    content = _assemble(meant, parts)
    _compare(content, meant, parts)
    return Mail(sender=sender, recipient=recipient, content=content, smtputf8=smtputf8)


def _address(text: str, role: str) -> str:
    """The address with its domain in ASCII (IDNA). Quoted local parts are refused: attackers alone have them."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or _CONTROL.search(text):
        raise Unfit(f"the {role} is not an email address that can be written to")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise Unfit(f"the {role}'s domain is not a domain name") from None


def _check_value(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise Unfit(f"the header {name} holds a control character or a line break")
    if _ENCODED_WORD.search(value):
        raise Unfit(f"the header {name} holds an encoded-word (=?…?=)")
    if len(value) > LONGEST_HEADER:
        raise Unfit(f"the header {name} is longer than {LONGEST_HEADER} characters")


def _extra(message: Message) -> list[tuple[str, str]]:
    extra = sorted(message.headers.items())
    names = [name.lower() for name, _ in extra]
    for name in names:
        if not _HEADER_NAME.fullmatch(name) or name in _OURS or names.count(name) > 1:
            raise Unfit(f"the header {name!r} is not one that a message may add")
    return extra


def _mailbox(name: str | None, address: str) -> str:
    """``Name <address>`` as it is meant; ``_written`` quotes or encodes the name."""
    if not name:
        return address
    _check_value("From", name)
    return f"{name} <{address}>"


def _written(name: str, value: str) -> str:
    """One header, folded, without its last line break."""
    if name in ("From", "To", "Reply-To"):
        return _written_mailbox(name, value)
    if name == "Message-ID":
        return f"{name}: {value}"
    if not value:
        return f"{name}:"
    if value.isascii():
        folded = _folded(f"{name}: {value}")
        if folded is not None:
            return folded
    return f"{name}: {_encoded_words(value, len(name) + 2)}"


def _written_mailbox(header: str, value: str) -> str:
    name, bracket, address = value.rpartition(" <")
    if not bracket:
        return f"{header}: {value}"
    if name.isascii() and len(name) < 50:
        quoted = re.sub(r'(["\\])', r"\\\1", name)
        fold = "\r\n" if len(header) + len(quoted) + len(address) + 6 > _LINE else ""
        return f'{header}: "{quoted}"{fold} <{address}'
    return f"{header}: {_encoded_words(name, len(header) + 2)}\r\n <{address}"


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


def _lines(text: str) -> str:
    """The text with CRLF line ends, and one at its end."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    return unix.replace("\n", "\r\n")


def _part(subtype: str, text: str) -> bytes:
    """One body part with its headers: 7bit where it is, else the shorter of quoted-printable and base64."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Unfit("the body holds a lone surrogate") from None
    plain = data.isascii() and b"\0" not in data and b"=_" not in data
    if plain and max(map(len, data.split(b"\r\n"))) <= _LINE:
        encoding, body = "7bit", data
    else:
        quoted = binascii.b2a_qp(data, istext=True)
        if len(quoted) * 3 <= len(data) * 4 + 200:
            encoding, body = "quoted-printable", quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        else:
            lines = [binascii.b2a_base64(data[i : i + 57], newline=False) for i in range(0, len(data), 57)]
            encoding, body = "base64", b"\r\n".join(lines) + b"\r\n"
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body


def _assemble(meant: list[tuple[str, str]], parts: list[tuple[str, str]]) -> bytes:
    head = "".join(_written(name, value) + "\r\n" for name, value in meant).encode()
    bodies = [_part(subtype, text) for subtype, text in parts]
    if len(bodies) == 1:
        return head + bodies[0]
    content_type = f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n\r\n'
    separator = f"--{_BOUNDARY}\r\n".encode()
    # The line break before a boundary belongs to the boundary (RFC 2046, 5.1.1).
    joined = b"".join(separator + body + b"\r\n" for body in bodies)
    return head + content_type.encode() + joined + f"--{_BOUNDARY}--\r\n".encode()


def _compare(content: bytes, meant: list[tuple[str, str]], parts: list[tuple[str, str]]) -> None:
    """Raise Unfit unless the standard library reads exactly what was meant: no header or part more, less or other."""
    parsed = message_from_bytes(content)
    found = [
        (name, _unwritten(str(value))) for name, value in parsed.raw_items() if name.lower() not in _STRUCTURE
    ]
    if found != meant:
        raise Unfit("its headers do not read back as they were meant")
    leaves = list(parsed.get_payload()) if parsed.is_multipart() else [parsed]
    read = [(leaf.get_content_subtype(), leaf.get_payload(decode=True)) for leaf in leaves]
    if [(kind, _decoded(data)) for kind, data in read] != parts:
        raise Unfit("its body does not read back as it was meant")


_STRUCTURE = frozenset({"content-type", "content-transfer-encoding"})


def _decoded(data: object) -> str:
    assert isinstance(data, bytes)
    return data.decode("utf-8", "replace")


_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]+(?==\?)")
_OUR_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]+)\?=")


def _unwritten(raw: str) -> str:
    """What a mail program shows for a header's raw value: unfolded, unquoted, decoded."""
    # The parser keeps raw UTF-8 (RFC 6531) as surrogates.
    unfolded = (
        re.sub(r"\r?\n(?=[ \t])", "", raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
    quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)" (<[^<>]*>)', unfolded)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1]) + " " + quoted[2]
    return _OUR_WORD.sub(
        lambda word: base64.b64decode(word[1]).decode("utf-8", "replace"), _BETWEEN_WORDS.sub(r"\1", unfolded)
    )
