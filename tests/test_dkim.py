"""Signatures that others verify, and keys that are refused without being shown."""

from __future__ import annotations

import base64
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.dkim import Signer, signed, signer, signers_from
from channels.header import Unfit
from channels.mime import build
from tests.sample_message import a_message

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()


def pem(key: Any, encryption: Any = None) -> bytes:
    written: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return written


def record(key: Any) -> bytes:
    """The TXT record of the key's public half."""
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


KEYS = {b"r._domainkey.shop.example.": RSA, b"e._domainkey.shop.example.": ED25519}


def dns(name: bytes, timeout: int = 5) -> bytes:
    return record(KEYS[name])


@pytest.fixture(autouse=True)
def ed25519_verified_by_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """dkimpy asks PyNaCl about Ed25519 signatures; what it asks is answered by `cryptography` here, so that no second
    library of ciphers is needed."""

    class VerifyKey:
        def __init__(self, text: bytes, encoder: object) -> None:
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

        def verify(self, message: bytes, signature: bytes) -> bytes:
            self._key.verify(signature, message)
            return message

    nacl = types.SimpleNamespace(
        signing=types.SimpleNamespace(VerifyKey=VerifyKey),
        encoding=types.SimpleNamespace(Base64Encoder=None),
        exceptions=types.SimpleNamespace(BadSignatureError=InvalidSignature, ValueError=ValueError),
    )
    monkeypatch.setattr(dkimpy, "nacl", nacl, raising=False)


RSA_SIGNER = signer(domain="shop.example", selector="r", pem=pem(RSA))
ED25519_SIGNER = signer(domain="shop.example", selector="e", pem=pem(ED25519))
BOTH = (RSA_SIGNER, ED25519_SIGNER)


def verifies(content: bytes, *, signatures: int = 1) -> bool:
    try:
        return all(dkimpy.DKIM(content).verify(idx=place, dnsfunc=dns) for place in range(signatures))
    except dkimpy.ValidationError:
        return False


@pytest.mark.parametrize("each", BOTH, ids=lambda each: each.algorithm)
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"subject": "თქვენი კალათა გელოდებათ ჩვენთან, 80 ₾ და კიდევ სამი საყვარელი ნივთი"},
        {"subject": "two  spaces,  and more " * 5},
        {"subject": ""},
        {"text": ""},
        {"text": "\n\n  spaces at the end of lines   \n\ttabs\t \n\n\n"},
        {"html": "<p>Hello <b>Ana</b> – a dash, " + "and a long line " * 30},
        {"sender_name": "ჩვენი მაღაზია", "reply_to": "help@shop.example"},
        {"headers": {"List-Unsubscribe": "<https://shop.example/u/abc>", "List-Unsubscribe-Post": "x"}},
    ],
)
def test_others_verify_what_is_signed(each: Signer, changed: dict[str, Any]) -> None:
    assert verifies(signed(build(a_message(**changed)).content, [each]))


def test_two_signatures_stand_side_by_side() -> None:
    content = signed(build(a_message()).content, BOTH)
    assert content.count(b"DKIM-Signature:") == 2
    assert verifies(content, signatures=2)
    assert max(map(len, content.split(b"\r\n"))) <= 100


def test_the_same_message_is_signed_the_same_each_time() -> None:
    content = build(a_message()).content
    assert signed(content, BOTH) == signed(content, BOTH)


TEXT = st.text(st.characters(blacklist_categories=("Cs",)) | st.sampled_from(" \t\r\n"), max_size=200)


@settings(max_examples=60, deadline=None)
@given(subject=TEXT, text=TEXT, html=st.none() | TEXT)
def test_whatever_is_built_is_signed_so_that_others_verify_it(
    subject: str, text: str, html: str | None
) -> None:
    try:
        content = build(a_message(subject=subject, text=text, html=html)).content
    except Unfit:
        return
    assert verifies(signed(content, [RSA_SIGNER]))


@pytest.mark.parametrize(
    "forged",
    [
        lambda content: b"From: eve@evil.example\r\n" + content,
        lambda content: content.replace(b"\r\nTo:", b"\r\nSubject: Another\r\nTo:"),
        lambda content: content.replace(b"\r\nTo:", b"\r\nReply-To: eve@evil.example\r\nTo:"),
        lambda content: content.replace(b"\r\nTo:", b"\r\nCc: eve@evil.example\r\nTo:"),
        lambda content: content.replace(b"Your cart", b"Your card"),
        lambda content: content.replace(b"/u/abc", b"/u/abd"),
        lambda content: content.replace(b"\r\nTo:", b"\r\nList-Unsubscribe: <https://evil.example>\r\nTo:"),
        lambda content: content.replace(b"Hello Ana", b"Hello Eve"),
        lambda content: content + b"more\r\n",
    ],
)
def test_nothing_can_be_added_or_changed_on_the_way(forged: Callable[[bytes], bytes]) -> None:
    message = a_message(headers={"List-Unsubscribe": "<https://shop.example/u/abc>"})
    content = signed(build(message).content, [RSA_SIGNER])
    assert verifies(content)
    assert forged(content) != content
    assert not verifies(forged(content))


def test_headers_of_lists_may_be_added_where_there_are_none() -> None:
    content = signed(build(a_message()).content, [RSA_SIGNER])
    assert verifies(b"List-Unsubscribe: <https://list.example>\r\n" + content)


# Settings ----------------------------------------------------------------------------------------------------------


def test_keys_come_from_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "r.pem").write_bytes(pem(RSA))
    flat = pem(ED25519).decode().replace("\n", "\\n")
    made = signers_from(
        [
            {"domain": "Shop.Example", "selector": "r", "key_file": "r.pem"},
            {"domain": "shop.example", "selector": "e", "key": flat},
        ],
        tmp_path,
    )
    assert [(each.domain, each.algorithm) for each in made] == [
        ("shop.example", "rsa-sha256"),
        ("shop.example", "ed25519-sha256"),
    ]
    assert verifies(signed(build(a_message()).content, made), signatures=2)
    assert "PRIVATE" not in repr(made)


def test_pkcs1_keys_are_read() -> None:
    traditional = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert signer(domain="shop.example", selector="r", pem=traditional).algorithm == "rsa-sha256"


GOOD = {"domain": "shop.example", "selector": "s1", "key": pem(RSA).decode()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("x", "must have domain"),
        ([], "needs domain"),
        ({**GOOD, "domain": "shop"}, "not a domain name"),
        ({**GOOD, "domain": "shop.example; d=evil.example"}, "not a domain name"),
        ({**GOOD, "selector": "a b"}, "selector"),
        ({**GOOD, "selector": 1}, "dkim.selector must be a text"),
        ({**GOOD, "selektor": "a"}, "unknown option dkim.selektor"),
        ({"selector": "a", "key": "b"}, "needs domain"),
        ({**GOOD, "key_file": "k.pem"}, "either key_file or key"),
        ({"domain": "shop.example", "selector": "a"}, "either key_file or key"),
        (
            {"domain": "shop.example", "selector": "a", "key_file": "absent.pem"},
            "absent.pem cannot be read: No such",
        ),
        ({"domain": "shop.example", "selector": "a", "key_file": "."}, "cannot be read"),
        ({**GOOD, "key": "correct horse"}, "not a private key in PEM"),
        ({**GOOD, "key": GOOD["key"][:200]}, "not a private key in PEM"),
        ({**GOOD, "key": pem(rsa.generate_private_key(65537, 1024)).decode()}, "1024 bits"),
        ({**GOOD, "key": pem(ec.generate_private_key(ec.SECP256R1())).decode()}, "neither RSA nor Ed25519"),
        ({**GOOD, "key": pem(RSA, BestAvailableEncryption(b"horse")).decode()}, "encrypted"),
    ],
)
def test_what_is_wrong_is_said_and_no_key_is_shown(options: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        signers_from(options, tmp_path)
    key = options.get("key", "") if isinstance(options, dict) else ""
    shown = "".join(str(error) for error in (caught.value, caught.value.__cause__))
    assert not any(line in shown for line in key.splitlines() if not line.startswith("-----"))
