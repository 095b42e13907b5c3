"""What is wrong with the work itself: what is due and not handled, who never goes on, what waits for a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from runner.insight.examined import Examined, Measured, lagging_partitions
from runner.insight.finding import Finding, Level
from runner.insight.present import count_text
from runner.journey.graph import Program
from runner.journey.model import Leave, Send, WaitUntil
from runner.store.watching.examination import Holder, Runner, StandingRuns
from runner.store.watching.vital_signs import MOST, Some

HELD_TOO_LONG = timedelta(minutes=1)
"""A batch takes seconds: a transaction that holds partitions for longer has hung."""
SILENT = timedelta(minutes=2)
"""A runner gives a sign of life each half minute; after so long without one, others take over what it held."""
LAPSED = timedelta(minutes=5)
"""What a lease left behind is taken back within a quarter of it, by any runner."""
WAITING = timedelta(minutes=10)
"""Workers look every few seconds for messages that may leave."""


def ticks(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None or measured.virtual:
        return
    lagging = lagging_partitions(measured.signs, examined.late)
    stuck = lagging - measured.moved
    if lagging - stuck:
        yield Finding(
            code="ticks/behind",
            level=Level.WARNING,
            what="the runners are behind, and are catching up",
            where=_partitions(lagging - stuck, measured),
            since=_since(lagging - stuck, measured),
            mend="wait; where this goes on for long, start `journeys run` on one machine more (PostgreSQL)",
        )
    if not stuck:
        return
    hung = [holder for holder in measured.holders if measured.signs.at - holder.since > HELD_TOO_LONG]
    at_work = stuck & measured.held if not hung else frozenset()
    if at_work:
        yield Finding(
            code="partitions/busy",
            level=Level.WARNING,
            what="a runner is at work on a large batch",
            where=_partitions(at_work, measured),
            since=_since(at_work, measured),
            mend="wait, and ask again",
        )
    if stuck & measured.held and hung:
        yield Finding(
            code="partitions/held",
            level=Level.ERROR,
            what=f"a session holds partitions and does not go on: {'; '.join(map(_holder, hung))}",
            where=_partitions(stuck & measured.held, measured),
            since=hung[0].since,
            mend=f"look at that process; to free them: `SELECT pg_terminate_backend({hung[0].pid});`",
        )
    unserved = stuck - measured.held
    if not unserved:
        return
    nobody = " (no runner is connected)" if measured.anybody_else is False else ""
    others = measured.moved or measured.held
    yield Finding(
        code="partitions/unserved" if others else "ticks/stalled",
        level=Level.ERROR,
        what="nobody takes what is due in some partitions, while others move"
        if others
        else f"nothing moves: what is due is not handled{nobody}",
        where=f"{_partitions(unserved, measured)}; {_waiting(measured)}",
        since=_since(unserved, measured),
        mend="see the log of `journeys run` for a contact or version that fails again and again"
        if others
        else "start `journeys run`; where it runs, its log says why the stage `tick` fails",
    )


def silent(examined: Examined) -> Iterator[Finding]:
    """The runners that are connected and do nothing: others serve, so that nothing is overdue."""
    measured = examined.measured
    gone = [one for one in measured.runners if one.silent > SILENT] if measured else []
    if measured and gone:
        yield Finding(
            code="runners/silent",
            level=Level.WARNING,
            what=f"{count_text(len(gone), 'runner')} of {len(measured.runners)} that are connected"
            f" {'gives' if len(gone) == 1 else 'give'} no sign of life",
            where="; ".join(map(_session, gone)),
            since=measured.signs.at - max(one.silent for one in gone),
            mend="look whether `journeys run` is stopped or hangs there, and end it; what it held others take over",
        )


def stranded(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None or measured.unreadable is not None:
        return
    for standing in measured.standing_runs:
        why = _no_way_on(standing, measured.programs.get(standing.version))
        if why is not None:
            yield Finding(
                code="runs/stranded",
                level=Level.ERROR,
                what=f"{count_text(standing.runs, 'run')} will never go on: {why}",
                where=f"{standing.journey}/{standing.step}, version {standing.version}",
                since=standing.since,
                mend="report this: the engine leaves nobody there. An exit by event still ends them",
            )


def _no_way_on(standing: StandingRuns, program: Program | None) -> str | None:
    if program is None:
        return "their version is not stored"
    node = next((one for one in program.nodes if one.index == standing.node), None)
    if node is None or node.step.id != standing.step:
        return "their step is not in their version"
    if node.timer_outcome is None and not isinstance(node.verb, Send):
        return "nobody waits at their step"
    without_date = isinstance(node.verb, WaitUntil) and node.verb.if_missing is Leave.WAIT
    if standing.untimed and not without_date:
        return f"{standing.untimed:,} of them wait for no instant"
    return None


def set_aside(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is not None and measured.signs.set_aside.count:
        named = ", ".join(
            f"{one.contact} in {one.journey} ({one.reason or 'no reason'})" for one in measured.set_aside
        )
        yield Finding(
            code="runs/set-aside",
            level=Level.WARNING,
            what=f"the engine gave up on {_some(measured.signs.set_aside, 'run')}",
            where=named,
            since=measured.signs.set_aside.oldest,
            mend="`journeys contacts show KEY` tells the story of each; when the cause is mended,"
            " `journeys runs resume` lets them go on",
        )


def messages(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None:
        return
    signs = measured.signs
    if signs.lapsed.oldest is not None and signs.at - signs.lapsed.oldest > LAPSED:
        yield Finding(
            code="messages/lapsed",
            level=Level.ERROR,
            what=f"{_some(signs.lapsed, 'message')} held by runners that are gone: nobody takes them back",
            since=signs.lapsed.oldest,
            mend="start `journeys run`, which does so within seconds; it must know the channels of these messages",
        )
    if not measured.virtual and signs.ready.oldest is not None and signs.at - signs.ready.oldest > WAITING:
        yield Finding(
            code="messages/waiting",
            level=Level.WARNING,
            what=f"{_some(signs.ready, 'message')} free to leave: nobody hands them over",
            since=signs.ready.oldest,
            mend="start `journeys run`; where it runs, raise `limits: connections:` in journeys.yaml, or read its log",
        )
    if signs.unknown.count:
        yield Finding(
            code="messages/unknown",
            level=Level.WARNING,
            what=f"nobody can tell whether {_some(signs.unknown, 'message')} arrived",
            since=signs.unknown.oldest,
            mend="`journeys messages list --status unknown` shows them, `journeys messages reconcile` settles them",
        )


def _some(some: Some, noun: str) -> str:
    return f"{count_text(some.count, noun)}{' or more' if some.count == MOST else ''}"


def _partitions(numbers: frozenset[int], measured: Measured) -> str:
    listed: Sequence[str] = [str(number) for number in sorted(numbers)]
    shown = ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "")
    return f"{len(listed)} of {count_text(len(measured.signs.partitions), 'partition')} ({shown})"


def _since(numbers: frozenset[int], measured: Measured) -> datetime:
    at = measured.signs.at
    return at - max(one.lag(at) for one in measured.signs.partitions if one.partition in numbers)


def _waiting(measured: Measured) -> str:
    if not measured.waiting:
        return "a broadcast, a schedule or what time tells contacts"
    return "first " + ", ".join(f"{one.contact} ({one.what})" for one in measured.waiting)


def _holder(holder: Holder) -> str:
    return f"{_session(holder)}, {holder.state}"


def _session(one: Holder | Runner) -> str:
    place = f" at {one.client}" if one.client else ""
    return f"{one.application or 'unnamed'}{place}, server process {one.pid}"
