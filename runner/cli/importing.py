"""What ``contacts import`` and ``events import`` share: the catalog, a progress bar, a summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.clock import utc_now
from runner.engine.imports import Granted, Imported, import_file
from runner.engine.misfits import misfits_json, misfits_text
from runner.engine.unread import unread_json, unread_text
from runner.insight.present import count_text
from runner.journey.catalog import Catalog
from runner.journey.project import load_project, read_files
from runner.journey.shown import printable
from runner.journey.words import listed
from runner.problem import ProblemsFound, Severity
from runner.settings import load_settings
from runner.store.causes.feedback import FEEDBACK
from runner.store.database import Database

if TYPE_CHECKING:
    from runner.engine.enrolling import Enrolling
    from runner.engine.intake import Progress

BATCH = 5_000
_CATALOG = "journeys/catalog.yaml"


def load_catalog(project: Path) -> Catalog:
    """The catalog of the working tree, by which values are fitted. Raises ProblemsFound where it is
    wrong; mistakes in journeys do not matter here."""
    files = read_files(project)
    loaded = load_project(files)
    wrong = [
        problem
        for problem in loaded.problems
        if problem.span.file == _CATALOG and problem.severity is Severity.ERROR
    ]
    if wrong:
        raise ProblemsFound(wrong, files)
    return loaded.catalog


def import_files(
    project: Path,
    catalog: Catalog,
    paths: Sequence[Path],
    *,
    pending: bool,
    batch: int,
    output_format: str,
    grants: Sequence[Granted] = (),
    only_contacts: bool = False,
    enrolling: Enrolling | None = None,
) -> int:
    """Import ``paths`` in their order into the project's database; print what became of them. Answers the
    exit code."""
    database = Database.open(load_settings(project, os.environ).database_url)
    results: list[tuple[Path, Imported]] = []
    try:
        for path in paths:
            with _progress_bar(path) as progress:
                imported = import_file(
                    database,
                    catalog,
                    path,
                    received_at=utc_now(),
                    pending=pending,
                    rejects=project / ".journeys" / "rejected",
                    batch=batch,
                    grants=grants,
                    only_contacts=only_contacts,
                    enrolling=enrolling,
                    progress=progress,
                )
            results.append((path, imported))
            if output_format == "text":
                click.echo("\n".join(summary(path, imported)))
    finally:
        database.close()
    if output_format == "json":
        import json

        click.echo(json.dumps({"files": [_json(path, imported) for path, imported in results]}, indent=2))
    wanting = (done.rejected_lines or done.strangers or done.unheeded for _, done in results)
    return 1 if any(wanting) else 0


@contextmanager
def _progress_bar(path: Path) -> Iterator[Progress | None]:
    """A bar of the bytes read, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(path.name, total=path.stat().st_size)
        yield lambda read: bars.update(bar, completed=read)


def summary(path: Path, imported: Imported) -> Iterator[str]:
    """What became of a file, as lines for people."""
    stored = imported.stored
    yield (
        f"{path.name}: {stored.new:,} new, {stored.duplicate:,} already there, "
        f"{imported.rejected_lines:,} rejected; {count_text(stored.contacts_new, 'new contact')}"
    )
    if imported.consents:
        yield f"  {count_text(imported.consents, 'consent')} recorded"
    yield from (f"  {told}" for told in misfits_text(imported.misfits))
    if told := unread_text(imported.unread):
        yield f"  {told}"
    if imported.too_old and stored.new:
        are, they = ("is", "it starts") if imported.too_old == 1 else ("are", "they start")
        old = count_text(imported.too_old, "event")
        yield f"  {old} {are} older than 24 hours: {they} nothing, unless `run --virtual` lives that time"
        if imported.turned_since:
            some = listed(imported.turned_since, "and", most=5)
            yield f"  but time alone also brings people into {some}, and these enter; without --live, nobody does"
    if imported.unknown_messages:
        events = count_text(imported.unknown_messages, "event")
        yield f"  {events} of a message that the contact was not sent from here, kept without it:"
        for one in imported.first_unknown:
            so = "nothing is suppressed" if one.name in FEEDBACK else f"{one.name} is kept"
            named = "with that id" if one.properties.get("message") else "at that step"
            yield f"  line {one.line}: {printable(one.contact)} was sent no message {named}; {so}"
        if (more := imported.unknown_messages - len(imported.first_unknown)) > 0:
            yield f"  and {more:,} more"
    if imported.strangers:
        some = listed(list(imported.strangers)[:5], "and")
        yield f"  {count_text(len(imported.strangers), 'key')} of no contact, left out: {printable(some)}"
    for rejected in imported.rejections:
        yield f"  line {rejected.line}: {printable(rejected.reason)}"
    if imported.reject_file:
        yield f"  the rejected lines are in {imported.reject_file}, the reasons in {imported.reject_file.name}.reasons"


def _json(path: Path, imported: Imported) -> dict[str, object]:
    return {
        "file": str(path),
        "new": imported.stored.new,
        "duplicate": imported.stored.duplicate,
        "contacts_new": imported.stored.contacts_new,
        "consents_of_contacts": imported.consents,
        "rejected_lines": imported.rejected_lines,
        "rejected_values": misfits_json(imported.misfits),
        "not_read": unread_json(imported.unread),
        "too_old": imported.too_old,
        "turned_since": list(imported.turned_since),
        "unknown_messages": imported.unknown_messages,
        "unheeded": imported.unheeded,
        "first_unknown_messages": [
            {"line": one.line, "contact": one.contact, "event": one.name} for one in imported.first_unknown
        ],
        "strangers": len(imported.strangers),
        "rejections": [{"line": one.line, "reason": one.reason} for one in imported.rejections],
        "reject_file": str(imported.reject_file) if imported.reject_file else None,
    }
