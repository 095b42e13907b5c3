"""Templates speak as their reader reads: numbers, money, dates and times by language and region, and the direction of
the script."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from babel.numbers import format_currency, format_decimal, format_percent
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.engine import formats
from runner.journey.locales import direction
from tests.laid_out import BODY, FOOTER, LAID_OUT, content
from tests.rendered import ANA

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
