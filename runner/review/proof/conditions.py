"""The conditions that the authors of a project have written, and where each stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from runner.journey.builder.notes import fields_of
from runner.journey.builder.outline import find_step
from runner.journey.catalog import Catalog
from runner.journey.expression import Expression, tree
from runner.journey.expression.tree import Node
from runner.journey.graph import steps_with, walk
from runner.journey.model import (
    Branch,
    Case,
    Condition,
    EventTrigger,
    Journey,
    Send,
    Step,
    Trigger,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitWhen,
)
from runner.journey.model.timed import ScheduleTrigger
from runner.journey.project import CATALOG, Project, journey_path
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Span
from runner.review.proof.entered import lasting, reads_trigger
from runner.review.proof.question import Prover

_HELD = frozenset(
    {
        "steps",
        "else",
        "then",
        "timeout",
        "if_blocked",
        "if_empty",
        "on_error",
        "accepted",
        "rejected",
        "escalate",
    }
)
"""Keys of steps that are nested in a step."""
_GENERATED = (tree.Reaction, tree.InSegment, tree.Derived, tree.Reachable)
"""What holds conditions that stand elsewhere, or nowhere."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A condition, or the ``where`` of a question to the past within one; ``part`` says which, as a message begins.
    ``source`` is the whole expression. ``path`` and ``step`` say in which file, and in which of its steps, it stands;
    ``place`` how many like it stand before."""

    condition: Node
    source: str
    part: str = "This condition"
    given: tuple[Node, ...] = ()
    """What is so whenever the condition is read."""
    path: str
    step: str | None = None
    place: int = 0

    @property
    def whom(self) -> str:
        """How a message calls those for whom it is read."""
        return " whom the trigger lets in" if self.given else ""

    def span(self, project: Project) -> Span | None:
        """Where it stands; None where no author has written it."""
        root = project.trees.get(self.path)
        if self.step is not None:
            fields = fields_of(root)
            root = find_step(fields.get("steps"), self.step) if fields else None
        found = [each for each in _scalars(root, of_step=self.step is not None) if _says(each, self.source)]
        if not found:
            return None
        scalar = found[min(self.place, len(found) - 1)]
        start = len(scalar.text) - len(scalar.text.lstrip("= \t\n"))
        return scalar.place(start, len(scalar.text.rstrip()) - start)


def _says(scalar: Scalar, source: str) -> bool:
    return " ".join(scalar.text.lstrip("= \t\n").split()) == " ".join(source.split())


def _scalars(value: Value | None, *, of_step: bool) -> Iterator[Scalar]:
    """The values of a file outside of its steps, or those of a step without the ones that it holds."""
    if isinstance(value, Scalar):
        yield value
    elif isinstance(value, Fields):
        for field in value.fields:
            if field.key not in (_HELD if of_step else ("steps",)):
                yield from _scalars(field.value, of_step=of_step)
    elif isinstance(value, Items):
        for item in value.items:
            yield from _scalars(item, of_step=of_step)


def stated(project: Project, prover: Prover) -> Iterator[Stated]:
    """All conditions of the catalog and of the journeys."""
    yield from _placed(_of_catalog(project.catalog), CATALOG)
    for name, journey in project.journeys.items():
        path = journey_path(name)
        yield from _placed((_where(trigger) for trigger in journey.triggers), path)
        yield from _placed(_of_run(journey), path, known=entered(journey, prover))
        yield from of_steps(name, journey, prover)


def of_steps(name: str, journey: Journey, prover: Prover) -> Iterator[Stated]:
    """All conditions of the steps of a journey."""
    known = entered(journey, prover)
    for step in walk(journey.steps):
        yield from _placed(_of_step(step), journey_path(name), step.id, known)


def entered(journey: Journey, prover: Prover) -> tuple[Node, ...]:
    """What is so of everybody who has entered ``journey``; nothing, where nobody can."""
    known = lasting(journey)
    return (known,) if known is not None and prover.can_be_true(known) else ()


def branches(project: Project, prover: Prover) -> Iterator[tuple[str, Step, Branch, tuple[Node, ...]]]:
    """Each branch with the name of its journey and its step, and what is so of everybody who has entered that."""
    for name, journey in project.journeys.items():
        found = list(steps_with(journey, Branch))
        known = entered(journey, prover) if found else ()
        yield from ((name, step, branch, known) for step, branch in found)


def _placed(
    expressions: Iterable[Expression | None],
    path: str,
    step: str | None = None,
    known: tuple[Node, ...] = (),
) -> Iterator[Stated]:
    before: dict[str, int] = {}
    for expression in expressions:
        if expression is None:
            continue
        place = before[expression.source] = before.get(expression.source, -1) + 1
        node, source = expression.tree, expression.source
        # Most expressions speak of neither, which their text says sooner than their tree.
        given = known if known and "trigger" in source and reads_trigger(node) else ()
        whole = Stated(condition=node, source=source, path=path, step=step, place=place, given=given)
        yield whole
        if "where" in source or "people" in source:
            for part, inner in _parts(node):
                yield replace(whole, condition=inner, part=part)


def _parts(node: Node) -> Iterator[tuple[str, Node]]:
    """The conditions that ``node`` puts to events and to colleagues, and how a message calls each."""
    if isinstance(node, _GENERATED):
        return
    if isinstance(node, tree.History) and node.where is not None:
        yield f'The `where` about "{node.event}"', node.where
    if isinstance(node, tree.People):
        yield "The condition of `people`", node.condition
    for child in tree.children(node):
        yield from _parts(child)


def branch_case(cases: Sequence[Case], place: int, path: str, step: str) -> Stated:
    """The condition of one case of the branch ``step``."""
    condition = cases[place].when
    assert condition is not None
    alike = sum(case.when is not None and case.when.source == condition.source for case in cases[:place])
    return Stated(condition=condition.tree, source=condition.source, path=path, step=step, place=alike)


def _of_catalog(catalog: Catalog) -> Iterator[Expression | None]:
    yield from (segment.when for segment in catalog.segments.values())
    yield from (stage.when for stage in catalog.stages)
    yield from (step.when for step in catalog.funnel)
    yield from (rule.where for score in catalog.scores.values() for rule in score.rules)
    yield from (case.when for topic in catalog.topics.values() for case in topic.cases)
    yield from (hold.when for hold in catalog.policies.holds)


def _where(trigger: Trigger) -> Expression | None:
    """What the author of a trigger asks; that of other forms is written by us."""
    if isinstance(trigger, EventTrigger):
        return trigger.where
    if isinstance(trigger, ScheduleTrigger) and trigger.audience is not None:
        # Who writes `True` means everybody; whether that is wise, another rule says.
        return None if isinstance(trigger.audience.tree, tree.Literal) else trigger.audience
    return None


def _of_run(journey: Journey) -> Iterator[Expression | None]:
    for rule in journey.exits:
        yield from (rule.where, rule.when)
    if journey.goal is not None:
        yield journey.goal.where


def _of_step(step: Step) -> Iterator[Expression | None]:
    match step.verb:
        case Condition(test=test):
            yield test
        case Branch(cases=cases):
            yield from (case.when for case in cases)
        case WaitEvent(where=where) | WaitCollect(where=where):
            yield where
        case WaitWhen(when=when):
            yield when
        case WaitAny(options=options):
            for option in options:
                yield from (option.where, option.when)
        case Send(only_if=only_if):
            yield only_if
