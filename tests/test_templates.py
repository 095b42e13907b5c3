"""Templates put together from layouts and snippets, compiled from MJML, formatted for their reader: the message is what
was meant, and what fails names the author's line."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from babel.numbers import format_currency, format_decimal, format_percent
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.document import document
from channels.file import FileChannel
from runner.engine import formats
from runner.engine.calendar import escaped, folded
from runner.engine.deliver import deliver
from runner.engine.render import Content, RenderError, render
from runner.journey.elements import tags, too_deep
from runner.journey.locales import direction
from runner.journey.project import Project, load_project
from runner.journey.template import Part, Template
from runner.journey.template_pieces import TemplateTrouble, pieces_of
from runner.journey.version import version_hash
from runner.review.check import check_files
from runner.store.database import Database
from tests.documents import ROOT, block_of
from tests.documents import files_of as page_files
from tests.shop import FILES, START, Shop, Sink
from tests.test_render import ANA, ENTERED, TRIGGER

BRAND = """<mjml>
<mj-head>
  <mj-title>{{ contact.first_name }} — brand</mj-title>
  <mj-attributes><mj-text font-family="Arial"/></mj-attributes>
</mj-head>
<mj-body>
  {# a remark #}
  {% if contact.vip %}
  <mj-section background-color="{{ trigger.plan }}"><mj-column><mj-text>VIP</mj-text></mj-column></mj-section>
  {% endif %}
  {{ content }}
  {% include "snippets/footer.mjml" %}
</mj-body>
</mjml>
"""
FOOTER = """<mj-section><mj-column>
  <mj-text>Bye, {{ contact.first_name }}
    {{ contact.points
       |number(2) }}</mj-text>
</mj-column></mj-section>
"""
BODY = """---
subject: Hi
layout: brand
preheader: pre
---
<mj-section>
  <mj-column>
    {% for item in trigger.items %}
    <mj-text>Hi <b>{{ item.sku }}</b> {{ loop.index }} &amp; <a href="https://x.example/?a={{ item.sku }}&amp;b=1"
      {% if loop.first %}class="first"{% endif %}>go</a></mj-text>
    {% endfor %}
    <mj-table>{% for item in trigger.items %}<tr><td>{{ item.sku }}</td></tr>{% endfor %}</mj-table>
    <mj-social mode="horizontal">
      {% if contact.vip %}<mj-social-element src="https://x.example/x">X</mj-social-element>{% endif %}
    </mj-social>
  </mj-column>
</mj-section>
"""
LAID_OUT = {
    "journeys/greet/hello.mjml": BODY,
    "journeys/layouts/brand.mjml": BRAND,
    "journeys/snippets/footer.mjml": FOOTER,
}


def files_of(templates: dict[str, str]) -> dict[str, str]:
    base = {name: text for name, text in FILES.items() if not name.startswith("journeys/greet/hello")}
    return {**base, **templates}


def project_of(templates: dict[str, str]) -> Project:
    project = load_project(files_of(templates))
    assert not project.problems, project.problems
    return project


def content(templates: dict[str, str], *, recipient: Any = ANA, trigger: Any = TRIGGER) -> Content:
    project = project_of(templates)
    return render(
        project.journeys["greet"],
        project.catalog,
        project.templates["greet"],
        "hello",
        recipient=recipient,
        trigger=trigger,
        data={},
        entered_at=ENTERED,
    )


def found(templates: dict[str, str]) -> set[tuple[str, str, int]]:
    """The codes, files and lines of what ``check`` finds."""
    problems = check_files(files_of(templates)).problems
    return {
        (each.code, each.span.file.removeprefix("journeys/"), each.span.line)
        for each in problems
        if each.code.startswith("template/")
    }


# Put together and compiled -----------------------------------------------------------------------------------------


def test_a_layout_a_snippet_and_mjml_become_one_mail() -> None:
    made = content(LAID_OUT)
    assert made.html is not None
    assert "<mj" not in made.html
    assert "{" + "%" not in made.html
    assert made.html.count("VIP") == 1
    assert 'Hi <b>a</b> 1 &amp; <a href="https://x.example/?a=a&amp;b=1"' in made.html
    assert made.html.count('class="first"') == 1
    assert "<tr><td>a</td></tr><tr><td>b</td></tr>" in made.html
    assert re.search(r"Bye, Ana\s+1,234\.50", made.html)
    assert "font-family:Arial" in made.html
    assert '<html lang="en" dir="ltr"' in made.html
    assert "googleapis" not in made.html
    assert made.html.index("display:none") < made.html.index("VIP")
    assert made.text.startswith("VIP\n\nHi a 1 & go (https://x.example/?a=a&b=1)\n\nHi b 2 & go")
    assert "VIP" not in content(LAID_OUT, recipient=replace(ANA, attributes={"first_name": "Bo"})).text


def test_values_are_escaped_in_what_was_compiled() -> None:
    evil = replace(ANA, attributes={**ANA.attributes, "first_name": '"><script>{{ 7 }}'})
    made = content(LAID_OUT, recipient=evil).html or ""
    assert "<script>" not in made
    assert "&#34;&gt;&lt;script&gt;{{ 7 }}" in made


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "last"),
    [
        ("snippets/footer.mjml", "contact.points\n", "contact.pints\n", 3, 4),
        ("layouts/brand.mjml", '"{{ trigger.plan', '"{{ trigger.plain', 9, 9),
        ("layouts/brand.mjml", "{{ contact.first_name }} —", "{{ nobody.x }} —", 3, 3),
        ("greet/hello.mjml", "?a={{ item.sku", "?a={{ item.ku", 9, 9),
        ("greet/hello.mjml", "if loop.first", "if 1 + contact.first_name", 10, 10),
        ("greet/hello.mjml", "in trigger.items %}<tr>", "in trigger.plan + 1 %}<tr>", 12, 12),
    ],
)
def test_what_fails_names_the_line_of_its_author(file: str, old: str, new: str, line: int, last: int) -> None:
    """When one message is rendered, and when the author checks. Of a tag of several lines it may be any."""
    path = f"journeys/{file}"
    assert old in LAID_OUT[path]
    wrong = {**LAID_OUT, path: LAID_OUT[path].replace(old, new)}
    with pytest.raises(RenderError) as raised:
        content(wrong)
    said, number, _ = str(raised.value).split(":", 2)
    assert (said, line <= int(number) <= last) == (path, True), raised.value
    assert [each[1:] for each in found(wrong)] == [(file, line)]


def test_good_templates_have_no_findings() -> None:
    assert found(LAID_OUT) == set()


INVITE = """BEGIN:VCALENDAR
VERSION:2.0
METHOD:REQUEST
BEGIN:VEVENT
UID:{{ contact.id }}@shop.example
DTSTAMP:{{ run.entered_at|ics }}
DTSTART;VALUE=DATE:{{ contact.born|ics }}
SUMMARY:{{ contact.first_name|ics }}, ስብሰባ ስብሰባ ስብሰባ ስብሰባ ስብሰባ ስብሰባ ስብሰባ ስብሰባ
END:VEVENT
END:VCALENDAR
"""
TAKEN_ALONG = {
    "journeys/greet/hello.html": "---\nsubject: Hi\ntitle: Push for {{ trigger.plan }}\n"
    "attachments: [invite.ics, snippets/terms.csv]\n---\n<p>Hi</p>\n",
    "journeys/greet/invite.ics": INVITE,
    "journeys/snippets/terms.csv": "name,plan\n{{ contact.first_name|csv }},{{ trigger.plan|csv }}\n",
}
"""What goes along with a message, for one contact."""


def test_what_goes_along_reaches_the_mail(tmp_path: Path, database: Database) -> None:
    shop = Shop(database, files_of(TAKEN_ALONG))
    shop.sign_up("ana", first_name='Ana, "A"; x', born="1990-02-28")
    outbox = FileChannel(tmp_path, durable=False)
    assert deliver(shop.database, shop.versions, {"email": outbox}, START).sent == 1
    (file,) = tmp_path.glob("*.eml")
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert mail.get_content_type() == "multipart/mixed"
    page = mail.get_body(("html",))
    assert page is not None
    assert page.get_content() == "<p>Hi</p>\r\n"
    invite, terms = mail.iter_attachments()
    assert (invite.get_content_type(), invite.get_param("method"), invite.get_filename()) == (
        "text/calendar",
        "REQUEST",
        "invite.ics",
    )
    written = invite.get_payload(decode=True)
    assert isinstance(written, bytes)
    assert max(map(len, written.split(b"\r\n"))) <= 75
    assert b"\n" not in written.replace(b"\r\n", b"")
    unfolded = written.decode().replace("\r\n ", "")
    assert 'SUMMARY:Ana\\, "A"\\; x, ' + " ".join(["ስብሰባ"] * 8) in unfolded
    assert "DTSTART;VALUE=DATE:19900228" in unfolded
    assert "DTSTAMP:20260301T100000Z" in unfolded
    assert terms.get_filename() == "terms.csv"
    assert terms.get_payload(decode=True) == b'name,plan\n"Ana, ""A""; x",pro\n'


def test_what_goes_along_reaches_json(database: Database) -> None:
    shop = Shop(database, files_of(TAKEN_ALONG))
    shop.sign_up("ana", first_name="Ana", born="1990-02-28")
    sink = Sink()
    deliver(shop.database, shop.versions, {"email": sink}, START)
    data = document(sink.messages[0])["data"]
    assert data["title"] == "Push for pro"
    assert [(each["name"], each["type"]) for each in data["attachments"]] == [
        ("invite.ics", "text/calendar"),
        ("terms.csv", "text/csv"),
    ]
    assert data["attachments"][1]["text"] == "name,plan\nAna,pro\n"


def test_a_value_begins_no_line_of_a_calendar() -> None:
    evil = replace(ANA, attributes={**ANA.attributes, "first_name": "x\nATTACH:https://evil.example"})
    made = content(TAKEN_ALONG, recipient=evil)
    assert "x\\nATTACH:https" in made.attachments[0].text
    bare = {**TAKEN_ALONG, "journeys/greet/invite.ics": INVITE.replace("first_name|ics", "first_name")}
    with pytest.raises(RenderError, match=r"greet/invite\.ics:8: a value with a line break.* write \|ics"):
        content(bare, recipient=evil)


@pytest.mark.parametrize("character", ["\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_whatever_ends_a_line_is_escaped_in_a_calendar(character: str) -> None:
    torn = replace(ANA, attributes={**ANA.attributes, "first_name": f"\0x{character}ATTACH:\x1by\t"})
    (invite, *_) = content(TAKEN_ALONG, recipient=torn).attachments
    assert "SUMMARY:x\\nATTACH:y\t," in invite.text
    bare = {**TAKEN_ALONG, "journeys/greet/invite.ics": INVITE.replace("first_name|ics", "first_name")}
    with pytest.raises(RenderError, match=r"greet/invite\.ics:8: a value with a line break.* write \|ics"):
        content(bare, recipient=torn)


def test_half_a_character_sets_the_message_aside_with_its_line() -> None:
    half = replace(ANA, attributes={**ANA.attributes, "first_name": "\ud83d"})
    with pytest.raises(RenderError, match=r"greet/invite\.ics:8: a value holds half a character"):
        content(TAKEN_ALONG, recipient=half)
    written = {"journeys/greet/hello.txt": '---\nsubject: x\n---\n\n{{ "\\ud83d" }}'}
    assert found(written) == {("template/syntax", "greet/hello.txt", 5)}


@given(text=st.text())
def test_folded_lines_unfold_to_what_was_written(text: str) -> None:
    value = escaped(text.replace("\0", ""))
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    line = f"SUMMARY:{value}"
    made = folded(line)
    assert all(len(part.encode()) <= 75 for part in made.split("\r\n"))
    assert made.replace("\r\n ", "").removesuffix("\r\n") == line


# The reader's locale -----------------------------------------------------------------------------------------------

READERS = ("en", "de-AT", "ka-GE", "am", "az", "ar-AE", "fa", "hi", "pt-BR", "es", "pl", "en-IN")


@settings(deadline=None)  # the data of a locale is read once
@given(
    value=st.integers(-(10**12), 10**12).map(lambda number: Decimal(number).scaleb(-2)),
    locale=st.sampled_from(READERS),
    currency=st.sampled_from(("EUR", "GEL", "USD", "ETB")),
)
def test_numbers_read_as_babel_writes_them(value: Decimal, locale: str, currency: str) -> None:
    by, known = formats.reader(locale, None), Locale.parse(locale, sep="-")
    assert formats.money(value, currency, by) == format_currency(
        value, currency, locale=known, currency_digits=False
    )
    bare = known.decimal_formats[None].pattern.split(";")[0]
    assert formats.number(value, by) == format_decimal(value, re.sub(r"\.#+", ".00", bare), locale=known)
    whole = value.to_integral_value()
    assert formats.percent(whole, by) == format_percent(whole / 100, locale=known)


@pytest.mark.parametrize(
    ("locale", "wanted", "expected"),
    [
        ("en", None, "en"),
        ("en", "en-GB", "en_GB"),
        ("en", "de-DE", "en_DE"),
        ("en", "ka-GE", "en"),
        ("pt-BR", "pt-PT", "pt_BR"),
        ("zh-Hant", "zh-Hant-TW", "zh_Hant_TW"),
        ("xx", "xx-YY", "en"),
    ],
)
def test_values_are_in_the_language_of_the_text_and_the_region_of_the_reader(
    locale: str, wanted: str | None, expected: str
) -> None:
    assert str(formats.reader(locale, wanted).locale) == expected


SAID = (
    "{{ contact.points|number(1) }} / {{ contact.points|money('EUR') }} / {{ 0.125|percent(1) }} / "
    "{{ contact.born|date }} / {{ contact.born|date('long') }} / {{ contact.born|date('EEEE') }} / "
    "{{ run.entered_at|time }} / {{ trigger.items.sku|list }} / {{ trigger.items.sku|list('or') }} / "
    "{{ trigger.seats|plural(one='# seat', two='two', few='few #', other='# seats') }}"
)


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (
            "en",
            "1,234.5 / €1,234.50 / 12.5% / Feb 28, 1990 / February 28, 1990 / Wednesday / 2:30 AM / a and b / a or b"
            " / 3 seats",
        ),
        (
            "ka",
            "1 234,5 / 1 234,50 € / 12,5% / 28 თებ. 1990 / 28 თებერვალი, 1990 / ოთხშაბათი / 02:30 / a და b / a ან b"
            " / 3 seats",
        ),
        (
            "ar",
            "1,234.5 / \u200f1,234.50 € / 12.5% / 28‏/02‏/1990 / 28 فبراير 1990 / الأربعاء / 2:30 ص"
            " / a وb / a أو b / few 3",
        ),
        (
            "am",
            "1,234.5 / €1,234.50 / 12.5% / 28 ፌብ 1990 / 28 ፌብሩዋሪ 1990 / ረቡዕ / 2:30 ጥዋት / a እና b / a ወይም b / 3 seats",
        ),
        (
            "az",
            "1.234,5 / 1.234,50 € / 12,5% / 28 fev 1990 / 28 fevral 1990 / çərşənbə / 02:30 / a və b / a yaxud b"
            " / 3 seats",
        ),
    ],
)
def test_values_read_as_their_reader_has_them(locale: str, expected: str) -> None:
    files = {f"journeys/greet/hello.{locale}.txt": f"---\nsubject: x\n---\n{SAID}"}
    files["journeys/greet/hello.txt"] = "---\nsubject: x\n---\nx"
    made = content(files, recipient=replace(ANA, locale=locale)).text
    assert made.replace("\u202f", " ").replace("\xa0", " ") == expected


def test_the_clock_is_the_readers() -> None:
    files = {
        "journeys/greet/hello.txt": "---\nsubject: x\n---\n{{ run.entered_at|date }} {{ run.entered_at|time }}"
    }
    assert content(files).text.replace("\u202f", " ") == "Mar 2, 2026 2:30 AM"
    elsewhere = replace(ANA, timezone="America/New_York")
    assert content(files, recipient=elsewhere).text.replace("\u202f", " ") == "Mar 1, 2026 5:30 PM"


@pytest.mark.parametrize("rest", ["{{ contact.first_name", "{% if contact.first_name", "{{", "{%"])
def test_a_tag_that_the_file_ends_in_is_found_and_not_left_out(rest: str) -> None:
    files = {
        "journeys/greet/hello.html": f"---\nsubject: x\nlayout: brand\n---\n<p>\n{rest}",
        "journeys/layouts/brand.html": "<html>{{ content }}</html>",
    }
    assert found(files) == {("template/syntax", "greet/hello.html", 6)}


@pytest.mark.parametrize(
    "refused",
    [
        "{% autoescape false %}{{ contact.first_name }}{% endautoescape %}",
        "{% set _budget = 1 %}",
        "{% for _zone in [1] %}{% endfor %}",
    ],
)
def test_check_finds_what_a_template_may_not_say_with_its_line(refused: str) -> None:
    """In a body, in the front matter, and in a snippet that is put into MJML."""
    html = f"---\nsubject: Hi\n---\n<p>\n{refused}\n</p>"
    assert found({"journeys/greet/hello.html": html}) == {("template/syntax", "greet/hello.html", 5)}
    front = f"---\npreheader: x\nsubject: '{refused}'\n---\n<p>x</p>"
    assert ("template/syntax", "greet/hello.html", 3) in found({"journeys/greet/hello.html": front})
    snippet = {**LAID_OUT, "journeys/snippets/footer.mjml": FOOTER.replace("Bye,", f"Bye,\n{refused}")}
    assert ("template/syntax", "snippets/footer.mjml", 3) in found(snippet)


# Languages ---------------------------------------------------------------------------------------------------------


SCRIPTS = ("Arab", "Hebr", "Cyrl", "Latn", "Deva", "Guru", "Adlm", "Nkoo")


def test_the_direction_of_a_script_is_the_one_that_babel_knows() -> None:
    """Of every language of the CLDR that has one from the right, and of others."""
    some = (
        "en",
        "de",
        "ka",
        "am",
        "az",
        "ru",
        "hi",
        "zh",
        "ja",
        "ko",
        "th",
        "vi",
        "tr",
        "el",
        "hy",
        "ff",
        "kk",
        "uz",
    )
    names = {
        name
        for name in locale_identifiers()
        if name in some or direction(name) == "rtl" or (len(name) == 7 and name[3:].title() in SCRIPTS)
    }
    known = {name: Locale.parse(name).text_direction for name in names}
    assert {name: direction(name) for name in names} == known
    assert (direction("ar-AE"), direction("he-Hebr"), direction("xx"), direction("")) == (
        "rtl",
        "rtl",
        "ltr",
        "ltr",
    )


def test_mjml_of_a_script_from_the_right_runs_from_the_right() -> None:
    files = {
        **LAID_OUT,
        "journeys/greet/hello.ar.mjml": BODY,
        "journeys/snippets/footer.ar.mjml": FOOTER.replace("Bye", "وداعا"),
    }
    made = content(files, recipient=replace(ANA, locale="ar-AE"))
    page = made.html or ""
    assert '<html lang="ar" dir="rtl"' in page
    assert 'role="article" lang="ar" dir="rtl"' in page
    assert "direction:ltr" not in page
    assert 'align="left"' not in page
    assert "وداعا, Ana" in page
    assert "Bye" not in page
    assert "Bye" in (content(files).html or "")


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ('<html {% if 2 > 1 %}dir="ltr"{% endif %}>', '<html dir="ltr">'),
        ("<html class='{{ \"dir\" }}'>", '<html dir="rtl" lang="ar" class=\'dir\'>'),
        ("<html dir={{ 'ltr' }}>", "<html dir=ltr>"),
    ],
)
def test_a_direction_is_one_where_jinja_stands_around_it_too(tag: str, expected: str) -> None:
    front = "---\nsubject: x\n---\n"
    files = {"journeys/greet/hello.ar.html": front + tag, "journeys/greet/hello.html": front + "x"}
    assert content(files, recipient=replace(ANA, locale="ar")).html == expected


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("<mjml>", {"rtl"}),
        ('<mjml lang="ar">', {"rtl"}),
        ('<mjml data-dir="ltr" lang="ar">', {"rtl"}),
        ('<mjml lang="ar" dir="ltr">', {"ltr"}),
    ],
)
def test_mjml_says_its_direction_unless_its_author_did(root: str, expected: set[str]) -> None:
    mail = f"---\nsubject: x\n---\n{root}<mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    mail += "</mj-body></mjml>"
    files = {"journeys/greet/hello.ar.mjml": mail, "journeys/greet/hello.mjml": BODY}
    page = content({**LAID_OUT, **files}, recipient=replace(ANA, locale="ar")).html or ""
    assert set(re.findall(r'\sdir="(\w+)"', page)) == expected
    assert set(re.findall(r'\slang="(\w+)"', page)) == {"ar"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>x</p>", '<div dir="rtl" lang="ar"><p>x</p></div>'),
        ("<html><body>x</body></html>", '<html dir="rtl" lang="ar"><body>x</body></html>'),
        ("<body class='a'>x</body>", '<body dir="rtl" lang="ar" class=\'a\'>x</body>'),
        ('<html dir="ltr"><body>x</body></html>', '<html dir="ltr"><body>x</body></html>'),
        ('<html lang="ar"><body>x</body></html>', '<html dir="rtl" lang="ar"><body>x</body></html>'),
        ('<html data-dir="a">x</html>', '<html dir="rtl" lang="ar" data-dir="a">x</html>'),
        ("<html title='a dir=b'>x</html>", '<html dir="rtl" lang="ar" title=\'a dir=b\'>x</html>'),
        ("<html lang=ar DIR = auto>x</html>", "<html lang=ar DIR = auto>x</html>"),
        ("<html-x></html-x>", '<div dir="rtl" lang="ar"><html-x></html-x></div>'),
    ],
)
def test_html_of_a_script_from_the_right_says_so(body: str, expected: str) -> None:
    front = "---\nsubject: x\n---\n"
    files = {"journeys/greet/hello.ar.html": front + body, "journeys/greet/hello.html": front + body}
    assert content(files, recipient=replace(ANA, locale="ar")).html == expected
    assert content(files).html == body


# CSS ---------------------------------------------------------------------------------------------------------------


def test_css_is_inlined_and_what_cannot_be_stays() -> None:
    body = (
        "---\nsubject: x\n---\n<html><head><style>.a {color: red} .b {width: {{ trigger.seats }}px} "
        ".a:hover {color: blue} @media print {.a {color: black}}</style></head><body>\n"
        "<table>{% for item in trigger.items %}<tr><td class='a' {% if loop.first %}id=\"f\"{% endif %}>"
        "{{ item.sku }} {{ loop.index }}</td></tr>{% endfor %}</table>"
        "<p class='b'>&nbsp;{{ contact.first_name }}</p><a href='https://x.example/?a={{ trigger.plan }}&amp;b=1'>x</a>"
        "</body></html>"
    )
    page = content({"journeys/greet/hello.html": body}).html or ""
    assert page.count('<td class="a"') == 2
    assert page.count('style="color: red;"') == 2
    assert page.count('id="f"') == 1
    assert "a 1</td>" in page
    assert "b 2</td>" in page
    assert 'style="width: 3px;">&nbsp;Ana' in page
    assert 'href="https://x.example/?a=pro&amp;b=1"' in page
    assert "@media print" in page
    assert ".a:hover" in page


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("<style>td {color: red}</style>\n<td>x</td>", ("template/css", "greet/hello.html", 5)),
        (
            "<style>p {color: red}</style>\n{% if contact.vip %}<div>{% else %}<div class='a'>{% endif %}</div>",
            ("template/css", "greet/hello.html", 5),
        ),
        (
            "<style>{% if contact.vip %}p {color: red}{% endif %}</style>\n<p>x</p>",
            ("template/css", "greet/hello.html", 4),
        ),
        (
            "{% if contact.vip %}\n<p>y</p>\n<style>p {color: red}</style>{% endif %}\n<p>x</p>",
            ("template/css", "greet/hello.html", 6),
        ),
    ],
)
def test_css_that_cannot_be_inlined_is_told(body: str, place: tuple[str, str, int]) -> None:
    assert found({"journeys/greet/hello.html": f"---\nsubject: x\n---\n{body}"}) == {place}


# Versions ----------------------------------------------------------------------------------------------------------


def test_what_is_included_is_part_of_the_version() -> None:
    project = project_of(LAID_OUT)
    stored = project.bundle("greet")
    assert {"journeys/layouts/brand.mjml", "journeys/snippets/footer.mjml"} <= set(stored)
    again = load_project(stored)
    assert version_hash(again, "greet") == version_hash(project, "greet")
    assert again.templates["greet"][0].compiled == project.templates["greet"][0].compiled
    for path in LAID_OUT:
        changed = project_of({**LAID_OUT, path: LAID_OUT[path] + "<!-- more -->"})
        assert version_hash(changed, "greet") != version_hash(project, "greet"), path
    unrelated = project_of({**LAID_OUT, "journeys/snippets/other.mjml": "<mj-text>x</mj-text>"})
    assert version_hash(unrelated, "greet") == version_hash(project, "greet")
    assert set(unrelated.bundle("greet")) == set(stored)


def test_a_version_without_such_files_has_the_hash_that_it_had() -> None:
    """The hash of the shop, as it was before templates were put together."""
    assert version_hash(load_project(FILES), "greet") == (
        "88b9b5db8e01c63682e752d152a6b23911751d6afe2881660e473d7adc500817"
    )


def test_what_goes_along_is_part_of_the_version() -> None:
    project = project_of(TAKEN_ALONG)
    assert {"journeys/greet/invite.ics", "journeys/snippets/terms.csv"} <= set(project.bundle("greet"))
    changed = project_of({**TAKEN_ALONG, "journeys/greet/invite.ics": INVITE.replace("REQUEST", "CANCEL")})
    assert version_hash(changed, "greet") != version_hash(project, "greet")


# One fails, the others go ------------------------------------------------------------------------------------------


def test_a_template_that_fails_for_one_sets_one_message_aside(database: Database) -> None:
    """With the line in the author's file, compiled or not."""
    wrong = {
        **LAID_OUT,
        "journeys/snippets/footer.mjml": FOOTER.replace("contact.points\n", "1 + contact.points\n"),
    }
    wrong["journeys/snippets/footer.mjml"] = FOOTER.replace(
        "Bye, {{ contact.first_name }}", "Bye, {% if contact.points > 5 %}{{ contact.tags[0].x }}{% endif %}"
    )
    shop = Shop(database, files_of(wrong))
    shop.sign_up("ana", points=1)
    shop.sign_up("bob", points=9)
    shop.sign_up("eva", points=2)
    sink = Sink()
    assert deliver(shop.database, shop.versions, {"email": sink}, START).sent == 2
    assert sorted(sink.contacts) == ["ana", "eva"]
    row = shop.ledger()["bob/hello"]
    assert row.status == "failed"
    assert row.reason.startswith("journeys/snippets/footer.mjml:2: ")


def test_the_tool_starts_without_what_templates_need() -> None:
    code = (
        "import sys, runner.cli; print([name for name in ('mrml', 'css_inline', 'babel', 'jinja2') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_page_about_templates_says_what_comes_out() -> None:
    """Its examples, rendered for one reader in English and one in Arabic."""
    page = ROOT / "docs" / "templates.md"
    catalog = block_of(ROOT / "docs" / "language.md", "yaml", "attributes:\n").text
    journey = (
        "journey: demo\nlanguage: 1\ntitle: Demo\ntopic: offers\ntrigger: {event: Cart Updated}\n"
        "steps:\n  - {id: hello, send: email}\n  - {id: invited, send: email}\n  - {id: listed, send: email}\n"
    )
    files = {"journeys/catalog.yaml": catalog, "journeys/demo/journey.yaml": journey, **page_files(page)}
    project = load_project(files)
    trigger = {
        "cart_id": "c 1",
        "total": 80_500_000,
        "items": [{"title": "Lens", "price": 40_250_000}, {"title": "Case", "price": 40_250_000}],
    }

    def made(name: str, locale: str) -> Content:
        return render(
            project.journeys["demo"],
            project.catalog,
            project.templates["demo"],
            name,
            recipient=replace(
                ANA, locale=locale, attributes={"first_name": "Ana, A", "renewal_date": "2026-04-01"}
            ),
            trigger=trigger,
            data={},
            entered_at=ENTERED,
        )

    english = made("hello", "en")
    assert english.subject == "Ana, A, your cart is waiting"
    assert "Lens: <b>€40.25</b>" in (english.html or "")
    assert 'href="https://shop.example/cart/c%201"' in (english.html or "")
    assert "Buy all 2" in english.text
    assert "You get this because you shop with us." in english.text
    assert (
        made("hello", "ar").text.replace("\u200f", "").replace("\xa0", " ") == "منتجان\nLens وCase: 80.50 €\n"
    )
    assert made("listed", "en").text == block_of(page, "text", "Your cart").text
    (invite,) = made("invited", "en").attachments
    assert "SUMMARY:Ana\\, A, we meet\r\n" in invite.text
    assert (invite.name, invite.method) == ("visit.ics", "REQUEST")


COMPUTED = """
stages:
  - {name: looking, when: 'contact.points > 0'}
  - {name: buying, when: 'contact.points > 10'}
scores:
  lead: [{event: Signed Up, add: 10}]
"""


@pytest.mark.parametrize("several", [False, True])
def test_a_template_reads_the_stage_and_the_score_as_of_the_sending(
    database: Database, several: bool
) -> None:
    more = "  heat: [{event: Signed Up, add: 2.5}]\n" if several else ""
    score = "contact.score.lead" if several else "contact.score"
    said = (
        "{{ contact.stage|default('new') }} {{ "
        + score
        + " }}"
        + (" {{ contact.score.heat }}" if several else "")
    )
    files = files_of({"journeys/greet/hello.txt": f"---\nsubject: x\n---\n{said}"})
    files["journeys/catalog.yaml"] += COMPUTED + more
    assert not [each for each in check_files(files).problems if each.code.startswith("template/")]
    shop = Shop(database, files)
    shop.sign_up("ana", points=12)
    shop.sign_up("bob")
    sink = Sink()
    assert deliver(shop.database, shop.versions, {"email": sink}, START).sent == 2
    ending = " 2.5" if several else ""
    assert {each.contact: each.text.strip() for each in sink.messages} == {
        "ana": f"buying 10{ending}",
        "bob": f"new 10{ending}",
    }
    wrong = {**files, "journeys/greet/hello.txt": "---\nsubject: x\n---\n{{ contact.stag }}"}
    assert "template/unknown" in {each.code for each in check_files(wrong).problems}
    changed = {**files, "journeys/catalog.yaml": files["journeys/catalog.yaml"].replace("> 10'", "> 20'")}
    assert version_hash(load_project(changed), "greet") != version_hash(load_project(files), "greet")


PIECES = st.sampled_from(
    (
        *(
            "{{ contact.first_name }}",
            "{% if contact.vip %}",
            "{% endif %}",
            "{% for i in contact.tags %}",
            "{% endfor %}",
        ),
        *(
            "{# x #}",
            "{% raw %}{{ x }}{% endraw %}",
            "{{",
            "%}",
            '{% include "snippets/a.mjml" %}',
            "{{ content }}",
        ),
        *(
            "<mj-section>",
            "</mj-section>",
            "<mj-column>",
            "</mj-column>",
            "<mj-text>",
            "</mj-text>",
            "<mj-social>",
        ),
        *(
            "</mj-social>",
            "<mj-table>",
            "</mj-table>",
            "<mj-head>",
            "<mj-title>",
            "</mj-title>",
            "</mj-head>",
            "<mjml>",
        ),
        *(
            "</mjml>",
            "<mj-body>",
            "</mj-body>",
            '<mj-button href="',
            '">',
            "</mj-button>",
            "<mj-image src='x' ",
            "/>",
        ),
        *(
            "<style>p {color: red}</style>",
            "<p>",
            "</p>",
            "<td>",
            "<!--",
            "-->",
            "<![if x]>",
            "&nbsp;",
            "&",
            "x",
            " ",
        ),
        *(
            "é ስብ",
            "qj0q",
            "\n",
            "\0",
            "<svg>",
            "<math>",
            "<select>",
            "<script>",
            "</script>",
            "@media {",
            "<br>",
            '"',
        ),
    )
)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=14),
    extension=st.sampled_from(("mjml", "html")),
    whole=st.booleans(),
    locale=st.sampled_from(("en", "ar")),
)
def test_any_markup_compiles_with_all_its_tags_or_says_where_it_does_not(
    pieces: list[str], extension: str, whole: bool, locale: str
) -> None:
    body = "".join(pieces)
    if whole:
        around = (
            "<mjml><mj-body>{}</mj-body></mjml>" if extension == "mjml" else "<style>p {{top: 0}}</style>{}"
        )
        body = around.format(body)
    template = Template(
        name="x",
        locale=None,
        extension=extension,
        path="x",
        front={},
        body=body,
        body_line=3,
        written_in=locale,
    )
    try:
        written = [piece for piece in pieces_of(body, "x", 3) if piece.is_tag]
        made = template.compiled.text
    except TemplateTrouble as trouble:
        there = []
        written = []
        place = (trouble.file, 3 <= trouble.line <= 3 + body.count("\n"))
    else:
        there = [piece.text.split() for piece in pieces_of(made, "x", 1) if piece.is_tag]
        place = ("x", True)
    assert place == ("x", True)
    assert all(piece.text.split() in there for piece in written)


# Hostile templates -------------------------------------------------------------------------------------------------


MJML = "<mjml><mj-body>{}</mj-body></mjml>"
TEXT = MJML.format("<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>")


@pytest.mark.parametrize(
    ("extension", "body"),
    [
        ("mjml", MJML.format("<mj-wrapper>" * 20_000 + "</mj-wrapper>" * 20_000)),
        ("mjml", TEXT.format("<div>" * 30_000 + "</div>" * 30_000)),
        ("mjml", TEXT.format("<p>" * 30_000)),
        ("html", "<style>p {top: 0}</style>" + "<div>" * 30_000 + "</div>" * 30_000),
        ("html", "<style>p {top: 0}</style>" + "<div/>" * 30_000),
        ("html", "<style>p {top: 0}</style>" + """<b "><b '><b '>""" * 30_000),
        ("html", "<style>p {top: 0}</style>" + "<b title='</b>'><!--></b>--><!--->" * 30_000),
        ("html", "<style>p {top: 0}</style><svg>" + "<td>" * 30_000),
    ],
)
def test_what_is_nested_too_deeply_is_told_before_a_compiler_meets_it(extension: str, body: str) -> None:
    code = {"mjml": "template/mjml", "html": "template/css"}[extension]
    file = f"hello.{extension}"
    assert found({f"journeys/greet/{file}": f"---\nsubject: x\n---\n{body}"}) == {(code, f"greet/{file}", 4)}


def test_a_long_table_is_not_deep() -> None:
    rows = "<tr><td>a<td><p>b<p>c" * 300 + "<li>x<br>" * 300 + "<dt>y<dd>z" * 300
    assert too_deep(f"<!--[if mso]>{'<td>' * 300}<![endif]--><table>{rows}</table>", "html") is None
    assert too_deep(MJML.format("<mj-divider />" * 300 + "<p>x<br></p>" * 300), "mjml") is None


@pytest.mark.parametrize("repeated", ["<a ", "<a", '<a b="', "<a '\"", "<!--", "<", "=", '="', "= "])
def test_tags_that_are_never_closed_are_read_once(repeated: str) -> None:
    text = "<a " + repeated * 300_000
    assert len(list(tags(text))) <= 1
    too_deep(text, "html")
    too_deep(text, "mjml")


def test_includes_that_multiply_are_put_together_no_further_than_the_limit() -> None:
    files = {
        f"journeys/greet/a{index}.txt": f'{{% include "a{index + 1}.txt" %}}\n' * 20 + "y" * 9000
        for index in range(7)
    }
    files |= {
        "journeys/greet/a7.txt": "x",
        "journeys/greet/hello.txt": '---\nsubject: x\n---\n{% include "a0.txt" %}',
    }
    assert {code for code, _, _ in found(files)} >= {"template/include"}
    parts = tuple(
        Part(name=path.rpartition("/")[2], path=path, text=text)
        for path, text in files.items()
        if "/a" in path
    )
    (template,) = (each for each in load_project(files_of(files)).templates["greet"] if each.name == "hello")
    with pytest.raises(TemplateTrouble, match="missing"):
        _ = template.source
    with pytest.raises(TemplateTrouble, match="larger than 1 MiB"):
        _ = replace(template, parts=parts).source


@pytest.mark.parametrize(
    ("front", "wrong"),
    [
        ("---\nsubject: x\n---\n", {("template/include", "greet/hello.txt", 4)}),
        ("---\n\n# a\nlayout : b\n---\n", {("template/include", "greet/hello.txt", 4)}),
        ("---\nAna of the shop\n---\n", set()),
        ("---\nAna\n---\ntitle: x\n", set()),
    ],
)
def test_a_mail_with_front_matter_is_no_part_of_another(front: str, wrong: set[tuple[str, str, int]]) -> None:
    files = {
        "journeys/greet/hello.txt": '---\nsubject: x\n---\n{% include "snippets/hi.txt" %}',
        "journeys/snippets/hi.txt": f"{front}Hi\n",
    }
    assert {each for each in found(files) if each[0] != "template/unused"} == wrong


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("x\n{{ " + "9" * 5000 + " }}", 5),
        ("{% for item in trigger.items %}" * 25 + "{% endfor %}" * 25, 4),
        ("{% if contact.vip %}" * 120 + "{% endif %}" * 120, 4),
    ],
)
def test_what_python_cannot_compile_is_a_finding(body: str, line: int) -> None:
    assert found({"journeys/greet/hello.txt": f"---\nsubject: x\n---\n{body}"}) == {
        ("template/syntax", "greet/hello.txt", line)
    }


@pytest.mark.parametrize(
    ("front", "line"),
    [
        ("subject: |\n  a\n  b", 2),
        ("subject: x\nreply_to: the shop", 3),
        ("subject: x\nfrom: the shop", 3),
        ("subject: x\nfrom: Ana <ana@shop.example> and Bela <bela@shop.example>", 3),
        ('subject: "a\\u2028b"', 2),
        ('subject: "a\\x07b"', 2),
        ("subject: =?utf-8?q?Hi?=", 2),
        ("subject: '\"Ana\" <ana@shop.example>, still there?'", None),
        ("subject: |\n  a\nfrom: Ana <ana@shop.example>\nreply_to: '{{ contact.email }}'", None),
    ],
)
def test_a_header_that_no_message_can_have_is_a_finding(front: str, line: int | None) -> None:
    expected = {("template/header", "greet/hello.txt", line)} if line else set()
    assert found({"journeys/greet/hello.txt": f"---\n{front}\n---\nx"}) == expected
