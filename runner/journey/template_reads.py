"""Which values a template reads, as far as its text tells."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes

from runner.journey.template import Template
from runner.journey.template_pieces import TemplateTrouble
from runner.journey.template_tree import template_tree

Names = frozenset[str] | None
"""Members of a value by name; None where any of them may be read."""


def members_read(templates: Iterable[Template], owner: str) -> Names:
    """The members of ``owner`` (``contact``, ``trigger``, ``contact.score``) that ``templates`` read, front matter
    included.

    None where one of them hands on the value as a whole or chooses the member by a computed name, and where one
    cannot be parsed.
    """
    found: set[str] = set()
    for template in templates:
        for source in _texts(template):
            names = _read_by(source, owner)
            if names is None:
                return None
            found |= names
    return frozenset(found)


def _texts(template: Template) -> Iterable[str]:
    """Each text of the template that is Jinja: front matter, body with all that it is put together from, attachments.
    One that cannot be put together counts as one that cannot be parsed."""
    yield from template.front.values()
    try:
        yield template.source.text
    except TemplateTrouble:
        yield "{%"
    for attachment in template.attachments:
        yield from _texts(attachment)


def _read_by(source: str, owner: str) -> Names:
    tree = template_tree(source)
    if not isinstance(tree, nodes.Template):
        return None
    try:
        named = sum(_is(each, owner) for each in tree.find_all((nodes.Name, nodes.Getattr)))
        read = [
            name for each in tree.find_all((nodes.Getattr, nodes.Getitem)) for name in _member(each, owner)
        ]
    except RecursionError:
        return None
    return frozenset(read) if len(read) == named else None


def _is(node: nodes.Node, owner: str) -> bool:
    """Whether the node is what ``owner`` names, with a dot before each member."""
    within, _, name = owner.rpartition(".")
    if within:
        return isinstance(node, nodes.Getattr) and node.attr == name and _is(node.node, within)
    return isinstance(node, nodes.Name) and node.name == name


def _member(node: nodes.Node, owner: str) -> Iterable[str]:
    """The name after the dot, or in the brackets, where it is one of ``owner``."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem):
        return ()
    if not _is(node.node, owner):
        return ()
    if isinstance(node, nodes.Getattr):
        return (node.attr,)
    written = node.arg.value if isinstance(node.arg, nodes.Const) else None
    return (written,) if isinstance(written, str) else ()
