"""From source text to Python's syntax tree, within limits, and what to say where that fails."""

from __future__ import annotations

import ast
import re
import warnings

from runner.journey.expression.finding import ExpressionError, Finding

LONGEST = 2_000
"""Code points of the longest source that is read."""
DEEPEST = 50
"""Levels of the deepest tree that is read."""

_STRING = re.compile(r"""[rR]?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)
_MISTAKES = (
    (re.compile(r"&&?"), "`{}` is no operator here", "write `and`"),
    (re.compile(r"\|\|?"), "`{}` is no operator here", "write `or`"),
    (re.compile(r"<>"), "`<>` is no operator here", "write `!=`"),
    (re.compile(r"={3}|!=="), "`{}` is no operator here", "write `==` or `!=`"),
    (re.compile(r"!(?!=)"), "`!` is no operator here", "write `not`"),
    (re.compile(r"[“”„«»‘’]"), "`{}` is no quotation mark of the language", 'write straight quotes: "…"'),
    (re.compile(r"\b(?:AND|OR|NOT|IN|IS|IF|ELSE)\b"), "`{}` is written in lower case", None),
    (re.compile(r"=>|=<"), "`{}` is no operator here", "write `>=` or `<=`"),
    (
        re.compile(r"\{\{|\}\}|\{%"),
        "`{}` belongs into templates",
        "names stand by themselves here, without braces",
    ),
    (re.compile(r"\bthen\b"), "there is no `then` in an expression", "write `A if CONDITION else B`"),
)
_ASSIGNMENT = re.compile(r"(?<![=!<>:])=(?!=)")
_BARE_NAME = re.compile(r"\b(?P<function>[a-z_]+)\(\s*(?P<name>[^\W\d]\w*(?:[ ]+\w+)+)\s*(?=[,)])")
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "for", "lambda"})
_KEYWORD_BEFORE = re.compile(r"[(,]\s*[^\W\d]\w*\s*\Z")


class Source:
    """A source text and its syntax tree, with the way from the tree's positions back to the text's."""

    def __init__(self, text: str) -> None:
        """Raises ExpressionError where ``text`` is too long, too deep, or not Python's expression syntax."""
        self.text = text
        self._refuse_unreadable()
        # In brackets, an expression may go over several lines; a newline before the last one ends a comment.
        self._lines = ("(" + text.replace("\r", " ").replace("\t", " ").replace("\f", " ") + "\n)").split(
            "\n"
        )
        self.body = self._parse()
        self._refuse_deep()

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Offset and length of ``node`` in code points of the text."""
        begin = self._offset(getattr(node, "lineno", 1), getattr(node, "col_offset", 1))
        end = self._offset(getattr(node, "end_lineno", 1) or 1, getattr(node, "end_col_offset", 1) or 1)
        return begin, max(1, end - begin)

    def segment(self, node: ast.AST) -> str:
        """The text of ``node``."""
        begin, length = self.place(node)
        return self.text[begin : begin + length]

    def _offset(self, line: int, column: int) -> int:
        before = sum(len(text) + 1 for text in self._lines[: line - 1])
        within = len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))
        return max(0, min(before + within - 1, len(self.text)))

    def _refuse_unreadable(self) -> None:
        if len(self.text) > LONGEST:
            message = f"the expression has {len(self.text):,} characters; at most {LONGEST:,} are read"
            raise ExpressionError(
                [
                    Finding(
                        message, "expression-too-long", 0, 1, "move parts of it into segments of the catalog"
                    )
                ]
            )
        if not self.text.strip():
            raise ExpressionError([Finding("the expression is empty", "expression-syntax", 0, 1)])
        for offset, character in enumerate(self.text):
            if (character < " " and character not in "\n\r\t\f") or "\ud800" <= character <= "\udfff":
                message = f"the character U+{ord(character):04X} may not stand in an expression"
                raise ExpressionError([Finding(message, "expression-syntax", offset, 1, "remove it")])

    def _parse(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # "\." in a pattern is no escape of Python's, and is meant as it stands
                body = ast.parse("\n".join(self._lines), mode="eval").body
        except SyntaxError as error:
            raise ExpressionError([self._diagnosis(error)]) from None
        except (ValueError, MemoryError, RecursionError, OverflowError):
            raise ExpressionError([_too_deep(0, len(self.text))]) from None
        if (
            body.lineno == 1 and body.col_offset == 0
        ):  # the bracket that we put before it was closed by the text itself
            if isinstance(body, ast.Tuple):
                length = len(self.text)
                message = "this is a list of values, not an expression"
                raise ExpressionError([Finding(message, "unsupported-syntax", 0, length, "remove the comma")])
            raise ExpressionError([self._diagnosis(SyntaxError("unmatched ')'"))])
        return body

    def _refuse_deep(self) -> None:
        level: list[ast.AST] = [self.body]
        for _ in range(DEEPEST):
            level = [
                child
                for node in level
                for child in ast.iter_child_nodes(node)
                if isinstance(child, (ast.expr, ast.keyword))
            ]
            if not level:
                return
        raise ExpressionError([_too_deep(*self.place(level[0]))])

    def _diagnosis(self, error: SyntaxError) -> Finding:
        code = "expression-syntax"
        bare = _STRING.sub(lambda match: "_" * len(match[0]), self.text)
        for pattern, message, hint in _MISTAKES:
            if match := pattern.search(bare):
                word = match[0]
                return Finding(
                    message.format(word), code, match.start(), len(word), hint or f"write `{word.lower()}`"
                )
        for match in _ASSIGNMENT.finditer(bare):
            if not _KEYWORD_BEFORE.search(bare[: match.start()]):
                return Finding("`=` does not compare", code, match.start(), 1, "write `==`")
        for match in _BARE_NAME.finditer(bare):
            words = set(match["name"].split())
            if not words & _WORDS:
                name = match["name"]
                hint = f'put the name in quotes: {match["function"]}("{name}")'
                return Finding(
                    "a name of several words is a string", code, match.start("name"), len(name), hint
                )
        for quote in ('"', "'"):
            if quote in bare:
                return Finding(
                    "this string is not closed", code, bare.index(quote), 1, f"close it with {quote}"
                )
        if bracket := _unbalanced(bare):
            return bracket
        offset = len(self.text) - 1
        if error.lineno and error.offset:
            # The parser's own offset counts characters from 1, and our bracket stands before the first line.
            before = sum(len(text) + 1 for text in self._lines[: error.lineno - 1])
            offset = before + error.offset - 2
        offset = max(0, min(offset, len(self.text) - 1))
        rest = re.match(r"\w+|.", self.text[offset:], re.DOTALL)
        word = rest[0] if rest else ""
        if not word.strip() or offset >= len(self.text.rstrip()) - 1:
            return Finding("the expression is not complete", code, max(0, len(self.text.rstrip()) - 1), 1)
        return Finding(f"the expression cannot be read from `{word}` on", code, offset, len(word))


def _unbalanced(bare: str) -> Finding | None:
    closing = {")": "(", "]": "[", "}": "{"}
    open_brackets: list[tuple[int, str]] = []
    for offset, character in enumerate(bare):
        if character in "([{":
            open_brackets.append((offset, character))
        elif character in closing:
            if not open_brackets or open_brackets[-1][1] != closing[character]:
                message = f"`{character}` closes no bracket"
                return Finding(
                    message, "expression-syntax", offset, 1, "remove it, or open the bracket before it"
                )
            open_brackets.pop()
    if open_brackets:
        offset, character = open_brackets[-1]
        return Finding(f"`{character}` is not closed", "expression-syntax", offset, 1)
    return None


def _too_deep(offset: int, length: int) -> Finding:
    return Finding(
        f"the expression is nested more than {DEEPEST} levels deep",
        "expression-too-deep",
        offset,
        max(1, length),
        "move parts of it into segments of the catalog",
    )
