"""DKIM signatures (RFC 6376): rsa-sha256 and ed25519-sha256 (RFC 8463), relaxed/relaxed.

``cryptography`` signs; the canonical form is made here, because signing libraries parse each message anew and take
thirty times as long. The tests have dkimpy verify what this module signs.

Headers are *oversigned*: each is named once more than it occurs, so that nobody on the way can add a second ``From``
or ``Subject`` without breaking the signature. There is no ``t=`` and no ``x=``: every attempt at a message gives the
same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from channels.domain import ascii_domain
from channels.header import fields

FEWEST_BITS = 2048
"""Of an RSA key. Receivers refuse fewer than 1024 (RFC 8301, 3.2), and 2048 is what signers should use."""
LARGEST_KEY_FILE = 64_000

_ALWAYS = (
    *("from", "to", "cc", "reply-to", "subject", "date", "message-id"),
    *("mime-version", "content-type", "content-transfer-encoding"),
)
"""Signed and oversigned, also where they are missing: then none can be added."""
_IF_PRESENT = ("list-unsubscribe", "list-unsubscribe-post")
"""Signed and oversigned where they are. A mailing list on the way may add its own."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SPACES = re.compile(rb"[ \t]+")
_COLUMNS = 72


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key, and where its public half stands: ``selector._domainkey.domain``. Make one with ``signer``."""

    domain: str
    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes] = field(repr=False)
    """The signature of a SHA-256 digest, 32 bytes."""


def signer(*, domain: str, selector: str, pem: bytes) -> Signer:
    """A signer with the private key ``pem`` (PKCS #8 or PKCS #1, not encrypted; RSA of 2048 bits or more, or Ed25519).

    Raises ValueError that says what is wrong, and never a part of the key.
    """
    name = ascii_domain(domain)
    if not _DOMAIN.fullmatch(name):
        raise ValueError(f"domain {domain!r} is not a domain name")
    if not _SELECTOR.fullmatch(selector):
        raise ValueError(f"selector {selector!r} is not a name in the DNS")
    key = _key(pem)
    if isinstance(key, RSAPrivateKey):
        if key.key_size < FEWEST_BITS:
            raise ValueError(f"the RSA key has {key.key_size} bits, and {FEWEST_BITS} are needed")
        scheme, digested = PKCS1v15(), Prehashed(SHA256())
        return Signer(
            domain=name,
            selector=selector,
            algorithm="rsa-sha256",
            sign=lambda digest: key.sign(digest, scheme, digested),
        )
    return Signer(domain=name, selector=selector, algorithm="ed25519-sha256", sign=key.sign)


def signers_from(options: object, folder: Path) -> tuple[Signer, ...]:
    """The signers that a deployment's ``dkim`` describes: ``{domain, selector, key_file | key}``, or a list of those.

    ``key_file`` is relative to ``folder``; ``key`` is the key itself, from an environment variable. Raises ValueError
    that names the option that is wrong, and never shows a part of a key.
    """
    described = options if isinstance(options, list) else [options]
    if not described:
        raise ValueError("dkim needs domain, selector and key_file")
    return tuple(_signer_from(each, folder) for each in described)


def signed(content: bytes, signers: Sequence[Signer]) -> bytes:
    """The message (CRLF line ends) with a ``DKIM-Signature`` of each of ``signers`` on top."""
    if not signers:
        return content
    head, body = _split(content)
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    present = [(name.lower().decode(), value) for name, value in fields(head)]
    names = _signed_names(tuple(name for name, _ in present))
    covered = _canonical(present, names)
    return b"".join(_signature(each, names, digest, covered) for each in signers) + content


# The canonical form (RFC 6376, 3.4) --------------------------------------------------------------------------------


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376, 3.4.4: runs of white space are one space, none ends a line, no empty line ends the body."""
    if b"\t" in body or b"  " in body:
        body = _SPACES.sub(b" ", body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def relaxed_value(value: bytes) -> bytes:
    """RFC 6376, 3.4.2: unfolded, runs of white space one space, none at either end."""
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    return _SPACES.sub(b" ", value).strip(b" ")


def _canonical(present: Sequence[tuple[str, bytes]], names: Sequence[str]) -> bytes:
    """The fields that ``names`` cover, the last of a name first; a name beyond those there are covers nothing."""
    left: dict[str, list[bytes]] = {}
    for name, value in present:
        left.setdefault(name, []).append(value)
    return b"".join(
        b"%b:%b\r\n" % (name.encode(), relaxed_value(left[name].pop())) for name in names if left.get(name)
    )


@lru_cache
def _signed_names(present: tuple[str, ...]) -> Sequence[str]:
    """The names of ``h=``: each that is covered as often as it occurs, and once more."""
    covered = (*_ALWAYS, *(name for name in _IF_PRESENT if name in present))
    return tuple(name for name in covered for _ in range(present.count(name) + 1))


def _split(content: bytes) -> tuple[bytes, bytes]:
    head, _, body = content.partition(b"\r\n\r\n")
    return head + b"\r\n", body


# The signature -----------------------------------------------------------------------------------------------------


def _signature(signer: Signer, names: Sequence[str], digest: str, covered: bytes) -> bytes:
    """The ``DKIM-Signature`` field with its line break."""
    value = _unsigned(signer, names) % digest.encode()
    # Its own field is the last that is covered, without its line break and with an empty b=.
    data = covered + b"dkim-signature:" + relaxed_value(value)
    encoded = base64.b64encode(signer.sign(hashlib.sha256(data).digest()))
    lines = [encoded[at : at + _COLUMNS] for at in range(0, len(encoded), _COLUMNS)]
    return b"DKIM-Signature: %b%b\r\n" % (value, b"\r\n ".join(lines))


@lru_cache
def _unsigned(signer: Signer, names: Sequence[str]) -> bytes:
    """The value up to ``b=``, folded, with ``%b`` where the hash of the body is to stand."""
    lines, line = [], "h="
    for place, name in enumerate(names):
        item = name + (":" if place + 1 < len(names) else ";")
        if len(line) + len(item) > _COLUMNS:
            lines.append(line)
            line = ""
        line += item
    lines.append(line)
    head = f"v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n d={signer.domain}; s={signer.selector};\r\n "
    return (head + "\r\n ".join(lines) + "\r\n bh=%b;\r\n b=").encode()


# Keys --------------------------------------------------------------------------------------------------------------


def _signer_from(options: object, folder: Path) -> Signer:
    if not isinstance(options, Mapping):
        raise ValueError("dkim must have domain, selector and key_file (or key)")
    known = {"domain", "selector", "key_file", "key"}
    if unknown := sorted(set(options) - known):
        raise ValueError(f"unknown option dkim.{unknown[0]}; dkim has {', '.join(sorted(known))}")
    for name, value in options.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"dkim.{name} must be a text that is not empty")
    if missing := [name for name in ("domain", "selector") if name not in options]:
        raise ValueError(f"dkim needs {missing[0]}")
    if ("key" in options) == ("key_file" in options):
        raise ValueError("dkim needs either key_file or key")
    try:
        # Some ways of setting a variable turn line breaks into \n.
        pem = (
            options["key"].replace("\\n", "\n").encode()
            if "key" in options
            else _read(folder / options["key_file"])
        )
        return signer(domain=options["domain"], selector=options["selector"], pem=pem)
    except ValueError as error:
        raise ValueError(f"dkim: {error}") from None


def _read(path: Path) -> bytes:
    """The key file. Raises ValueError that says what hinders."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_KEY_FILE)
    except PermissionError:
        raise ValueError(f"the key file {path} may not be read by this user") from None
    except OSError as error:
        raise ValueError(f"the key file {path} cannot be read: {error.strerror or error}") from None


def _key(pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    # The library's own words could repeat a part of what it was given, so none of them is passed on.
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("the key is encrypted; give it without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the key is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("the key is neither RSA nor Ed25519")
    return key
