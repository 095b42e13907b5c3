"""What a template prints as it is, so that nothing stands there where the value is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from jinja2 import nodes


def bare(body: Iterable[nodes.Node], owner: str, asked: Set[str] = frozenset()) -> Iterator[str]:
    """Members of ``owner`` (``contact``, ``run``) that are printed as they are, without ``default`` and within no
    ``if`` that asks for them; but for those in ``asked``."""
    for node in body:
        if isinstance(node, nodes.If):
            inner = asked | set(_members(node.test, owner))
            yield from bare([*node.body, *node.elif_, *node.else_], owner, inner)
        elif isinstance(node, nodes.Output):
            for each in node.nodes:
                name = printed(each, owner)
                if name is not None and name not in asked:
                    yield name
        else:
            yield from bare(node.iter_child_nodes(), owner, asked)


def printed(node: nodes.Node, owner: str) -> str | None:
    """The member of ``owner`` whose lack prints as nothing: ``OWNER.NAME``, through any filters but ``default``."""
    while isinstance(node, nodes.Filter) and node.node is not None and node.name != "default":
        node = node.node
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == owner:
        return node.attr
    return None


def _members(node: nodes.Node, owner: str) -> Iterator[str]:
    found = [*node.find_all(nodes.Getattr), *([node] if isinstance(node, nodes.Getattr) else [])]
    return (each.attr for each in found if isinstance(each.node, nodes.Name) and each.node.name == owner)
