"""The syntax tree of a text that is Jinja. Read by whoever judges templates, changed by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice

from jinja2 import Environment, TemplateSyntaxError, nodes

MOST_PARTS = 10_000
"""Values, signs, tags and texts between them of one template: what it is made into takes a second of the processor."""
SURROGATE = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=2048)
def template_tree(source: str) -> nodes.Template | TemplateSyntaxError | None:
    """The tree, what is wrong with the syntax, or None where the text is nested too deeply to be looked at."""
    try:
        tree = _environment().parse(source)
        if (beyond := next(islice(tree.find_all(nodes.Node), MOST_PARTS, None), None)) is not None:
            raise TemplateSyntaxError(
                f"a template has at most {MOST_PARTS:,} values, signs, tags and texts between them",
                beyond.lineno,
            )
        refuse(tree)
        return tree
    except TemplateSyntaxError as error:
        return error
    except RecursionError:
        return None
    except ValueError:
        # Python reads no number of more than some thousand digits.
        return TemplateSyntaxError("a number here has too many digits", _line_of_number(source))


def _line_of_number(source: str) -> int:
    longest = max(re.finditer(r"[\d_]+", source), key=lambda match: len(match[0]), default=None)
    return source.count("\n", 0, longest.start()) + 1 if longest else 1


def refuse(tree: nodes.Template) -> None:
    """Raise TemplateSyntaxError for what no template may say, although Jinja knows it: ``autoescape`` would let what
    people fill in become HTML, half a character can be written nowhere, and names that begin with ``_`` are those of
    the rendering itself."""
    for text in tree.find_all(nodes.Const):
        if isinstance(text.value, str) and SURROGATE.search(text.value):
            raise TemplateSyntaxError("half a character (a lone surrogate) is no text", text.lineno)
    for node in tree.find_all(nodes.ScopedEvalContextModifier):
        raise TemplateSyntaxError("`{% autoescape %}` may not stand in a template", node.lineno)
    named = [(each.name, each.lineno) for each in tree.find_all(nodes.Name) if each.ctx != "load"]
    named += [(each.name, each.lineno) for each in tree.find_all(nodes.Macro)]
    for name, line in named:
        if name.startswith("_"):
            raise TemplateSyntaxError(f"a name that a template sets may not begin with `_`: `{name}`", line)


@cache
def _environment() -> Environment:
    return Environment(autoescape=True)


BLOCKS = frozenset({"if", "for", "set", "macro", "call", "filter", "with", "block", "autoescape"})
"""The tags that are closed by one of their own: ``{% endif %}``."""


def left_open(source: str) -> tuple[int, str] | None:
    """The tag that is never closed, of a source in which one is not: the line of its bracket, from 1, and what stands
    in it. None where none is found."""
    open_: list[tuple[int, str, str]] = []
    try:
        for line, text in _block_tags(source):
            name = text.split(maxsplit=1)[0] if text else ""
            if name in BLOCKS and not (name == "set" and "=" in text):
                open_.append((line, name, text))
            elif name.startswith("end") and open_:
                if name != f"end{open_[-1][1]}":
                    break
                open_.pop()
    except TemplateSyntaxError:
        return None
    return (open_[-1][0], open_[-1][2]) if open_ else None


def _block_tags(source: str) -> Iterator[tuple[int, str]]:
    begins, written = 0, ""
    for line, sort, value in _environment().lex(source):
        if sort == "block_begin":
            begins, written = line, ""
        elif sort == "block_end" and begins:
            yield begins, written.strip()
            begins = 0
        elif begins:
            written += value
