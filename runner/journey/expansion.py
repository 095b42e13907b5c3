"""Series and fragments written out: before a journey is built, its ``series`` and ``use`` steps are replaced by the
steps that they stand for.

The steps keep their places in the files of their authors. Their ids are prefixed: ``SERIES.ITEM.STEP``, ``USE.STEP``.
Within what is written out, a step is spoken of by the id that stands there: in ``goto`` and in ``sent("…")`` and its
like. A ``goto`` to a series or to the use of a fragment leads to its first step. A send that names no template has the
one of its own id, without the prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runner.journey.catalog import Catalog
from runner.journey.fragments import Fragment
from runner.journey.placeholders import Filled, Piece, filled, masked, rewritten
from runner.journey.schema import validate
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Field, Fields, Items, Scalar, Value
from runner.problem import Problem, Span

MOST_STEPS = 2_000
"""Steps of one journey when all is written out."""
_ITEM = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Expanded:
    """``tree`` is the journey written out; ``fragments`` are the paths of the files that it is made from, too."""

    tree: Value
    problems: tuple[Problem, ...] = ()
    fragments: frozenset[str] = frozenset()


def expand(tree: Value, fragments: Mapping[str, Fragment], catalog: Catalog) -> Expanded:
    """``tree``, a journey, with its series and fragments written out. Never raises for what a file says."""
    writer = _Writer(fragments=fragments, catalog=catalog)
    firsts: dict[str, str] = {}
    made = writer.written(tree, firsts)
    if firsts:
        made = _jumps(made, firsts)
    return Expanded(
        tree=made, problems=tuple(dict.fromkeys(writer.problems)), fragments=frozenset(writer.used)
    )


@dataclass
class _Writer:
    """Writes series and fragments out. ``problems`` and ``used`` grow; ``within`` are the fragments around."""

    fragments: Mapping[str, Fragment]
    catalog: Catalog
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    within: tuple[str, ...] = ()
    steps: int = 0

    def note(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint))

    def written(self, value: Value, firsts: dict[str, str]) -> Value:
        """``value`` with every list of steps in it written out. ``firsts`` learns, of each series and use by its id,
        the id of its first step."""
        if isinstance(value, Fields):
            fields = (Field(f.key, f.key_span, self.written(f.value, firsts)) for f in value.fields)
            return Fields(tuple(fields), value.span)
        if not isinstance(value, Items):
            return value
        items: list[Value] = []
        for item in value.items:
            kind = _kind(item)
            if kind is None:
                items.append(self.written(item, firsts))
                continue
            assert isinstance(item, Fields)
            made = list(self.series(item) if kind == "series" else self.use(item))
            step_id, first = _id(item), next((found for each in made if (found := _id(each))), None)
            if step_id and first:
                firsts[step_id] = first
            items += made
        return Items(tuple(items), value.span)

    def series(self, step: Fields) -> Iterator[Value]:
        options, step_id = step.get("series"), _id(step)
        if not isinstance(options, Fields) or step_id is None:
            return
        each, do = options.get("each"), options.get("do")
        seen: set[str] = set()
        for item in each.items if isinstance(each, Items) else ():
            if not isinstance(item, Scalar) or item.value is None or item.text in seen:
                continue
            seen.add(item.text)
            if not _ITEM.fullmatch(item.text):
                message = f'"{item.text}" cannot be a part of the ids of steps.'
                hint = "An item has letters, digits, - and _ alone."
                self.note("series/item", message, item.span, hint)
                continue
            yield from self.block(do, {"item": item}, f"{step_id}.{item.text}", item.span)

    def use(self, step: Fields) -> Iterator[Value]:
        options, step_id = step.get("use"), _id(step)
        named = options.get("fragment") if isinstance(options, Fields) else options
        if not isinstance(named, Scalar) or not isinstance(named.value, str) or step_id is None:
            return
        fragment = self.fragments.get(named.text)
        if fragment is None:
            hint = did_you_mean(named.text, self.fragments) or (
                f"There is {listed(sorted(self.fragments), 'and')}."
                if self.fragments
                else "It would be a file in journeys/fragments/."
            )
            self.note("use/unknown", f'There is no fragment "{named.text}".', named.span, hint)
            return
        if fragment.name in self.within:
            path = " → ".join((*self.within[self.within.index(fragment.name) :], fragment.name))
            self.note("use/circle", f"The fragment uses itself: {path}.", named.span)
            return
        self.used.add(fragment.path)
        self.problems += fragment.errors
        if fragment.errors:
            return
        given = self.given(fragment, options if isinstance(options, Fields) else None, named.span)
        if given is None:
            return
        around, self.within = self.within, (*self.within, fragment.name)
        yield from self.block(fragment.steps, given, step_id, named.span)
        self.within = around

    def given(self, fragment: Fragment, options: Fields | None, span: Span) -> dict[str, Scalar] | None:
        """The values of the fragment's parameters; None where one is wrong or missing."""
        said = options.get("with") if options else None
        fields = said.fields if isinstance(said, Fields) else ()
        given: dict[str, Scalar] = {}
        fits = True
        for each in fields:
            parameter = fragment.parameters.get(each.key)
            if parameter is None:
                hint = did_you_mean(each.key, fragment.parameters) or (
                    f"It declares {listed(fragment.parameters, 'and')}." if fragment.parameters else None
                )
                message = f"The fragment `{fragment.name}` has no parameter `{each.key}`."
                self.note("use/parameter", message, each.key_span, hint)
                fits = False
                continue
            trouble = parameter.trouble(each.value, self.catalog)
            if trouble:
                self.note("use/value", trouble[0], each.value.span, trouble[1])
                fits = False
            elif isinstance(each.value, Scalar):
                given[each.key] = each.value
        for name, parameter in fragment.parameters.items():
            if name in given:
                continue
            if parameter.default is not None:
                given[name] = parameter.default
            elif not any(each.key == name for each in fields):
                message = f"The fragment `{fragment.name}` needs `{name}`."
                self.note("use/missing", message, span, "Give it under `with`.")
                fits = False
        return given if fits else None

    def block(
        self, steps: Value | None, given: Mapping[str, Scalar], prefix: str, span: Span
    ) -> Iterator[Value]:
        """Steps with ``given`` filled in, written out, and prefixed."""
        if not isinstance(steps, Items) or self.steps > MOST_STEPS:
            return
        before = self.steps
        block = filled(steps, given)
        self.problems += validate(masked_series(block), "journey", "steps")
        firsts: dict[str, str] = {}
        made = self.written(_with_templates(block), firsts)
        if self.steps > MOST_STEPS:
            return
        local = {step_id: f"{prefix}.{step_id}" for step_id in _ids(made)}
        self.steps = before + len(local)
        if self.steps > MOST_STEPS:
            message = f"Written out, the journey has more than {MOST_STEPS:,} steps."
            self.note("series/too-large", message, span)
            return
        local |= {name: f"{prefix}.{first}" for name, first in firsts.items()}
        prefixed = _prefixed(made, local)
        assert isinstance(prefixed, Items)
        yield from prefixed.items


def masked_series(value: Value) -> Value:
    """``value`` without what holds ``{item}`` in a series, of which nothing can be said before it is written out."""
    if isinstance(value, Items):
        return Items(tuple(masked_series(item) for item in value.items), value.span)
    if not isinstance(value, Fields):
        return value
    fields = []
    for each in value.fields:
        inner = masked(each.value, ["item"]) if each.key == "series" else masked_series(each.value)
        fields.append(Field(each.key, each.key_span, inner))
    return Fields(tuple(fields), value.span)


def _kind(item: Value) -> str | None:
    """``series`` or ``use``, where the item of a list is such a step."""
    if isinstance(item, Fields) and "id" in item:
        return next((verb for verb in ("series", "use") if verb in item), None)
    return None


def _id(step: Value) -> str | None:
    value = step.get("id") if isinstance(step, Fields) else None
    return value.text if isinstance(value, Scalar) and isinstance(value.value, str) else None


def _ids(value: Value) -> Iterator[str]:
    """The ids of all steps in ``value``."""
    if isinstance(value, Items):
        for item in value.items:
            step_id = _id(item)
            if step_id is not None:
                yield step_id
            yield from _ids(item)
    elif isinstance(value, Fields):
        for each in value.fields:
            yield from _ids(each.value)


def _with_templates(value: Value) -> Value:
    """``value`` with the template named in each send that names none."""
    if isinstance(value, Items):
        return Items(tuple(_with_templates(item) for item in value.items), value.span)
    if not isinstance(value, Fields):
        return value
    step_id = value.get("id")
    return Fields(
        tuple(
            Field(each.key, each.key_span, _named(each.value, step_id))
            if each.key == "send" and isinstance(step_id, Scalar)
            else Field(each.key, each.key_span, _with_templates(each.value))
            for each in value.fields
        ),
        value.span,
    )


def _named(send: Value, step_id: Scalar) -> Value:
    template = Field("template", step_id.span, step_id)
    if isinstance(send, Scalar):
        return Fields((Field("channel", send.span, send), template), send.span)
    if isinstance(send, Fields) and "template" not in send:
        return Fields(
            (*(replace(each, value=_with_templates(each.value)) for each in send.fields), template), send.span
        )
    return _with_templates(send)


def _prefixed(value: Value, local: Mapping[str, str]) -> Value:
    """``value`` with every step of ``local`` spoken of by its full id."""
    names = "|".join(map(re.escape, local))
    asked = re.compile(
        rf"\b(?P<ask>(?:sent|opened|clicked|replied)\(\s*)(?P<quote>[\"'])(?P<id>{names})(?P=quote)"
    )

    def asking(found: Scalar) -> Scalar:
        return rewritten(
            found, asked, lambda match: f"{match['ask']}{match['quote']}{local[match['id']]}{match['quote']}"
        )

    def walk(node: Value, *, step: bool) -> Value:
        if isinstance(node, Items):
            return Items(tuple(walk(item, step=_id(item) is not None) for item in node.items), node.span)
        if not isinstance(node, Fields):
            return node
        fields = []
        for each in node.fields:
            value = each.value
            if ((each.key == "id" and step) or each.key == "goto") and isinstance(value, Scalar):
                value = _renamed(value, local)
            elif isinstance(value, Scalar):
                value = asking(value)
            else:
                value = walk(value, step=False)
            fields.append(Field(each.key, each.key_span, value))
        return Fields(tuple(fields), node.span)

    return walk(value, step=False) if local else value


def _jumps(value: Value, firsts: Mapping[str, str]) -> Value:
    """``value`` with each ``goto`` to a series or a use leading to its first step."""
    if isinstance(value, Items):
        return Items(tuple(_jumps(item, firsts) for item in value.items), value.span)
    if not isinstance(value, Fields):
        return value
    fields = []
    for each in value.fields:
        scalar = each.key == "goto" and isinstance(each.value, Scalar)
        inner = _renamed(each.value, firsts) if scalar else _jumps(each.value, firsts)  # type: ignore[arg-type]
        fields.append(Field(each.key, each.key_span, inner))
    return Fields(tuple(fields), value.span)


def _renamed(found: Scalar, names: Mapping[str, str]) -> Scalar:
    name = names.get(found.text)
    if name is None:
        return found
    piece = Piece(0, len(name), 0, len(found.text), kept=False)
    return Filled(name, name, found.span, found.raw, found.style, found, (piece,))
