"""A template that no step sends is a leftover, or its name is misspelt; so is a layout or a snippet that no template
asks for, and a file that goes along with no message.

Passes:

    # journeys/demo/hello.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა

Fails:

    # journeys/demo/helo.txt
    ---
    subject: Hello
    ---
    Hello

Fails:

    # journeys/snippets/footer.txt
    Unsubscribe: {{ links.stop }}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import walk
from runner.journey.inclusion import SHARED
from runner.journey.model import Send
from runner.journey.project import FOLDER, Project
from runner.journey.template import ATTACHED, EXTENSIONS
from runner.journey.words import did_you_mean
from runner.problem import Problem, Severity, Span


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        sends = [step.verb for step in walk(journey.steps) if isinstance(step.verb, Send)]
        sent = {send.template for send in sends if send.sends(send.template)}
        for template in project.templates[name]:
            if template.path not in project.included and not any(send.sends(template.name) for send in sends):
                yield Problem(
                    code="template/unused",
                    message=f"No step sends the template `{template.name}`.",
                    span=Span(template.path, 1, 1),
                    hint=did_you_mean(template.name, sent),
                    severity=Severity.WARNING,
                )
    yield from _unasked(project)


def _unasked(project: Project) -> Iterator[Problem]:
    """The layouts, snippets and files to take along that no template asks for."""
    pools = {f"{FOLDER}/{file}" for file in project.catalog.pools.values()}
    for path in sorted(project.files):
        folder, extension = path.partition("/")[2].partition("/")[0], path.rpartition(".")[2]
        shared = folder in SHARED and path.count("/") == 2 and extension in EXTENSIONS
        beside = path.count("/") == 2 and (folder in project.journeys or folder in SHARED)
        if path in project.included or path in pools or not (shared or (beside and extension in ATTACHED)):
            continue
        verb = "takes this file along" if extension in ATTACHED else "includes this file"
        yield Problem(
            code="template/unused",
            message=f"No template {verb}.",
            span=Span(path, 1, 1),
            severity=Severity.WARNING,
        )
