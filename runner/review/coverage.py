"""How much of the journeys the scenarios reach: exit rules and goals, steps, ways out of them, and texts by locale.

Pure: what there is to reach comes from the programs, what was reached from the scenarios that were played.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from runner.journey.graph import SKIPPED, Node, compile_program, held_steps, walk
from runner.journey.model import (
    Branch,
    Call,
    Condition,
    Draw,
    ExitRule,
    Journey,
    Send,
    Split,
    WaitCollect,
    WaitUntil,
)
from runner.journey.project import Project, journey_path
from runner.journey.template import Template, templates_sent
from runner.journey.yaml import Fields, Items
from runner.problem import Span

BODIES = ("mjml", "html", "txt")
"""The extensions of what is a text of its own; what is attached to one is reached with it."""


GOAL = "goal"


class Kind(StrEnum):
    """What is counted, in the order of the report."""

    STEP = "step"
    RULE = "rule"  # an exit rule, or the goal
    WAY = "way"  # a case, an arm, an outcome of a wait, the else of a gate, what is done if something fails
    TEXT = "text"  # a template in one locale


@dataclass(frozen=True)
class Reached:
    """What scenarios came to. ``ways`` are journey, step and outcome; ``texts`` journey, template and locale, in lower
    case, of messages that were rendered; ``rules`` journey, reason and ``asked_by`` of exit rules that have ended a
    run, and journey, ``GOAL`` and its event of goals that were counted."""

    steps: frozenset[tuple[str, str]] = frozenset()
    ways: frozenset[tuple[str, str, str]] = frozenset()
    texts: frozenset[tuple[str, str, str]] = frozenset()
    rules: frozenset[tuple[str, str, str]] = frozenset()

    def __or__(self, other: Reached) -> Reached:
        return Reached(
            self.steps | other.steps,
            self.ways | other.ways,
            self.texts | other.texts,
            self.rules | other.rules,
        )


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to reach. ``name`` is a step, a template, the reason of an exit rule, or ``GOAL``; ``way`` the outcome
    of a way, the locale of a text, what an exit rule is asked by, or the event of the goal."""

    journey: str
    kind: Kind
    name: str
    way: str
    title: str
    span: Span
    reached: bool


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """``items`` go by journey: its exit rules and its goal, then its steps in the order of the file, its texts last."""

    items: tuple[Item, ...]

    def of(self, *, journey: str | None = None, kind: Kind | None = None) -> Coverage:
        """That of one journey, of one kind, or of both."""
        return Coverage(
            items=tuple(
                item
                for item in self.items
                if (journey is None or item.journey == journey) and (kind is None or item.kind is kind)
            )
        )

    @property
    def missed(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.reached)

    @property
    def reached(self) -> int:
        return len(self.items) - len(self.missed)

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means everything; 100 where there is nothing to reach."""
        return 100 * self.reached // len(self.items) if self.items else 100


def cover(project: Project, journeys: Iterable[str], reached: Reached) -> Coverage:
    """How much of ``journeys`` was reached, all of which ``project`` must hold without errors."""
    return Coverage(items=tuple(item for name in journeys for item in _items(project, name, reached)))


def _items(project: Project, name: str, reached: Reached) -> Iterator[Item]:
    journey = project.journeys[name]
    yield from _rules(project, journey, reached)
    for node in compile_program(journey).nodes:
        step = node.step
        yield Item(
            journey=name,
            kind=Kind.STEP,
            name=step.id,
            way="",
            title=f"step `{step.id}`",
            span=step.span,
            reached=(name, step.id) in reached.steps,
        )
        spans = {outcome: held[0].span for outcome, held in held_steps(step) if held}
        for outcome in _ways(node):
            yield Item(
                journey=name,
                kind=Kind.WAY,
                name=step.id,
                way=outcome,
                title=f"{_called(node, outcome)} of `{step.id}`",
                span=spans.get(outcome, step.span),
                reached=(name, step.id, outcome) in reached.ways,
            )
    for (template, locale), path in _texts(project.templates[name], journey).items():
        used = (locale or project.catalog.locale).lower()
        yield Item(
            journey=name,
            kind=Kind.TEXT,
            name=template,
            way=locale,
            title=f"text `{template}`" + (f" in {locale}" if locale else ""),
            span=Span(path, 1, 1),
            reached=(name, template, used) in reached.texts,
        )


def _rules(project: Project, journey: Journey, reached: Reached) -> Iterator[Item]:
    tree = project.trees.get(journey_path(journey.name))
    exits, goal = (tree.get(key) if isinstance(tree, Fields) else None for key in ("exit", "goal"))
    places = [each.span for each in exits.items] if isinstance(exits, Items) else []
    reasons = [rule.reason for rule in journey.exits]
    found = [
        (rule.reason, asked_by(rule), place, f"exit `{rule.reason}`")
        if reasons.count(rule.reason) == 1
        else (rule.reason, asked_by(rule), place, f"exit `{rule.reason}` by `{asked_by(rule)}`")
        for rule, place in zip(journey.exits, [*places, *[journey.span] * len(reasons)], strict=False)
    ]
    if journey.goal is not None:
        found.append((GOAL, journey.goal.event, goal.span if goal else journey.span, "the goal"))
    for reason, way, span, title in found:
        yield Item(
            journey=journey.name,
            kind=Kind.RULE,
            name=reason,
            way=way,
            title=title,
            span=span,
            reached=(journey.name, reason, way) in reached.rules,
        )


def asked_by(rule: ExitRule) -> str:
    """What tells the exit rules of one reason apart: the event, or the condition as its author wrote it."""
    return rule.event or (rule.when.source if rule.when else "")


def _ways(node: Node) -> tuple[str, ...]:
    """The outcomes of a step that have to be reached each: those that an author has to think of. What a step does
    always, and what only happens to those who are held out, is reached with the step."""
    outcomes = tuple(edge.outcome for edge in node.edges)
    match node.verb:
        case WaitUntil():
            usual = node.edge("elapsed").target
            away = tuple(edge.outcome for edge in node.edges if edge.target != usual or edge.reason)
            return ("elapsed", *away) if away else ()
        case (
            Send(if_blocked=steps) | Draw(if_empty=steps) | Call(on_error=steps) | WaitCollect(if_empty=steps)
        ):
            return tuple(outcome for outcome in outcomes if outcome != SKIPPED) if steps else ()
        case Condition():
            return outcomes
    held = {outcome for outcome, _ in held_steps(node.step)}
    return tuple(outcome for outcome in outcomes if outcome in held)


_OUTCOMES = {
    "timeout": "the time-out",
    "elapsed": "the time",
    "past": "the date that is past",
    "missing": "the date that is missing",
    "true": "the `yes`",
    "false": "the `no`",
    "ready": "the message",
    "blocked": "if_blocked",
    "drawn": "the value",
    "empty": "if_empty",
    "answered": "the answer",
    "failed": "on_error",
    "event": "the event",
}


def _called(node: Node, outcome: str) -> str:
    match node.verb:
        case Branch():
            return f"case `{outcome}`"
        case Split():
            return f"arm `{outcome}`"
    return _OUTCOMES.get(outcome, f"`{outcome}`")


def _texts(templates: Iterable[Template], journey: Journey) -> Mapping[tuple[str, str], str]:
    """The path of each template and locale that a step may send; HTML and text of one message are one text."""
    sends = (step.verb for step in walk(journey.steps) if isinstance(step.verb, Send))
    found: dict[tuple[str, str], str] = {}
    for template in templates_sent(templates, sends):
        if template.extension in BODIES:
            found.setdefault((template.name, (template.locale or "").replace("_", "-")), template.path)
    return found
