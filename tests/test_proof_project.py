"""What the proving rules tell of a project: at which place, of which part, and what the trigger lets in."""

from __future__ import annotations

import pytest

from runner.problem import Problem
from runner.review.check import check_files
from tests.standard_project import standard_files

CODES = (
    *("condition/always-true", "condition/always-false", "condition/gone-before"),
    *("branch/covered", "branch/else-unreachable"),
)
HEAD = "journey: demo\nlanguage: 1\ntitle: Hello\ntopic: news\n"
SIGNED_UP = 'trigger: {event: Signed Up, where: event.source == "web" and contact.vip}\n'
HELLO = "  - {id: hello, send: email}\n"


def found(journey: str, head: str = HEAD + "trigger: {event: Signed Up}\n") -> list[Problem]:
    files = standard_files({"journeys/demo/journey.yaml": head + journey})
    return [problem for problem in check_files(files).problems if problem.code in CODES]


def told(journey: str, head: str = HEAD + "trigger: {event: Signed Up}\n") -> list[tuple[str, int, int, str]]:
    """Code, line, column and message of each finding."""
    return [(each.code, each.span.line, each.span.column, each.message) for each in found(journey, head=head)]


EXIT = "exit:\n  - when: RULE\n    reason: gone\nsteps:\n  - id: gate\n    condition: ASKED\n" + HELLO


@pytest.mark.parametrize(
    ("rule", "asked", "found"),
    [
        ("contact.vip", "contact.vip and contact.plan == 'pro'", True),
        ('contact.plan != "pro"', "contact.plan == 'free'", True),
        ('did("Order Completed")', 'did("Order Completed", within="7d")', True),
        ('did("Order Completed", within="7d")', 'did("Order Completed")', False),
        ("contact.vip", "not contact.vip", False),
        ("run.note == 'x'", "run.note == 'x'", False),
    ],
)
def test_whom_an_exit_rule_has_taken_out_no_step_meets(rule: str, asked: str, found: bool) -> None:
    journey = EXIT.replace("RULE", rule).replace("ASKED", asked)
    if "run." in rule:
        journey = journey.replace("steps:\n", "steps:\n  - {id: note, update: {run.note: \"'y'\"}}\n")
    told_of = [each for each in told(journey) if each[0] == "condition/gone-before"]
    assert bool(told_of) == found


def test_exit_rules_take_people_out_together() -> None:
    more = "  - when: contact.plan == 'pro'\n    reason: pro\nsteps:"
    journey = EXIT.replace("RULE", "contact.plan == 'free'").replace("steps:", more)
    ((code, *_, message),) = told(journey.replace("ASKED", 'contact.plan in ("free", "pro")'))
    assert code == "condition/gone-before"
    assert "the exit rules have taken them out before" in message


@pytest.mark.parametrize(
    "journey",
    [
        "exit:\n  - {when: 'contact.vip is None and contact.vip', reason: gone}\nsteps:\n" + HELLO,
        "exit:\n  - {event: Order Completed, where: event.revenue > 5 and event.revenue < 5, reason: gone}\nsteps:\n"
        + HELLO,
        "goal: {event: Order Completed, where: event.revenue > 5 and event.revenue < 5, within: 7d}\nsteps:\n"
        + HELLO,
        "steps:\n  - id: seen\n"
        "    wait: {event: Order Completed, where: event.revenue > 5 > event.revenue, up_to: 1d}\n" + HELLO,
        "steps:\n  - id: seen\n    wait: {when: contact.vip and not contact.vip, up_to: 1d}\n" + HELLO,
        "steps:\n  - id: hello\n    send: {channel: email, only_if: contact.vip and not contact.vip}\n",
        "steps:\n  - id: seen\n    wait:\n      any:\n"
        "        - {when: contact.vip and not contact.vip}\n        - {event: Signed Up}\n      up_to: 1d\n"
        + HELLO,
    ],
)
def test_every_condition_is_asked(journey: str) -> None:
    (problem,) = found(journey)
    assert problem.code == "condition/always-false"
    line = (HEAD + "trigger: {event: Signed Up}\n" + journey).splitlines()[problem.span.line - 1]
    shown = line[problem.span.column - 1 :][: problem.span.length]
    assert shown in line
    assert " and " in shown or " > " in shown


def test_a_segment_is_told_of_once_and_in_the_catalog() -> None:
    files = standard_files(
        {"journeys/demo/journey.yaml": f"steps:\n  - {{id: g, condition: in_segment('big')}}\n{HELLO}"}
    )
    catalog = files["journeys/catalog.yaml"]
    wrong = 'total("Order Completed", "revenue") > 5 and total("Order Completed", "revenue") < 5'
    files["journeys/catalog.yaml"] = catalog.replace(
        'total("Order Completed", "revenue", within="365d") > 500', wrong
    )
    assert wrong in files["journeys/catalog.yaml"]
    problems = [problem for problem in check_files(files).problems if problem.code in CODES]
    assert {problem.span.file for problem in problems} == {
        "journeys/catalog.yaml",
        "journeys/demo/journey.yaml",
    }


def test_the_where_of_a_question_to_the_past() -> None:
    where = 'did("Order Completed", where=event.revenue > 5 and event.revenue < 3)'
    assert told(f"steps:\n  - {{id: gate, condition: '{where}'}}\n{HELLO}") == [
        ("condition/always-false", 7, 28, 'The `where` about "Order Completed" is true for nobody.')
    ]


def test_what_the_trigger_asks_of_its_event_stays_so() -> None:
    head = HEAD + SIGNED_UP
    gate = "steps:\n  - {id: gate, condition: CONDITION}\n" + HELLO
    whom = "whom the trigger lets in."
    assert told(gate.replace("CONDITION", 'trigger.source == "app"'), head) == [
        ("condition/always-false", 7, 27, f"This condition is true for nobody {whom}")
    ]
    assert told(gate.replace("CONDITION", 'trigger.source == "web"'), head) == [
        ("condition/always-true", 7, 27, f"This condition is true for everybody {whom}")
    ]
    # The contact may have changed since.
    assert told(gate.replace("CONDITION", "not contact.vip"), head) == []


@pytest.mark.parametrize(
    "more", ["entry: {again: refresh}\n", "in_flight: follow\n"], ids=["refresh", "follow"]
)
def test_a_trigger_of_another_version_may_have_let_them_in(more: str) -> None:
    gate = 'steps:\n  - {id: gate, condition: trigger.source == "app"}\n' + HELLO
    assert told(gate, HEAD + SIGNED_UP + more) == []


def test_of_several_triggers_each_lets_in_its_own() -> None:
    triggers = (
        'trigger:\n  - {event: Signed Up, where: event.source == "web"}\n'
        '  - {event: Signed Up, where: event.source == "app"}\n'
    )
    gate = "steps:\n  - {id: gate, condition: CONDITION}\n" + HELLO
    assert told(gate.replace("CONDITION", 'trigger.source == "web"'), HEAD + triggers) == []
    assert told(gate.replace("CONDITION", 'trigger.source == "shop"'), HEAD + triggers)


def test_a_branch_by_what_the_trigger_asks() -> None:
    trigger = "trigger: {event: Order Completed, where: event.revenue >= 100}\n"
    branch = """steps:
  - id: value
    branch:
      - {when: trigger.revenue >= 1000, name: high, steps: [{id: hello, send: email}]}
      - {when: trigger.revenue < 100, name: low, steps: []}
      - {when: trigger.revenue >= 50, name: middle, steps: []}
      - {name: rest, else: [{id: bye, exit: done}]}
"""
    assert [(code, line) for code, line, *_ in told(branch, HEAD + trigger)] == [
        ("condition/always-false", 10),
        ("condition/always-true", 11),
    ]


def test_the_case_that_is_covered_is_shown_and_by_which() -> None:
    branch = """steps:
  - id: value
    branch:
      - {when: contact.plan == "pro", name: pro, steps: [{id: hello, send: email}]}
      - {when: contact.lifetime_value > 10, name: some, steps: []}
      - {when: contact.lifetime_value > 20 or contact.plan == "pro", name: high, steps: []}
      - {when: contact.lifetime_value > 10, name: twice, steps: []}
      - {name: rest, else: []}
"""
    covered = "Nobody comes to the case"
    assert told(branch) == [
        ("branch/covered", 11, 16, f"{covered} `high`: whoever it is for is in `pro` and `some` already."),
        ("branch/covered", 12, 16, f"{covered} `twice`: whoever it is for is in `some` already."),
    ]


def test_an_audience_of_nobody() -> None:
    head = HEAD + "trigger: {schedule: '0 9 * * MON', audience: AUDIENCE}\nentry: {reentry: always}\n"
    nobody = told("steps:\n" + HELLO, head.replace("AUDIENCE", "contact.vip and not contact.vip"))
    assert nobody == [("condition/always-false", 5, 46, "This condition is true for nobody.")]
    assert told("steps:\n" + HELLO, head.replace("AUDIENCE", "'True'")) == []
