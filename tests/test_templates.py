"""Templates put together from layouts and snippets and compiled from MJML: the message is what was meant, and what
fails names the author's line."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.document import document
from channels.file import FileChannel
from runner.engine.calendar import escaped, folded
from runner.engine.deliver import deliver
from runner.engine.render import Content, RenderError, render
from runner.journey.project import load_project
from runner.journey.version import version_hash
from runner.review.check import check_files
from runner.store.database import Database
from tests.documents import ROOT, block_of
from tests.documents import files_of as page_files
from tests.laid_out import FOOTER, LAID_OUT, content, files_of, found, project_of
from tests.rendered import ANA, ENTERED
from tests.shop import FILES, START, Shop, Sink

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
    arabic = made("hello", "ar").text.replace("\u200f", "").replace("\xa0", " ")
    assert arabic.startswith("منتجان\nLens وCase: 80.50 €\n")
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
