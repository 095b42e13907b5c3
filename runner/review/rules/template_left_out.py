"""A text that is translated into the languages of its journey but for one: its readers get another language, and nobody
is told. So does a mail that has HTML in its other languages and in this one none.

A text that is in one language alone is meant to be, and so is one that leaves out several languages.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: nudge, send: email}
    # journeys/demo/hello.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: nudge, send: email}
    # journeys/demo/hello.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა
    # journeys/demo/hello.de.txt
    ---
    subject: Hallo
    ---
    Hallo
    # journeys/demo/nudge.de.txt
    ---
    subject: Noch da?
    ---
    Noch da?

Fails:

    # journeys/demo/hello.de.html
    ---
    subject: Hallo
    ---
    <p>Hallo</p>
    # journeys/demo/hello.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runner.journey.locales import locales, plain
from runner.journey.project import Project
from runner.journey.template import EXTENSIONS, MARKUP, Template, templates_sent
from runner.journey.version import sends_of
from runner.problem import Problem, Severity, Span
from runner.review.rules.missing_template import is_fallback

Variants = Mapping[str, Sequence[Template]]
"""The files of a text by the locale that they are written in; those that everybody can get by the empty text."""


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        texts: dict[str, dict[str, list[Template]]] = {}
        for template in templates_sent(project.templates[journey.name], sends_of(journey)):
            if template.extension in EXTENSIONS:
                locale = "" if is_fallback(template, project.catalog.locale) else plain(template.locale)
                texts.setdefault(template.name, {}).setdefault(locale, []).append(template)
        there = {locale for variants in texts.values() for locale in variants if locale}
        for name, variants in texts.items():
            yield from _left_out(name, variants, there)
            yield from _without_html(name, variants)


def _left_out(name: str, variants: Variants, there: set[str]) -> Iterator[Problem]:
    if "" not in variants or len(variants) == 1:
        return
    missing = [locale for locale in sorted(there) if not _gets(locale, variants)]
    if len(missing) != 1:
        return
    like = variants[""][0]
    spelt = _file(like, missing[0])
    yield Problem(
        code="template/left-out",
        message=f"`{name}` is not written in {missing[0]}, as other messages of the journey are:"
        f" its readers get {like.written_in}.",
        span=Span(like.path, 1, 1),
        hint=f"Write {spelt}.",
        severity=Severity.WARNING,
    )


def _without_html(name: str, variants: Variants) -> Iterator[Problem]:
    plain_only = [locale for locale, files in variants.items() if not _html(files)]
    if len(plain_only) != 1 or len(variants) < 3:
        return
    (locale,) = plain_only
    template = variants[locale][0]
    like = next(file for other, files in variants.items() if other != locale for file in _html(files))
    yield Problem(
        code="template/left-out",
        message=f"`{name}` is HTML in its other languages; in {template.written_in} it is text alone.",
        span=Span(template.path, 1, 1),
        hint=f"Write {_file(like, template.locale)}.",
        severity=Severity.WARNING,
    )


def _html(files: Sequence[Template]) -> list[Template]:
    return [file for file in files if file.extension in MARKUP]


def _gets(locale: str, variants: Variants) -> bool:
    """Whether a reader of that locale gets a variant of their language."""
    return any(each is not None and each in variants for each in locales(locale, locale))


def _file(like: Template, locale: str | None) -> str:
    """The file of the same text in another locale."""
    stem = like.name.rsplit("/", 1)[-1]
    return ".".join(part for part in (stem, locale, like.extension) if part)
