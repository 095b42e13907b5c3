"""The portable patterns of ``matches``: a subset of regular expressions that means the same on every engine.

Literals, ``.`` (any character), explicit classes such as ``[a-z]`` and ``[^0-9]``, groups, ``|``, ``* + ?``,
``{n} {n,} {n,m}``, and ``^ $`` for the beginning and end of the whole text. A backslash makes the sign after it a
literal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

LARGEST_BOUND = 255
MOST_POSITIONS = 1_000


class PatternError(ValueError):
    """The pattern is outside the subset. ``hint`` says how to mend it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Characters:
    """One character out of ``ranges`` of code points (both ends included), or out of the others where ``negated``."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True)
class Edge:
    """``^`` or ``$``."""

    sign: str


@dataclass(frozen=True)
class Sequence:
    parts: tuple[Pattern, ...]


@dataclass(frozen=True)
class Choice:
    options: tuple[Pattern, ...]


@dataclass(frozen=True)
class Repeat:
    part: Pattern
    least: int
    most: int | None


Pattern = Characters | Edge | Sequence | Choice | Repeat
ANY = Characters((), negated=True)
_CLASSES = {
    "d": "[0-9]",
    "w": "[A-Za-z0-9_]",
    "s": "[ ] or a class that lists the blanks",
    "D": "[^0-9]",
    "W": "[^A-Za-z0-9_]",
    "S": "[^ ]",
}
_ESCAPES = {"n": "\n", "t": "\t"}


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Pattern:
    """The tree of a pattern. Raises PatternError."""
    reader = _Reader(text)
    pattern = reader.choice(0)
    if reader.place < len(text):
        raise PatternError("`)` closes no group", "write a literal bracket as `[)]`")
    if positions(pattern) > MOST_POSITIONS:
        raise PatternError(
            f"the pattern is too large: written out it has more than {MOST_POSITIONS:,} characters"
        )
    return pattern


def positions(pattern: Pattern) -> int:
    """How many characters the pattern has once its bounded repetitions are written out."""
    if isinstance(pattern, Characters):
        return 1
    if isinstance(pattern, Edge):
        return 0
    if isinstance(pattern, Repeat):
        return positions(pattern.part) * max(1, pattern.least, pattern.most or 0)
    return sum(
        positions(part) for part in (pattern.parts if isinstance(pattern, Sequence) else pattern.options)
    )


def has_edge(pattern: Pattern) -> bool:
    """Whether ``^`` or ``$`` stands anywhere in it."""
    if isinstance(pattern, Repeat):
        return has_edge(pattern.part)
    if isinstance(pattern, (Sequence, Choice)):
        return any(has_edge(p) for p in (pattern.parts if isinstance(pattern, Sequence) else pattern.options))
    return isinstance(pattern, Edge)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def peek(self) -> str:
        return self.text[self.place : self.place + 1]

    def choice(self, depth: int) -> Pattern:
        if depth > 20:
            raise PatternError("the pattern is nested more than 20 groups deep")
        options = [self.sequence(depth)]
        while self.peek() == "|":
            self.place += 1
            options.append(self.sequence(depth))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self, depth: int) -> Pattern:
        parts: list[Pattern] = []
        while (sign := self.peek()) and sign not in "|)":
            parts.append(self.repeated(self.atom(depth)))
        if not parts:
            raise PatternError(
                "a side of `|`, a group or the pattern is empty", "make it optional instead: `(…)?`"
            )
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def atom(self, depth: int) -> Pattern:
        sign = self.peek()
        self.place += 1
        if sign == "(":
            if self.peek() == "?":
                raise PatternError("groups with `(?` are not portable", "a plain group `(…)` does")
            inner = self.choice(depth + 1)
            if self.peek() != ")":
                raise PatternError("`(` is not closed")
            self.place += 1
            return inner
        if sign == "[":
            return self.characters()
        if sign == ".":
            return ANY
        if sign in "^$":
            return Edge(sign)
        if sign in "*+?":
            raise PatternError(f"`{sign}` repeats nothing", f"write a literal one as `[{sign}]`")
        if sign in "{}]":
            raise PatternError(f"`{sign}` stands alone", f"write a literal one as `\\{sign}`")
        code = self.escaped() if sign == "\\" else ord(sign)
        return Characters(((code, code),))

    def escaped(self) -> int:
        sign = self.peek()
        self.place += 1
        if not sign:
            raise PatternError("the pattern ends in a backslash")
        if sign in _ESCAPES:
            return ord(_ESCAPES[sign])
        if sign.isalnum():
            hint = f"write {_CLASSES[sign]}" if sign in _CLASSES else None
            raise PatternError(f"`\\{sign}` does not mean the same everywhere", hint)
        return ord(sign)

    def characters(self) -> Characters:
        negated = self.peek() == "^"
        self.place += negated
        ranges: list[tuple[int, int]] = []
        while (sign := self.peek()) != "]":
            if not sign:
                raise PatternError("`[` is not closed")
            if sign == "[" and self.text[self.place + 1 : self.place + 2] in (":", ".", "="):
                raise PatternError("named classes are not portable", "list the characters: `[a-z]`")
            low = self.member()
            high = low
            if self.peek() == "-" and self.text[self.place + 1 : self.place + 2] not in ("]", ""):
                self.place += 1
                high = self.member()
                if high < low:
                    raise PatternError(f"the range `{chr(low)}-{chr(high)}` runs backwards")
            ranges.append((low, high))
        self.place += 1
        if not ranges:
            raise PatternError("a class is empty", "write a literal bracket as `\\]`")
        return Characters(tuple(ranges), negated)

    def member(self) -> int:
        sign = self.peek()
        self.place += 1
        return self.escaped() if sign == "\\" else ord(sign)

    def repeated(self, part: Pattern) -> Pattern:
        sign = self.peek()
        if not sign or sign not in "*+?{":
            return part
        if has_edge(part):
            raise PatternError("`^` and `$` cannot be repeated", "take them out of the repeated group")
        self.place += 1
        bounds: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign, (0, 0))
        if sign == "{":
            bounds = self.bounds()
        if self.peek() and self.peek() in "*+?{":
            hint = "a lazy or possessive mark changes nothing about whether it matches: leave it out"
            raise PatternError(f"`{self.peek()}` repeats a repetition", hint)
        return Repeat(part, *bounds)

    def bounds(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.place)
        inner = self.text[self.place : end] if end >= 0 else ""
        low, comma, high = inner.partition(",")
        if not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            raise PatternError("`{` begins no repetition", "write {n}, {n,} or {n,m}; a literal one as `\\{`")
        self.place = end + 1
        if len(low) > 3 or len(high) > 3 or max(int(low), int(high or 0)) > LARGEST_BOUND:
            raise PatternError(f"a repetition is bounded by {LARGEST_BOUND}")
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if most is not None and (most < least or most == 0):
            raise PatternError(f"`{{{inner}}}` matches nothing" if most else f"`{{{inner}}}` leaves nothing")
        return least, most
