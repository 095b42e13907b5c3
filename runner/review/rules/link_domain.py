"""A link that a template writes needs a domain: ``links: {domain: …}`` in the catalog.

Without one the address leads to ``links.invalid``, which nobody can open.

Passes:

    # journeys/catalog.yaml
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    channels:
      email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
    links: {domain: links.shop.example}
    # journeys/demo/journey.yaml
    steps: [{id: hello, send: email}]
    links: {stop: {exit: stopped}}
    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    No more of this: {{ links.stop }}

Fails:

    # journeys/demo/journey.yaml
    steps: [{id: hello, send: email}]
    links: {stop: {exit: stopped}}
    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    No more of this: {{ links.stop }}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.project import Project
from runner.journey.template_reads import members_read
from runner.problem import Problem, Severity
from runner.review.places import text_in_lines


def check(project: Project) -> Iterator[Problem]:
    if project.catalog.links.domain is not None:
        return
    for name, journey in project.journeys.items():
        known = {link.name for link in journey.links}
        for template in project.templates[name] if known else ():
            # Names that do not exist are told by the rule of what a template reads.
            read = sorted(known & (members_read([template], "links") or frozenset()))
            if not read:
                continue
            pattern = rf"links\s*(?:\.\s*|\[\s*['\"])(?:{'|'.join(map(re.escape, read))})\b"
            written = {path: project.files[path].removeprefix("\ufeff") for path in template.paths}
            # A link may stand in a layout or a snippet.
            path = next((path for path, text in written.items() if re.search(pattern, text)), template.path)
            text = written[path]
            yield Problem(
                code="links/no-domain",
                message=f"`links.{read[0]}` has no address that anybody can open.",
                span=text_in_lines(path, text, 1, pattern, text.count("\n") + 1),
                hint="Name the domain in catalog.yaml: links: {domain: links.example.com}.",
                severity=Severity.WARNING,
            )
