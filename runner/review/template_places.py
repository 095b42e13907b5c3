"""Where on a line of a template a word stands that was read in its tree: of several alike, the one that was meant.

Jinja's nodes know their lines and nothing else. So the words of the tree are brought into the order in which they were
written, and counted: the second ``plan`` of a line in the tree is the second in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache

from jinja2 import nodes

_TAG = re.compile(r"\{([{%])[-+]?((?:(?!\{[{%]).)*?)[-+]?[%}]\}")
"""A tag ends before another begins: what is never closed is read once."""
_QUOTED = re.compile(r"""(?<!\[)(["'])(?:\\.|(?!\1).)*\1""")
_SIGNS: Mapping[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
    nodes.Neg: "-",
    nodes.Pos: "+",
}


def ordinals(tree: nodes.Node, line_of: Callable[[int], Hashable]) -> Mapping[int, int]:
    """For each node that is known by a word, by its ``id``: how many others with that word stand before it on its line.
    ``line_of`` says which lines of the source are one for the author."""
    found: dict[int, int] = {}
    seen: Counter[tuple[Hashable, str]] = Counter()
    for node, word in _words(tree):
        key = (line_of(node.lineno), word)
        found[id(node)] = seen[key]
        seen[key] += 1
    return found


@lru_cache(maxsize=64)
def occurrences(line: str, word: str) -> Sequence[int]:
    """The offsets at which ``word``, a name or an operator, stands in the tags of a line; where a tag goes over several
    lines, anywhere in it."""
    whole = [(match.start(2), match.end(2)) for match in _TAG.finditer(line)] or [(0, len(line))]
    bare = _QUOTED.sub(lambda match: " " * len(match[0]), line)
    pattern = _pattern(word)
    return [match.start() for start, end in whole for match in pattern.finditer(bare, start, end)]


def _pattern(word: str) -> re.Pattern[str]:
    around = r"[A-Za-z0-9_]" if word[0].isalnum() or word[0] == "_" else re.escape(word[0])
    return re.compile(f"(?<!{around}){re.escape(word)}(?!{around})")


def _words(node: nodes.Node) -> Iterator[tuple[nodes.Node, str]]:
    """The nodes below and including ``node`` that are known by a word, in the order in which they were written."""
    before, after = _children(node)
    for child in before:
        yield from _words(child)
    word = _word(node)
    if word:
        yield node, word
    for child in after:
        yield from _words(child)


def _word(node: nodes.Node) -> str | None:
    match node:
        case (
            nodes.Name(name=str() as name) | nodes.Filter(name=str() as name) | nodes.Test(name=str() as name)
        ):
            return name
        case nodes.Getattr(attr=str() as name) | nodes.Getitem(arg=nodes.Const(value=str() as name)):
            return name
    return _SIGNS.get(type(node))


def _children(node: nodes.Node) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """What was written before the node's own word, and what behind it."""
    children = list(node.iter_child_nodes())
    if isinstance(node, nodes.CondExpr):
        children = [each for each in (node.expr1, node.test, node.expr2) if each is not None]
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        children = [node.node]
    if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.BinExpr):
        return children[:1], children[1:]
    if isinstance(node, nodes.Filter | nodes.Test) and node.node is not None:
        return children[:1], children[1:]
    return [], children
