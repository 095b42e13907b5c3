"""What an author writes in any script is what arrives: in headers and bodies of emails, in SMS, letters and webhooks.

The emails are read by two readers that know nothing of who wrote them: the standard library's, and PyPI's mail-parser.
"""

from __future__ import annotations

import email
import email.policy
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mailparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.file import Carried, FileChannel
from channels.mime import build
from channels.registry import Surroundings, open_channels
from channels.segments import BASIC, EXTENDED, Alphabet, outside, segments
from runner.engine.deliver import deliver
from runner.problem import Severity
from runner.review.check import check_files
from runner.store.database import Database
from tests.sample_message import a_message
from tests.servers import AUTHORITY, SECRET, Answer, an_http_server
from tests.shop import START, Shop

PHRASES: Mapping[str, str] = {
    "am": "ውድ ደንበኛችን፣ ጋሪዎ እየጠበቀዎት ነው፤ ሰማንያ ብር እና ሌሎች ሦስት የወደዷቸው ነገሮች አሉ።",
    "az": "Hörmətli müştəri, İlk sifarişiniz üçün Şəkidən gələn ığdır çayı və 10 ₼ endirim sizi gözləyir",
    "ka": "ძვირფასო მეგობარო, თქვენი კალათა გელოდებათ ჩვენთან: 80 ₾ და კიდევ სამი საყვარელი ნივთი, ᲘᲮᲘᲚᲔᲗ!",
    "ar": "مَرْحَبًا بِكُمْ! سلّتكم بانتظاركم: ٨٠ دولارًا (Clear View™)، و\u2067ثلاثة أشياء\u2069 أخرى\u200f — أُعجبتم بها كثيرًا",
    "en": "I\u0307 e\u0301 \u1100\u1161\u11a8 𝒜𞤀𞤣 👩\u200d👩\u200d👧\u200d👦 \u200dᠮᠣᠩᠭᠣᠯ שָׁלוֹם — “intact”, "
    "and longer than a line of seventy-eight columns",
}
"""By locale; Arabic with vowel marks and directions within the line; English with what is not composed, with astral and
joined characters."""
NAMES: Mapping[str, str] = {
    "am": "ጥሩ እይታ",
    "az": "Aydın Görünüş",
    "ka": "ნათელი ხედვა",
    "ar": "رؤية واضحة",
    "en": "Clear View 👓",
}

CATALOG = """
timezone: Asia/Tbilisi
locale: en
attributes: {first_name: {type: string}}
events:
  Signed Up: {plan: string, seats: number}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: smtp, sender: {name: Shop, address: hello@shop.example}}
  sms: {uses: file, cost: 0.09}
  letter: {uses: file, cost: 1.2}
  push: {uses: webhook}
"""
JOURNEY = """
journey: greet
language: 1
title: Greet whoever signs up
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: mail, send: email}
  - {id: text, send: sms}
  - {id: paper, send: letter}
  - {id: hook, send: push}
"""


def files() -> dict[str, str]:
    """The project: each template says the locale's phrase, and the contact's own name in it."""
    written = {"journeys/catalog.yaml": CATALOG, "journeys/greet/journey.yaml": JOURNEY}
    for locale, phrase in PHRASES.items():
        at = f"journeys/greet/{{}}.{locale}.{{}}".format
        front = f'---\nsubject: "{phrase}"\nfrom: "{NAMES[locale]} <hello@shop.example>"\n---\n'
        page = (
            f"<!doctype html>\n<html><body><p>{phrase}</p><p>{{{{ contact.first_name }}}}</p></body></html>\n"
        )
        plain = f"{phrase}\n{{{{ contact.first_name }}}}\n"
        written |= {
            at("mail", "html"): front + page,
            at("mail", "txt"): plain,
            at("text", "txt"): plain,
            at("paper", "html"): page,
            at("paper", "txt"): plain,
            at("hook", "txt"): f'---\nsubject: "{phrase}"\n---\n{plain}',
        }
    return written


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What came of everything, by locale and step: bytes of emails, JSON of the rest."""
    folder = tmp_path_factory.mktemp("texts")
    assert not [each for each in check_files(files()).problems if each.severity is Severity.ERROR]
    shop = Shop(Database.open(f"sqlite:///{folder / 'journeys.db'}"), files())
    for locale, phrase in PHRASES.items():
        shop.sign_up(locale, locale=locale, phone="+995599123456", first_name=phrase)
    found: dict[str, dict[str, Any]] = {locale: {} for locale in PHRASES}
    with an_http_server(Answer(200)) as server:
        overrides: dict[str, dict[str, object]] = {
            "email": {"uses": "file"},
            "push": {"url": server.url, "secret": SECRET, "allow_private": True, "ca_file": str(AUTHORITY)},
        }
        around = Surroundings(folder=folder, clock=lambda: START, durable=False)
        channels = open_channels(shop.catalog.channels.values(), overrides, around)
        while (done := deliver(shop.database, shop.versions, channels, START)).claimed:
            assert done.sent == done.claimed
        for request in server.requests:
            data = json.loads(request.body.decode())["data"]
            found[data["contact"]][data["step"]] = data
    for path in (folder / "outbox").iterdir():
        if path.suffix == ".eml":
            found[path.name.split("-")[3]]["mail"] = path.read_bytes()
        else:
            data = json.loads(path.read_bytes().decode())["data"]
            found[data["contact"]][data["step"]] = data
    shop.database.close()
    return found


def unix(text: str) -> str:
    """A decoded body with the line ends that it was written with: those of the wire are CRLF."""
    return text.replace("\r\n", "\n")


def composed(text: str) -> str:
    """As mail-parser answers whatever it reads: composed, as the text may or may not be."""
    return unicodedata.normalize("NFC", text)


@pytest.fixture(params=PHRASES)
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_email_says_it_to_the_standard_library(arrived: Mapping[str, Any], locale: str) -> None:
    content = arrived[locale]["mail"]
    assert content.isascii()
    # A Message-ID is one word, which is never folded.
    assert max(len(line) for line in content.split(b"\r\n") if not line.startswith(b"Message-ID")) <= 78
    read = email.message_from_bytes(content, policy=email.policy.default)
    assert read["Subject"] == PHRASES[locale]
    assert read["From"].addresses[0].display_name == NAMES[locale]
    text, page = read.get_body(["plain"]), read.get_body(["html"])
    assert text is not None
    assert page is not None
    assert unix(text.get_content()) == f"{PHRASES[locale]}\n{PHRASES[locale]}\n"
    assert page.get_content().count(PHRASES[locale]) == 2


def test_an_email_says_it_to_another_reader(arrived: Mapping[str, Any], locale: str) -> None:
    read = mailparser.parse_from_bytes(arrived[locale]["mail"])
    assert not read.has_defects
    assert read.subject == composed(PHRASES[locale])
    assert read.from_ == [(NAMES[locale], "hello@shop.example")]
    assert read.to == [("", f"{locale}@x.example")]
    said = composed(PHRASES[locale])
    assert [unix(text) for text in read.text_plain] == [f"{said}\n{said}\n"]
    assert read.text_html[0].count(said) == 2


def test_an_sms_says_it_and_counts_its_segments(arrived: Mapping[str, Any], locale: str) -> None:
    sms = arrived[locale]["text"]
    said = f"{PHRASES[locale]}\n{PHRASES[locale]}"
    assert sms["text"] == said
    assert sms["recipient"] == "+995599123456"
    units = len(said.encode("utf-16-be")) // 2
    assert sms["segments"] == {"count": -(-units // 67), "alphabet": "ucs-2", "places": units}
    assert sms["cost"] == 0.09


def test_a_letter_is_what_was_written_and_no_email(arrived: Mapping[str, Any], locale: str) -> None:
    letter = arrived[locale]["paper"]
    assert letter["html"].count(PHRASES[locale]) == 2
    assert letter["text"] == f"{PHRASES[locale]}\n{PHRASES[locale]}"
    assert (letter["recipient"], letter["cost"]) == (locale, 1.2)
    assert "segments" not in letter


def test_a_webhook_says_it(arrived: Mapping[str, Any], locale: str) -> None:
    hook = arrived[locale]["hook"]
    assert hook["text"] == f"{PHRASES[locale]}\n{PHRASES[locale]}"
    assert hook["subject"] == PHRASES[locale]
    assert hook["locale"] == locale


# Any text whatever -------------------------------------------------------------------------------------------------

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("אبጋქə₾́‏⁧👓\u200d"),
    min_size=1,
    max_size=400,
)


@given(TEXTS.map(str.strip).filter(bool))
def test_whatever_is_written_two_readers_find_it(text: str) -> None:
    """All but what no header may hold, and the white space at either end of one."""
    mail = build(a_message(subject=" ".join(text.split()), text=text)).content
    read = email.message_from_bytes(mail, policy=email.policy.default)
    assert str(read["Subject"]) == " ".join(text.split())
    assert unix(read.get_content()) == text + "\n"
    other = mailparser.parse_from_bytes(mail)
    assert unix(other.text_plain[0]) == composed(text) + "\n"


@given(TEXTS | st.text("a€{}~[]|^\\\f é@\n", max_size=700) | st.text("a👓ქ", max_size=300))
def test_the_segments_of_a_text_are_the_text(text: str) -> None:
    cut = segments(text)
    assert "".join(cut.parts) == text
    if cut.alphabet is Alphabet.UCS2:
        sizes = [len(part.encode("utf-16-be")) // 2 for part in cut.parts]
        room = 70 if cut.count == 1 else 67
    else:
        sizes = [sum(1 + (character in EXTENDED) for character in part) for part in cut.parts]
        room = 160 if cut.count == 1 else 153
    assert max(sizes) <= room
    assert sum(sizes) == cut.places
    # No segment is left emptier than a character that takes two places makes it.
    assert min(sizes[:-1], default=room) >= room - 1


# Segments of an SMS ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "alphabet", "places", "count"),
    [
        ("", "gsm-7", 0, 1),
        ("a" * 160, "gsm-7", 160, 1),
        ("a" * 161, "gsm-7", 161, 2),
        ("a" * 306, "gsm-7", 306, 2),
        ("a" * 307, "gsm-7", 307, 3),
        ("€" * 80, "gsm-7", 160, 1),
        ("€" * 81, "gsm-7", 162, 2),
        # 153 septets hold 76 of these, and one is left over.
        ("€" * 152, "gsm-7", 304, 2),
        ("€" * 153, "gsm-7", 306, 3),
        ("@£$¥ÄÖÑÜ§ßæø\n\r{}[]~^|\\", "gsm-7", 30, 1),
        # Small c with a cedilla is none, though the capital is; nor is the back-quote.
        ("ç", "ucs-2", 1, 1),
        ("`", "ucs-2", 1, 1),
        ("ქ" * 70, "ucs-2", 70, 1),
        ("ქ" * 71, "ucs-2", 71, 2),
        ("ጋ" * 134, "ucs-2", 134, 2),
        ("ጋ" * 135, "ucs-2", 135, 3),
        ("👓" * 35, "ucs-2", 70, 1),
        # 67 units hold 33 pairs, and no half of one.
        ("👓" * 66, "ucs-2", 132, 2),
        ("👓" * 67, "ucs-2", 134, 3),
        ("a" * 70 + "“", "ucs-2", 71, 2),
    ],
)
def test_segments(text: str, alphabet: str, places: int, count: int) -> None:
    cut = segments(text)
    assert (cut.alphabet.value, cut.places, cut.count) == (alphabet, places, count)


def test_the_tables_are_those_of_the_standard() -> None:
    assert len(BASIC) == 127
    assert len(EXTENDED) == 10
    assert not BASIC & EXTENDED
    assert all(unicodedata.is_normalized("NFC", character) for character in BASIC | EXTENDED)


def test_what_a_text_goes_in_wide_characters_for() -> None:
    assert outside("It’s “new” {€}") == {"’", "“", "”"}
    assert outside("Plain [1] ~ ä") == frozenset()


# What is no email --------------------------------------------------------------------------------------------------


def test_a_key_that_looks_like_an_address_makes_no_email_of_a_letter(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path, carried=Carried(emails=False))
    message = a_message(recipient="ana@shop.example", text="Dear Ana,\r\n\tyours\u2028ever\n")
    written = channel.send(message)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".json"
    assert json.loads(path.read_bytes())["data"]["text"] == "Dear Ana,\r\n\tyours\u2028ever"
    assert channel.send(message) == written
    assert channel.look_up(message) == written


def test_a_task_is_no_email_whatever_channel_carries_it(tmp_path: Path) -> None:
    FileChannel(tmp_path).send(a_message(kind="task", payload={"to": "sales", "reason": "ዋጋ"}))
    (path,) = tmp_path.iterdir()
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read["type"] == "task.create"
    assert read["data"]["reason"] == "ዋጋ"
    assert "ዋጋ" in path.read_text(encoding="utf-8")
