"""Writes expressions that have a type, by a grammar: a seed makes a source, and a source that fails is made smaller."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from hypothesis import strategies as st

from runner.journey.expression import ExpressionError, parse_expression
from runner.journey.expression.canonical import number_text
from runner.journey.values import Kind
from tests.reference.expression_world import POOLS, SCOPE

_HOLE = re.compile("«(.+?)»")
_PATTERNS = (
    *(
        "a",
        "^a",
        "b$",
        "^$",
        "^a$",
        "a|b",
        "[a-z]+",
        "^[^a-z]+$",
        "(ab)*$",
        "^(a|b){1,2}$",
        ".",
        "^.$",
        "^..$",
    ),
    *("a.b", "[😀-😎]", "^[ა-ჰ]+$", "%_", "\\\\\\\\", "[\\\\]x]|é", "(a+)+$", "x{2,}", "[0-9]{4}-[0-9]{2}"),
    *("\\\\.", "[-a]", "[a\\\\-]"),
)
_WORDS: Mapping[str, tuple[str, ...]] = {
    "event": ("'Order Completed'", "'Cart Updated'"),
    "duration": ("'7d'", "'30d'", "'365d'", "'1h'", "'P1DT1H'", "'1s'"),
    "days": ("'7d'", "'1w'", "'365d'"),
    "compare": ("==", "!=", "<", "<=", ">", ">="),
    "in": ("in", "not in"),
    "is": ("is", "is not"),
    "arithmetic": tuple("+-*/"),
    "sign": tuple("+-"),
    "pattern": tuple(f'"{pattern}"' for pattern in _PATTERNS),
    "topic": ("'offers'", "'news'"),
    "channel": ("'email'", "'sms'", "'push'"),
    "journey": ("'abandoned'", "'welcome'"),
    "step": ("'welcome/hello'", "'welcome/remind'", "'abandoned/nudge'"),
    "own step": ("'remind'", "'nudge'"),
    "link": ("", ", link='cart'"),
    "by": ("", "", ", by='account'"),
    "within": ("", ", within=«duration»"),
    "where": ("", ", where=«boolean»"),
    "options": ("«by»«within»«where»",),
    "strings": (
        *(
            "contact.tags",
            "trigger.words",
            "event.items.sku",
            "EU",
            "FAR",
            "contact.o.lines",
            "trigger.place.lines",
        ),
        *("last('Cart Updated').words", "last('Order Completed', within='30d').items.sku", "['a', 'b', '']"),
        *("[«string literal»]", "[«string literal», «string literal»]", "run.comments.sku", "account.words"),
        "last('Cart Updated', by='account').words",
    ),
    "numbers": (
        *("trigger.amounts", "event.items.price", "(1, 0.5, -1)", "last('Cart Updated').amounts"),
        "run.comments.price",
    ),
}
_NAMES: Mapping[Kind, tuple[str, ...]] = {
    Kind.STRING: (
        *("contact.s", "trigger.s", "event.s", "run.s", "account.s", "run.blocked", "contact.account"),
        *("contact.email", "contact.locale", "contact.id", "contact.timezone", "weekday"),
        *("trigger.place.city", 'event["Ünï.cödé [0] $"]', "contact.o.city"),
    ),
    Kind.NUMBER: (*("contact.n", "trigger.n", "event.n", "run.n", "account.n", "contact.m"),),
    Kind.BOOLEAN: ("contact.b", "trigger.b", "event.b", "run.b", "account.b"),
    Kind.DATE: ("contact.d", "trigger.d", "event.d", "run.d", "account.d", "today"),
    Kind.DATETIME: ("contact.t", "trigger.t", "event.t", "account.t", "now", "run.entered_at"),
}
_LETTERS = {Kind.STRING: "s", Kind.NUMBER: "n", Kind.DATE: "d", Kind.DATETIME: "t"}
_COMPOUNDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.NUMBER: (
        *("(«number» «arithmetic» «number»)", "(«number» «arithmetic» «number»)", "(-«number»)"),
        *("(«date» - «date»)", "(«datetime» - «datetime»)"),
        *("count(«event»«options»)", "days_since(«event»«options»)", "total(«event», 'n'«options»)"),
        *("people(«colleague», by='account')", "consent_age(«topic», «channel»)"),
        *("contact.score.lead", "contact.score.heat"),
    ),
    Kind.STRING: ("(«string» + «string»)", "«string».lower()", "(contact.stage + «string»)"),
    Kind.DATE: ("(«date» «sign» days(«days»))",),
    Kind.DATETIME: ("(«datetime» «sign» days(«duration»))",),
    Kind.BOOLEAN: (
        *(
            "(«boolean» and «boolean»)",
            "(«boolean» or «boolean»)",
            "(not «boolean»)",
            "(«boolean» == «boolean»)",
        ),
        *("(«number» «compare» «number»)", "(«string» «compare» «string»)", "(«date» «compare» «date»)"),
        *("(«datetime» «compare» «datetime»)", "(«number name» «compare» «number literal»)"),
        *(
            "(«string name» «compare» «string literal»)",
            "(«number leaf» «compare» «number leaf» «compare» «number leaf»)",
        ),
        *(
            "(«string leaf» «compare» «string leaf» «compare» «string leaf»)",
            "(«date leaf» < «date leaf» <= «date leaf»)",
        ),
        *(
            "(«string name» «is» None)",
            "(«number name» «is» None)",
            "(«date name» «is» None)",
            "(«boolean name» «is» None)",
        ),
        *("(«string» «in» «strings»)", "(«string» «in» «strings»)", "(«string» «in» «string»)"),
        *("(«number» «in» «numbers»)", "(«boolean» «in» trigger.flags)", "(«boolean» «in» [True])"),
        *("«string».startswith(«string»)", "«string».endswith(«string»)", "«string».matches(«pattern»)"),
        *("«string».startswith(«string literal»)", "«string».endswith(«string literal»)"),
        *("did(«event»«options»)", "did(«event»«options»)", "(days_since(«event»«by») is None)"),
        *("did('Message Opened'«by», where=not event.bot and event.step == «own step»)", "in_segment('vip')"),
        *(
            "in_segment('recent')",
            "consented(«topic», «channel»)",
            "reachable(«channel»)",
            "in_journey(«journey»)",
        ),
        *(
            "completed(«journey»)",
            "sent(«step»)",
            "opened(«step»)",
            "clicked(«step»«link»)",
            "replied(«step»)",
        ),
        *(
            "(people(«colleague», by='account') «compare» «number literal»)",
            "(consent_age(«topic», «channel») is None)",
        ),
        *("(contact.stage «in» ['a', 'ab'])", "(contact.score.lead «compare» «number literal»)"),
    ),
}
_OF_RUN = ("sent(«own step»)", "opened(«own step»)", "clicked(«own step»«link»)", "replied(«own step»)")
"""What can be asked only of the contact in the run, never of a colleague."""


@cache
def _pieces(pattern: str) -> tuple[str, ...]:
    """Text and holes by turns."""
    return tuple(_HOLE.split(pattern))


@cache
def _literals(kind: Kind) -> tuple[str, ...]:
    if kind is Kind.STRING:
        return tuple(map(repr, POOLS[kind]))
    if kind is Kind.NUMBER:
        return tuple(map(number_text, POOLS[kind]))
    if kind is Kind.BOOLEAN:
        return ("True", "False")
    return tuple(f"{kind.value}({text!r})" for text in POOLS[kind])


@cache
def _compounds(kind: Kind, of_colleague: bool) -> tuple[str, ...]:
    own, letter = kind.value, _LETTERS.get(kind)
    found = [*_COMPOUNDS[kind], f"(«{own}» if «boolean» else «{own}»)", f"(«{own}» if «boolean» else None)"]
    if letter:
        found.append(f"last(«event»«options»).{letter}")
    if kind is Kind.BOOLEAN and not of_colleague:
        found += _OF_RUN
    return tuple(found)


class _Author:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.of_colleague = False

    def write(self, pattern: str, depth: int) -> str:
        """``pattern`` with every hole filled, nested so many levels deep at most."""
        parts = _pieces(pattern)
        if len(parts) == 1:
            return pattern
        return "".join(self.fill(part, depth) if place % 2 else part for place, part in enumerate(parts))

    def fill(self, hole: str, depth: int) -> str:
        if hole == "colleague":
            before, self.of_colleague = self.of_colleague, True
            written = self.fill("boolean", depth)
            self.of_colleague = before
            return written
        if hole in _WORDS:
            words = _WORDS[hole]
            return self.write(words[0] if hole == "where" and depth < 1 else self.chance.choice(words), depth)
        name, _, what = hole.partition(" ")
        return self.value(Kind(name), what, depth)

    def value(self, kind: Kind, what: str, depth: int) -> str:
        chance = self.chance
        if not what and depth > 0 and chance.random() < 0.67:
            return self.write(chance.choice(_compounds(kind, self.of_colleague)), depth - 1)
        if what == "literal" or (what != "name" and chance.random() < 0.33):
            return chance.choice(_literals(kind))
        return chance.choice(_NAMES[kind])


def written(seed: int, kind: Kind, depth: int | None = None) -> str:
    """The source of an expression of ``kind``, so many levels deep at most (without a number, one to three, as the seed
    says); the same for one seed."""
    author = _Author(seed)
    return author.value(kind, "", author.chance.choice((1, 1, 2, 2, 2, 3)) if depth is None else depth)


def expressions(kind: Kind, depth: int | None = None) -> st.SearchStrategy[str]:
    """Sources of expressions of ``kind``."""
    return st.integers(0, 2**62).map(lambda seed: written(seed, kind, depth))


def smallest(source: str, fails: Callable[[str], bool]) -> str:
    """A shorter expression for which ``fails`` holds as for ``source``, parts of it being left out while it does."""
    while True:
        shorter = next((each for each in _simpler(source) if _is_expression(each) and fails(each)), None)
        if shorter is None:
            return source
        source = shorter


def _simpler(source: str) -> Iterator[str]:
    """``source`` with one of its parts in the place of one that holds it, without an argument, or with a name, the
    shortest first."""
    found: set[str] = set()
    root = ast.parse(source, mode="eval").body
    for node in ast.walk(root):
        if not isinstance(node, ast.expr):
            continue
        text = ast.unparse(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.expr) and inner is not node:
                found.add(ast.unparse(root).replace(text, ast.unparse(inner), 1))
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                fewer = ast.Call(
                    node.func, node.args, [each for each in node.keywords if each is not keyword]
                )
                found.add(ast.unparse(root).replace(text, ast.unparse(fewer), 1))
    yield from sorted(
        (each for each in found if len(each) < len(ast.unparse(root))), key=lambda each: (len(each), each)
    )


def _is_expression(source: str) -> bool:
    """Whether it is one, and its value is a single one, which all databases give back alike."""
    try:
        return parse_expression(source, SCOPE).type.kind in POOLS
    except (ExpressionError, ValueError):
        return False
