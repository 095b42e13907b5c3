"""``journeys doctor``: what is wrong with a deployment, and how to mend it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.examples import examples
from runner.cli.options import format_option, is_deployment, project_option, want_deployment

if TYPE_CHECKING:
    from datetime import timedelta

    from runner.engine.versions import Versions
    from runner.insight.examined import CheckedChannel, Disk, Examined, Measured
    from runner.journey.catalog import ChannelSettings
    from runner.journey.project import Project
    from runner.problem import Problem
    from runner.settings import Settings
    from runner.store.database import Database

LOOK_SECONDS = 0.5
"""How long to wait between two looks whether something moves."""


@click.command("doctor", epilog=examples("doctor"))
@project_option
@format_option
@click.option("--database", "url", metavar="URL", help="Another database than the one of the settings.")
@click.option("--strict", is_flag=True, help="Warnings count as findings too.")
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long to watch whether what is overdue moves.",
)
@click.option(
    "--refresh-zones",
    is_flag=True,
    help="First store the time zones anew as this machine knows them, where they differ.",
)
def command(
    project: Path, output_format: str, url: str | None, strict: bool, patience: int, refresh_zones: bool
) -> int:
    """Say what is wrong with a deployment, since when, and how to mend it.

    It looks at the settings, the database, the channels that journeys in use send through, and at what is overdue. It
    sends nothing, and changes nothing but what an option names.

    Exit codes: 0 nothing wrong (warnings and notes aside), 1 errors, 2 wrong usage, 3 a bug of ours, 4 no project.
    """
    import json

    from runner.clock import utc_now
    from runner.insight.doctor import diagnose
    from runner.insight.doctor_report import findings_json, findings_text
    from runner.insight.finding import Level

    if url is None:
        want_deployment(project)
    findings = diagnose(_examined(project, url, patience, refresh_zones=refresh_zones))
    now = utc_now()
    if output_format == "json":
        click.echo(json.dumps(findings_json(findings, now), indent=2, ensure_ascii=False))
    else:
        click.echo(findings_text(findings, now, colour=sys.stdout.isatty()))
    wrong = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return 1 if any(finding.level in wrong for finding in findings) else 0


def _examined(project: Path, url: str | None, patience: int, *, refresh_zones: bool) -> Examined:
    """Everything that can be looked at; what is wrong early on leaves the rest out."""
    from runner.insight.examined import Examined
    from runner.problem import JourneysError, ProblemsFound
    from runner.settings import Limits, load_settings
    from runner.store.database import Database
    from runner.store.migrations import Standing

    settings: Settings | None = None
    troubles: tuple[Problem, ...] = ()
    elsewhere = url is not None and not is_deployment(project)
    try:
        settings = None if elsewhere else load_settings(project, os.environ)
    except ProblemsFound as wrong:
        troubles = wrong.problems
    address = (settings.database_url if settings else None) if url is None else url
    if address is None:
        return Examined(settings=troubles)
    try:
        found = Database.as_found(address)
    except JourneysError as error:
        return Examined(settings=troubles, unreachable=str(error))
    so_far = Examined(
        settings=troubles,
        without_settings=elsewhere,
        database=found.name,
        standing=found.standing,
        too_new=found.too_new,
    )
    if found.database is None:
        return so_far
    if found.standing is Standing.CURRENT:
        try:
            so_far = _fit(so_far, found.database, elsewhere=elsewhere)
        except JourneysError as error:
            found.database.close()
            return replace(so_far, unreachable=str(error))
        if so_far.missing_tables:
            found.database.close()
            return so_far
    tick_every = (settings.limits if settings else Limits()).tick_every
    late = max(so_far.late, 3 * tick_every)
    try:
        if refresh_zones:
            _refresh_zones(found.database)
        measured = _measured(found.database, late, patience)
    except JourneysError as error:
        return replace(so_far, unreachable=str(error))
    finally:
        found.database.close()
    return replace(
        so_far,
        settings=(*troubles, *_stray_channels(settings, measured.versions)),
        measured=measured,
        late=late,
        channels=_channels(settings, measured.versions) if settings and measured.versions else (),
        disks=tuple(_disks(settings, address)),
        on_disk=_on_disk(project),
    )


def _fit(so_far: Examined, database: Database, *, elsewhere: bool) -> Examined:
    """With what makes the database unfit. Whoever looks from ``elsewhere`` need not be who writes."""
    from runner.store.watching.fitness import missing_tables, not_writable

    missing = missing_tables(database)
    unfit = () if missing or elsewhere else not_writable(database)
    return replace(so_far, missing_tables=missing, not_writable=unfit)


def _measured(database: Database, late: timedelta, patience: int) -> Measured:
    import time

    from runner.clock import utc_now
    from runner.insight.examined import Watch, measure

    looks = int(patience / LOOK_SECONDS)
    return measure(database, late, Watch(clock=utc_now, pause=lambda: time.sleep(LOOK_SECONDS), looks=looks))


def _refresh_zones(database: Database) -> None:
    from runner.store.local_time.zones import refresh_zones

    with database.begin() as connection:
        written = refresh_zones(connection)
    click.echo(f"Stored anew: {', '.join(written) or 'no zone, all are up to date'}.", err=True)


def _channels(settings: Settings, versions: Versions) -> tuple[CheckedChannel, ...]:
    """The channels that versions in use send through, each asked whether it gets through; all at once, since each may
    take as long as its time-out."""
    from concurrent.futures import ThreadPoolExecutor

    from runner.cli.opening import declared_channels
    from runner.insight.examined import sent_through

    declared = declared_channels(versions)
    with ThreadPoolExecutor(8) as pool:
        return tuple(
            pool.map(
                lambda used: _checked(settings, declared[used[0]], used[1]),
                [used for used in sent_through(versions).items() if used[0] in declared],
            )
        )


def _stray_channels(settings: Settings | None, versions: Versions | None) -> tuple[Problem, ...]:
    """What is set for channels that neither journeys in use nor the files know: it reaches nobody."""
    from runner.cli.opening import declared_channels
    from runner.settings import UNKNOWN_CHANNEL, check_settings

    if settings is None or not versions:
        return ()
    loaded = _project_files(settings.folder)
    known = {*declared_channels(versions), *(loaded.catalog.channels if loaded else ())}
    return tuple(
        problem for problem in check_settings(settings.folder, known)[0] if problem.code == UNKNOWN_CHANNEL
    )


def _checked(settings: Settings, declared: ChannelSettings, journeys: tuple[str, ...]) -> CheckedChannel:
    from channels.base import Checkable
    from channels.domain import ascii_domain
    from channels.registry import ChannelError, Surroundings, open_channels, transport_of
    from runner.clock import utc_now
    from runner.insight.examined import CheckedChannel
    from runner.settings import line_of

    overrides = {name: each for name, each in settings.channels.items() if name == declared.name}
    set_here = overrides.get(declared.name, {})
    transport = transport_of(declared, overrides)
    wrong = option = unreachable = None
    try:
        around = Surroundings(folder=settings.folder, clock=utc_now)
        channel = open_channels([declared], overrides, around)[declared.name]
    except ChannelError as error:
        wrong = str(error)
        words = re.findall(r"\w+", wrong.partition(": ")[2])
        option = next((word for word in words if word != "uses" and word in set_here), None)
    else:
        try:
            unreachable = channel.check() if isinstance(channel, Checkable) else None
        finally:
            channel.close()
    return CheckedChannel(
        name=declared.name,
        transport=transport,
        journeys=journeys,
        sender=declared.sender_address is not None,
        sender_domain=ascii_domain(declared.sender_address.rpartition("@")[2])
        if declared.sender_address
        else None,
        signing=_signing(set_here.get("dkim")) if transport == "smtp" else (),
        line=line_of(settings.folder, "channels", declared.name, transport, *([option] if option else [])),
        option=option,
        wrong_settings=wrong,
        unreachable=unreachable,
    )


def _signing(dkim: object) -> tuple[str, ...]:
    """The domains that the option ``dkim`` has sign; it may be wrong in every way."""
    from channels.domain import ascii_domain

    described = dkim if isinstance(dkim, list) else [dkim]
    domains = [each.get("domain") for each in described if isinstance(each, dict)]
    return tuple(ascii_domain(each) for each in domains if isinstance(each, str))


def _disks(settings: Settings | None, address: str) -> Iterator[Disk]:
    """The file systems on which this deployment writes."""
    from shutil import disk_usage

    from runner.insight.examined import Disk
    from runner.store.address import file_of

    file = file_of(address)
    if file is not None:
        yield Disk(what="the database", path=file.parent, free=disk_usage(file.parent).free)
    if settings is None:
        return
    named = {str(each["folder"]) for each in settings.channels.values() if "folder" in each}
    for folder in sorted({settings.folder / name for name in ("outbox", *named)}):
        if folder.is_dir():
            yield Disk(what="the outbox", path=folder, free=disk_usage(folder).free)


def _on_disk(project: Path) -> Mapping[str, str]:
    """The hashes of the project's journeys; none where there are no files, as on a machine that only runs."""
    from runner.journey.version import version_hash

    loaded = _project_files(project)
    return {name: version_hash(loaded, name) for name in loaded.journeys} if loaded else {}


def _project_files(folder: Path) -> Project | None:
    """The journeys and the catalog of the folder; None where there are none that can be read."""
    from runner.journey.project import FOLDER, load_project, read_files
    from runner.problem import ProblemsFound

    if not (folder / FOLDER).is_dir():
        return None
    try:
        return load_project(read_files(folder))
    except ProblemsFound:
        return None
