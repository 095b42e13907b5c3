"""What is wrong with a deployment, and how to mend it: findings out of what was examined. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from runner.insight import overdue
from runner.insight.examined import CheckedChannel, Examined
from runner.insight.finding import Finding, Level, Rule, span_text
from runner.settings import UNKNOWN_CHANNEL
from runner.store.migrations import Standing
from runner.store.tables import JourneyState

SKEW = timedelta(seconds=2)
"""Clocks that differ by more make leases and lateness inexact."""
WRONG_SKEW = timedelta(seconds=30)
"""With more, a runner takes messages for abandoned that another one is still sending."""
OLDEST_POSTGRESQL = 14
LITTLE_DISK = 1024**3
NO_DISK = 100 * 1024**2


def diagnose(examined: Examined) -> tuple[Finding, ...]:
    """Everything that is wrong, the worst first, each kind in the order of ``RULES``."""
    found = [finding for rule in RULES for finding in rule(examined)]
    worst = list(Level)
    return tuple(sorted(found, key=lambda finding: worst.index(finding.level)))


def _settings(examined: Examined) -> Iterator[Finding]:
    for problem in examined.settings:
        mend = problem.hint or "correct journeys.yaml; `journeys check` shows the place"
        if problem.code == "settings/variable":
            mend = "set the variable where this command and `journeys run` are started"
        yield Finding(
            code=UNKNOWN_CHANNEL if problem.code == UNKNOWN_CHANNEL else "settings/unreadable",
            level=Level.ERROR,
            what=problem.message.removesuffix("."),
            where=f"{problem.span.file}:{problem.span.line}",
            mend=mend.removesuffix("."),
        )
    if examined.without_settings:
        yield Finding(
            code="settings/none",
            level=Level.NOTE,
            what="there are no settings here, so the channels are not looked at",
            mend="name the folder that holds journeys.yaml by --project",
        )


def _database(examined: Examined) -> Iterator[Finding]:
    if examined.unreachable is not None:
        yield Finding(
            code="database/unreachable",
            level=Level.ERROR,
            what=examined.unreachable,
            where=examined.database or None,
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
        "`journeys apply` or `journeys run` migrates it",
    ),
    (
        Standing.TOO_NEW,
        "database/too-new",
        Level.ERROR,
        "a newer version of the software took away what this one needs",
        "install the newer version on this machine",
    ),
)


def _fitness(examined: Examined) -> Iterator[Finding]:
    if examined.missing_tables:
        yield Finding(
            code="database/tables",
            level=Level.ERROR,
            what=f"tables are missing: {', '.join(examined.missing_tables)}",
            where=examined.database,
            mend="restore a whole backup, docs/recover.md says how; or is this not the database of journeys?",
        )
    if examined.not_writable:
        first, *others = examined.not_writable
        more = f" and {len(others)} more" if others else ""
        yield Finding(
            code="database/read-only",
            level=Level.ERROR,
            what=f"nobody who connects as this does can run journeys: {first}{more} may not be written",
            where=examined.database,
            mend="let its user write: on PostgreSQL, GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA"
            " public; on SQLite, by the owner, the rights and the disk of the file and its folder",
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
    if measured.journal_mode not in (None, "wal", "memory"):
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


_BY_NETWORK = (
    "correct its address, login and certificates in journeys.yaml, or open the way from this machine"
)
_WAYS = {"file": "let whoever runs `journeys run` write to that folder, or name another in journeys.yaml"}
"""How to mend that nothing gets through, by transport."""


def _channels(examined: Examined) -> Iterator[Finding]:
    for channel in examined.channels:
        place = f"journeys.yaml:{channel.line}, " if channel.line else ""
        where = f"{place}channel {channel.name} ({channel.transport}), journeys {', '.join(channel.journeys)}"
        if channel.wrong_settings is not None:
            yield Finding(
                code="channel/settings",
                level=Level.ERROR,
                what=f"nothing can be sent: {channel.wrong_settings}",
                where=where,
                mend=f"{_correction(channel)} in journeys.yaml; docs/reference.md has the options",
            )
        if channel.unreachable is not None:
            yield Finding(
                code="channel/unreachable",
                level=Level.ERROR,
                what=f"it cannot be reached: {channel.unreachable}",
                where=where,
                mend=_WAYS.get(channel.transport, _BY_NETWORK),
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
        if channel.sender_domain and channel.signing and not _signs_for(channel):
            yield Finding(
                code="channel/dkim",
                level=Level.WARNING,
                what=f"mails from {channel.sender_domain} are signed (DKIM) by {', '.join(channel.signing)} alone,"
                " which receivers may not count for the sender (DMARC)",
                where=where,
                mend=f"set `domain` of `dkim` to {channel.sender_domain} or a domain above it, with a key that is"
                " published there",
            )
        if channel.transport == "file":
            yield Finding(
                code="channel/file",
                level=Level.NOTE,
                what="its messages are written to files and reach nobody",
                where=where,
                mend=f"set `channels: {channel.name}:` in journeys.yaml when it is to be real",
            )


def _correction(channel: CheckedChannel) -> str:
    if channel.option:
        return f"correct `{channel.option}` of channel `{channel.name}`"
    return f"correct channel `{channel.name}`" if channel.line else f"set `channels: {channel.name}:`"


def _signs_for(channel: CheckedChannel) -> bool:
    """Whether one of the domains that sign is the sender's, or above it (RFC 7489, 3.1.1)."""
    return any(f".{channel.sender_domain}".endswith(f".{domain}") for domain in channel.signing)


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


def _halted(examined: Examined) -> Iterator[Finding]:
    """Retired journeys that are stopped are as they are to be."""
    measured = examined.measured
    for one in measured.halted if measured else ():
        paused = one.state is JourneyState.PAUSED
        version = measured.versions.current.get(one.journey) if measured and measured.versions else None
        if not paused and version is not None and version.retired:
            continue
        people = {0: "nobody is", 1: "1 person is"}.get(one.people, f"{one.people:,} people are")
        yield Finding(
            code="journeys/paused" if paused else "journeys/stopped",
            level=Level.NOTE,
            what=f"it is paused: {people} held in it, nobody enters, and nothing of it leaves"
            if paused
            else "it is stopped: nobody is in it, and nobody enters",
            where=one.journey,
            since=one.since,
            mend=f"`journeys resume {one.journey}`, when {'it is to go on' if paused else 'people are to enter it'}",
        )


def _pools(examined: Examined) -> Iterator[Finding]:
    for pool, journeys in (examined.measured.empty_pools if examined.measured else {}).items():
        yield Finding(
            code="pools/empty",
            level=Level.WARNING,
            what=f"pool `{pool}` has no value left: whoever draws from it gets none",
            where=f"journeys {', '.join(journeys)}",
            mend=f"`journeys pools import {pool}`, once its file has new values, or"
            f" `journeys pools import {pool} FILE`",
        )


def _links(examined: Examined) -> Iterator[Finding]:
    for journey, links in (examined.measured.links if examined.measured else {}).items():
        yield Finding(
            code="links/unserved",
            level=Level.WARNING,
            what="its messages carry links whose pages nobody serves yet: whoever presses one gets nowhere",
            where=f"journey {journey}, links {', '.join(links)}",
            mend="let its templates lead to a page of your own instead of `{{ links.NAME }}`, whose button sends an"
            " event (docs/links.md, by the example of a double opt-in), then `journeys apply`",
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
    _fitness,
    _server,
    _disks,
    overdue.ticks,
    overdue.silent,
    overdue.stranded,
    _channels,
    _journeys,
    _halted,
    _pools,
    _links,
    overdue.messages,
    overdue.set_aside,
    _zones,
    _expanded,
)
