"""What a template prints as it is, so that nothing stands there where the value is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TypeVar

from jinja2 import nodes

_Node = TypeVar("_Node", bound=nodes.Node)


def bare(body: Sequence[nodes.Node], owner: str, asked: Set[str] = frozenset()) -> Iterator[str]:
    """Members of ``owner`` (``contact``, ``run``) that are printed as they are, without ``default`` and within no
    ``if`` that asks for them, itself or by a name that is ``set`` from them; but for those in ``asked``."""
    yield from _bare(body, owner, asked, _set_from(body, owner))


def _bare(
    body: Iterable[nodes.Node], owner: str, asked: Set[str], of_names: Mapping[str, Set[str]]
) -> Iterator[str]:
    for node in body:
        if isinstance(node, nodes.If):
            inner = asked | _members(node.test, owner, of_names)
            yield from _bare([*node.body, *node.elif_, *node.else_], owner, inner, of_names)
        elif isinstance(node, nodes.Output):
            for each in node.nodes:
                name = printed(each, owner)
                if name is not None and name not in asked:
                    yield name
        else:
            yield from _bare(node.iter_child_nodes(), owner, asked, of_names)


def printed(node: nodes.Node, owner: str) -> str | None:
    """The member of ``owner`` whose lack prints as nothing: ``OWNER.NAME``, through any filters but ``default``."""
    while isinstance(node, nodes.Filter) and node.node is not None and node.name != "default":
        node = node.node
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == owner:
        return node.attr
    return None


def _set_from(body: Iterable[nodes.Node], owner: str) -> Mapping[str, Set[str]]:
    """The members of ``owner`` that hang in the names that the template sets, wherever it does."""
    found: dict[str, Set[str]] = {}
    for node in body:
        for each in _and_below(node, nodes.Assign):
            for name in _and_below(each.target, nodes.Name):
                found[name.name] = found.get(name.name, frozenset()) | _members(each.node, owner, found)
    return found


def _members(node: nodes.Node, owner: str, of_names: Mapping[str, Set[str]]) -> Set[str]:
    """The members of ``owner`` that an expression reads, itself or by names that were set from them."""
    own = {
        each.attr
        for each in _and_below(node, nodes.Getattr)
        if isinstance(each.node, nodes.Name) and each.node.name == owner
    }
    return own.union(*(of_names.get(each.name, frozenset()) for each in _and_below(node, nodes.Name)))


def _and_below(node: nodes.Node, kind: type[_Node]) -> Iterator[_Node]:
    if isinstance(node, kind):
        yield node
    yield from node.find_all(kind)
