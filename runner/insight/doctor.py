"""What is wrong with a deployment, and how to mend it: findings out of what was examined. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.insight.examined import Examined, Measured, lagging_partitions
from runner.insight.present import count_text
from runner.journey.graph import Program
from runner.journey.model import Leave, WaitUntil
from runner.store.examination import Holder, StandingRuns
from runner.store.migrations import Standing
from runner.store.vital_signs import MOST, Some


class Level(StrEnum):
    ERROR = "error"  # something does not happen that should
    WARNING = "warning"  # somebody has to look, or it will become an error
    NOTE = "note"  # good to know


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``code`` is stable and for programs, ``what`` a sentence without its full stop,
    ``where`` whom or what it concerns, ``since`` an aware instant, ``mend`` what to do, with the command."""

    code: str
    level: Level
    what: str
    mend: str
    where: str | None = None
    since: datetime | None = None


SKEW = timedelta(seconds=2)
"""Clocks that differ by more make leases and lateness inexact."""
WRONG_SKEW = timedelta(seconds=30)
"""With more, a runner takes messages for abandoned that another one is still sending."""
OLDEST_POSTGRESQL = 14
HELD_TOO_LONG = timedelta(minutes=1)
"""A batch takes seconds: a transaction that holds partitions for longer has hung."""
LAPSED = timedelta(minutes=5)
"""What a lease left behind is taken back within a quarter of it, by any runner."""
WAITING = timedelta(minutes=10)
"""Workers look every few seconds for messages that may leave."""
LITTLE_DISK = 1024**3
NO_DISK = 100 * 1024**2

Rule = Callable[[Examined], Iterator[Finding]]


def diagnose(examined: Examined) -> tuple[Finding, ...]:
    """Everything that is wrong, the worst first, each kind in the order of ``RULES``."""
    found = [finding for rule in RULES for finding in rule(examined)]
    worst = list(Level)
    return tuple(sorted(found, key=lambda finding: worst.index(finding.level)))


def _settings(examined: Examined) -> Iterator[Finding]:
    for text in examined.settings:
        yield Finding(
            code="settings/unreadable",
            level=Level.ERROR,
            what=text,
            where="journeys.yaml",
            mend="correct it, or set the variable where this command and `journeys run` are started",
        )


def _database(examined: Examined) -> Iterator[Finding]:
    if examined.unreachable is not None:
        yield Finding(
            code="database/unreachable",
            level=Level.ERROR,
            what=examined.unreachable,
            where=examined.database,
            mend="start the server, or correct `database` in journeys.yaml and what its variables hold",
        )
    for standing, code, level, what, mend in _STANDINGS:
        if examined.unreachable is None and examined.standing is standing:
            yield Finding(
                code=code, level=level, what=examined.too_new or what, where=examined.database, mend=mend
            )


_STANDINGS = (
    (
        Standing.EMPTY,
        "database/missing",
        Level.WARNING,
        "there is no database yet",
        "`journeys apply`",
    ),
    (
        Standing.BEHIND,
        "database/behind",
        Level.ERROR,
        "migrations of this version of the software are missing",
        "`journeys status`: any command that uses the database migrates it",
    ),
    (
        Standing.TOO_NEW,
        "database/too-new",
        Level.ERROR,
        "a newer version of the software took away what this one needs",
        "install the newer version on this machine",
    ),
)


def _expanded(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is not None and examined.standing is Standing.AHEAD:
        yield Finding(
            code="database/ahead",
            level=Level.NOTE,
            what=f"a newer version of the software has brought the database to revision {measured.revision};"
            f" this one knows {measured.newest} and can go on",
            where=examined.database,
            mend="install the newer version here too, before it takes away what this one needs",
        )


def _server(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None:
        return
    if measured.server_version is not None and measured.server_version < OLDEST_POSTGRESQL:
        yield Finding(
            code="database/version",
            level=Level.ERROR,
            what=f"this is PostgreSQL {measured.server_version}; {OLDEST_POSTGRESQL} or newer is needed",
            where=examined.database,
            mend="upgrade the server (pg_upgrade)",
        )
    if measured.journal_mode not in (None, "wal"):
        yield Finding(
            code="database/journal",
            level=Level.ERROR,
            what=f"SQLite keeps its journal as `{measured.journal_mode}` and not as `wal`, so whoever reads waits for"
            " whoever writes",
            where=examined.database,
            mend="move the file to a local disk (WAL needs shared memory, which network folders do not have)",
        )
    skew = abs(measured.clock_ahead)
    if skew > SKEW:
        side = "before" if measured.clock_ahead > timedelta() else "behind"
        yield Finding(
            code="clock/skew",
            level=Level.ERROR if skew > WRONG_SKEW else Level.WARNING,
            what=f"this machine's clock is {span_text(skew)} {side} that of the database's machine",
            where=examined.database,
            mend="have both keep time by NTP: `timedatectl set-ntp true`",
        )


def _disks(examined: Examined) -> Iterator[Finding]:
    for disk in examined.disks:
        if disk.free < LITTLE_DISK:
            yield Finding(
                code="disk/low",
                level=Level.ERROR if disk.free < NO_DISK else Level.WARNING,
                what=f"{disk.free // 1024**2:,} MiB are left on the disk of {disk.what}",
                where=str(disk.path),
                mend=f"make room; `df -h {disk.path}` says how much there is",
            )


def _channels(examined: Examined) -> Iterator[Finding]:
    for channel in examined.channels:
        where = f"channel {channel.name} ({channel.transport}), journeys {', '.join(channel.journeys)}"
        if channel.wrong_settings is not None:
            yield Finding(
                code="channel/settings",
                level=Level.ERROR,
                what=f"nothing can be sent: {channel.wrong_settings}",
                where=where,
                mend=f"set `channels: {channel.name}:` in journeys.yaml; docs/operate.md has the options",
            )
        if channel.unreachable is not None:
            yield Finding(
                code="channel/unreachable",
                level=Level.ERROR,
                what=f"it cannot be reached: {channel.unreachable}",
                where=where,
                mend="correct its host, login and certificates in journeys.yaml, or open the way from this machine",
            )
        if channel.transport == "smtp" and not channel.sender:
            yield Finding(
                code="channel/sender",
                level=Level.ERROR,
                what="the catalog names no sender address, so no mail can leave",
                where=where,
                mend=f"write `sender: {{address: …}}` under `channels: {channel.name}:` of journeys/catalog.yaml,"
                " then `journeys apply`",
            )
        if channel.transport == "file":
            yield Finding(
                code="channel/file",
                level=Level.NOTE,
                what="its messages are written to files and reach nobody",
                where=where,
                mend=f"set `channels: {channel.name}:` in journeys.yaml when it is to be real",
            )


def _journeys(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None:
        return
    if measured.unreadable is not None:
        yield Finding(
            code="journeys/unreadable", level=Level.ERROR, what=measured.unreadable, mend="`journeys apply`"
        )
    if not measured.in_force:
        yield Finding(
            code="journeys/none",
            level=Level.WARNING,
            what="no journey is in force, so nothing will be sent",
            mend="`journeys apply`",
        )
        return
    differ = sorted(
        name for name, version in examined.on_disk.items() if measured.in_force.get(name) != version
    )
    if differ:
        yield Finding(
            code="journeys/differ",
            level=Level.NOTE,
            what="the files differ from what is in force",
            where=", ".join(differ),
            mend="`journeys apply`, if they are meant to be in force",
        )


def _ticks(examined: Examined) -> Iterator[Finding]:
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


def _stranded(examined: Examined) -> Iterator[Finding]:
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
    if node.timer_outcome is None:
        return "nobody waits at their step"
    without_date = isinstance(node.verb, WaitUntil) and node.verb.if_missing is Leave.WAIT
    if standing.untimed and not without_date:
        return f"{standing.untimed:,} of them wait for no instant"
    return None


def _set_aside(examined: Examined) -> Iterator[Finding]:
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
            mend="`journeys contacts show KEY` tells the story of each; correct the journey and enter them again",
        )


def _messages(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is None:
        return
    signs = measured.signs
    if signs.lapsed.oldest is not None and signs.at - signs.lapsed.oldest > LAPSED:
        yield Finding(
            code="messages/lapsed",
            level=Level.ERROR,
            what=f"{_some(signs.lapsed, 'message')} of runners that are gone, and nobody takes them back",
            since=signs.lapsed.oldest,
            mend="start `journeys run`, which does so within seconds; it must know the channels of these messages",
        )
    if not measured.virtual and signs.ready.oldest is not None and signs.at - signs.ready.oldest > WAITING:
        yield Finding(
            code="messages/waiting",
            level=Level.WARNING,
            what=f"{_some(signs.ready, 'message')} could leave and nobody hands them over",
            since=signs.ready.oldest,
            mend="start `journeys run`; where it runs, raise `limits: workers:` in journeys.yaml, or read its log",
        )
    if signs.unknown.count:
        yield Finding(
            code="messages/unknown",
            level=Level.WARNING,
            what=f"of {_some(signs.unknown, 'message')} nobody can tell whether they arrived",
            since=signs.unknown.oldest,
            mend="`journeys messages list` shows them, `journeys messages reconcile` settles them",
        )


def _zones(examined: Examined) -> Iterator[Finding]:
    measured = examined.measured
    if measured is not None and measured.outdated_zones:
        yield Finding(
            code="zones/outdated",
            level=Level.WARNING,
            what="clocks there change otherwise than the database has it stored",
            where=", ".join(measured.outdated_zones),
            mend="update tzdata on every machine, then `journeys doctor --refresh-zones`",
        )


RULES: tuple[Rule, ...] = (
    _settings,
    _database,
    _server,
    _disks,
    _ticks,
    _stranded,
    _channels,
    _journeys,
    _messages,
    _set_aside,
    _zones,
    _expanded,
)


def span_text(span: timedelta) -> str:
    """A length of time for people: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


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
    return "first " + ", ".join(f"{one.contact} ({one.what})" for one in measured.waiting)


def _holder(holder: Holder) -> str:
    place = f" at {holder.client}" if holder.client else ""
    return f"{holder.application or 'unnamed'}{place}, server process {holder.pid}, {holder.state}"
