"""Templates make the messages that their authors meant, and nothing else."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.budget import BUDGET, LARGEST_OUTPUT, Budget
from runner.engine.filters import FILTERS
from runner.engine.render import RenderError, render
from runner.engine.sandbox import compiled
from runner.journey.expression import parse_expression
from runner.journey.fit import present
from runner.journey.locales import locales
from runner.journey.project import load_project
from runner.problem import Problem
from runner.review.check import check_files
from tests.reference.expression_world import ATTRIBUTES, SCOPE, situations
from tests.reference.expressions import holds
from tests.rendered import ANA, ENTERED, TRIGGER, content, html
from tests.shop import CATALOG, FILES


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ contact.first_name }}", "Ana"),
        ("{{ contact.id }} {{ contact.email }}", "ana ana@x.example"),
        ("{{ contact.points }}", "1234.5"),
        ("{{ contact.points|number(2) }}", "1,234.50"),
        ("{{ contact.points|round }}", "1235"),
        ("{{ trigger.seats }}", "3"),
        ("{{ trigger.seats * 2 + 1 }}", "7"),
        ("{{ 10 / 4 }}", "2.5"),
        ("{{ 1 / 0 }}", ""),
        ("{{ contact.born }}", "1990-02-28"),
        ("{{ contact.born|date('%d.%m.%Y') }}", "28.02.1990"),
        ("{{ contact.vip }}", "true"),
        ("{{ run.entered_at }}", "2026-03-02 02:30"),
        ("{{ run.entered_at|date('%H:%M') }}", "02:30"),
        ("{{ run.entered_at|time('HH:mm', zone='America/New_York') }}", "17:30"),
        ("{{ run.entered_at|date('%d', zone='America/New_York') }}", "01"),
        ("{{ run.entered_at|time('HH:mm', zone=contact.first_name) }}", "02:30"),
        ("{{ run.entered_at|time('HH:mm z') }}", "02:30 +0400"),
        (
            "{{ run.entered_at|time('xxx VV zzzz v') }}",
            "+04:00 Asia/Tbilisi Georgia Standard Time Georgia Time",
        ),
        ("{{ run.entered_at|time(\"O 'O''clock'\") }}", "GMT+04:00 O&#39;clock"),
        ("{{ run.entered_at|time('xxx') }} {{ run.entered_at|time('xxx', zone='UTC') }}", "+04:00 +00:00"),
        ("{{ run.entered_at|time('HH:mm xxx', zone='America/New_York') }}", "17:30 -05:00"),
        ("{{ contact.tags }}", "speaker, vip"),
        ("{{ contact.tags|join(' + ') }}", "speaker + vip"),
        ("{{ contact.tags|length }}", "2"),
        ("{{ trigger.items.sku }}", "a, b"),
        ("{% for item in trigger.items %}{{ loop.index }}{{ item.sku }}{% endfor %}", "1a2b"),
        ("{{ 'a' in trigger.items.sku }}", "true"),
        ("{% if contact.phone %}call{% else %}write{% endif %}", "write"),
        ("{{ contact.phone }}", ""),
        ("{{ contact.phone|escape }}{{ contact.phone|e }}", ""),
        ("{{ contact.points|e }} {{ contact.vip|e }} {{ '<b>'|e }}", "1234.5 true &lt;b&gt;"),
        ("{{ contact.phone|default('none') }}", "none"),
        ("{% if contact.phone is none %}missing{% endif %}", "missing"),
        ("{% set name = contact.first_name|upper %}{{ name }}", "ANA"),
        ("{% macro hi(who) %}Hi {{ who }}{% endmacro %}{{ hi(contact.first_name) }}", "Hi Ana"),
        ("{{ 'long text here'|truncate(10) }}", "long text…"),
        ("{{ 'a b&c'|urlencode }}", "a%20b%26c"),
        ("{{ contact.first_name ~ '!' }}", "Ana!"),
        ("{{ contact.first_name[0] }}{{ contact.tags[1] }}", "Avip"),
        ("{{ [3, 1, 2]|sort|join }}", "123"),
        ("{{ range(3)|join(',') }}", "0,1,2"),
        # What is missing.
        (
            "{{ contact.phone > 100 }} {{ not contact.phone > 100 }} {{ contact.phone != 5 }}",
            "false true false",
        ),
        (
            "{{ contact.phone in ['a'] }} {{ contact.phone not in ['a'] }} {{ 'a' in contact.phone }}",
            "false " * 2 + "false",
        ),
        (
            "{{ contact.phone is lt 5 }} {{ contact.phone is odd }} {{ 1 < contact.phone < 3 }}",
            "false false false",
        ),
        ("{{ contact.phone + 1 }}{{ 1 - contact.phone }}{{ -contact.phone }}{{ 'a' + contact.phone }}", ""),
        ("{% for tag in contact.tags if contact.phone > 3 %}{{ tag }}{% endfor %}", ""),
        ("{{ 'a' ~ contact.phone ~ contact.points ~ contact.tags }}", "a1234.5speaker, vip"),
        # Numbers.
        (
            "{{ contact.points - 0.5 }} {{ 1 / 3 }} {{ 0.1 + 0.2 == 0.3 }} {{ 9000000000000 * 2 }}",
            "1234 0.333333 true ",
        ),
        ("{{ contact.tags[-1] }} {{ contact.tags[2 - 1] }} {{ 80.1 in [80.1] }}", "vip vip true"),
    ],
)
def test_what_templates_can_say(body: str, expected: str) -> None:
    assert html(body) == expected


def test_values_are_escaped_in_html_and_plain_in_text_and_headers() -> None:
    evil = replace(ANA, attributes={"first_name": "<script>alert(1)</script> & {{ 7*7 }}"})
    files = {
        "hello.html": "---\nsubject: For {{ contact.first_name }}\n---\n<p>{{ contact.first_name }}</p>",
        "hello.txt": "{{ contact.first_name }}",
    }
    made = content(recipient=evil, files=files)
    assert made.html == "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; {{ 7*7 }}</p>"
    assert made.text == "<script>alert(1)</script> & {{ 7*7 }}"
    assert made.subject == "For <script>alert(1)</script> & {{ 7*7 }}"


def test_joined_values_are_escaped_one_by_one() -> None:
    tagged = replace(ANA, tags=["<a>", "b"])
    assert html("{{ contact.tags|join('<br>') }}", recipient=tagged) == "&lt;a&gt;&lt;br&gt;b"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # A line of tags alone leaves nothing, indented or not; it may hold several.
        ("Hi\n{% if 1 %}\nA\n{% endif %}\nB\n", "Hi\nA\nB\n"),
        ("a\n  {% if 1 %}{% if 1 %}  \nb\n{% endif %}{% endif %}\nc", "a\nb\nc"),
        ("a\n  {# a\nnote #}\nb", "a\nb"),
        ("a\n\n{% set x = 1 %}\n\nb", "a\n\n\nb"),
        ("{% raw %}\n{% x %}\n{% endraw %}\nz", "{% x %}\nz"),
        ("a\r\n{% if 1 %}\r\nb\r\n{% endif %}\r\nc", "a\nb\nc"),
        # On any other line all stays.
        ("Items: {% for i in [1, 2] %}{{ i }} {% endfor %}\nBye", "Items: 1 2 \nBye"),
        ("  {% if 1 %}Hello{% endif %}\nX", "  Hello\nX"),
        ("a {# note #}\nb", "a \nb"),
        ("{{ 1 }}{% if 1 %}\nq{% endif %}\n{{ 2 }}", "1\nq\n2"),
        # A sign in a tag says otherwise.
        ("a\n{%- if 1 %}\nb\n{%- endif %}\nc", "abc"),
        ("a\n{% if 1 -%}\n\nb\n{% endif +%}\nc", "a\nb\n\nc"),
        ("a\n  {%+ if 1 %}\nb\n{% endif %}", "a\n  b\n"),
    ],
)
def test_line_breaks_are_lost_where_tags_stand_alone_and_nowhere_else(body: str, expected: str) -> None:
    mail = content(files={"hello.txt": f"---\nsubject: Hi\n---\n{body}"})
    assert mail.text == expected
    # What is put together from files is as what stands in one.
    included = {"hello.txt": '---\nsubject: Hi\n---\n{% include "part.txt" %}', "part.txt": body}
    assert content(files=included).text.rstrip("\n") == expected.rstrip("\n")


CONDITIONS = (
    *(
        f"contact.n {sign} {other}"
        for sign in ("==", "!=", "<", "<=", ">", ">=")
        for other in ("1", "contact.m", "0.333333")
    ),
    *(f"not contact.n {sign} contact.m" for sign in ("==", "!=", "<", ">=")),
    *(f"contact.n {sign} contact.m > 0.5" for sign in "+-*/"),
    *(f"not (contact.n {sign} contact.m == 1.5)" for sign in "+-*/"),
    *("-contact.n < contact.m", "0 < contact.n <= contact.m", "contact.n / 3 * 3 == contact.n"),
    *("contact.s == 'a'", "contact.s != 'a'", "contact.s in ('a', 'Z')", "contact.s not in ('a', 'Z')"),
    *(
        "'a' in contact.s",
        "'a' not in contact.s",
        "contact.s + 'b' == 'ab'",
        "contact.s is none",
        "contact.s is not none",
    ),
    *("contact.b", "not contact.b", "contact.b and contact.n > 0", "contact.b or not contact.n > 0"),
    *(
        "'a' in contact.o.lines",
        "'a' not in contact.o.lines",
        "'vip' in contact.tags",
        "'vip' not in contact.tags",
    ),
    "(1 if contact.n > 0 else 2) == 2",
)


def test_a_condition_means_in_a_template_what_it_means_in_an_expression() -> None:
    """As the reference evaluator of the expressions has it, for people of whom much is missing."""
    meant = [parse_expression(each.replace(" none", " None"), SCOPE) for each in CONDITIONS]
    for person in situations(60, seed=7):
        of = {name: person.attributes.get(name) for name in ("s", "n", "m", "b", "o")}
        contact = {name: None if raw is None else present(raw, ATTRIBUTES[name]) for name, raw in of.items()}
        contact["tags"] = list(person.tags)
        for expression, source in zip(meant, CONDITIONS, strict=True):
            template = compiled(f"{{% if {source} %}}true{{% endif %}}", html=False)
            said = template.render(contact=contact, **{BUDGET: Budget()})
            assert (said == "true") is holds(expression, person), (source, contact)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("\n{{ contact.frist_name }}", "journeys/greet/hello.html:5: 'frist_name' is undefined"),
        ("{{ nobody.x }}", "journeys/greet/hello.html:4: 'nobody' is undefined"),
        ("a\nb\n{% if %}", "journeys/greet/hello.html:6: "),
        ("{{ contact }}", "print its members"),
        ("{{ contact.first_name.upper() }}", "'upper' is undefined"),
        ("{{ contact.first_name.__class__ }}", "undefined"),
        ("{{ contact.items() }}", "undefined"),
        ("{{ ''.__class__.__mro__ }}", "undefined"),
        ("{{ contact['__class__'] }}", "undefined"),
        ("{{ (contact|attr('keys'))() }}", "No filter named 'attr'"),
        ("{{ contact.first_name|safe }}", "No filter named 'safe'"),
        ("{{ '%s'|format(1) }}", "No filter named 'format'"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{{ cycler(1) }}", "'cycler' is undefined"),
        ("{{ self }}", "hello.html:4: "),
        (
            "\n{% autoescape false %}{{ contact.first_name }}{% endautoescape %}",
            "hello.html:5: `{% autoescape %}` may not stand in a template",
        ),
        ("{{ loop }}", "undefined"),
        ("{% for i in [1] %}{{ loop }}{% endfor %}", "an object cannot be printed"),
        ("{% for i in [1] %}{{ loop._iterable }}{% endfor %}", "undefined"),
        *(
            (said, "hello.html:5: a name that a template sets may not begin with `_`: `_")
            for said in (
                "\n{% set _budget = 1 %}",
                "\n{% set a, _zone = 1, 2 %}",
                "\n{% set _locale %}x{% endset %}",
                "\n{% for _zone in [1] %}{% endfor %}",
                "\n{% with _locale = 1 %}{% endwith %}",
                "\n{% macro _budget() %}{% endmacro %}",
                "\n{% macro f(_zone) %}{% endmacro %}",
                "\n{% macro f() %}{% endmacro %}{% call(_zone) f() %}{% endcall %}",
            )
        ),
        ("{% import 'x' as y %}", "hello.html:4: "),
        ("{% extends 'x' %}", "hello.html:4: "),
        ("{{ contact.first_name + 1 }}", "`+` is for numbers here"),
        ("{{ 'a' * 5 }}", "`*` is for numbers here"),
        ("{{ '%d' % 5 }}", "`%` is for numbers here"),
        ("{{ 9 ** 9 ** 9 }}", "`**`"),
        ("{{ contact.first_name > 3 }}", "values of different types do not go together"),
        ("{% for x in contact.points %}{% endfor %}", "values of different types"),
        ("{{ 'abc'|round }}", "round and number are for numbers"),
        ("{{ contact.first_name|date }}", "the filter date is for dates"),
    ],
)
def test_what_templates_cannot_do_names_the_line(body: str, said: str) -> None:
    with pytest.raises(RenderError) as raised:
        html(body)
    assert said in str(raised.value)
    assert "Ana" not in str(raised.value)
    assert "\n" not in str(raised.value)


GROWN = "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 16
"""A text of more than half a million characters."""


@pytest.mark.parametrize(
    "body",
    [
        "{% for a in range(999) %}" * 3 + "{% endfor %}" * 3,
        "{% for a in range(999) %}{{ 'x'|replace('x', 'yyyyyyyyyy' ~ a) }}" * 2 + "{% endfor %}" * 2,
        "{{ range(100000000)|join }}",
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a|length }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 60 + "{{ a|length }}",
        "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
        "{{ '%s' }}{% for a in range(900) %}{% for b in range(90) %}"
        + "x" * 200
        + "{% endfor %}{% endfor %}",
        "{{ contact.born|date('%d' ~ '%A' * 1) }}",
        *(
            GROWN + f"{{% for i in range(999) %}}{{% for j in range(90) %}}{work}{{% endfor %}}{{% endfor %}}"
            for work in (
                "{% if 'y' in a %}{% endif %}",
                "{% set b = a[1:] %}",
                "{% set b = a|upper %}",
                "{% set b %}{{ a }}{% endset %}",
                "{% set b = a ~ 'x' %}",
                "{% set b = a|replace('y', 'z') %}",
                "{% set b = 1|plural(other=a) %}",
            )
        ),
        "{% set a %}{% for i in range(999) %}{% for j in range(90) %}"
        + "x" * 50_000
        + "{% endfor %}{% endfor %}{% endset %}",
        "{% macro f() %}"
        + "x" * 500_000
        + "{% endmacro %}{% set a %}{% for i in range(900) %}{{ f() }}{% endfor %}{% endset %}",
    ],
)
def test_no_template_runs_or_writes_without_end(body: str) -> None:
    started = time.process_time()
    with pytest.raises(RenderError):
        html(body)
    assert time.process_time() - started < 5  # a second at most by itself; the machine may be busy


def test_a_long_but_honest_list_is_fine() -> None:
    items = [{"sku": f"sku-{number}"} for number in range(1_000)]
    made = html("{% for item in trigger.items %}{{ item.sku }} {% endfor %}", trigger={"items": items})
    assert made.startswith("sku-0 sku-1 ")
    assert len(made) < LARGEST_OUTPUT


# Locales -----------------------------------------------------------------------------------------------------------


LOCALES = {
    "hello.html": "---\nsubject: default\n---\ndefault",
    "hello.pt.html": "---\nsubject: pt\n---\npt",
    "hello.pt-BR.html": "---\nsubject: pt-BR\n---\npt-BR",
    "hello.ka.html": "---\nsubject: ka\n---\nka",
    "hello.txt": "default",
    "hello.pt.txt": "pt",
}


@pytest.mark.parametrize(
    ("locale", "subject", "text"),
    [
        ("pt-BR", "pt-BR", ""),
        ("pt_br", "pt-BR", ""),
        ("pt-PT", "pt", "pt"),
        ("pt", "pt", "pt"),
        ("ka-GE", "ka", ""),
        ("de", "default", "default"),
        (None, "default", "default"),
        ("", "default", "default"),
    ],
)
def test_a_message_is_in_the_best_locale_throughout(locale: str | None, subject: str, text: str) -> None:
    made = content(recipient=replace(ANA, locale=locale), files=LOCALES)
    assert (made.subject, made.html, made.text.strip()) == (subject, subject, text or subject)


def test_text_is_made_of_html_where_there_is_only_html() -> None:
    front = "subject: x\npreheader: seen beside the subject"
    made = content(
        '<p>Hi <b>Ana</b>,</p><p>see <a href="https://x.example/?a=1&amp;b=2">it</a></p>', front=front
    )
    assert made.text == "Hi Ana,\n\nsee it (https://x.example/?a=1&b=2)\n"


def test_the_order_of_locales() -> None:
    assert list(locales("zh-Hant-TW", "en-GB")) == [
        "zh-Hant-TW",
        "zh-Hant",
        "zh",
        "en-GB",
        "en",
        None,
    ]


def test_the_catalogs_locale_stands_in() -> None:
    files = {"hello.en.html": "---\nsubject: en\n---\nen", "hello.ka.html": "---\nsubject: ka\n---\nka"}
    made = content(recipient=replace(ANA, locale="de"), files=files)
    assert (made.subject, made.locale) == ("en", "en")


# Whatever the values are -------------------------------------------------------------------------------------------


STORED = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4)

PIECES = st.sampled_from(
    [
        *("{{ contact.first_name }}", "{{ contact.points }}", "{{ contact.tags }}", "{{ trigger.items }}"),
        *(
            "{{ trigger.items.sku|",
            "{% for x in contact.tags %}",
            "{% endfor %}",
            "{% if contact.vip %}",
            "{% endif %}",
        ),
        *(
            "upper }}",
            "join }}",
            "{{ loop.index }}",
            "{{ 1 + ",
            "contact.points }}",
            "{{ contact.x }}",
            "{%",
            "}}",
        ),
        *[f"{{{{ contact.points|{name} }}}}" for name in FILTERS],
        *[f"{{{{ contact.tags|{name} }}}}" for name in FILTERS],
        *[f"{{{{ contact.phone|{name} }}}}" for name in FILTERS],
    ]
)


@given(body=st.lists(PIECES, max_size=6).map("".join), first_name=st.none() | st.text())
def test_any_template_renders_or_says_where_it_fails(body: str, first_name: str | None) -> None:
    recipient = replace(ANA, attributes={**ANA.attributes, "first_name": first_name})
    said = ""
    try:
        html(body, recipient=recipient)
    except RenderError as error:
        said = str(error)
    assert not said or said.startswith("journeys/greet/hello.html:")


def test_a_template_reads_the_account() -> None:
    """By what the catalog declares of accounts; whoever has none reads nothing."""
    of_acme = replace(ANA, account="acme", account_attributes={"seats": 5_000_000, "secret": "x"})
    catalog = CATALOG + "accounts:\n  seats: {type: number}\n  industry: {type: string}\n"
    files = {**FILES, "journeys/catalog.yaml": catalog}
    files["journeys/greet/hello.html"] = (
        '---\nsubject: Hi\n---\n{{ account.seats }} {{ account.industry or "any" }}'
    )
    del files["journeys/greet/hello.txt"]
    project = load_project(files)
    assert not [each for each in check_files(files).problems if each.code.startswith("template/")]
    files["journeys/greet/hello.html"] += "{{ account.seat }}"
    assert "template/unknown" in {each.code for each in check_files(files).problems}
    for recipient, expected in ((of_acme, "5 any"), (ANA, "any")):
        rendered = render(
            project.journeys["greet"],
            project.catalog,
            project.templates["greet"],
            "hello",
            recipient=recipient,
            trigger=TRIGGER,
            data={},
            entered_at=ENTERED,
        )
        assert (rendered.html or "").strip() == expected


@pytest.mark.parametrize(
    ("printed", "mended", "instead"),
    [
        ("contact.first_name", "contact.first_name|default('friend')", "friend"),
        ("contact.first_name|upper", "{% if contact.first_name %}…{% else %}friend{% endif %}", "friend"),
        ('contact.born|date("%d.%m.%Y")', "{% if contact.born %}…{% else %}soon{% endif %}", "soon"),
    ],
)
def test_what_is_proposed_for_a_subject_stands_there_for_who_has_no_value(
    printed: str, mended: str, instead: str
) -> None:
    """A default before ``date`` is no date, and one behind it never comes: ``date`` makes an empty text of nothing."""

    def warned(files: dict[str, str]) -> list[Problem]:
        return [each for each in check_files(files).problems if each.code == "template/subject-default"]

    path = "journeys/greet/hello.html"
    old = FILES[path].partition("subject: ")[2].partition("\n")[0]
    (problem,) = warned({**FILES, path: FILES[path].replace(old, f"'{{{{ {printed} }}}}'")})
    assert mended in (problem.hint or "")
    written = mended.replace("…", f"{{{{ {printed} }}}}") if "…" in mended else f"{{{{ {mended} }}}}"
    assert not warned({**FILES, path: FILES[path].replace(old, json.dumps(written))})
    assert compiled(written, html=False).render(contact={"first_name": None, "born": None}) == instead
