"""What a template may do: read plain values, loop a little, and format with a closed list of filters.

Journey authors write templates, people outside fill in the values. So a value is never compiled, has no methods, and is
escaped in HTML; a template cannot run for long or write without end, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, TemplateRuntimeError, Undefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

LARGEST_OUTPUT = 1_000_000
"""Code points that one body may have; larger emails are cut off by every mailbox provider (Gmail: 102 KB)."""
MOST_WORK = 100_000
"""Turns of loops, calls and nested loops together, that one rendering may take."""
LONGEST_RANGE = 1_000

BUDGET = "_budget"
ZONE = "_zone"
_DENIED = "is not something that a template may use"


class Budget:
    """The work that is left for one rendering."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self._left = left

    def spend(self, amount: int) -> None:
        """Take ``amount`` away. Raises TemplateRuntimeError where less is left."""
        self._left -= amount
        if self._left < 0:
            raise TemplateRuntimeError(f"the template loops more than {MOST_WORK:,} times")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with plain values: a name after a dot is a member of an object, never an attribute of a Python value."""

    intercepted_binops = frozenset({"+", "*", "/", "//", "%", "**"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=autoescape,
            finalize=printed,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self.filters = {**FILTERS, "_each": _each, "_bounded": _bounded}
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {"range": _range}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Bounds().visit(super()._parse(source, name, filename))
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, int) and isinstance(obj, str | list | tuple):
            try:
                return obj[argument]
            except IndexError:
                return self._missing(argument)
        if isinstance(argument, slice) and isinstance(obj, str | list | tuple):
            return obj[argument]
        return self._member(obj, argument)

    def _member(self, obj: Any, name: Any) -> Any:
        # The one case that is common goes first: asking whether something is a Mapping costs more than the rest.
        if type(obj) is dict and name in obj:
            return obj[name]
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if isinstance(obj, Mapping) and name in obj:
            return obj[name]
        if isinstance(obj, list | tuple) and obj and all(isinstance(item, Mapping) for item in obj):
            # As in expressions: trigger.items.sku is the list of all skus.
            return [self._member(item, name) for item in obj]
        if isinstance(obj, LoopContext) and name in _LOOP:
            return getattr(obj, name)
        return self._missing(name)

    def _missing(self, name: Any) -> Undefined:
        return self.undefined(hint=f"'{name}' is undefined", name=str(name))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded(left + right)
        if not (_number(left) and _number(right)) or operator == "**":
            raise TemplateRuntimeError(
                f"`{operator}` is for numbers here" if operator != "**" else f"`**` {_DENIED}"
            )
        try:
            return self.binop_table[operator](_decimal(left), _decimal(right))
        except (InvalidOperation, ZeroDivisionError):
            return None

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        _budget(context).spend(1)
        return super().call(context, obj, *args, **kwargs)

    def is_safe_callable(self, obj: Any) -> bool:
        return obj is _range or isinstance(obj, Macro | LoopContext)


_LOOP = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"}
    | {"previtem", "nextitem"}
)

TESTS = (
    *(
        "defined",
        "undefined",
        "none",
        "boolean",
        "true",
        "false",
        "number",
        "string",
        "sequence",
        "mapping",
        "iterable",
    ),
    *("odd", "even", "divisibleby", "in", "lower", "upper", "sameas", "equalto", "greaterthan", "lessthan"),
    *("eq", "ne", "lt", "le", "gt", "ge", "==", "!=", "<", "<=", ">", ">="),
)
"""The tests of Jinja that templates may use (``is defined``, ``is none`` …)."""


class _Bounds(NodeTransformer):
    """Makes every loop count its turns and every joined text know its limit."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_each")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_bounded")


def _filtered(node: Any, name: str) -> nodes.Expr:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _budget(context: Context) -> Budget:
    budget = context.resolve(BUDGET)
    assert isinstance(budget, Budget)
    return budget


@pass_context
def _each(context: Context, values: Any) -> Sequence[Any]:
    """The members of what a ``for`` goes over; nothing where there is None."""
    items = () if values is None else tuple(values)
    _budget(context).spend(len(items) + 1)
    return items


def _bounded(text: Any) -> Any:
    if isinstance(text, str) and len(text) > LARGEST_OUTPUT:
        raise TemplateRuntimeError(f"the template makes a text of more than {LARGEST_OUTPUT:,} characters")
    return text


def _range(*bounds: int) -> range:
    result = range(*(int(bound) for bound in bounds))
    if len(result) > LONGEST_RANGE:
        raise TemplateRuntimeError(f"range() is limited to {LONGEST_RANGE:,} numbers")
    return result


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


# Values, printed and formatted -------------------------------------------------------------------------------------


@pass_context
def printed(context: Context, value: Any) -> Any:
    """How ``{{ value }}`` reads: a missing value as nothing, 80.00 as 80, an instant in the contact's zone, a list with
    commas. Raises TemplateRuntimeError for an object: one prints its members."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, str | Undefined):
        return "" if value is None else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | float):
        return _plain(_decimal(value))
    if isinstance(value, datetime):
        return f"{_local(context, value):%Y-%m-%d %H:%M}"
    if isinstance(value, date | int):
        return str(value)
    if isinstance(value, list | tuple):
        return _join(context, value, ", ")
    raise TemplateRuntimeError(
        f"an object cannot be printed whole ({type(value).__name__}): print its members"
    )


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _local(context: Context, instant: datetime) -> datetime:
    zone = context.resolve(ZONE)
    return instant.astimezone(zone if isinstance(zone, ZoneInfo) else UTC)


@pass_context
def _text(context: Context, value: Any) -> str:
    """A value as the text that printing it gives."""
    return str(printed(context, value))


def _default(value: Any, instead: Any = "") -> Any:
    return instead if value is None or isinstance(value, Undefined) else value


@pass_context
def _join(context: Context, values: Iterable[Any], between: str = "") -> str:
    members = [printed(context, value) for value in _each(context, values)]
    joined = (
        Markup(escape(between)).join(members)  # noqa: S704 (escaped, and join() escapes the members)
        if context.eval_ctx.autoescape
        else between.join(map(str, members))
    )
    bounded: str = _bounded(joined)
    return bounded


def _rounded(value: Any, places: int = 0) -> Decimal | None:
    """Half away from zero; None stays None."""
    if value is None:
        return None
    try:
        return _decimal(value).quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP)
    except InvalidOperation:
        raise TemplateRuntimeError("round and number are for numbers, with 0 to 6 places") from None


def _formatted_number(value: Any, places: int = 0) -> str:
    """``1234.5|number(2)`` is ``1,234.50``."""
    rounded = _rounded(value, places)
    return "" if rounded is None else format(rounded, ",f")


@pass_context
def _formatted_date(context: Context, value: Any, pattern: str = "%Y-%m-%d") -> str:
    """``strftime`` of a date, or of an instant in the contact's zone."""
    if value is None:
        return ""
    if not isinstance(value, date):
        raise TemplateRuntimeError("the filter date is for dates and instants")
    shown = _local(context, value) if isinstance(value, datetime) else value
    formatted: str = _bounded(shown.strftime(pattern))
    return formatted


@pass_context
def _truncate(context: Context, value: Any, length: int = 255, end: str = "…") -> str:
    """At most ``length`` characters, cut at a space where there is one."""
    text = _text(context, value)
    if len(text) <= length:
        return text
    cut = text[: max(0, length - len(end))]
    within_word = not text[len(cut)].isspace()
    return ((cut.rpartition(" ")[0] if within_word else "") or cut).rstrip() + end


@pass_context
def _replace(context: Context, value: Any, old: str, new: str) -> str:
    text = _text(context, value)
    if not old or text.count(old) * len(new) > LARGEST_OUTPUT:
        raise TemplateRuntimeError("replace needs something to look for, and makes no endless texts")
    return text.replace(old, new)


def _on_text(change: Callable[[str], str]) -> Callable[..., str]:
    @pass_context
    def changed(context: Context, value: Any) -> str:
        return change(_text(context, value))

    return changed


def _sort(values: Iterable[Any] | None, reverse: bool = False) -> list[Any]:
    return sorted((value for value in values or () if value is not None), reverse=bool(reverse))


def _unique(values: Iterable[Any] | None) -> list[Any]:
    found: list[Any] = []
    for value in list(values or ())[:LONGEST_RANGE]:
        if value not in found:
            found.append(value)
    return found


FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": _default,
    "upper": _on_text(str.upper),
    "lower": _on_text(str.lower),
    "capitalize": _on_text(str.capitalize),
    "title": _on_text(str.title),
    "trim": _on_text(str.strip),
    "urlencode": _on_text(lambda text: quote(text, safe="")),
    "replace": _replace,
    "truncate": _truncate,
    "escape": escape,
    "e": escape,
    "length": lambda value: 0 if value is None else len(value),
    "first": lambda values: next(iter(values or ()), None),
    "last": lambda values: values[-1] if values else None,
    "join": _join,
    "sort": _sort,
    "unique": _unique,
    "reverse": lambda values: list(values or ())[::-1],
    "sum": lambda values: sum((_decimal(value) for value in values or () if value is not None), Decimal()),
    "abs": lambda value: None if value is None else abs(_decimal(value)),
    "round": _rounded,
    "number": _formatted_number,
    "date": _formatted_date,
}
"""All that templates may use. ``safe`` is not among them: what comes from outside is always escaped."""


@lru_cache(maxsize=2)
def sandbox(*, html: bool) -> Sandbox:
    """The environment of HTML bodies, which escapes, or that of text and headers, which does not."""
    return Sandbox(autoescape=html)


@lru_cache(maxsize=4096)
def compiled(source: str, *, html: bool) -> Template:
    """The compiled template; compiling is pure, so once a text is enough. Raises jinja2.TemplateSyntaxError."""
    return sandbox(html=html).from_string(source)
