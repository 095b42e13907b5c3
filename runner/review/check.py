"""Everything that is wrong with the files of a project, found at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.journey.project import CATALOG, FOLDER, Project, load_project, read_folder
from runner.journey.scenario_file import find_scenarios
from runner.journey.template_tree import template_tree
from runner.problem import Problem, Severity
from runner.review.ignores import heeding
from runner.review.proof.question import Prover, Reasoner
from runner.review.rules import PROVEN, RULES
from runner.settings import SETTINGS_FILE, check_settings, transports


@dataclass(frozen=True, kw_only=True)
class Checked:
    """``problems`` in file order; ``sources`` has the texts that they point into; ``journeys`` counts what
    was read.
    """

    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    journeys: int

    @property
    def errors(self) -> int:
        return sum(problem.severity is Severity.ERROR for problem in self.problems)


def check_folder(folder: Path, reasoner: Reasoner | None = None) -> Checked:
    """Read the project in ``folder`` and find all its problems, with ``reasoner`` those as well that it proves.
    Raises JourneysError where there is no journeys/.
    """
    files, unreadable = read_folder(folder)
    project = replace(load_project(files), transports=transports(folder))
    checked = _check(project, reasoner)
    unread = {problem.span.file for problem in unreadable}
    found = tuple(problem for problem in checked.problems if problem.span.file not in unread)
    known = CATALOG in files and not any(problem.span.file == CATALOG for problem in checked.problems)
    settings, settings_source = check_settings(folder, project.catalog.channels if known else None)
    return Checked(
        problems=_sorted((*found, *unreadable, *settings)),
        sources={**checked.sources, SETTINGS_FILE: settings_source},
        journeys=checked.journeys,
    )


def check_files(files: Mapping[str, str]) -> Checked:
    """All problems of the project that ``files`` make."""
    return _check(load_project(files))


def _check(project: Project, reasoner: Reasoner | None = None) -> Checked:
    return Checked(
        problems=_sorted((*_found(project, reasoner), *find_scenarios(project)[1])),
        sources=project.files,
        journeys=sum(
            path.startswith(f"{FOLDER}/") and path.endswith("/journey.yaml") for path in project.files
        ),
    )


def rule_problems(project: Project) -> tuple[Problem, ...]:
    """What the rules find in a project, beyond what loading it has found, and what its authors ignore in vain."""
    loaded = set(project.problems)
    return tuple(problem for problem in _found(project) if problem not in loaded)


def _found(project: Project, reasoner: Reasoner | None = None) -> tuple[Problem, ...]:
    """What loading and the rules find, without what the authors ignore."""
    by_rules = (problem for rule in RULES for problem in rule(project))
    proven: Iterable[Problem] = ()
    if reasoner is not None:
        prover = Prover(reasoner)
        proven = (problem for rule in PROVEN for problem in rule(project, prover))
    found = heeding(project, tuple(dict.fromkeys((*project.problems, *by_rules, *proven))))
    template_tree.cache_clear()  # of no use to the next project
    return found


def _sorted(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: (problem.span, problem.code)))
