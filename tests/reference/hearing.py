"""Who hears what happens to nobody in particular, for one contact and one broadcast at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from runner.journey.expression import Expression
from runner.journey.expression.tree import Comparison, Logic, Name
from runner.journey.graph import walk
from runner.journey.model import Journey, WaitAny, WaitCollect, WaitEvent
from runner.journey.values import BOOLEAN
from tests.reference.lives import Happening, Run


class Hearing:
    journeys: list[Journey]
    runs: list[Run]
    _holds: Callable[..., bool]

    def _hears(self, event: Happening) -> bool:
        """Whether what some trigger, exit or wait says of its hearers is true of the contact, or of what started one of
        its runs."""
        for journey in self.journeys:
            on = [run for run in self.runs if run.active and run.journey is journey]
            for where in _asked_of(journey, event.name):
                equality, source = _equality(where)
                if any(self._holds(equality, run, event) for run in (on if source == "trigger" else [None])):
                    return True
        return False


def _asked_of(journey: Journey, name: str) -> Iterator[Expression]:
    """What the journey asks of the broadcasts of that name, wherever it listens for them."""
    listeners: list[Any] = [*journey.triggers, *journey.exits]
    for step in walk(journey.steps):
        match step.verb:
            case WaitEvent() | WaitCollect():
                listeners.append(step.verb)
            case WaitAny(options=options):
                listeners += options
    yield from (each.where for each in listeners if each.event == name and each.where is not None)


def _equality(where: Expression) -> tuple[Expression, str]:
    """The equality that says who is meant, and whether it looks at the contact or at what started a run."""
    tree = where.tree
    parts = tree.operands if isinstance(tree, Logic) and tree.operator == "and" else (tree,)
    for part in parts:
        if isinstance(part, Comparison) and part.operator == "==":
            sources = {side.source for side in (part.left, part.right) if isinstance(side, Name)}
            if "event" in sources and len(sources) == 2:
                return Expression("", part, BOOLEAN), (sources - {"event"}).pop()
    raise AssertionError("nobody hears it")
