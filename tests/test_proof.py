"""What is proven of a condition is so: for every contact for whom the reference evaluator reads it, and by Z3 too."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from documents import ROOT, blocks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.cli.init import project_files
from runner.journey.expression import Expression, parse_expression
from runner.journey.values import Kind
from runner.review.proof.intervals import possible
from runner.review.proof.question import Prover
from runner.review.proof.solver import solved, solver
from tests.reference.expression_author import written
from tests.reference.expression_shop import IN_RUN
from tests.reference.expression_world import SCOPE, situations
from tests.reference.expressions import holds

PEOPLE = situations(24, seed=7)
AT_ONCE = 80

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


def check_against_people(prover: Prover, asked: list[Expression], found: Counter[str]) -> None:
    """What the prover is sure of holds for everybody."""
    for expression in asked:
        if not prover.can_be_true(expression.tree):
            found["never"] += 1
            assert not any(holds(expression, person) for person in PEOPLE), expression.source
        if not prover.can_be_untrue(expression.tree):
            found["always"] += 1
            assert all(holds(expression, person) for person in PEOPLE), expression.source
    *earlier, last = asked
    if not prover.can_be_true(last.tree, [each.tree for each in earlier]):
        found["covered"] += 1
        for person in PEOPLE:
            assert any(holds(each, person) for each in earlier) or not holds(last, person), last.source


def test_what_intervals_prove_is_so_for_everybody() -> None:
    found: Counter[str] = Counter()

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**62))
    def agree(seed: int) -> None:
        prover, chance = Prover(), Random(seed)
        for _ in range(AT_ONCE):
            check_against_people(prover, conditions(chance.getrandbits(62)), found)

    agree()
    assert min(found["never"], found["always"], found["covered"]) > 30, found


def test_intervals_never_contradict_z3_and_both_are_right() -> None:
    """What intervals rule out, Z3 rules out; and nobody fulfils what Z3 rules out."""
    found: Counter[tuple[bool, bool | None]] = Counter()

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**62))
    def agree(seed: int) -> None:
        prover = Prover()
        one, *_ = asked = conditions(seed)
        for true, untrue in (([one], []), ([], [one]), ([asked[1]], [one, asked[2]])):
            formula = prover.formula([each.tree for each in true], [each.tree for each in untrue])
            by_intervals, by_z3 = possible(formula), solved(formula, 5.0)
            found[by_intervals, by_z3] += 1
            assert by_intervals or by_z3 is not True, one.source
            if by_z3 is False:
                for person in PEOPLE:
                    fulfils = all(holds(each, person) for each in true)
                    assert not fulfils or any(holds(each, person) for each in untrue), one.source

    agree()
    assert found[False, False] > 5, found
    assert found[True, True] > 5, found


# Conditions as authors write them ---------------------------------------------------------------------------------

NEVER = (
    "contact.lifetime_value > 5 and contact.lifetime_value < 3",
    "contact.lifetime_value == 5 and contact.lifetime_value != 5",
    "18 <= contact.lifetime_value < 18",
    "contact.lifetime_value > 0 and contact.lifetime_value < 0.000001",
    "contact.lifetime_value > 9000000000000",
    'contact.plan == "free" and contact.plan == "pro"',
    'contact.plan != "free" and contact.plan != "pro"',
    'contact.plan not in ("free", "pro")',
    'contact.country in EU and contact.country == "US"',
    'contact.country > "b" and contact.country < "a"',
    'contact.country < ""',
    'contact.country is None and contact.country.lower() == "at"',
    "contact.churned is None and contact.churned",
    "contact.churned == True and contact.churned != True",
    "contact.renewal_date - today <= 14 and contact.renewal_date > today + days('20d')",
    "0 < (contact.renewal_date - today) < 1",
    "contact.signed_at > now and now - contact.signed_at > 1",
    "run.entered_at > now",
    "trigger.total * 0.19 > 10 and trigger.total < 50",
    "-trigger.total / 3 >= 1 and trigger.total > -2.9",
    "trigger.total > contact.lifetime_value and contact.lifetime_value >= trigger.total",
    "trigger.total - contact.lifetime_value > 5 and contact.lifetime_value > trigger.total",
    "trigger.total / 0 > 1",
    'count("Order Completed") < 0',
    'count("Order Completed") > 1 and count("Order Completed") < 2',
    'did("Order Completed", within="7d") and not did("Order Completed", within="30d")',
    'did("Order Completed", where=event.revenue > 5) and count("Order Completed") == 0',
    'did("Order Completed", within="30d") and days_since("Order Completed") > 29',
    'not did("Order Completed", within="30d") and days_since("Order Completed") < 30',
    'days_since("Order Completed") is None and did("Order Completed")',
    'last("Order Completed").revenue > 5 and not did("Order Completed")',
    'consent_age("offers", "email") > 5 and not consented("offers", "email")',
    'contact.stage == "validation" and not did("Order Completed")',
    'contact.stage == "problem" and did("Order Completed")',
    'weekday in ("sat", "sun") and weekday == "mon"',
    '"vip" in contact.tags and "vip" not in contact.tags',
    'contact.email.startswith("a") and not contact.email.startswith("a")',
    "(1 if contact.churned else 2) == 2 and contact.churned",
    'in_segment("vip") and not total("Order Completed", "revenue", within="365d") > 500',
)
ALWAYS = (
    "contact.lifetime_value >= 5 or contact.lifetime_value < 5 or contact.lifetime_value is None",
    "not contact.lifetime_value > 5 or not contact.lifetime_value < 5",
    'contact.plan == "free" or contact.plan == "pro" or contact.plan is None',
    "contact.churned or not contact.churned",
    'count("Order Completed") >= 0',
    "0.1 + 0.2 == 0.3",
    'weekday in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")',
    "contact.id is not None",
    "now >= run.entered_at",
    'did("Order Completed") or days_since("Order Completed") is None',
)
PERHAPS = (
    "contact.lifetime_value >= 5 or contact.lifetime_value < 5",
    'contact.plan == "free" or contact.plan == "pro"',
    'did("Order Completed", within="30d") and days_since("Order Completed") == 29',
    "0 < (contact.signed_at - now) < 1",
    "contact.lifetime_value > 0 and contact.lifetime_value < 0.000002",
    "trigger.total * 0.19 > 10 and trigger.total < 53",
    "contact.lifetime_value + 1 is None and contact.lifetime_value is not None",
    'contact.country > "a" and contact.country < "aa"',
    'did("Order Completed", within="7d") and not did("Cart Updated", within="30d")',
    'opened("remind") and not sent("remind")',
)
ONLY_Z3 = (
    "contact.lifetime_value * contact.lifetime_value < 0",
    "contact.lifetime_value + trigger.total > 5 and contact.lifetime_value < 1 and trigger.total < 2",
)


def _read(source: str) -> Expression:
    return parse_expression(source, IN_RUN)


@pytest.mark.parametrize("source", NEVER)
def test_what_is_never_true(source: str) -> None:
    prover = Prover()
    assert not prover.can_be_true(_read(source).tree)
    assert prover.can_be_untrue(_read(source).tree)


@pytest.mark.parametrize("source", ALWAYS)
def test_what_is_always_true(source: str) -> None:
    prover = Prover()
    assert not prover.can_be_untrue(_read(source).tree)
    assert prover.can_be_true(_read(source).tree)


@pytest.mark.parametrize("possible_by", [None, 5.0])
def test_what_may_be_true_or_not(possible_by: float | None) -> None:
    prover = Prover() if possible_by is None else Prover(solver(possible_by))
    for source in PERHAPS:
        assert prover.can_be_true(_read(source).tree), source
        assert prover.can_be_untrue(_read(source).tree), source


@pytest.mark.parametrize("source", ONLY_Z3)
def test_what_z3_alone_sees(source: str) -> None:
    assert Prover().can_be_true(_read(source).tree)
    assert not Prover(solver(5.0)).can_be_true(_read(source).tree)


def test_a_question_that_takes_too_long_is_a_perhaps() -> None:
    hard = "trigger.total * trigger.total * trigger.total * 7 - contact.lifetime_value * contact.lifetime_value == 0.5"
    assert Prover(solver(0.001)).can_be_true(_read(hard).tree)


def test_a_case_that_earlier_ones_cover() -> None:
    prover = Prover()
    high, some, free, rest = (
        _read(source).tree
        for source in (
            "contact.lifetime_value >= 1000",
            "contact.lifetime_value >= 100",
            'contact.plan == "free" or contact.plan is None',
            'contact.plan == "pro"',
        )
    )
    assert not prover.can_be_true(high, [some])
    assert prover.can_be_true(some, [high])
    assert prover.can_all_be_untrue([high, some, free])
    assert not prover.can_all_be_untrue([free, rest])


# The page ---------------------------------------------------------------------------------------------------------

HEADINGS = {"True for nobody": "never", "True for everybody": "always", "Neither is proven": "perhaps"}


def _answer(prover: Prover, source: str) -> str:
    tree = _read(source).tree
    if not prover.can_be_true(tree):
        return "never"
    return "perhaps" if prover.can_be_untrue(tree) else "always"


def test_the_page_says_what_is_proven() -> None:
    page = ROOT / "docs" / "proofs.md"
    shown = [block for block in blocks("python") if block.page == page]
    assert [block.heading for block in shown] == list(HEADINGS)
    for prover in (Prover(), Prover(solver(5.0))):
        for block in shown:
            for line in block.text.splitlines():
                assert _answer(prover, line) == HEADINGS[block.heading], line


def test_prove_says_how_to_install_what_is_missing(tmp_path: Path) -> None:
    """As in an environment without the extra: Python finds no module called z3."""
    for name, data in project_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    without = "import sys; sys.modules['z3'] = None; from runner.cli import run; sys.exit(run(['check', '--prove']))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", without], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'journeys-as-code[prove]'" in done.stderr
    assert "Traceback" not in done.stderr
