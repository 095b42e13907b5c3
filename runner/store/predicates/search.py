"""Looking for a pattern of ``matches`` in a text: by PostgreSQL's own engine, and for SQLite by a finite automaton.

Python's ``re`` would backtrack: a contact's value of a few dozen characters can keep it busy for years. The automaton
reads every character once, whatever the pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from runner.journey.expression.pattern import (
    Characters,
    Choice,
    Edge,
    Pattern,
    Repeat,
    Sequence,
    parse_pattern,
)

_MOST_REMEMBERED = 20_000
"""State changes that an automaton keeps before it begins anew: a bound on memory, not on what it can read."""


# PostgreSQL -----------------------------------------------------------------------------------------------------


def postgresql_pattern(text: str) -> str:
    """The pattern as an advanced regular expression of PostgreSQL, every literal written as a code point."""
    return _written(parse_pattern(text))


def _written(pattern: Pattern) -> str:
    if isinstance(pattern, Characters):
        return _written_characters(pattern)
    if isinstance(pattern, Edge):
        return pattern.sign
    if isinstance(pattern, Sequence):
        return "".join(f"(?:{_written(p)})" if isinstance(p, Choice) else _written(p) for p in pattern.parts)
    if isinstance(pattern, Choice):
        return "|".join(_written(option) for option in pattern.options)
    inner = _written(pattern.part)
    if not isinstance(pattern.part, Characters):
        inner = f"(?:{inner})"
    bound = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((pattern.least, pattern.most))
    if bound is None:
        most = "" if pattern.most is None else pattern.most
        bound = f"{{{pattern.least}}}" if pattern.least == pattern.most else f"{{{pattern.least},{most}}}"
    return inner + bound


def _written_characters(characters: Characters) -> str:
    if not characters.ranges:
        return "."
    written = [
        _code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in characters.ranges
    ]
    if not characters.negated and len(written) == 1 and "-" not in written[0]:
        return written[0]
    return f"[{'^' if characters.negated else ''}{''.join(written)}]"


def _code(code: int) -> str:
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# SQLite ---------------------------------------------------------------------------------------------------------


def found(text: str, pattern: str) -> bool:
    """Whether ``pattern`` is found anywhere in ``text``; in time proportional to the text's length."""
    return _automaton(pattern).search(text)


@lru_cache(maxsize=256)
def _automaton(pattern: str) -> _Automaton:
    builder = _Builder()
    builder.begin = builder.add(parse_pattern(pattern), builder.accept)
    return _Automaton(builder)


@dataclass
class _State:
    """A state of the non-deterministic automaton: it reads one of ``characters`` and goes to ``after``, or goes on to
    ``ways`` without reading, at the ``edge`` only if one is set."""

    characters: Characters | None = None
    after: int = 0
    ways: tuple[int, ...] = ()
    edge: str | None = None


class _Builder:
    """Thompson's construction (1968), from the end of the pattern to its beginning."""

    def __init__(self) -> None:
        self.states: list[_State] = [_State()]
        self.accept = 0
        self.begin = 0

    def new(self, state: _State) -> int:
        self.states.append(state)
        return len(self.states) - 1

    def add(self, pattern: Pattern, after: int) -> int:
        """The state from which ``pattern`` leads to the state ``after``."""
        if isinstance(pattern, Characters):
            return self.new(_State(characters=pattern, after=after))
        if isinstance(pattern, Edge):
            return self.new(_State(ways=(after,), edge=pattern.sign))
        if isinstance(pattern, Choice):
            return self.new(_State(ways=tuple(self.add(option, after) for option in pattern.options)))
        if isinstance(pattern, Sequence):
            for part in reversed(pattern.parts):
                after = self.add(part, after)
            return after
        return self.repeat(pattern, after)

    def repeat(self, pattern: Repeat, after: int) -> int:
        if pattern.most is None:
            loop = self.new(_State())
            self.states[loop].ways = (self.add(pattern.part, loop), after)
            begin = loop
        else:
            begin = after
            for _ in range(pattern.most - pattern.least):
                begin = self.new(_State(ways=(self.add(pattern.part, begin), after)))
        for _ in range(pattern.least):
            begin = self.add(pattern.part, begin)
        return begin


@dataclass
class _Automaton:
    """Sets of the builder's states, each made when a text first leads there."""

    builder: _Builder
    remembered: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)

    def search(self, text: str) -> bool:
        if not text:
            return self.builder.accept in self.reachable({self.builder.begin}, at_start=True, at_end=True)
        states = self.reachable({self.builder.begin}, at_start=True, at_end=False)
        anew = self.reachable({self.builder.begin}, at_start=False, at_end=False)
        accept, remembered = self.builder.accept, self.remembered
        for character in text:
            if accept in states:
                return True
            following = remembered.get((states, character))
            if following is None:
                read = self.reachable(self.read(states, character), at_start=False, at_end=False) | anew
                following = frozenset(read)
                if len(remembered) > _MOST_REMEMBERED:
                    remembered.clear()
                remembered[states, character] = following
            states = following
        begin = {self.builder.begin}
        return accept in states or accept in self.reachable(states | begin, at_start=False, at_end=True)

    def read(self, states: frozenset[int], character: str) -> set[int]:
        code = ord(character)
        return {
            state.after
            for state in (self.builder.states[number] for number in states)
            if state.characters is not None and _holds(state.characters, code)
        }

    def reachable(self, states: set[int] | frozenset[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """All states that can be reached without reading. States behind an edge that does not hold now stay open:
        the state before the edge is kept, so that the end of the text can be tried once it is there."""
        found = set(states)
        open_states = list(states)
        while open_states:
            state = self.builder.states[open_states.pop()]
            if (state.edge == "^" and not at_start) or (state.edge == "$" and not at_end):
                continue
            for way in state.ways:
                if way not in found:
                    found.add(way)
                    open_states.append(way)
        return frozenset(found)


def _holds(characters: Characters, code: int) -> bool:
    return any(low <= code <= high for low, high in characters.ranges) is not characters.negated
