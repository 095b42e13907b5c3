"""What stays so of a run from the moment in which it enters: what the ``where`` of its trigger asks of the event alone.

``trigger.*`` never changes in a run, unless the journey says that another trigger refreshes it. What else a ``where``
asks, of the contact or its past, may be otherwise a moment later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from runner.journey.expression import tree
from runner.journey.expression.tree import Node
from runner.journey.model import Again, EventTrigger, Journey

_LASTING = (
    tree.Literal,
    tree.Members,
    tree.Logic,
    tree.Not,
    tree.Comparison,
    tree.Membership,
    tree.IsNone,
    tree.TextTest,
    tree.Matches,
    tree.Lower,
    tree.Concatenation,
    tree.Arithmetic,
    tree.Negative,
    tree.Shift,
    tree.Difference,
    tree.Conditional,
)
"""What has the same value whenever it is read, if its parts have."""


def lasting(journey: Journey) -> Node | None:
    """What is true of ``trigger.*`` in every run of the version; None where nothing is known."""
    # Those who follow from an older version have entered by its trigger; one of a newer version may refresh a run.
    if journey.in_flight.follows or journey.entry.again is Again.REFRESH:
        return None
    each: list[Node] = []
    for trigger in journey.triggers:
        where = trigger.where if isinstance(trigger, EventTrigger) else None
        parts = tuple(_lasting_parts(where.tree)) if where is not None else ()
        if not parts:
            return None
        each.append(parts[0] if len(parts) == 1 else tree.Logic("and", parts))
    if not each:
        return None
    return each[0] if len(each) == 1 else tree.Logic("or", tuple(each))


def reads_trigger(node: Node) -> bool:
    """Whether ``node`` reads ``trigger.*``."""
    return any(isinstance(part, tree.Name) and part.source == "trigger" for part in tree.walk(node))


def _lasting_parts(where: Node) -> Iterator[Node]:
    """What ``where`` asks of its event alone, told of ``trigger``."""
    if isinstance(where, tree.Logic) and where.operator == "and":
        for operand in where.operands:
            yield from _lasting_parts(operand)
    elif all(_lasts(part) for part in tree.walk(where)):
        yield _of_trigger(where)


def _lasts(node: Node) -> bool:
    return isinstance(node, _LASTING) or (isinstance(node, tree.Name) and node.source == "event")


def _of_trigger(node: Node) -> Node:
    """The same tree, with ``trigger`` in place of ``event``."""
    if isinstance(node, tree.Name):
        return replace(node, source="trigger")
    changed: dict[str, Any] = {}
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, tuple):
            changed[part.name] = tuple(_of_trigger(each) if _is_node(each) else each for each in value)
        elif _is_node(value):
            changed[part.name] = _of_trigger(value)
    return replace(node, **changed)


def _is_node(value: object) -> bool:
    return isinstance(value, (*_LASTING, tree.Name))
