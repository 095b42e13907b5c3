"""How long a run may stand at a step at the very most: what is sure of the time between two messages.

Times are microseconds. A calendar day has 25 hours at most, on the day on which clocks are put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time

from runner.journey.duration import DAY, Duration
from runner.journey.graph import Node, Program
from runner.journey.model import (
    Call,
    HandOff,
    LocalTimes,
    Send,
    UpToDate,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from runner.journey.policies import Cap, Over, QuietHours
from runner.journey.send_rules import SendRules

HOUR = 3_600_000_000


def longest_stay(node: Node, rules: SendRules) -> int | None:
    """How long a run stands at ``node`` at most; None where nobody knows."""
    match node.verb:
        case WaitFor(duration=duration, local=local) | WaitCollect(duration=duration, local=local):
            return _calendar(duration) + _until_allowed(local)
        case WaitEvent(up_to=up_to) | WaitWhen(up_to=up_to) | WaitAny(up_to=up_to):
            return None if isinstance(up_to, UpToDate) else _calendar(up_to)
        case WaitUntil():
            return None
        case Call(up_to=up_to):
            return up_to.elapsed
        case HandOff(sla=sla, hours=hours):
            return sla.elapsed if hours is None else None
        case Send() as send:
            return _deferred(send, rules)
    return 0


def _calendar(duration: Duration) -> int:
    return duration.elapsed + (HOUR if duration.days else 0)


def _until_allowed(local: LocalTimes | None) -> int:
    """From any instant to the next at which a wait may end."""
    if local is None or (local.at is None and len(local.days) == 7):
        return 0
    days = sorted(local.days)
    widest = max(following - day for day, following in zip(days, [*days[1:], days[0] + 7], strict=True))
    return (widest if local.at is not None else widest - 1) * DAY + HOUR


def _deferred(send: Send, rules: SendRules) -> int:
    """How long policy may keep a message that it lets go in the end."""
    waits = send.window or send.rate or rules.holds(send)
    if waits or any(cap.over is Over.DEFER for cap in rules.caps(send)):
        return send.valid_for.elapsed
    quiet = rules.quiet_hours(send)
    return min(send.valid_for.elapsed, _between(quiet.begins, quiet.ends) + HOUR) if quiet else 0


def is_quiet(quiet: QuietHours, begins: time, ends: time | None = None) -> bool:
    """Whether all from ``begins`` to before ``ends``, or that time alone, lies inside the quiet hours of every day."""
    length = 1 if ends is None else _between(begins, ends)
    into = (_since_midnight(begins) - _since_midnight(quiet.begins)) % DAY
    return into + length <= _between(quiet.begins, quiet.ends)


def _between(begins: time, ends: time) -> int:
    """From one time of the day to the next at which a clock shows the other; a day where both are one."""
    return (_since_midnight(ends) - _since_midnight(begins)) % DAY or DAY


def _since_midnight(shown: time) -> int:
    return ((shown.hour * 60 + shown.minute) * 60 + shown.second) * 1_000_000


@dataclass(frozen=True, kw_only=True)
class Crowded:
    """On a way through the journey the message of ``last`` is one too many for ``cap``: ``steps`` leave before it, the
    first of them ``apart`` earlier at most."""

    cap: Cap
    steps: tuple[str, ...]
    last: Node
    apart: int


@dataclass(frozen=True)
class _Before:
    """The steps of messages that have left, and how long ago the first of them did, at most."""

    elapsed: int
    steps: tuple[str, ...]


_Arrived = dict[int, _Before]
"""Of the last message counted, of the last two, and so on: the shortest of the longest times, over all ways."""


def crowded(program: Program, rules: SendRules) -> Iterator[Crowded]:
    """The sends that a cap surely drops on some way to them, each once for a cap. One that is dropped fills no cap."""
    caps = [cap for cap in rules.policies.caps if cap.over is Over.DROP]
    arrived: list[list[_Arrived]] = [[{} for _ in caps] for _ in range(program.end + 1)]
    for node in program.nodes:  # in topological order
        stay = longest_stay(node, rules)
        if stay is None:
            continue
        waited = [_later(known, stay, cap) for known, cap in zip(arrived[node.index], caps, strict=True)]
        counted = rules.caps(node.verb) if isinstance(node.verb, Send) else ()
        full = [
            Crowded(cap=cap, steps=known[cap.most].steps, last=node, apart=known[cap.most].elapsed)
            for known, cap in zip(waited, caps, strict=True)
            if cap in counted and cap.most in known
        ]
        yield from full
        left = waited
        if counted and not full:
            left = [
                _and_another(known, node.step.id) if cap in counted else known
                for known, cap in zip(waited, caps, strict=True)
            ]
        for edge in node.edges:
            for known, new in zip(
                arrived[edge.target], waited if edge.outcome == "blocked" else left, strict=True
            ):
                _merge(known, new)


def _later(known: _Arrived, stay: int, cap: Cap) -> _Arrived:
    """``known`` so much later: without what the cap counts no more."""
    return {
        count: _Before(before.elapsed + stay, before.steps)
        for count, before in known.items()
        if before.elapsed + stay < cap.per.elapsed
    }


def _and_another(known: _Arrived, step: str) -> _Arrived:
    """``known``, and the message of ``step`` that leaves now."""
    return {1: _Before(0, (step,))} | {
        count + 1: _Before(before.elapsed, (*before.steps, step)) for count, before in known.items()
    }


def _merge(known: _Arrived, new: _Arrived) -> None:
    for count, before in new.items():
        if count not in known or before.elapsed < known[count].elapsed:
            known[count] = before
