"""The arguments of a call, checked."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from runner.journey.duration import parse_duration
from runner.journey.expression.finding import did_you_mean

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

_CENTURY = 36_525 * 86_400_000_000
_DURATION_HINT = (
    'write it like "90s", "15m", "2h", "3d", "1w", "1h30m" or "PT2H"; months and years have no fixed length'
)


def check_arguments(
    builder: Builder, node: ast.Call, count: int, keywords: tuple[str, ...] = (), *, example: str
) -> dict[str, ast.expr] | None:
    """The keyword arguments by name, once number and names of all arguments are right."""
    good = True
    if len(node.args) != count or any(isinstance(argument, ast.Starred) for argument in node.args):
        name = builder.quoted(node.func)
        wanted = {0: "no argument", 1: "one argument"}.get(count, f"{count} arguments")
        hint = f"write it like `{example}`"
        builder.report(
            node, "bad-arguments", f"{name} takes {wanted} without a name, and has {len(node.args)}", hint
        )
        good = False
    found: dict[str, ast.expr] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in keywords:
            what = f"`{keyword.arg}=`" if keyword.arg else "`**`"
            hint = (keyword.arg and did_you_mean(keyword.arg, keywords)) or f"write it like `{example}`"
            builder.report(keyword, "bad-arguments", f"{builder.quoted(node.func)} takes no {what}", hint)
            good = False
        elif keyword.arg in found:
            builder.report(
                keyword, "bad-arguments", f"`{keyword.arg}=` stands here twice", "join them by `and`"
            )
            good = False
        else:
            found[keyword.arg] = keyword.value
    return found if good else None


def written_text(builder: Builder, node: ast.expr, what: str) -> str | None:
    """The string that is written out at ``node``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        literal = builder.build(node)
        return node.value if literal is not None else None
    hint = f'put it in quotes: "{node.id}"' if isinstance(node, ast.Name) else None
    builder.report(node, "bad-arguments", f"{what} must be written out as a string", hint)
    return None


def written_duration(builder: Builder, node: ast.expr) -> int | None:
    """Microseconds, a day counted as 24 hours."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        hint = f'a length of time has a unit: "{node.value}d"'
        builder.report(node, "bad-duration", f"`{node.value}` is no length of time", hint)
        return None
    text = written_text(builder, node, "a length of time")
    if text is None:
        return None
    duration = parse_duration(text)
    if duration is None:
        builder.report(node, "bad-duration", f'"{text}" is no length of time', _DURATION_HINT)
        return None
    if abs(duration.elapsed) > _CENTURY:
        builder.report(node, "bad-duration", f'"{text}" is longer than a century')
        return None
    return duration.elapsed
