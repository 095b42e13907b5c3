"""The templates of a journey: files beside it, named ``STEP-OR-NAME[.LOCALE].EXT``, with front matter on top; those of
cells in folders of their own, ``FOLDER/VALUE/VALUE[.LOCALE].EXT``.

Nothing is compiled here: a template is a text, its name, and where its parts stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.journey.schema import validate
from runner.journey.yaml import LARGEST_FILE, Fields, Scalar, load_yaml, split_lines
from runner.problem import Problem, Span

if TYPE_CHECKING:
    from runner.journey.model import Send

EXTENSIONS = ("html", "txt")
LATER = ("mjml",)
"""Extensions of the language that this version does not support."""

_FENCE = "---"
_LOCALE = r"(?:\.(?P<locale>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*))?"
_NAME = re.compile(r"(?P<name>[a-z][a-z0-9_-]{0,63})" + _LOCALE)
_CELL = re.compile(r"(?P<name>[^./]{1,64})" + _LOCALE)
"""A cell is called like a value, and that may be any text."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template file. ``front`` holds ``subject``, ``preheader``, ``from`` and ``reply_to``, templates
    themselves.

    ``body_line`` is the line of the file on which ``body`` begins, from 1. ``places`` says where the values
    of the front matter stand.
    """

    name: str
    locale: str | None
    extension: str
    path: str
    front: Mapping[str, str]
    body: str
    body_line: int
    places: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)


def is_template_file(path: str) -> bool:
    """Whether a file beside a journey is meant as a template."""
    return path.rsplit(".", 1)[-1] in EXTENSIONS + LATER


def read_template(path: str, text: str) -> tuple[Template | None, tuple[Problem, ...]]:
    """The template in the file ``path``, and what is wrong with its name and its front matter."""
    parts = path.split("/")
    stem, _, extension = parts[-1].rpartition(".")
    folders = parts[2:-1]
    top = Span(path, 1, 1)
    if extension in LATER:
        message = f"Templates in .{extension} are part of the language, but not supported by this version."
        hint = "Write .html and .txt."
        return None, (Problem(code="template/not-supported", message=message, span=top, hint=hint),)
    match = (_CELL if folders else _NAME).fullmatch(stem)
    if not match:
        message = f"`{stem}.{extension}` is no name of a template."
        hint = "Write NAME.EXT or NAME.LOCALE.EXT, such as remind.html or remind.pt-BR.html, in lower case."
        return None, (Problem(code="template/name", message=message, span=top, hint=hint),)
    if len(text) > LARGEST_FILE:
        return None, (Problem(code="template/too-large", message="The file is larger than 1 MiB.", span=top),)
    front, body, body_line, problems = _split(path, text.removeprefix("\ufeff"))
    template = Template(
        name="/".join((*folders, match["name"])),
        locale=match["locale"],
        extension=extension,
        path=path,
        front={key: value.text for key, value in front.items()},
        body=body,
        body_line=body_line,
        places={key: value.span for key, value in front.items()},
    )
    return template, problems


def _split(path: str, text: str) -> tuple[dict[str, Scalar], str, int, tuple[Problem, ...]]:
    """Front matter, body, the body's line, and problems."""
    lines = split_lines(text)
    if lines[0].rstrip() != _FENCE:
        return {}, text, 1, ()
    end = next((index for index, line in enumerate(lines) if index and line.rstrip() == _FENCE), None)
    if end is None:
        message = "The front matter that begins here is never closed."
        hint = "Close it with a line of three hyphens."
        problem = Problem(code="template/front-matter", message=message, span=Span(path, 1, 1, 3), hint=hint)
        return {}, "", len(lines), (problem,)
    body = "\n".join(lines[end + 1 :])
    written = "\n".join(lines[1:end])
    if not written.strip():
        return {}, body, end + 2, ()
    value, problems = load_yaml(path, written, first_line=2)
    if value is None:
        return {}, body, end + 2, problems
    problems += validate(value, "template")
    fields = value.fields if isinstance(value, Fields) else ()
    front = {f.key: f.value for f in fields if isinstance(f.value, Scalar) and isinstance(f.value.value, str)}
    return front, body, end + 2, problems


def templates_sent(templates: Iterable[Template], sends: Iterable[Send]) -> tuple[Template, ...]:
    """Those of ``templates`` that one of ``sends`` may send, by path."""
    asked = tuple(sends)
    found = (template for template in templates if any(send.sends(template.name) for send in asked))
    return tuple(sorted(found, key=lambda template: template.path))
