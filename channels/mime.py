"""An RFC 5322 message, as bytes, of a rendered ``Message``: a skeleton made once a sender, filled in, read back.

The parts are 7-bit safe (quoted-printable or base64, whichever is shorter), so that no server needs 8BITMIME. Only an
address whose local part is not ASCII makes raw UTF-8 headers (RFC 6531) necessary. Written by hand because
``email.message.EmailMessage`` takes thirty times as long, and because on several releases of Python 3.11 it lets a
subject smuggle a header (CVE-2024-6923).

Nothing is handed over that does not read back to what was meant. Of each message the head is read field by field,
and each body is decoded, by ``header.py`` and ``binascii``; a message of each skeleton is parsed by the standard
library as well, whose parser would cost more than all the rest if it saw every message.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.utils import format_datetime
from functools import lru_cache
from re import compile as pattern

from channels.base import Attachment, Message
from channels.header import Unfit, address, check_value, fields, shown, written, written_mailbox

NO_SENDER = "journeys@sender.invalid"
"""The sender where the catalog names none; a transport that leaves the machine refuses it."""

_ALTERNATIVE = b"=_alternative"
_MIXED = b"=_mixed"
"""Occur in no body: ``=_`` is neither quoted-printable nor base64, and no 7bit body is written with it."""
_FILE_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MEDIA_TYPE = pattern(r"text/[a-z]{1,20}")
_METHOD = pattern(r"[A-Z-]{1,20}")
_LINE = 78
_HEADER_NAME = pattern(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_KEY = pattern(r"[A-Za-z0-9._-]{1,128}")
_OURS = frozenset(
    {"date", "from", "to", "cc", "bcc", "sender", "reply-to", "subject", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding", "dkim-signature"}
)


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A message as it goes over the wire. ``content`` ends its lines with CRLF; ``smtputf8`` tells that its headers
    hold raw UTF-8, which the receiving server must have offered to take."""

    sender: str
    recipient: str
    content: bytes
    smtputf8: bool


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """What all messages of one sender have in common, written, and as it is meant to read (name, value)."""

    sender: str
    domain: str
    head: bytes
    meant: Sequence[tuple[str, str]]
    smtputf8: bool


def build(message: Message) -> Mail:
    """The message as an email: its text always, the HTML beside it where there is one, then what goes along.

    ``Date`` is the instant at which policy let it go and ``Message-ID`` is made of the idempotency key, so every
    attempt builds the same bytes. Raises Unfit where an address is none, a header holds control characters or
    encoded-words, or the result does not read back to what was meant.
    """
    skeleton = _skeleton(message.sender_name, message.sender_address or NO_SENDER, message.reply_to)
    recipient = address(message.recipient, "recipient")
    if not _KEY.fullmatch(message.idempotency_key):
        raise Unfit("the idempotency key cannot be a Message-ID")
    check_value("Subject", message.subject)
    identity = f"<{message.idempotency_key}@{skeleton.domain}>"
    date = _date(message.let_go_at)
    extra = _extra(message.headers) if message.headers else ()
    parts = [_part("plain", _encoded(message.text))]
    if message.html:
        parts.append(_part("html", _encoded(message.html)))
    content = _bodies(parts, _ALTERNATIVE, "alternative")
    if message.attachments:
        content = _bodies([content, *map(_attached, message.attachments)], _MIXED, "mixed")

    head = b"".join(
        (
            f"Date: {date}\r\n".encode(),
            skeleton.head,
            f"To: {recipient}\r\n".encode(),
            written("Subject", message.subject),
            # A Message-ID is one word, which is never folded.
            f"Message-ID: {identity}\r\n".encode(),
            *(written(name, value) for name, value in extra),
            b"MIME-Version: 1.0\r\n",
        )
    )
    meant = [
        ("Date", date),
        *skeleton.meant,
        ("To", recipient),
        ("Subject", message.subject),
        ("Message-ID", identity),
        *extra,
        ("MIME-Version", "1.0"),
    ]
    if [(name, shown(name, value)) for name, value in _named(head)] != meant:
        raise Unfit("its headers do not read back as they were meant")
    return Mail(
        sender=skeleton.sender,
        recipient=recipient,
        content=head + content,
        smtputf8=skeleton.smtputf8 or not recipient.isascii(),
    )


def _named(head: bytes) -> Iterator[tuple[str, bytes]]:
    return ((name.decode(), value) for name, value in fields(head))


@lru_cache(maxsize=1024)
def _skeleton(name: str | None, sender: str, reply_to: str | None) -> Skeleton:
    """The skeleton of a sender, which the standard library reads as it is meant. Raises Unfit."""
    sender = address(sender, "sender")
    answers = address(reply_to, "reply-to address") if reply_to else None
    if name:
        check_value("From", name)
    meant = [("From", f"{name} <{sender}>" if name else sender)]
    head = written_mailbox("From", name, sender)
    if answers:
        meant.append(("Reply-To", answers))
        head += written_mailbox("Reply-To", None, answers)
    _parse(head, meant)
    return Skeleton(
        sender=sender,
        domain=sender.rpartition("@")[2],
        head=head,
        meant=tuple(meant),
        smtputf8=not (sender + (answers or "")).isascii(),
    )


def _parse(head: bytes, meant: Sequence[tuple[str, str]]) -> None:
    """Raise Unfit unless the standard library finds in ``head``, above two parts, exactly what was meant."""
    parsed = message_from_bytes(
        head + _bodies([_part("plain", b"a\r\n"), _part("html", b"b\r\n")], _ALTERNATIVE, "alternative")
    )
    # The parser keeps raw UTF-8 (RFC 6531) as surrogates.
    found = [
        (name, shown(name, str(value).encode("utf-8", "surrogateescape")))
        for name, value in parsed.raw_items()
    ]
    if found[:-1] != list(meant) or found[-1][0] != "Content-Type" or not parsed.is_multipart():
        raise Unfit("its headers do not read back as they were meant")


@lru_cache(maxsize=1024)
def _date(instant: datetime) -> str:
    return format_datetime(instant)


def _extra(headers: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """The headers that a message adds, by name. Raises Unfit for those that it may not."""
    extra = sorted(headers.items())
    names = [name.lower() for name, _ in extra]
    for (name, value), lower in zip(extra, names, strict=True):
        if not _HEADER_NAME.fullmatch(name) or lower in _OURS or names.count(lower) > 1:
            raise Unfit(f"the header {name!r} is not one that a message may add")
        check_value(name, value)
    return extra


# Bodies ------------------------------------------------------------------------------------------------------------


def _encoded(text: str) -> bytes:
    """The text in UTF-8 with CRLF line ends, and one at its end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return text.rstrip("\n").replace("\n", "\r\n").encode() + b"\r\n"
    except UnicodeEncodeError:
        raise Unfit("the body holds a lone surrogate") from None


def _bodies(parts: Sequence[bytes], boundary: bytes, subtype: str) -> bytes:
    """What follows the message's own headers: one part, or several between boundaries."""
    if len(parts) == 1:
        return parts[0]
    # The line break before a boundary belongs to the boundary (RFC 2046, 5.1.1).
    line = b"--" + boundary
    joined = b"".join(b"%b\r\n%b\r\n" % (line, part) for part in parts)
    bodies = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n%b%b--\r\n' % (
        subtype.encode(),
        boundary,
        joined,
        line,
    )
    if bodies.count(line) != len(parts) + 1:
        raise Unfit("its body holds the boundary between parts")
    return bodies


def _attached(attachment: Attachment) -> bytes:
    """A file that goes along, byte for byte; of a calendar, what it asks for (RFC 6047, 2.4). Raises Unfit."""
    method = f"; method={attachment.method}" if attachment.method else ""
    if (
        not _FILE_NAME.fullmatch(attachment.name)
        or not _MEDIA_TYPE.fullmatch(attachment.media_type)
        or (attachment.method and not _METHOD.fullmatch(attachment.method))
    ):
        raise Unfit("the name or the type of a file that goes along cannot be written in a mail")
    try:
        data = attachment.text.encode()
    except UnicodeEncodeError:
        raise Unfit("a file that goes along holds a lone surrogate") from None
    body = _in_base64(data)
    if binascii.a2b_base64(body) != data:
        raise Unfit("a file that goes along does not read back as it was meant")
    return (
        f'Content-Type: {attachment.media_type}; charset=utf-8{method};\r\n name="{attachment.name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{attachment.name}"\r\n\r\n'
    ).encode() + body


def _part(subtype: str, data: bytes) -> bytes:
    """One body part with its headers: 7bit where it is, else the shorter of quoted-printable and base64. Raises Unfit
    where it does not decode to ``data``."""
    encoding, body = _transferable(data)
    if _DECODED[encoding](body) != data:
        raise Unfit("its body does not read back as it was meant")
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype.encode(),
        encoding.encode(),
        body,
    )


_DECODED = {
    "7bit": lambda body: body,
    "quoted-printable": binascii.a2b_qp,
    "base64": binascii.a2b_base64,
}


def _transferable(data: bytes) -> tuple[str, bytes]:
    """The name of the encoding, and the data in it, in lines of at most 78 bytes."""
    plain = data.isascii() and b"\0" not in data and b"=_" not in data
    if plain and max(map(len, data.split(b"\r\n"))) <= _LINE:
        return "7bit", data
    quoted = binascii.b2a_qp(data, istext=True)
    if len(quoted) * 3 <= len(data) * 4 + 200:
        return "quoted-printable", quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return "base64", _in_base64(data)


def _in_base64(data: bytes) -> bytes:
    lines = [binascii.b2a_base64(data[i : i + 57], newline=False) for i in range(0, len(data), 57)]
    return b"\r\n".join(lines) + b"\r\n"
