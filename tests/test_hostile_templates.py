"""Whatever stands in a template, it compiles with all its tags or is told, and takes neither the time nor the memory of
others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.journey.elements import tags, too_deep
from runner.journey.project import load_project
from runner.journey.template import Part, Template
from runner.journey.template_pieces import TemplateTrouble, pieces_of
from tests.laid_out import FOOTER, LAID_OUT, files_of, found


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
