"""A template's markup, compiled: MJML becomes HTML, the CSS of HTML is inlined, and both say in which direction their
script runs. Once a version: nothing here knows of a reader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from runner.journey.elements import DEEPEST, VOID, tags, too_deep, unbalanced
from runner.journey.inclusion import assembled
from runner.journey.locales import direction
from runner.journey.masking import Masked, masked
from runner.journey.template import Template
from runner.journey.template_pieces import Kind, Piece, Source, TemplateTrouble, joined
from runner.journey.words import did_you_mean

_NAMES = """
accordion accordion-element accordion-text accordion-title all attributes body breakpoint button class column divider
font group head hero html-attribute html-attributes image navbar navbar-link preview raw section selector social
social-element spacer style table text title wrapper
"""
ELEMENTS = frozenset(f"mj-{name}" for name in _NAMES.split())
"""The elements of MJML that are compiled (all of MJML 4 but mj-carousel, which needs a pointer, and mj-include)."""

_RTL = (
    "<mj-attributes>"
    + "".join(f'<mj-{name} direction="rtl"/>' for name in ("wrapper", "section", "group", "column"))
    + "".join(f'<mj-{name} align="right"/>' for name in ("text", "table"))
    + "</mj-attributes>"
)
_ROOT = re.compile(r"<mjml\b", re.IGNORECASE)
_POSITION = re.compile(r"(.*?) in root template(?: at position (\d+):\d+)?")
_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_JINJA = r"\{[{%][^{}]*\}\}?"
_REST = rf"""(?P<rest>(?:{_JINJA}|"[^"]*"|'[^']*'|[^>"'])*)"""
_OUTERMOST = re.compile(rf"<(html|body)(?![\w:.-]){_REST}", re.IGNORECASE)
_ROOT_TAG = re.compile(rf"<mjml\b{_REST}", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?""")


def compiled(template: Template) -> Source:
    """The template's body as Jinja that makes HTML. Raises TemplateTrouble."""
    if template.extension == "mjml":
        return joined(_from_mjml(assembled(template), template), template.path)
    source = template.source
    if _STYLE.search(source.text):
        source = joined(_inlined(assembled(template)), template.path)
    if direction(template.written_in) == "rtl":
        source = Source(_directed(source.text, template.written_in), source.stretches)
    return source


def _is_panic(error: BaseException) -> bool:
    """Whether a compiler, which is written in Rust, met what its authors did not think of; it is no Exception, so that
    nothing would stop it."""
    return type(error).__name__ == "PanicException"


def _check_depth(hidden: Masked, extension: str) -> None:
    offset = too_deep(hidden.text, extension)
    if offset is None:
        return
    file, line = hidden.place(offset)
    message = f"more than {DEEPEST} elements are open here, one within another"
    code = "template/mjml" if extension == "mjml" else "template/css"
    mark = re.match(r"<[^\s>]*", hidden.text[offset:])
    raise TemplateTrouble(message, file, line, code=code, mark=mark[0][:40] if mark else "")


# MJML --------------------------------------------------------------------------------------------------------------


def _from_mjml(pieces: Sequence[Piece], template: Template) -> Sequence[Piece]:
    from mrml import RenderOptions, to_html

    root = _root(pieces, template)
    lead, document = pieces[:root], tuple(_in_language(pieces[root:], template.written_in))
    hidden = masked(document)
    _check_depth(hidden, "mjml")
    _check_elements(hidden)
    try:
        # No fonts: a mail that loads any from elsewhere tells that place who reads it.
        html = to_html(hidden.text, render_options=RenderOptions(fonts={})).content
    except OSError as error:
        raise _trouble(hidden, str(error)) from None
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise _trouble(hidden, "the compiler cannot read it") from None
    lost = hidden.lost(html)
    if lost is not None:
        message = "this tag stands where MJML computes a size or takes no text, and would be lost"
        raise TemplateTrouble(message, lost.file, lost.line, code="template/mjml", mark=_line(lost))
    return (*lead, *hidden.shown(html))


def _root(pieces: Sequence[Piece], template: Template) -> int:
    """The index of the piece with the element <mjml>. What stands before it is Jinja alone."""
    for index, piece in enumerate(pieces):
        if piece.kind is Kind.TEXT and _ROOT.search(piece.text):
            return index
        if piece.kind is Kind.TEXT and "<mj-" in piece.text:
            break
    message = "there is no <mjml> element around it; a part of a document needs a `layout`"
    raise TemplateTrouble(message, template.path, template.body_line, code="template/mjml")


def _in_language(pieces: Sequence[Piece], language: str) -> Iterator[Piece]:
    """The document with its language, and where that is written from the right, with what says so."""
    runs = direction(language)
    head_missing = runs == "rtl" and not any("<mj-head" in piece.text for piece in pieces)
    whole = _ROOT_TAG.search("".join(piece.text for piece in pieces))
    attributes = _missing(whole["rest"] if whole else "", language, runs)
    inserted = False
    for piece in pieces:
        if piece.kind is not Kind.TEXT:
            yield piece
            continue
        text = piece.text
        match = None if inserted else _ROOT.search(text)
        if match:
            inserted = True
            text = text[: match.end()] + attributes + text[match.end() :]
            if head_missing:
                text = re.sub(r"(<mjml\b[^>]*>)", rf"\1<mj-head>{_RTL}</mj-head>", text, count=1)
        if runs == "rtl" and not head_missing:
            text = re.sub(r"(<mj-head\b[^>]*>)", rf"\1{_RTL}", text, count=1)
        yield Piece(piece.kind, text, piece.file, piece.line)


def _check_elements(hidden: Masked) -> None:
    for tag in tags(hidden.text):
        if tag.name.startswith("mj-") and tag.name not in ELEMENTS:
            message = f"there is no element <{tag.name}>"
            if tag.name == "mj-include":
                message += '; write {% include "snippets/…" %}'
            elif near := did_you_mean(tag.name, ELEMENTS):
                message += f". {near.removesuffix('?')}?"
            file, line = hidden.place(tag.offset)
            raise TemplateTrouble(message, file, line, code="template/mjml", mark=f"<{tag.name}")


def _trouble(hidden: Masked, said: str) -> TemplateTrouble:
    """What the compiler says, at the author's place. It names no place for what is never closed."""
    found = unbalanced(hidden.text)
    match = _POSITION.match(said)
    mark = ""
    if found:
        offset, message = found[0].offset, found[1]
        mark = hidden.text[offset:].partition(">")[0]
    elif match and match[2]:
        offset = len(hidden.text.encode()[: int(match[2])].decode("utf-8", "ignore"))
        message = f"this is no MJML that can be compiled: {match[1]}"
    else:
        offset, message = 0, f"this is no MJML that can be compiled: {match[1] if match else said}"
    file, line = hidden.place(offset)
    return TemplateTrouble(message, file, line, code="template/mjml", mark=mark)


def _line(tag: Piece) -> str:
    """What of a tag stands on its first line."""
    return tag.text.partition("\n")[0]


# HTML --------------------------------------------------------------------------------------------------------------


def _inlined(pieces: Sequence[Piece]) -> Sequence[Piece]:
    from css_inline import InlineError, inline

    _check_branches(pieces)
    hidden = masked(pieces)
    _check_depth(hidden, "html")
    try:
        html = inline(
            hidden.text,
            keep_style_tags=True,  # for what cannot stand in an attribute: @media, :hover
            remove_inlined_selectors=True,
            keep_link_tags=True,
            load_remote_stylesheets=False,
        )
    except BaseException as error:
        if not isinstance(error, InlineError) and not _is_panic(error):
            raise
        message = f"its CSS cannot be inlined: {str(error)[:200]}"
        raise TemplateTrouble(message, pieces[0].file, pieces[0].line, code="template/css") from None
    lost = hidden.lost(html)
    if lost is not None:
        message = (
            "this tag stands in CSS, or where HTML takes no text, and would be lost as the CSS is inlined"
        )
        raise TemplateTrouble(message, lost.file, lost.line, code="template/css", mark=_line(lost))
    _check_structure(hidden, html)
    return hidden.shown(html)


_BLOCK = re.compile(r"\{%[-+]?\s*(end)?(if|for|macro|call)\b")


def _check_branches(pieces: Sequence[Piece]) -> None:
    """What is inlined holds for every reader: a ``<style>`` under a condition would lose it."""
    within: list[str] = []
    for piece in pieces:
        block = _BLOCK.match(piece.text) if piece.kind is Kind.BLOCK else None
        if block and block[1]:
            within = within[:-1]
        elif block:
            within.append(block[2])
        style = _STYLE.search(piece.text) if piece.kind is Kind.TEXT and within else None
        if style:
            message = (
                f"this <style> stands within a `{{% {within[-1]} %}}`, and would be written into the elements whatever "
                "that says: put it before, and let the condition choose a class"
            )
            line = piece.line + piece.text.count("\n", 0, style.start())
            raise TemplateTrouble(message, piece.file, line, code="template/css", mark="<style")


_ADDED = frozenset({"html", "head", "body", "tbody", "colgroup", "style"})
"""What the inliner adds where it is missing, or takes away once it is empty."""
_OPTIONAL_ENDS = _ADDED | frozenset(
    ("p", "li", "dt", "dd", "option", "optgroup", "thead", "tfoot", "tr", "td", "th", "caption", "rp", "rt")
)


def _check_structure(hidden: Masked, html: str) -> None:
    """The inliner reads HTML as browsers do, which drop and close what stands in the wrong place: say so."""
    before, after = tuple(tags(hidden.text)), tuple(tags(html))
    for shown, free, of in (
        ("<{}>", _ADDED, lambda tag: tag.opens),
        ("</{}>", _OPTIONAL_ENDS, lambda tag: not tag.opens),
    ):
        had = Counter(tag.name for tag in before if of(tag))
        has = Counter(tag.name for tag in after if of(tag))
        for tag in before:
            if tag.name not in free and tag.name not in VOID and had[tag.name] != has[tag.name]:
                file, line = hidden.place(tag.offset)
                mark = f"<{'' if tag.opens else '/'}{tag.name}"
                message = (
                    f"{shown.format(tag.name)} stands where HTML has no place for it, or without its fellow: its CSS "
                    "cannot be inlined"
                )
                raise TemplateTrouble(message, file, line, code="template/css", mark=mark)


# Direction ---------------------------------------------------------------------------------------------------------


def _directed(text: str, language: str) -> str:
    """The body with ``dir`` and ``lang`` on its outermost element, where it does not say them itself."""
    match = _OUTERMOST.search(text)
    if match is None:
        return f"<div{_missing('', language, 'rtl')}>{text}</div>"
    at = match.start("rest")
    return text[:at] + _missing(match["rest"], language, "rtl") + text[at:]


def _missing(rest: str, language: str, runs: str) -> str:
    """The attributes that a tag of the language gets, which has ``rest`` behind its name. One in which the author said
    the direction is left alone. Where he said a language alone, it may be another: only a file in a script from the
    right still says so."""
    written = {name.lower() for name in _ATTRIBUTE.findall(re.sub(_JINJA, " ", rest))}
    if "dir" in written or ("lang" in written and runs == "ltr"):
        return ""
    return f' dir="{runs}"' + ("" if "lang" in written else f' lang="{language}"')
