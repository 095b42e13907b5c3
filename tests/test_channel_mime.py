"""Emails say what was meant, in every script, and nothing else."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime, unquote
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Attachment
from channels.header import Unfit
from channels.mime import build
from channels.plain_text import plain_text
from tests.sample_message import AT, a_message


def read(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.parametrize(
    "subject",
    [
        "თქვენი კალათა გელოდებათ ჩვენთან, 80 ₾ და კიდევ სამი საყვარელი ნივთი",
        "سلتك في انتظارك: ٨٠ دولارًا، وثلاثة أشياء أخرى أعجبتك كثيرًا",
        "ጋሪዎ እየጠበቀዎት ነው፤ ሰማንያ ብር እና ሌሎች ሦስት የወደዷቸው ነገሮች",
        "Səbətiniz sizi gözləyir",
        "👩‍👩‍👧‍👦 " * 30,
        "An ASCII subject that is quite a bit longer than a line of seventy-eight columns may be",
        'with "quotes" and back\\slashes',
        '"Ana" <ana@x.example>',
        '"',
        "<a@b.example>, (c); d: <e>",
        "word" * 100,
        "two  spaces, " * 10 + "end",
        "",
    ],
)
def test_subjects_of_every_script_arrive_intact(subject: str) -> None:
    mail = build(a_message(subject=subject.strip(), sender_name=subject.strip()[:60] or None))
    parsed = read(mail.content)
    assert parsed["Subject"] == subject.strip()
    # Python's own reader of addresses puts spaces between encoded-words (before 3.13), so the words are read here.
    raw = email.message_from_bytes(mail.content)["From"]
    name = str(make_header(decode_header(raw))).rpartition("<")[0].strip()
    assert (unquote(name) if name.startswith('"') else name) == subject.strip()[:60].strip()
    assert parsed["From"].addresses[0].addr_spec == "hello@shop.example"
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    assert mail.content.isascii()


def test_a_message_carries_its_identity_and_its_instant() -> None:
    message = a_message()
    parsed = read(build(message).content)
    assert parsed["Message-ID"] == f"<{message.idempotency_key}@shop.example>"
    assert parsed["Date"].datetime == AT
    assert build(message) == build(message)


def test_html_stands_beside_its_text() -> None:
    html = '<html><head><style>p{}</style></head><body><p>Hi <b>Ana</b>,</p><p>see <a href="https://x.example/?a=1&amp;b=2">it</a></p></body></html>'
    parsed = read(build(a_message(text=plain_text(html), html=html)).content)
    assert parsed.get_content_type() == "multipart/alternative"
    text, rich = parsed.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == "Hi Ana,\n\nsee it (https://x.example/?a=1&b=2)\n"
    assert rich.get_content().replace("\r\n", "\n").rstrip("\n") == html
    assert read(build(a_message()).content).get_content_type() == "text/plain"


@pytest.mark.parametrize(
    "text", ["--=_alternative", "--=_alternative--", "a\n--=_alternative\nContent-Type: text/html\n\nb"]
)
def test_a_text_that_looks_like_a_boundary_stays_a_text(text: str) -> None:
    plain, rich = read(build(a_message(text=text, html=f"<p>{text}</p>")).content).iter_parts()
    assert plain.get_content().rstrip("\r\n").replace("\r\n", "\n") == text
    assert text in rich.get_content().replace("\r\n", "\n")


def test_text_of_html_keeps_lists_and_entities() -> None:
    html = "<h1>One</h1><ul><li>a &amp; b</li><li>c<br>d</li></ul><script>x()</script><!-- y --><p>end"
    assert plain_text(html) == "One\n\n- a & b\n\n- c\nd\n\nend\n"


@pytest.mark.parametrize(
    "repeated", ["<!-- ", "<div ", '<a href="x">', "<head>", "<!", "</", '<a b="', "<style"]
)
def test_text_of_html_takes_as_long_as_its_html(repeated: str) -> None:
    """Were each read to the end, these would take minutes."""
    assert len(plain_text("<a " + repeated * 200_000)) < 10


def test_addresses_outside_ascii() -> None:
    idn = build(a_message(recipient="ana@ბანკი.გე"))
    assert not idn.smtputf8
    assert idn.recipient.startswith("ana@xn--")
    local = build(a_message(recipient="ანა@shop.example"))
    assert local.smtputf8
    assert "To: ანა@shop.example\r\n".encode() in local.content


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "Hi\r\nBcc: everybody@x.example"},
        {"subject": "Hi\nBcc: everybody@x.example"},
        {"subject": "Hi\u2028there"},
        {"subject": "Hi\x85there"},
        {"subject": "Hi\0there"},
        {"subject": "=?utf-8?q?Hi=0ABcc=3A_everybody=40x.example?="},
        {"subject": "lone \ud800 surrogate"},
        {"subject": "x" * 5_000},
        {"sender_name": "Shop\r\nBcc: everybody@x.example"},
        {"sender_name": "=?utf-8?b?SGk=?="},
        {"sender_address": "hello@shop.example\r\nBcc: a@x.example"},
        {"recipient": "ana@shop.example, bob@shop.example"},
        {"recipient": "Ana <ana@shop.example>"},
        {"recipient": '"a b"@shop.example'},
        {"recipient": "ana"},
        {"recipient": "ana@"},
        {"recipient": "@shop.example"},
        {"recipient": "ana@shop..example"},
        {"recipient": "ana\n@shop.example"},
        {"reply_to": "a@b.example,c@d.example"},
        {"headers": {"X-One": "a\nb"}},
        {"headers": {"Bcc": "a@b.example"}},
        {"headers": {"X One": "a"}},
        {"headers": {"X-One": "a", "x-one": "b"}},
        {"text": "lone \ud800 surrogate"},
    ],
)
def test_what_could_smuggle_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        build(a_message(**changed))


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=300)


@given(subject=TEXT, name=TEXT, text=TEXT, html=st.none() | TEXT, header=TEXT)
def test_whatever_is_built_reads_back_as_meant(
    subject: str, name: str, text: str, html: str | None, header: str
) -> None:
    message = a_message(subject=subject, sender_name=name, text=text, html=html, headers={"X-Note": header})
    try:
        mail = build(message)
    except Unfit:
        return
    parsed = email.message_from_bytes(mail.content)
    assert set(parsed.keys()) <= {
        *("Date", "From", "To", "Subject", "Message-ID", "X-Note", "MIME-Version", "Content-Type"),
        "Content-Transfer-Encoding",
    }
    assert parsed.get_all("To") == ["ana@shop.example"]
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    modern = read(mail.content)
    assert modern["Subject"].strip() == subject.strip()
    parts = list(modern.iter_parts()) if modern.is_multipart() else [modern]
    assert len(parts) == (2 if html else 1)


LETTERS = st.characters(blacklist_categories=("Cs",)) | st.sampled_from(' .=-_?:<>\\"@\t\r\nab')

PIECES = st.sampled_from(
    ["--=_alternative", "=?utf-8?b?SGk=?=", "\r\nBcc: a@b.example", "\n.\n", "\n\n", "From "]
)

ANY_TEXT = st.lists(st.text(LETTERS, max_size=60) | PIECES, max_size=8).map("".join)

ONE_LINE = st.text(LETTERS, max_size=150)

ADDRESS = st.sampled_from(["ana@x.example", "a.n+a@ბანკი.გე", "ანა@shop.example"]) | st.from_regex(
    r"[a-z.!=?_]{1,9}@[a-zé]{1,5}\.[a-z]{2,4}", fullmatch=True
)


def decoded(raw: object) -> str:
    """A header as the standard library reads it, by another way than ours."""
    unfolded = str(raw).replace("\r\n", "").encode("utf-8", "surrogateescape").decode()
    return str(make_header(decode_header(unfolded))) if "=?" in unfolded else unfolded


def read_mailbox(raw: object) -> tuple[str, str]:
    """The display name and the address of a From."""
    display, _, rest = str(raw).replace("\r\n", "").rpartition("<")
    display = display.strip()
    name = unquote(display) if display.startswith('"') else decoded(display)
    return name.strip(), rest.strip("> ").encode("utf-8", "surrogateescape").decode()


@given(
    subject=ONE_LINE,
    name=st.none() | ONE_LINE,
    recipient=ADDRESS,
    sender=ADDRESS,
    reply_to=st.none() | ADDRESS,
    text=ANY_TEXT,
    html=st.none() | ANY_TEXT,
    headers=st.dictionaries(st.sampled_from(["List-Unsubscribe", "X-A", "X-B"]), ONE_LINE),
)
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_parses_to_exactly_what_was_asked(**asked: Any) -> None:
    """The parser here is the standard library's, which sees each skeleton once and no message."""
    message = a_message(sender_name=asked.pop("name"), sender_address=asked.pop("sender"), **asked)
    try:
        mail = build(message)
    except Unfit:
        return
    parsed = email.message_from_bytes(mail.content)
    found = [(key, decoded(value)) for key, value in parsed.raw_items()]
    assert found.pop(1)[0] == "From"
    raw = dict(parsed.raw_items())["From"]
    assert read_mailbox(raw) == ((message.sender_name or "").strip(), mail.sender)
    domain = mail.sender.rpartition("@")[2]
    assert [(key, value.strip()) for key, value in found] == [
        ("Date", format_datetime(AT)),
        *([("Reply-To", as_idna(message.reply_to))] if message.reply_to else []),
        ("To", mail.recipient),
        ("Subject", message.subject.strip()),
        ("Message-ID", f"<{message.idempotency_key}@{domain}>"),
        *((key, value.strip()) for key, value in sorted(message.headers.items())),
        ("MIME-Version", "1.0"),
        *found[-1 if message.html else -2 :],
    ]
    leaves = parsed.get_payload() if parsed.is_multipart() else [parsed]
    assert isinstance(leaves, list)
    read_back = [leaf.get_payload(decode=True).decode() for leaf in leaves]
    assert read_back == [as_lines(message.text), *([as_lines(message.html)] if message.html else [])]
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


def as_idna(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def as_lines(text: str) -> str:
    return "\r\n".join(text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")) + "\r\n"


@given(st.text(st.sampled_from("\r\n=?utf8bq:Bc<> a@é."), max_size=40))
def test_nothing_made_of_dangerous_letters_gets_a_header_in(subject: str) -> None:
    try:
        content = build(a_message(subject=subject, sender_name=subject)).content
    except Unfit:
        return
    names = [name for name, _ in email.message_from_bytes(content).items()]
    assert names[:6] == ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version"]
    assert "Bcc" not in names


# What goes along ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    body=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_files_arrive_byte_for_byte_and_the_body_beside_them(text: str, body: str) -> None:
    attachments = (
        Attachment(name="visit.ics", media_type="text/calendar", text=text, method="REQUEST"),
        Attachment(name="codes.csv", media_type="text/csv", text=f"{text}\n--=_mixed--\n"),
    )
    parsed = read(build(a_message(text="--=_mixed", html=body, attachments=attachments)).content)
    calendar, codes = parsed.iter_attachments()
    assert calendar.get_payload(decode=True) == text.encode()
    assert codes.get_payload(decode=True) == f"{text}\n--=_mixed--\n".encode()
    assert (calendar.get_content_type(), calendar.get_param("method")) == ("text/calendar", "REQUEST")
    assert [part.get_filename() for part in (calendar, codes)] == ["visit.ics", "codes.csv"]
    plain = parsed.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().strip() == "--=_mixed"
    assert parsed["Subject"] == "Your cart"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a\r\nBcc: x@y.example"},
        {"name": 'a"; x="b'},
        {"name": "../a.ics"},
        {"media_type": "text/html; charset=x"},
        {"media_type": "application/x"},
        {"method": "REQUEST\r\nX: y"},
        {"text": "\ud800"},
    ],
)
def test_what_cannot_go_along_is_refused(wrong: dict[str, str]) -> None:
    values = {"name": "a.ics", "media_type": "text/calendar", "text": "x", "method": None, **wrong}
    with pytest.raises(Unfit):
        build(a_message(attachments=(Attachment(**values),)))  # type: ignore[arg-type]
