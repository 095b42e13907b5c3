"""A message that prints what a `draw` step has taken also goes to those for whom the pool had nothing left.

It leaves with a gap, unless `if_empty` leads elsewhere, a condition or an exit asks for the value, a wait for it leads
elsewhere without it, or the text asks. The text of `coupon` prints `run.codes`.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: {pool: codes, if_empty: [{id: none-left, exit: none-left}]}}
      - {id: coupon, send: email}

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: codes}
      - {id: came, wait: {when: run.codes is not None, up_to: 1d, timeout: [{id: none-left, exit: none-left}]}}
      - {id: coupon, send: email}

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: codes}
      - {id: coupon, send: email}
    # journeys/demo/coupon.txt
    ---
    subject: Something for you
    ---
    {% if run.codes %}Your code is {{ run.codes }}{% else %}Ask for your code at the till{% endif %}

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: codes}
      - {id: coupon, send: email}
    # journeys/demo/coupon.txt
    ---
    subject: Something for you
    ---
    {% set has_one = run.codes is not none %}{% if has_one %}Your code is {{ run.codes }}{% endif %}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: codes}
      - {id: coupon, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: code, draw: codes}
      - {id: came, wait: {when: run.codes is not None, up_to: 1d}}
      - {id: coupon, send: email}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import nodes

from runner.journey.expression import Expression
from runner.journey.expression.tree import Name
from runner.journey.graph import Edge, Node, Program, compile_program
from runner.journey.model import (
    Branch,
    Condition,
    Draw,
    Send,
    Update,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitUntil,
    WaitWhen,
)
from runner.journey.project import Project
from runner.journey.template import Template, templates_sent
from runner.journey.template_pieces import TemplateTrouble
from runner.journey.template_tree import template_tree
from runner.problem import Problem, Severity
from runner.review.places import value_span
from runner.review.printed import bare


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        program = compile_program(journey)
        for node in program.nodes:
            if not isinstance(node.verb, Draw):
                continue
            send = next(_printing(project, program, node, node.verb.save_as), None)
            if send is None:
                continue
            name = node.verb.save_as
            yield Problem(
                code="draw/empty",
                message=f"`{send.step.id}` prints `run.{name}`, and goes to those as well for whom"
                f" `{node.verb.pool}` has nothing left: there it has a gap.",
                span=value_span(project, journey.name, node.step.id, "draw"),
                hint=f"Give `if_empty` an exit or another message, or ask {{% if run.{name} %}} in the text.",
                severity=Severity.WARNING,
            )


def _printing(project: Project, program: Program, draw: Node, name: str) -> Iterator[Node]:
    """The sends that print ``run.NAME`` and that runs come to for which the pool was empty, none of which anything has
    asked for it on the way."""
    if _asks((rule.when for rule in program.journey.exits), name):
        return
    templates = project.templates[program.journey.name]
    reached = {draw.edge("empty").target}
    for node in program.nodes:  # every edge points forward
        if node.index not in reached or _deals_with(node, name):
            continue
        reached.update(edge.target for edge in _ways_without(node, name))
        if isinstance(node.verb, Send) and not _asks([node.verb.only_if], name):
            sent = templates_sent(templates, [node.verb])
            yield from [node] if any(_prints(template, name) for template in sent) else []


def _deals_with(node: Node, name: str) -> bool:
    """Whether a step asks for the value, or writes it."""
    match node.verb:
        case Condition(test=test):
            return _asks([test], name)
        case Branch(cases=cases):
            return _asks((case.when for case in cases), name)
        case Update(values=values):
            return any(written == name for written, _ in values)
        case Draw(save_as=save_as):
            return save_as == name
    return False


def _ways_without(node: Node, name: str) -> Iterable[Edge]:
    """The ways out of a step that are open to runs without the value: a wait that asks for it goes on otherwise."""
    match node.verb:
        case WaitUntil(date=date) if _asks([date], name):
            return (edge for edge in node.edges if edge.outcome == "missing")
        case WaitEvent(where=asked) | WaitWhen(when=asked) if _asks([asked], name):
            return (edge for edge in node.edges if edge.outcome == "timeout")
        case WaitCollect(where=asked) if _asks([asked], name):
            return (edge for edge in node.edges if edge.outcome == "empty")
        case WaitAny(options=options):
            closed = {option.name for option in options if _asks([option.where, option.when], name)}
            return (edge for edge in node.edges if edge.outcome not in closed)
    return node.edges


def _asks(expressions: Iterable[Expression | None], name: str) -> bool:
    return any(
        isinstance(node, Name) and node.source == "run" and node.path[0] == name
        for expression in expressions
        if expression is not None
        for node in expression.nodes
    )


def _prints(template: Template, name: str) -> bool:
    return any(name in bare(tree.body, "run") for tree in _trees(template))


def _trees(template: Template) -> Iterator[nodes.Template]:
    texts = [*template.front.values()]
    try:
        texts.append(template.source.text)
    except TemplateTrouble:
        return  # which another rule tells
    for text in texts:
        tree = template_tree(text)
        if isinstance(tree, nodes.Template):
            yield tree
