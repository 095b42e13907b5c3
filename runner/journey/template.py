"""The templates of a journey: files beside it, named ``STEP-OR-NAME[.LOCALE].EXT``, with front matter on top; those of
cells in folders of their own, ``FOLDER/VALUE/VALUE[.LOCALE].EXT``.

Reading one compiles nothing: a template is a text, its name, and where its parts stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from runner.journey.schema import validate
from runner.journey.template_pieces import Source, as_written, joined
from runner.journey.yaml import LARGEST_FILE, Fields, Items, Scalar, Value, load_yaml, split_lines
from runner.journey.yaml_trouble import mend_tags
from runner.problem import Problem, Span

if TYPE_CHECKING:
    from runner.journey.model import Send

EXTENSIONS = ("mjml", "html", "txt")
ATTACHED = ("ics", "vcf", "csv")
"""Extensions of the files that go along with a message."""
LINED = frozenset({"ics", "vcf"})
"""Those of them in which a line break ends a value."""

_FENCE = "---"
_LOCALE = r"(?:\.(?P<locale>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*))?"
FILE_NAME = re.compile(r"(?P<name>[a-z][a-z0-9_-]{0,63})" + _LOCALE)
"""A name, and perhaps a locale."""
_CELL = re.compile(r"(?P<name>[^./]{1,64})" + _LOCALE)
"""A cell is called like a value, and that may be any text."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file that is put into a template, by the name under which the template asks for it."""

    name: str
    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template file. ``front`` holds ``subject``, ``preheader``, ``from``, ``reply_to`` and ``title``, templates
    themselves.

    ``body_line`` is the line of the file on which ``body`` begins, from 1. ``places`` says where the values
    of the front matter stand. ``written_in`` is the locale that it is written in: its own, else the catalog's.
    """

    name: str
    locale: str | None
    extension: str
    path: str
    front: Mapping[str, str]
    body: str
    body_line: int
    places: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)
    written_in: str = "en"
    layout: str | None = None
    parts: tuple[Part, ...] = ()
    """The layout, and all that is included, by name."""
    attachments: tuple[Template, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Its file, and those of all that belongs to it."""
        within = (path for attachment in self.attachments for path in attachment.paths)
        return (self.path, *(part.path for part in self.parts), *within)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text of it that is Jinja, and of all that belongs to it, each as its file has it."""
        within = (text for attachment in self.attachments for text in attachment.texts)
        return (*self.front.values(), self.body, *(part.text for part in self.parts), *within)

    @cached_property
    def source(self) -> Source:
        """The body with all that it is put together from, as the author wrote it. Raises TemplateTrouble."""
        if self.layout is None and "include" not in self.body:
            return as_written(self.body, self.path, self.body_line)
        # Imported here, since files that are put together are templates themselves.
        from runner.journey.inclusion import assembled

        return joined(assembled(self), self.path)

    @cached_property
    def compiled(self) -> Source:
        """The source as it is rendered: MJML made HTML, the CSS of HTML inlined, the direction of the script said.
        Made once; raises TemplateTrouble."""
        if self.extension not in MARKUP:
            return self.source
        # Imported here, since what renders nothing need not load the compilers.
        from runner.journey.markup import compiled

        return compiled(self)


MARKUP = frozenset({"mjml", "html"})
"""Extensions of what becomes the HTML of a message."""


def is_template_file(path: str) -> bool:
    """Whether a file beside a journey is meant as a template."""
    return path.rsplit(".", 1)[-1] in EXTENSIONS


def read_template(path: str, text: str, locale: str = "en") -> tuple[Template | None, tuple[Problem, ...]]:
    """The template in the file ``path``, and what is wrong with its name and its front matter. ``locale`` is the
    catalog's. What it includes is not looked for."""
    parts = path.split("/")
    stem, _, extension = parts[-1].rpartition(".")
    folders = parts[2:-1]
    top = Span(path, 1, 1)
    match = (_CELL if folders else FILE_NAME).fullmatch(stem)
    if not match:
        message = f"`{stem}.{extension}` is no name of a template."
        hint = "Write NAME.EXT or NAME.LOCALE.EXT, such as remind.html or remind.pt-BR.html, in lower case."
        return None, (Problem(code="template/name", message=message, span=top, hint=hint),)
    if len(text) > LARGEST_FILE:
        return None, (Problem(code="template/too-large", message="The file is larger than 1 MiB.", span=top),)
    front, body, body_line, problems = _split(path, text.removeprefix("\ufeff"))
    texts, places = _values(front)
    template = Template(
        name="/".join((*folders, match["name"])),
        locale=match["locale"],
        extension=extension,
        path=path,
        front={key: texts[key] for key in texts if key in FRONT},
        body=body,
        body_line=body_line,
        places=places,
        written_in=match["locale"] or locale,
        layout=texts.get("layout"),
        attachments=tuple(
            _asked(texts[key], match["locale"], locale) for key in texts if key.startswith("attachments/")
        ),
    )
    return template, problems


FRONT = frozenset({"subject", "preheader", "from", "reply_to", "title"})
"""What of the front matter is a template itself; the rest is taken as it is written."""


def _values(front: Mapping[str, Value]) -> tuple[dict[str, str], dict[str, Span]]:
    """The texts of the front matter and their places; those of a list as ``KEY/INDEX``."""
    scalars: dict[str, Scalar] = {}
    for key, value in front.items():
        if isinstance(value, Scalar):
            scalars[key] = value
        elif isinstance(value, Items):
            inner = (each for each in value.items if isinstance(each, Scalar))
            scalars.update((f"{key}/{index}", each) for index, each in enumerate(inner))
    texts = {key: each for key, each in scalars.items() if isinstance(each.value, str)}
    return {key: each.text for key, each in texts.items()}, {key: each.span for key, each in texts.items()}


def _asked(name: str, locale: str | None, default: str) -> Template:
    """An attachment by the name that the front matter has for it, before it is looked for."""
    stem, _, extension = name.rpartition(".")
    return Template(
        name=stem.rpartition("/")[2],
        locale=locale,
        extension=extension,
        path=name,
        front={},
        body="",
        body_line=1,
        written_in=locale or default,
    )


def _split(path: str, text: str) -> tuple[dict[str, Value], str, int, tuple[Problem, ...]]:
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
    mended, unquoted = mend_tags(lines[1:end], path, 2)
    written = "\n".join(mended)
    if not written.strip():
        return {}, body, end + 2, ()
    value, problems = load_yaml(path, written, first_line=2)
    problems = (*unquoted, *problems)
    if value is None:
        return {}, body, end + 2, problems
    problems += validate(value, "template")
    fields = value.fields if isinstance(value, Fields) else ()
    return {field.key: field.value for field in fields}, body, end + 2, problems


def templates_sent(templates: Iterable[Template], sends: Iterable[Send]) -> tuple[Template, ...]:
    """Those of ``templates`` that one of ``sends`` may send, by path."""
    asked = tuple(sends)
    found = (template for template in templates if any(send.sends(template.name) for send in asked))
    return tuple(sorted(found, key=lambda template: template.path))
