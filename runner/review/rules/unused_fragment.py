"""A fragment that no journey uses is a leftover, or its name is misspelt.

Nothing is said as long as a journey has errors: it may use the fragment.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: end, use: goodbye}
    # journeys/fragments/goodbye.yaml
    fragment: goodbye
    title: The end
    steps: [{id: bye, exit: done}]

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
    # journeys/fragments/goodbye.yaml
    fragment: goodbye
    title: The end
    steps: [{id: bye, exit: done}]
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.project import FOLDER, Project
from runner.problem import Problem, Severity
from runner.review.places import text_in_lines

_FRAGMENTS = f"{FOLDER}/fragments/"


def check(project: Project) -> Iterator[Problem]:
    if any(problem.severity is Severity.ERROR for problem in project.problems):
        return
    used = {path for paths in project.fragments.values() for path in paths}
    for path, text in project.files.items():
        if path.startswith(_FRAGMENTS) and path.endswith(".yaml") and path not in used:
            name = path.removeprefix(_FRAGMENTS).removesuffix(".yaml")
            yield Problem(
                code="fragment/unused",
                message=f"No journey uses the fragment `{name}`.",
                span=text_in_lines(path, text, 1, r"(?<=^fragment: )\S.*", text.count("\n") + 1),
                hint="Remove the file, or write a step `use: " + name + "`.",
                severity=Severity.WARNING,
            )
