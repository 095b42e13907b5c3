"""What rendering one template may cost: turns of loops and characters of text, counted, so that the same template stops
at the same place on every machine."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context

LARGEST_OUTPUT = 1_000_000
"""Code points that one body may have; larger emails are cut off by every mailbox provider (Gmail: 102 KB)."""
MOST_WORK = 100_000
"""Turns of loops, nested ones together, that one rendering may take."""
CALL = 10
"""Turns that one call of a macro counts for."""
UNIT = 1_000
"""Code points whose handling counts like one turn."""

BUDGET = "_budget"
"""The name of a rendering's budget among its values."""


class Budget:
    """The work that is left for one rendering."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self._left = left

    def spend(self, amount: int) -> None:
        """Take ``amount`` away. Raises TemplateRuntimeError where less is left."""
        self._left -= amount
        if self._left < 0:
            raise TemplateRuntimeError(
                "the template does more work than one message may: it loops, or makes long texts, over and over"
            )


def spend(context: Context, amount: int) -> None:
    """Take ``amount`` from the budget of the rendering. Raises TemplateRuntimeError where less is left."""
    budget = context.resolve(BUDGET)
    assert isinstance(budget, Budget)
    budget.spend(amount)


@pass_context
def bounded(context: Context, value: Any) -> Any:
    """``value``, if it is no text or one that is not too long; texts cost what they are long. Raises
    TemplateRuntimeError."""
    if isinstance(value, str) and len(value) >= UNIT:
        if len(value) > LARGEST_OUTPUT:
            raise TemplateRuntimeError(
                f"the template makes a text of more than {LARGEST_OUTPUT:,} characters"
            )
        spend(context, len(value) // UNIT)
    return value


@pass_context
def weighed(context: Context, value: Any) -> Any:
    """``value``, in which something is looked for: costs what there is to look through."""
    if isinstance(value, str):
        spend(context, len(value) // UNIT)
    elif isinstance(value, list | tuple):
        spend(context, len(value))
    return value


@pass_context
def spent(context: Context, amount: int) -> str:
    """Take ``amount`` away; prints nothing."""
    spend(context, amount)
    return ""
