"""What is proven of a condition is so: for every contact that the reference evaluator reads it for, and by Z3 as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.journey.expression import Expression, parse_expression
from runner.journey.values import Kind
from runner.review.proof.intervals import possible
from runner.review.proof.question import Prover
from runner.review.proof.solver import solved
from tests.reference.expression_author import written
from tests.reference.expression_shop import ANYWHERE, IN_RUN
from tests.reference.expression_world import SCOPE, situations
from tests.reference.expressions import holds

PEOPLE = situations(24, seed=7)
AT_ONCE = 100

_NAMES = {
    "number": ("contact.n", "trigger.n", "contact.m", "(contact.n - 1)", "(contact.n * 2)", "(-contact.n)"),
    "counted": (
        *(
            "count('Order Completed')",
            "count('Order Completed', within='30d')",
            "days_since('Order Completed')",
        ),
        *(
            "count('Order Completed', where=event.b)",
            "consent_age('offers', 'email')",
            "people(contact.b, by='account')",
        ),
    ),
    "string": ("contact.s", "trigger.s", "contact.s.lower()", "weekday", "(contact.s + 'a')"),
    "date": ("contact.d", "trigger.d", "today", "(contact.d + days('1w'))"),
    "datetime": ("contact.t", "trigger.t", "now", "run.entered_at", "(now - days('1d'))"),
    "days": ("(contact.d - today)", "(contact.t - now)", "(contact.n - trigger.n)", "(contact.n / 3)"),
    "stage": ("contact.stage", "contact.stage", "contact.stage"),
    "chosen": ("(contact.n if contact.b else trigger.n)", "(1 if contact.b else None)"),
}
_LITERALS = {
    "number": ("0", "1", "-1", "1.5", "2", "0.5"),
    "counted": ("0", "1", "2", "0.5", "30", "7"),
    "string": ("''", "'a'", "'ab'", "'b'", "'mon'"),
    "date": ("date('2026-03-29')", "date('2026-03-28')", "date('2024-02-29')"),
    "datetime": ("datetime('2026-03-29T12:00:00Z')", "datetime('2026-03-22T12:00:00Z')"),
    "days": ("0", "1", "-1", "0.5", "14"),
    "stage": ("'a'", "'b'", "'ab'"),
    "chosen": ("0", "1", "2"),
}
_FACTS = (
    *("contact.b", "trigger.b", "(contact.b == trigger.b)", "(contact.b is None)", "(contact.b != True)"),
    *(
        "did('Order Completed')",
        "did('Order Completed', within='7d')",
        "did('Order Completed', within='30d')",
    ),
    *(
        "(last('Order Completed').n is None)",
        "(last('Order Completed').n > 1)",
        "did('Order Completed', where=event.b)",
    ),
    *("consented('offers', 'email')", "reachable('email')", "in_segment('vip')", "sent('remind')"),
    *(
        "('a' in contact.tags)",
        "('a' not in contact.tags)",
        "contact.s.startswith('a')",
        "contact.s.matches('a')",
    ),
    *(
        "(contact.s in ('a', 'b'))",
        "(contact.s not in ('a', 'b'))",
        "(contact.s in trigger.s)",
        "(contact.n in (1, 2))",
    ),
)


class _Author:
    """Conditions over so few names that they often contradict each other."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.kinds = self.chance.sample(sorted(_NAMES), 2)
        self.facts = self.chance.sample(_FACTS, 3)

    def condition(self, depth: int) -> str:
        chance = self.chance
        if depth == 0 or chance.random() < 0.15:
            return chance.choice(self.facts) if chance.random() < 0.3 else self.compared()
        parts = [self.condition(depth - 1) for _ in range(chance.choice((2, 2, 3)))]
        match chance.randrange(6):
            case 0:
                return f"(not {parts[0]})"
            case 1:
                return f"({parts[0]} if {parts[1]} else {parts[-1]})"
            case 2 | 3:
                return f"({' or '.join(parts)})"
        return f"({' and '.join(parts)})"

    def compared(self) -> str:
        chance = self.chance
        kind = chance.choice(self.kinds)
        names, literals = _NAMES[kind][:2] if chance.random() < 0.6 else _NAMES[kind], _LITERALS[kind]
        name = chance.choice(names)
        if chance.random() < 0.1:
            return f"({name} is None)"
        other = chance.choice(literals) if chance.random() < 0.75 else chance.choice(names)
        return f"({name} {chance.choice(('==', '!=', '<', '<=', '>', '>='))} {other})"


def conditions(seed: int) -> list[Expression]:
    """Three conditions over the same names, and one of the whole language."""
    author = _Author(seed)
    sources = [author.condition(author.chance.choice((1, 2, 2, 3))) for _ in range(3)]
    sources.append(written(author.chance.getrandbits(62), Kind.BOOLEAN))
    return [parse_expression(source, SCOPE) for source in sources]


def check_against_people(prover: Prover, seed: int, found: Counter[str]) -> None:
    asked = conditions(seed)
    for expression in asked:
        read = [holds(expression, person) for person in PEOPLE]
        if not prover.can_be_true(expression.tree):
            found["never"] += 1
            assert not any(read), expression.source
        if not prover.can_be_untrue(expression.tree):
            found["always"] += 1
            assert all(read), expression.source
    *earlier, last = asked
    if not prover.can_be_true(last.tree, [each.tree for each in earlier]):
        found["covered"] += 1
        for person in PEOPLE:
            assert any(holds(each, person) for each in earlier) or not holds(last, person)


def test_what_intervals_prove_is_so_for_everybody() -> None:
    found: Counter[str] = Counter()

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**62))
    def agree(seed: int) -> None:
        prover, chance = Prover(), Random(seed)
        for _ in range(AT_ONCE):
            check_against_people(prover, chance.getrandbits(62), found)

    agree()
    assert min(found["never"], found["always"], found["covered"]) > 100, found
