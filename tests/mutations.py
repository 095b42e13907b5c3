"""Files that are almost right: valid ones in which a few things were changed.

``torn`` changes characters, ``rearranged`` the values of a YAML file, which stays YAML: what stands at one place of a
valid file is put at another, most often below the same key, so that much of what comes out is valid again.
"""

# ruff: noqa: E501, SIM905
from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from random import Random

import yaml
from corpus import texts
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

TOKENS = (
    *"{ } [ ] - ' \" | > # & * ! ? = {{ }} {% %} {# --- contact. trigger. did( within= not in and or if else ( ) , :".split(),
    *"wait send steps when event goto exit null true 1e9 0x -1 .5 30d P1Y 25:00 24:00 ~ NaN % \\ ` $ ${A} @".split(),
    *("lambda: 0", "__class__", "\n", "  ", "\t", ": ", "- ", "&a ", "*a ", "!x ", "? ", "---\n", "\r"),
    *(
        "\u2028",
        "\x00",
        "\ufeff",
        "\u202e",
        "é",
        "𝄞",
        "(" * 8,
        "[" * 8,
        "-" * 40,
        "9" * 40,
        "a" * 300,
        " and x" * 30,
    ),
)
"""What is put into a text."""

HOSTILE = (
    *"null ~ true False 0 -1 1e400 .inf .nan 0x1F 1_000 = =now =( 2026-02-30 0001-01-01 9999-12-31 25:00 24:00".split(),
    *"0s 10000w 9999999999999d 1.5d P1M {item} ${SECRET} * contact event.x run.y not did() contact.vip contact".split(),
    *"UTC Mars/Olympus 100% -5% 0% ../../etc/passwd / . .. con vouchers.csv demo news email call steps x.y ß".split(),
    *(
        "",
        " ",
        "a b",
        "* * * * *",
        "0 9 31 2 *",
        "*/0 * * * *",
        "{{ x }}",
        "x" * 5_000,
        "9" * 30,
        "\U0001f600",
    ),
)
"""Scalars that stand anywhere."""


def torn(random: Random, text: str, changes: int) -> str:
    """``text`` with so many stretches of characters taken out, doubled, or replaced by tokens and pieces of other files."""
    for _ in range(changes):
        start = random.randint(0, len(text))
        end = min(len(text), start + random.randint(0, 40))
        token = random.choice(TOKENS)
        other = random.choice(texts(".yaml"))
        place = random.randint(0, len(other))
        piece = other[place : place + random.randint(0, 200)]
        middles = (token + text[start:end], "", text[start:end] * 2, token, piece)
        text = text[:start] + random.choice(middles) + text[end:]
    return text


def rearranged(random: Random, text: str, changes: int, *, tame: bool = False) -> str:
    """The YAML ``text`` with so many of its values changed. ``tame``: what stands anywhere stands below the same key of a
    valid file."""
    root = _read(text)
    for _ in range(changes):
        _change(random, root, tame)
    written: str = yaml.serialize(root, Dumper=yaml.BaseDumper, allow_unicode=True, width=120)
    return written


def _change(random: Random, root: Node, tame: bool) -> None:
    """Change one value of one mapping or list."""
    holders = [(node, key) for node, key in _within(root, "") if isinstance(node, MappingNode | SequenceNode)]
    if not holders:
        return
    holder, key = random.choice(holders)
    held, size = holder.value, len(holder.value)
    kinds = ("exchange", "exchange", "exchange", "add", "remove", "repeat", "move")
    kind = random.choice(kinds if tame else (*kinds, "anything", "hostile", "rename"))
    if kind == "add":
        fitting = [
            each
            for each in _held().get(key, ())
            if isinstance(each, tuple) == isinstance(holder, MappingNode)
        ]
        held.extend(deepcopy(random.choice(fitting)) for _ in fitting[:1])
    elif size == 0:
        return
    elif kind == "remove":
        del held[random.randrange(size)]
    elif kind == "repeat":
        held.insert(random.randint(0, size), deepcopy(random.choice(held)))
    elif kind == "move":
        held.insert(random.randrange(size), held.pop(random.randrange(size)))
    else:
        place = random.randrange(size)
        name, value = held[place] if isinstance(holder, MappingNode) else (None, held[place])
        if kind == "rename" and name is not None:
            name = _scalar(random.choice((*_values(), *HOSTILE)))
        elif kind == "hostile":
            value = _scalar(random.choice(HOSTILE))
        else:
            values = _values()
            below = f"{key}[]" if name is None else name.value
            value = deepcopy(
                random.choice(values.get(below if kind == "exchange" else random.choice([*values]), [value]))
            )
        held[place] = value if name is None else (name, value)


def _within(node: Node, key: str) -> Iterator[tuple[Node, str]]:
    """``node`` and all that it holds, each with the key below which it stands; items of a list have ``KEY[]``."""
    yield node, key
    if isinstance(node, MappingNode):
        for name, value in node.value:
            yield from _within(value, name.value)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _within(value, f"{key}[]")


def _read(text: str) -> Node:
    """The values of a file, without the places where they stood."""
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    assert root is not None
    for node, _ in _within(root, ""):
        node.start_mark = node.end_mark = None
    return root


def _scalar(text: str) -> ScalarNode:
    return ScalarNode("tag:yaml.org,2002:str", text)


@cache
def _values() -> Mapping[str, list[Node]]:
    """What stands below each key in all valid files."""
    found: dict[str, list[Node]] = {}
    for text in texts(".yaml"):
        for node, key in _within(_read(text), ""):
            found.setdefault(key, []).append(node)
    return found


@cache
def _held() -> Mapping[str, list[object]]:
    """What the mappings and lists below each key hold: entries with their keys, or items."""
    return {
        key: [each for node in nodes if not isinstance(node, ScalarNode) for each in node.value]
        for key, nodes in _values().items()
    }
