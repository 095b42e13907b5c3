"""A project: the folder that holds ``journeys/``, read, built, and everything that is wrong with it.

Reading the disk and making sense of it are apart: ``load_project`` takes texts, so that a stored version, a
scenario and the working tree are loaded alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from runner.journey.builder import build_catalog, build_journey
from runner.journey.catalog import Catalog
from runner.journey.expansion import expand, masked_series
from runner.journey.fragments import load_fragments
from runner.journey.graph import walk
from runner.journey.inclusion import Shelf, shelf_of, with_parts
from runner.journey.model import Journey, Send
from runner.journey.renames import Renames
from runner.journey.schema import load_document, validate
from runner.journey.template import (
    ATTACHED,
    EXTENSIONS,
    Template,
    is_template_file,
    read_template,
    templates_sent,
)
from runner.journey.yaml import Broken, Value, load_yaml
from runner.problem import NothingThere, Problem, ProblemsFound, Severity, Span

FOLDER = "journeys"
CATALOG = f"{FOLDER}/catalog.yaml"
JOURNEY_FILE = "journey.yaml"

LARGEST_FILE = 1 << 20
"""Bytes of one file."""
MOST_FILES = 20_000
LARGEST_PROJECT = 256 << 20
"""Bytes of all files together."""

DEEPEST = 5
"""Slashes in the path of a template: cells lie in folders."""

_SUFFIXES = frozenset({".yaml", ".yml", *(f".{extension}" for extension in (*EXTENSIONS, *ATTACHED))})


@dataclass(frozen=True, kw_only=True)
class Project:
    """What was read and built. ``journeys`` has those without errors; ``templates`` goes by journey.

    ``files`` maps paths (``journeys/catalog.yaml``) to texts; ``trees`` maps YAML files to their values,
    for whoever has to point into them.
    """

    files: Mapping[str, str]
    catalog: Catalog
    journeys: Mapping[str, Journey]
    templates: Mapping[str, tuple[Template, ...]]
    problems: tuple[Problem, ...]
    trees: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)
    fragments: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The paths of the fragments that each journey is made from."""
    transports: Mapping[str, str] = field(default_factory=dict)
    """What carries a channel in this deployment (``smtp``), where its settings say so and not the catalog."""

    def uses(self, channel: str, transport: str) -> bool:
        """Whether the transport carries messages of the channel: as the catalog says, or in this deployment."""
        declared = self.catalog.channels.get(channel)
        return transport in (declared and declared.uses, self.transports.get(channel))

    @cached_property
    def included(self) -> frozenset[str]:
        """The paths of the files that are put into templates, or go along with them."""
        templates = (template for each in self.templates.values() for template in each)
        return frozenset(path for template in templates for path in template.paths[1:])

    def bundle(self, journey: str) -> Mapping[str, str]:
        """The files that one version is made from: the catalog, its file, fragments, the templates that it sends."""
        steps = walk(self.journeys[journey].steps)
        sends = (step.verb for step in steps if isinstance(step.verb, Send))
        templates = templates_sent(self.templates[journey], sends)
        own = (CATALOG, journey_path(journey), *sorted(self.fragments.get(journey, ())))
        paths = (*own, *(path for template in templates for path in template.paths))
        return {path: self.files[path] for path in paths}


def journey_path(journey: str) -> str:
    """Where a journey stands, relative to the project."""
    return f"{FOLDER}/{journey}/{JOURNEY_FILE}"


def read_files(folder: Path) -> Mapping[str, str]:
    """The texts of the project in ``folder``, by posix path relative to it.

    Raises ProblemsFound for files that cannot be read, NothingThere where there is no ``journeys/``.
    """
    files, problems = read_folder(folder)
    if problems:
        raise ProblemsFound(problems)
    return files


def read_folder(folder: Path) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """The texts that can be read, and a problem for each file that cannot. One that is not UTF-8 is there as far as it
    is, so that nothing else is missed of it.

    Hidden files and files of other kinds are left alone; links are refused, so that nothing outside the
    folder is ever read. Raises NothingThere where there is no ``journeys/``.
    """
    top = folder / FOLDER
    if not top.is_dir():
        raise NothingThere(f"There is no folder {FOLDER}/ in {folder.resolve()}. `journeys init` makes one.")
    files: dict[str, str] = {}
    problems: list[Problem] = []
    size = 0
    for path, relative in _walk(top, FOLDER, problems):
        if len(files) >= MOST_FILES or size > LARGEST_PROJECT:
            message = f"The project is too large: over {MOST_FILES:,} files or {LARGEST_PROJECT >> 20} MiB."
            problems.append(Problem(code="file/too-many", message=message, span=Span(relative, 1, 1)))
            break
        attached = path.suffix[1:] in ATTACHED
        # Such a file may be something else altogether; one that a message takes along is missed if it is not read.
        unreadable: list[Problem] = []
        text = _read(path, relative, unreadable)
        if attached and unreadable:
            continue
        problems += unreadable
        if text is not None:
            files[relative] = text
            size += len(text)
    return files, tuple(problems)


def _walk(folder: Path, relative: str, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """The files below ``folder`` that a project is made of, in order of their names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append(_unreadable(relative, error))
        return
    for entry in entries:
        name = f"{relative}/{entry.name}"
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        is_ours = Path(entry.name).suffix in _SUFFIXES
        if entry.is_symlink():
            if is_ours or entry.is_dir():
                message = "This is a link; a project holds its files itself."
                problems.append(Problem(code="file/link", message=message, span=Span(_printable(name), 1, 1)))
        elif entry.is_dir():
            yield from _walk(folder / entry.name, name, problems)
        elif is_ours and entry.is_file():
            yield folder / entry.name, name


def _read(path: Path, relative: str, problems: list[Problem]) -> str | None:
    start = Span(_printable(relative), 1, 1)
    if not relative.isprintable() or relative != _printable(relative):
        message = "The name of this file is not readable."
        problems.append(Problem(code="file/name", message=message, span=start))
        return None
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        problems.append(_unreadable(relative, error))
        return None
    if len(data) > LARGEST_FILE:
        problems.append(Problem(code="file/too-large", message="The file is larger than 1 MiB.", span=start))
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").splitlines() or [""]
        hint = "Save it as UTF-8."
        message = f"The file is not UTF-8: the byte 0x{data[error.start]:02X} does not belong here."
        line = before[-1] if not data[: error.start].endswith(b"\n") else ""
        number = len(before) + (1 if data[: error.start].endswith(b"\n") else 0)
        span = Span(relative, number, len(line) + 1)
        problems.append(Problem(code="file/encoding", message=message, span=span, hint=hint))
        return data.decode("utf-8", "replace")


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _unreadable(relative: str, error: OSError) -> Problem:
    message = f"This cannot be read: {error.strerror or type(error).__name__}."
    return Problem(code="file/unreadable", message=message, span=Span(_printable(relative), 1, 1))


def load_project(files: Mapping[str, str], renames: Mapping[str, Renames | None] | None = None) -> Project:
    """The project that ``files`` make; ``renames`` are those of the earlier versions of its journeys, by name, where
    they are known. Pure; bad content never raises, it is in ``problems``."""
    problems: list[Problem] = []
    trees: dict[str, Value] = {}
    catalog = _load_catalog(files, trees, problems)
    journeys: dict[str, Journey] = {}
    templates: dict[str, tuple[Template, ...]] = {}
    fragments = load_fragments(files, catalog or Catalog())
    template_files = _template_files(files)
    shelf = shelf_of(files, (catalog or Catalog()).locale)
    fragments_used: dict[str, frozenset[str]] = {}
    for fragment in fragments.values():
        problems.extend(fragment.problems)
    for folder in _folders(files, problems):
        path = journey_path(folder)
        templates[folder] = _load_templates(shelf, template_files.get(folder, ()), problems)
        tree, found = load_yaml(path, files[path])
        if tree is not None:
            found += validate(masked_series(tree), "journey")
            expanded = expand(tree, fragments, catalog or Catalog())
            tree, found = expanded.tree, (*found, *expanded.problems)
            fragments_used[folder] = expanded.fragments
            trees[path] = tree
        if tree is not None and catalog is not None:
            journey, more = build_journey(tree, catalog, folder, (renames or {}).get(folder))
            found += more
            if journey and all(problem.severity is not Severity.ERROR for problem in found):
                journeys[folder] = journey
        problems.extend(found)
    return Project(
        files=dict(files),
        catalog=catalog or Catalog(),
        journeys=journeys,
        templates=templates,
        problems=tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.span)),
        trees=trees,
        fragments=fragments_used,
    )


def _load_catalog(
    files: Mapping[str, str], trees: dict[str, Value], problems: list[Problem]
) -> Catalog | None:
    """The catalog as far as it can be read; None where nothing can be said about what exists."""
    if CATALOG not in files:
        message = "There is no catalog: the file that says which attributes, events and topics exist."
        problems.append(Problem(code="catalog/missing", message=message, span=Span(CATALOG, 1, 1)))
        return None
    tree, found = load_document(CATALOG, files[CATALOG], "catalog")
    problems.extend(found)
    if tree is None or isinstance(tree, Broken):
        return None
    trees[CATALOG] = tree
    catalog, more = build_catalog(tree)
    problems.extend(more)
    return catalog


def _folders(files: Mapping[str, str], problems: list[Problem]) -> list[str]:
    """The folders that hold a journey; those that only look like one are problems."""
    folders: dict[str, list[str]] = {}
    for path in files:
        parts = path.split("/")
        if len(parts) > 3 and parts[-1] == JOURNEY_FILE:
            message = f"A journey lies directly under {FOLDER}/, in a folder of its name."
            problems.append(Problem(code="journey/folder", message=message, span=Span(path, 1, 1)))
        if len(parts) == 3:
            folders.setdefault(parts[1], []).append(parts[2])
    journeys = []
    for folder, names in sorted(folders.items()):
        if JOURNEY_FILE in names:
            journeys.append(folder)
            continue
        near = next((name for name in sorted(names) if name in ("journey.yml", "tests.yaml")), None)
        if near:
            message = f"This folder has no {JOURNEY_FILE}, so it is no journey."
            hint = f"Rename it to {JOURNEY_FILE}." if near == "journey.yml" else None
            span = Span(f"{FOLDER}/{folder}/{near}", 1, 1)
            problems.append(Problem(code="journey/folder", message=message, span=span, hint=hint))
    return journeys


def _template_files(files: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """The paths of the templates, in their order, by the folder of the journey that they belong to."""
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        if path.startswith(f"{FOLDER}/") and 1 < path.count("/") <= DEEPEST and is_template_file(path):
            found.setdefault(path.split("/")[1], []).append(path)
    return found


def _load_templates(shelf: Shelf, paths: Sequence[str], problems: list[Problem]) -> tuple[Template, ...]:
    templates = []
    for path in paths:
        template, found = read_template(path, shelf.files[path], shelf.locale)
        problems.extend(found)
        if template:
            whole, found = with_parts(template, shelf)
            problems.extend(found)
            templates.append(whole)
    return tuple(templates)
