"""How long people may still be in a program at the most, from the steps at which they stand.

Calendar days count an hour more than 24, for the day on which clocks go back. What nothing bounds is said with the step
at which it begins: a date of the contact, the hours of an office, a reader who may put a message off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from runner.journey.duration import Duration
from runner.journey.graph import Node, Program
from runner.journey.model import (
    Call,
    HandOff,
    LocalTimes,
    Send,
    Verb,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)

_DAY = timedelta(hours=25)
_WEEK = timedelta(days=7, hours=1)


@dataclass(frozen=True)
class Bounded:
    """So long at the most."""

    most: timedelta


@dataclass(frozen=True)
class Unbounded:
    """Nobody can tell: it hangs on what ``step`` waits for, or on the reader of its message, who may put it off by
    ``link``."""

    step: str
    link: str | None = None


Lasting = Bounded | Unbounded


Waiting = Callable[[Send], bool]
"""Whether policy may let a message of the send wait."""


PutOff = Callable[[Send], str | None]
"""The link of a message of the send by which its reader may put it off, again and again; None where it has none."""


def lasting(program: Program, waiting: Waiting, put_off: PutOff) -> Mapping[int, Lasting]:
    """How long runs may go on from each node, by its index, once they have left it. Every edge points forward, so one
    walk from the end answers for all."""
    arriving: dict[int, Lasting] = {program.end: Bounded(timedelta(0))}
    leaving: dict[int, Lasting] = {}
    for node in reversed(program.nodes):
        behind = [arriving[edge.target] for edge in node.edges]
        leaving[node.index] = _put_off(node, put_off) or _longest(behind)
        arriving[node.index] = _after(standing(node, waiting), leaving[node.index])
    return leaving


def standing(node: Node, waiting: Waiting) -> Lasting:
    """How long a run may stand at the step."""
    at_once = isinstance(node.verb, Send) and not waiting(node.verb)
    most = timedelta(0) if at_once else _standing(node.verb)
    return Unbounded(node.step.id) if most is None else Bounded(most)


def _standing(verb: Verb) -> timedelta | None:
    match verb:
        case WaitFor(duration=duration, local=local) | WaitCollect(duration=duration, local=local):
            return _calendar(duration) + _until_allowed(local)
        case WaitEvent(up_to=Duration() as most) | WaitWhen(up_to=Duration() as most):
            return _elapsed(most)
        case WaitAny(up_to=Duration() as most):
            return _elapsed(most)
        case Call(up_to=most) | HandOff(sla=most, hours=None) | Send(valid_for=most):
            return _elapsed(most)
        case WaitUntil() | WaitEvent() | WaitWhen() | WaitAny() | HandOff():
            return None
    return timedelta(0)


def _elapsed(duration: Duration) -> timedelta:
    return timedelta(microseconds=duration.elapsed)


def _calendar(duration: Duration) -> timedelta:
    return _elapsed(duration) + (timedelta(hours=1) if duration.days else timedelta(0))


def _until_allowed(local: LocalTimes | None) -> timedelta:
    if local is None:
        return timedelta(0)
    return _DAY if len(local.days) == 7 else _WEEK


def _put_off(node: Node, put_off: PutOff) -> Unbounded | None:
    link = put_off(node.verb) if isinstance(node.verb, Send) else None
    return Unbounded(node.step.id, link) if link is not None else None


def _longest(all_of: list[Lasting]) -> Lasting:
    for one in all_of:
        if isinstance(one, Unbounded):
            return one
    return Bounded(max((one.most for one in all_of if isinstance(one, Bounded)), default=timedelta(0)))


def _after(here: Lasting, behind: Lasting) -> Lasting:
    if isinstance(here, Bounded) and isinstance(behind, Bounded):
        return Bounded(here.most + behind.most)
    return here if isinstance(here, Unbounded) else behind
