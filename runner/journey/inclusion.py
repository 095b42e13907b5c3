"""Layouts and snippets: the files that a template is put together from, found when the project is read.

``{% include "snippets/footer.mjml" %}`` names a file below ``journeys/snippets/`` or ``journeys/layouts/``, or, without
a folder, one beside the journey; nothing else can be included. ``layout: brand`` puts the template where
``journeys/layouts/brand.EXT`` says ``{{ content }}``. Of each the variant in the template's locale is taken, else the
next best.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner.journey.locales import locales, plain
from runner.journey.template import ATTACHED, EXTENSIONS, FILE_NAME, FRONT, Part, Template
from runner.journey.template_pieces import Kind, Piece, TemplateTrouble, pieces_of
from runner.journey.words import did_you_mean
from runner.problem import Problem, Span

SHARED = ("layouts", "snippets")
"""The folders below ``journeys/`` whose files any journey may include."""
DEEPEST = 10
"""Files included within one another."""
LARGEST = 1 << 20
"""Code points of a template with all that it includes."""

_INCLUDE = re.compile(r"""\{%[-+]?\s*include\s+(?:"([^"\\]*)"|'([^'\\]*)')\s*[-+]?%\}""")
_IS_INCLUDE = re.compile(r"\{%[-+]?\s*include\b")
_CONTENT = re.compile(r"\{\{[-+]?\s*content\s*[-+]?\}\}")
_FRONT_MATTER = re.compile(
    rf"---[ \t]*\n(?:(?!---).*\n)*?(?:{'|'.join(sorted({*FRONT, 'layout', 'attachments'}))})[ \t]*:"
)
_FITTING = {"mjml": ("mjml", "html"), "html": ("html",), "txt": ("txt",)}
_VARIANT = re.compile(rf"(?P<stem>{FILE_NAME.pattern})\.(?P<extension>[a-z]+)")


@dataclass(frozen=True)
class Shelf:
    """The files that templates may ask for: by folder, name without locale, and locale, the path."""

    files: Mapping[str, str]
    paths: Mapping[tuple[str, str, str], str]
    locale: str

    def find(self, folder: str, name: str, locale: str | None) -> str | None:
        """The path of the best variant of ``name`` (``footer.mjml``) in a folder below ``journeys/``; of a name with
        a locale in it, that one alone."""
        match = _VARIANT.fullmatch(name)
        if match and match["locale"]:
            return self.paths.get((folder, f"{match['name']}.{match['extension']}", plain(match["locale"])))
        for each in locales(locale, self.locale):
            path = self.paths.get((folder, name, plain(each)))
            if path is not None:
                return path
        return None

    def names(self, folder: str) -> set[str]:
        return {name for other, name, _ in self.paths if other == folder}


def shelf_of(files: Mapping[str, str], locale: str) -> Shelf:
    """The shelf of a project whose catalog has that ``locale``."""
    paths: dict[tuple[str, str, str], str] = {}
    for path in sorted(files):
        parts = path.split("/")
        match = _VARIANT.fullmatch(parts[-1]) if len(parts) == 3 else None
        if match and match["extension"] in (*EXTENSIONS, *ATTACHED):
            name = f"{match['name']}.{match['extension']}"
            paths.setdefault((parts[1], name, plain(match["locale"])), path)
    return Shelf(files, paths, locale)


def is_include(piece: Piece) -> bool:
    return piece.kind is Kind.BLOCK and _IS_INCLUDE.match(piece.text) is not None


def included_name(piece: Piece) -> str | None:
    """The name of the file that the tag includes; None where it is not written out in quotes."""
    match = _INCLUDE.fullmatch(piece.text)
    return (match[1] or match[2]) if match else None


def is_content(piece: Piece) -> bool:
    """Whether the tag is ``{{ content }}``, the place in a layout at which the template goes."""
    return piece.kind is Kind.PRINT and _CONTENT.fullmatch(piece.text) is not None


def layout_name(template: Template) -> str:
    """The name under which the template's layout is among its parts."""
    return f"layouts/{template.layout}.{template.extension}"


def with_parts(template: Template, shelf: Shelf) -> tuple[Template, tuple[Problem, ...]]:
    """The template with the texts of its layout, of all that it includes, and of its attachments; and what is wrong
    with how it asks for them."""
    finder = _Finder(template, shelf)
    if template.layout is not None:
        finder.layout()
    finder.includes(template.body, template.path, template.body_line, ())
    attachments = tuple(finder.attachments())
    made = replace(template, parts=tuple(finder.parts.values()), attachments=attachments)
    return made, tuple(finder.problems)


class _Finder:
    def __init__(self, template: Template, shelf: Shelf) -> None:
        self.template = template
        self.shelf = shelf
        self.journey = template.path.split("/")[1]
        self.parts: dict[str, Part] = {}
        self.asked: dict[str, list[tuple[Span, str | None]]] = {}
        """What each file includes, and where."""
        self.problems: list[Problem] = []
        self.size = len(template.body)

    def report(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint))

    def layout(self) -> None:
        name = layout_name(self.template)
        span = self.template.places["layout"]
        part = self.part(name, span, "template/layout")
        if part is None:
            return
        try:
            places = sum(is_content(piece) for piece in pieces_of(part.text, part.path, 1))
        except TemplateTrouble:
            return  # found as the syntax that it is
        if places != 1:
            times = "nowhere" if not places else f"{places} times"
            message = (
                f"A layout says {{{{ content }}}} once, where the template goes; this one says it {times}."
            )
            self.report("template/layout", message, Span(part.path, 1, 1))
        self.includes(part.text, part.path, 1, (name,))

    def includes(self, text: str, file: str, line: int, within: tuple[str, ...]) -> None:
        """Find what ``text`` includes, and what that includes."""
        if "include" not in text:
            return
        if file not in self.asked:
            try:
                found = [piece for piece in pieces_of(text, file, line) if is_include(piece)]
            except TemplateTrouble:
                found = []  # found as the syntax that it is
            written = self.shelf.files.get(file, "")
            lines = written.splitlines()
            self.asked[file] = [(_span(lines, piece), included_name(piece)) for piece in found]
        for span, name in self.asked[file]:
            if self.size > LARGEST:
                return  # told where it grew too large
            if name is None:
                message = "`include` takes the name of a file in quotes, and nothing else."
                self.report("template/include", message, span, 'Write {% include "snippets/footer.mjml" %}.')
            elif name in within:
                circle = " → ".join([*within[within.index(name) :], name])
                self.report("template/include", f"These files include one another: {circle}.", span)
            elif len(within) >= DEEPEST:
                message = f"Files are included within one another {DEEPEST} deep at most."
                self.report("template/include", message, span)
            elif (part := self.part(name, span, "template/include")) is not None:
                self.includes(part.text, part.path, 1, (*within, name))

    def part(self, name: str, span: Span, code: str) -> Part | None:
        """The file of that name; None, and a problem, where there is none that may be put in."""
        path = self.find(name, span, code)
        if path is None:
            return None
        fitting = _FITTING.get(self.template.extension, (self.template.extension, "txt"))
        if path.rpartition(".")[2] not in fitting:
            message = (
                f"A .{self.template.extension} template includes files in .{' or .'.join(fitting)} alone."
            )
            self.report(code, message, span)
            return None
        text = self.shelf.files[path].removeprefix("\ufeff")
        if _FRONT_MATTER.match(text):
            message = f"{path} begins with front matter, which would be shown to the reader."
            hint = "Put what both show into a file of snippets/, and include that from both."
            self.report(code, message, span, hint)
            return None
        self.size += len(text)
        if self.size > LARGEST:
            self.report(code, "The template grows larger than 1 MiB here.", span)
            self.parts.pop(name, None)  # so that nobody puts it together
            return None
        return self.parts.setdefault(name, Part(name=name, path=path, text=text))

    def find(self, name: str, span: Span, code: str) -> str | None:
        folder, _, file = name.rpartition("/")
        if folder not in ("", *SHARED) or not _VARIANT.fullmatch(file):
            message = f"`{name}` is no file that a template may ask for."
            hint = "Write the name of a file beside the journey, or of one in snippets/ or layouts/."
            self.report(code, message, span, hint)
            return None
        path = self.shelf.find(folder or self.journey, file, self.template.locale)
        if path is None:
            message = f"There is no file journeys/{folder or self.journey}/{file}."
            near = did_you_mean(file, self.shelf.names(folder or self.journey))
            self.report(code, message, span, near)
        return path

    def attachments(self) -> Iterator[Template]:
        for index, attachment in enumerate(self.template.attachments):
            span = self.template.places[f"attachments/{index}"]
            if attachment.extension not in ATTACHED:
                continue  # found as the front matter is read
            path = self.find(attachment.path, span, "template/attachment")
            if path is None:
                continue
            match = _VARIANT.fullmatch(path.rpartition("/")[2])
            assert match is not None
            text = self.shelf.files[path].removeprefix("\ufeff")
            made = replace(attachment, path=path, locale=match["locale"], body=text)
            made, problems = with_parts(made, self.shelf)
            self.problems += problems
            yield made


def _span(lines: Sequence[str], piece: Piece) -> Span:
    """Where a tag stands in its file of these ``lines``."""
    shown = lines[piece.line - 1] if piece.line <= len(lines) else ""
    match = re.search(r"\{%[-+]?\s*include\b.*?(?:%\}|$)", shown)
    column, length = (match.start() + 1, len(match[0])) if match else (1, 1)
    return Span(piece.file, piece.line, column, max(1, length))


def assembled(template: Template) -> tuple[Piece, ...]:
    """The pieces of the template with all its parts put in. Raises TemplateTrouble where one cannot be read, and where
    it grows larger than LARGEST."""
    assembly = _Assembly(template)
    body = pieces_of(template.body, template.path, template.body_line)
    if template.layout is None:
        return tuple(assembly.put_in(body, 0))
    layout = assembly.part(layout_name(template))
    if layout is None:
        raise TemplateTrouble("its layout is missing", template.path, 1, code="template/layout")
    return tuple(assembly.put_in(tuple(_laid_out(layout, body)), 0))


def _laid_out(around: Iterable[Piece], body: tuple[Piece, ...]) -> Iterator[Piece]:
    for piece in around:
        if is_content(piece):
            yield from _without_last_break(body)
        else:
            yield piece


class _Assembly:
    """A template that is being put together; ``size`` counts what has been put in so far."""

    def __init__(self, template: Template) -> None:
        self._parts = {part.name: part for part in template.parts}
        self._read: dict[str, tuple[Piece, ...]] = {}
        self.size = len(template.body)

    def part(self, name: str) -> tuple[Piece, ...] | None:
        """The pieces of the file of that name."""
        part = self._parts.get(name)
        if part is None:
            return None
        self.size += len(part.text)
        if name not in self._read:
            self._read[name] = pieces_of(part.text, part.path, 1)
        return self._read[name]

    def put_in(self, row: tuple[Piece, ...], depth: int) -> Iterator[Piece]:
        """The pieces, with each ``include`` replaced by what it names. A tag that stands alone on its line takes the
        line with it."""
        for index, piece in enumerate(row):
            if not is_include(piece):
                if piece.kind is Kind.TEXT:
                    piece = _beside_includes(
                        piece, row[max(0, index - 1) : index], row[index + 1 : index + 2]
                    )
                yield piece
                continue
            inner = self.part(included_name(piece) or "") if depth <= DEEPEST else None
            if inner is None:
                raise TemplateTrouble(
                    "what it includes is missing", piece.file, piece.line, code="template/include"
                )
            if self.size > LARGEST:
                raise TemplateTrouble(
                    "the template grows larger than 1 MiB here",
                    piece.file,
                    piece.line,
                    code="template/include",
                )
            yield from self.put_in(inner, depth + 1)


def _beside_includes(piece: Piece, before: tuple[Piece, ...], after: tuple[Piece, ...]) -> Piece:
    """Text without the line break that follows an include, and the spaces that indent one: as blocks have it."""
    text, line = piece.text, piece.line
    if before and is_include(before[0]) and text.startswith("\n"):
        text, line = text[1:], line + 1
    if after and is_include(after[0]):
        begin, break_, indent = text.rpartition("\n")
        text = begin + break_ if break_ and not indent.strip() else text
    return replace(piece, text=text, line=line)


def _without_last_break(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    last = pieces[-1] if pieces else None
    if last is not None and last.kind is Kind.TEXT and last.text.endswith("\n"):
        return (*pieces[:-1], replace(last, text=last.text[:-1]))
    return pieces
