"""What happened in a scenario, each thing with its instant and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    RECEIVED = "received"  # an event arrived
    ENTERED = "entered"  # a run began
    LEFT = "left"  # a run left a step that is no send
    STANDS = "stands"  # a run stands on a step at the end of the scenario, since then
    SENT = "sent"  # policy let a message go
    WITHHELD = (
        "withheld"  # policy let a message go to somebody who is held out, or of a journey that is not live
    )
    DEFERRED = "deferred"  # policy let a message wait
    BLOCKED = "blocked"  # policy did not let a message go
    EXITED = "exited"  # a run ended early
    COMPLETED = "completed"  # a run came to the end of the journey
    SET_ASIDE = "set aside"  # the engine gave up on a run


COMPARED = (Kind.SENT, Kind.WITHHELD, Kind.BLOCKED, Kind.EXITED, Kind.COMPLETED, Kind.SET_ASIDE)
SHOWN = (Kind.RECEIVED, Kind.ENTERED, Kind.STANDS, Kind.DEFERRED, *COMPARED)

RESTARTED = "restarted"
"""The reason of a run that ended because its trigger came again: that need not be expected."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One thing that happened. ``name`` is an event, a step, or a reason, by kind; ``detail`` an outcome or a
    reason.
    """

    at: datetime
    kind: Kind
    journey: str
    name: str
    detail: str = ""
    channel: str = ""
    subject: str | None = None
    text: str | None = None
    attached: tuple[str, ...] = ()
    """Of each file that goes along its name, and its contents on the lines below."""
    until: datetime | None = None
    """When a message that waits is looked at again."""
    template: str | None = None
    """The cell that it is written by."""
    trouble: str | None = None
    """Why a message that was let go could not be rendered or handed over."""

    @property
    def way(self) -> str | None:
        """How a run left the step that it is about; None where it is about none, or none was left."""
        match self.kind:
            case Kind.LEFT:
                return self.detail
            case Kind.SENT | Kind.WITHHELD:
                return "ready"
            case Kind.BLOCKED:
                return "blocked"
        return None

    def __str__(self) -> str:
        match self.kind:
            case Kind.SENT:
                subject = f': "{self.subject}"' if self.subject is not None else ""
                return f"send {self.name} by {self.channel}{subject}"
            case Kind.WITHHELD:
                return f"send {self.name} by {self.channel}, withheld: {self.detail}"
            case Kind.DEFERRED:
                until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
                return f"· send {self.name} deferred: {self.detail}{until}"
            case Kind.BLOCKED:
                return f"send {self.name} by {self.channel}, blocked: {self.detail}"
            case Kind.EXITED:
                return f"exit {self.name}"
            case Kind.COMPLETED:
                return "completed"
            case Kind.SET_ASIDE:
                return f"set aside: {self.name}"
            case Kind.RECEIVED:
                return f"· {self.name}"
            case Kind.ENTERED:
                return "· enters"
            case Kind.STANDS:
                why = f", deferred: {self.detail}" if self.detail else ""
                return f"· stands on {self.name}{why}"
        return f"· {self.name}: {self.detail}"
