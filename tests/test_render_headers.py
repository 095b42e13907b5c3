"""The front matter of a template: subject, sender and preheader, and what no value can do to them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runner.engine.render import RenderError
from tests.rendered import ANA, content


def test_front_matter_gives_subject_sender_and_preheader() -> None:
    front = (
        'subject: "  Hi {{ contact.first_name }} "\npreheader: "{{ contact.first_name }} & co"\n'
        'from: "{{ contact.first_name }} at Shop <team@shop.example>"\nreply_to: help@shop.example'
    )
    made = content("<html><body class='a'><p>x</p></body></html>", front=front)
    assert made.subject == "Hi Ana"
    assert (made.sender_name, made.sender_address, made.reply_to) == (
        "Ana at Shop",
        "team@shop.example",
        "help@shop.example",
    )
    assert made.html is not None
    assert made.html.startswith("<html><body class='a'><div style=\"display:none")
    assert "Ana &amp; co</div><p>x</p>" in made.html


@pytest.mark.parametrize("evil", ["a\r\nBcc: x@y", "a\nb", "a\0b", "a\x7fb"])
def test_values_that_would_break_a_header_are_refused(evil: str) -> None:
    with pytest.raises(RenderError, match=r"hello\.html:2: its subject comes out with"):
        content(
            front="subject: Hi {{ contact.first_name }}!",
            recipient=replace(ANA, attributes={"first_name": evil}),
        )


def mailboxes(sender: str, first_name: str | None) -> tuple[str | None, str | None, str | None]:
    """The name and the address of the sender that ``sender`` makes, and where answers to it go, for such a contact."""
    made = content(
        front=f"subject: Hi\nfrom: {json.dumps(sender)}\nreply_to: {json.dumps(sender)}",
        recipient=replace(ANA, attributes={"first_name": first_name}),
    )
    return made.sender_name, made.sender_address, made.reply_to


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CEO <ceo@bank.example>",
            "x@y.example, z",
            "ceo@bank.example",
            'Ana "the" Great',
            "Ana (CEO)",
            "a;b: c",
        ),
        *("<", ">", "a> <ceo@bank.example", "Clear View, Ltd.", "O'Neil", "Ana\\"),
    ],
)
def test_a_value_is_the_senders_name_and_never_the_address(name: str) -> None:
    expected = ("nino@shop.example", "nino@shop.example")
    assert mailboxes("{{ contact.first_name }} <nino@shop.example>", name) == (name, *expected)
    assert mailboxes('"{{ contact.first_name }}" <nino@shop.example>', name) == (name, *expected)


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("nino@shop.example", None, "nino@shop.example"),
        ("<nino@shop.example>", None, "nino@shop.example"),
        ('"Shop, \\"S\\"" <nino@shop.example>', 'Shop, "S"', "nino@shop.example"),
        ("Shop <{{ contact.first_name|lower }}@shop.example>", "Shop", "ana@shop.example"),
        (
            "{% if contact.first_name %}A <a@x.example>{% else %}B <b@x.example>{% endif %}",
            "A",
            "a@x.example",
        ),
        ("{% if 1 < 2 %}A{% endif %} <a@x.example>", "A", "a@x.example"),
        ("{# no one #}{% if contact.phone %}a@x.example{% endif %}", None, None),
    ],
)
def test_the_template_says_which_is_the_address(sender: str, name: str | None, address: str | None) -> None:
    assert mailboxes(sender, "Ana") == (name, address, address)


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        *(
            ("Shop <{{ contact.first_name }}@shop.example>", name)
            for name in (
                "ceo@bank.example> <x",
                "a,b",
                "a b",
                "a@b",
                '"a"',
                "a:b",
                "a;b",
                "a\tb",
                "a\nb",
                None,
            )
        ),
        ("{{ contact.first_name }}", "CEO <ceo@bank.example>"),
        ("{{ contact.first_name }}", "CEO \x02ceo@bank.example\x03 "),
        ("{{ contact.first_name }} <nino@shop.example>", "CEO \x02ceo@bank.example\x03"),
        ("Shop <nino@shop.example> {{ contact.first_name }}", "<ceo@bank.example>"),
        ("Shop <nino@shop.example>, Shop <a@shop.example>", "Ana"),
        ("Shop", "Ana"),
        ("{{ contact.first_name }} <nino@shop.example>", "a\r\nBcc: x@y.example"),
        ("{{ contact.first_name", "Ana"),
    ],
)
def test_a_sender_that_is_not_one_plain_address_is_refused(sender: str, name: str | None) -> None:
    with pytest.raises(RenderError, match=r"hello\.html:3: "):
        mailboxes(sender, name)
