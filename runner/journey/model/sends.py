"""One message: when it may leave, what it says, and what becomes of the run where it may not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from typing import TYPE_CHECKING

from runner.journey.catalog import OnUnknown
from runner.journey.duration import Duration
from runner.journey.expression import Expression

if TYPE_CHECKING:
    from runner.journey.model import Step


@dataclass(frozen=True, kw_only=True)
class Window:
    """From ``begins`` to ``ends`` on the contact's wall clock, over midnight where it ends before it begins; it begins
    on one of ``days`` (0 is Monday)."""

    begins: time
    ends: time
    days: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True, kw_only=True)
class BestHour:
    """The hour at which the contact opens most mails, ``within`` so long at the latest; ``fallback`` for those of whom
    too little is known."""

    within: Duration
    fallback: time


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most ``most`` messages of the step in any ``per``, over all contacts."""

    most: int
    per: Duration


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A template for each combination of the values ``by``: the file ``FOLDER/VALUE/VALUE`` beside the journey. Who
    falls into no cell that is written gets ``empty``, or nothing where it is None."""

    by: tuple[Expression, ...]
    folder: str
    empty: str | None = None

    def holds(self, template: str) -> bool:
        """Whether ``template`` is the name of a cell of these."""
        return template.startswith(f"{self.folder}/") and template.count("/") == len(self.by)


@dataclass(frozen=True, kw_only=True)
class Send:
    """``template`` is that of ``cells.empty`` where there are cells, and the step's name where nobody gets one."""

    channel: str
    template: str
    topic: str
    valid_for: Duration = field(default=Duration(days=1))
    window: Window | BestHour | None = None
    only_if: Expression | None = None
    rate: Rate | None = None
    cells: Cells | None = None
    priority: str | None = None
    if_blocked: tuple[Step, ...] = ()
    ignore_quiet_hours: bool = False
    on_unknown: OnUnknown | None = None
    per_address: int | None = None
    """How many messages of the journey go to one address at most, whoever has it, before one of this step."""

    def sends(self, template: str) -> bool:
        """Whether the step may send the template of that name."""
        if self.cells is None:
            return template == self.template
        return template == self.cells.empty or self.cells.holds(template)
