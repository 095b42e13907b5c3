"""Links of messages by which the reader steers their own run. The page behind a link has a button; that acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.model.acts import ChangeConsent, Emit
from runner.journey.model.jumps import Exit
from runner.journey.values import ValueType


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A value that the reader gives, kept as ``run.NAME``. One below ``least`` or above ``most`` is not taken."""

    name: str
    type: ValueType
    least: Expression | None = None
    most: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """``until``: a date that is asked for, on which the message that carried the link comes once more."""

    values: tuple[Asked, ...]
    until: Asked | None = None


@dataclass(frozen=True, kw_only=True)
class Snooze:
    """Puts the run back before the step whose message carried the link, for one of ``options``: as its author wrote
    them, and how long each is."""

    options: tuple[tuple[str, Duration], ...]


LinkAction = ChangeConsent | Ask | Snooze | Emit | Exit


@dataclass(frozen=True, kw_only=True)
class Link:
    """``expires``: how long after its message was let go a link acts."""

    name: str
    action: LinkAction
    expires: Duration = field(default=Duration(days=60))

    @property
    def puts_off(self) -> bool:
        """Whether a reader may by it put a run back before a step that it has left."""
        return isinstance(self.action, Snooze) or (
            isinstance(self.action, Ask) and self.action.until is not None
        )
