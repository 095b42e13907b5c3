"""The reference of every file that a user writes, as Markdown, made from the JSON Schemas.

``make docs`` (``python -m runner.review.reference``) writes ``docs/reference.md``; a test fails when it is stale.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schema import read_schema

FILES = {
    "journey": "journeys/NAME/journey.yaml",
    "fragment": "journeys/fragments/NAME.yaml",
    "template": "journeys/NAME/STEP-OR-NAME[.LOCALE].html, .txt: the front matter",
    "tests": "journeys/NAME/tests.yaml",
    "catalog": "journeys/catalog.yaml",
    "journeys": "journeys.yaml",
}
"""Schema → where files of its kind stand, in the order of the reference."""

_HEAD = """# Reference

Every key of every file. Made from the JSON Schemas in `schema/`, which editors and `journeys check` read as well;
`make docs` writes it anew. How the parts work together is told in [language.md](language.md); what they mean to the
tie, in [engine.md](engine.md); what `journeys check` finds beyond them, in [rules.md](rules.md).
"""

Schema = Mapping[str, Any]


def reference() -> str:
    """The whole page, ending with a line break. The same schemas and rules give the same text."""
    contents = [f"- [`{where.split(':')[0]}`](#{name})" for name, where in FILES.items()]
    parts = [_HEAD, "\n".join(contents) + "\n"]
    parts += [_File(name, read_schema(name)).text(where) for name, where in FILES.items()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip("\n") + "\n"


@dataclass(frozen=True)
class _Section:
    """A part of a file that has keys: where it stands in the page, its schema, and what it is."""

    anchor: str
    title: str
    schema: Schema


@dataclass
class _File:
    """One kind of file. ``sections`` grows while the parts that have keys are met; each is told once."""

    name: str
    schema: Schema
    sections: list[_Section] = field(default_factory=list)
    simple: dict[str, Schema] = field(default_factory=dict)

    def text(self, where: str) -> str:
        lines = [f'<a id="{self.name}"></a>', f"## {where}", ""]
        lines += self._told(self.schema)
        told = 0
        while told < len(self.sections):
            section = self.sections[told]
            lines += ["", f'<a id="{section.anchor}"></a>', f"### {section.title}", ""]
            lines += self._told(section.schema)
            told += 1
        if self.simple:
            lines += ["", "### Kinds of values", "", "| kind | |", "|---|---|"]
            lines += [f"| {name} | {_cell(schema)} |" for name, schema in sorted(self.simple.items())]
        return "\n".join(lines) + "\n"

    def _told(self, schema: Schema) -> Iterator[str]:
        """What ``schema`` is, and a table of keys for it or for each of its alternatives."""
        if description := schema.get("description"):
            yield str(description)
        alternatives = [each for each in map(self._resolved, schema.get("anyOf", ())) if _has_keys(each)]
        short = [each for each in schema.get("anyOf", ()) if not _has_keys(self._resolved(each))]
        if alternatives and short:
            yield ""
            yield f"In short: {self._kinds(short)}."
        if len(alternatives) > 3 and (one := _merged(alternatives)):
            alternatives = [one]
        for each in alternatives or [schema]:
            if len(alternatives) > 1:
                yield ""
                yield f"**{_alternative(each)}**"
            yield ""
            yield from self._table(each)
            if each is not schema and each.get("x-later", ()) != schema.get("x-later", ()):
                yield from _later(each.get("x-later", ()))
        yield from _later(schema.get("x-later", ()))

    def _table(self, schema: Schema) -> Iterator[str]:
        required = schema.get("required", ())
        if not schema.get("properties"):
            if isinstance(schema.get("additionalProperties"), Mapping):
                yield f"A mapping of names to {self._kind(schema['additionalProperties'])}."
            return
        yield "| key | what it is | value |"
        yield "|---|---|---|"
        for key, value in schema["properties"].items():
            must = " (required)" if key in required else ""
            kind = self._kind(value, key)
            # What a kind of value is stands in the table of kinds, once.
            what = (value if kind in self.simple else self._resolved(value)).get("description", "")
            yield f"| `{key}`{must} | {_escaped(what)} | {kind} |"

    def _kind(self, schema: Schema, key: str = "") -> str:
        """What may stand there, in a few words, linked to the part that tells more."""
        reference = _reference(schema)
        if reference:
            return self._named(reference)
        if "enum" in schema:
            return " · ".join(map(_literal, schema["enum"]))
        if "const" in schema:
            return _literal(schema["const"])
        if "anyOf" in schema:
            compound = [each for each in schema["anyOf"] if not _reference(each) and _has_keys(each)]
            return self._kinds(schema["anyOf"]) if not compound else self._section(key, schema)
        if schema.get("type") == "array":
            items = schema.get("items", {})
            title = str(schema.get("title", "a list"))
            if any(_has_keys(self._resolved(each)) for each in items.get("anyOf", ())):
                return f"a list: {self._kinds(items['anyOf'])}"
            if _reference(items) or _has_keys(self._resolved(items)):
                return f"a list: {self._kind(items, key)}"
            inner = self._kind(items, key)
            return f"{title}: {inner}" if inner.startswith("`") else title
        if _has_keys(schema):
            return self._section(key, schema)
        values = schema.get("additionalProperties")
        if schema.get("type") in ("object", ["object", "null"]) and isinstance(values, Mapping):
            return f"names, each with {self._kind(values, key)}"
        return _plain(schema)

    def _kinds(self, schemas: Iterable[Schema]) -> str:
        return " or ".join(dict.fromkeys(map(self._kind, schemas)))

    def _named(self, reference: str) -> str:
        """A definition of the schema: a part of its own where it has keys, a kind of value where not."""
        schema = self.schema["definitions"][reference]
        compound = _has_keys(schema) or any(
            _has_keys(self._resolved(each)) for each in schema.get("anyOf", ())
        )
        if compound:
            return self._section(reference, schema)
        if "enum" in schema or schema.get("type") in ("array", "boolean"):
            return self._kind(schema)
        if "anyOf" in schema and not schema.get("description"):
            return self._kinds(schema["anyOf"])
        label = reference.replace("_", " ")
        if label not in self.simple:
            self.simple[label] = schema
            if isinstance(schema.get("additionalProperties"), Mapping):
                self._kind(schema["additionalProperties"])
        return label

    def _section(self, name: str, schema: Schema) -> str:
        anchor = f"{self.name}-{name.replace('_', '-')}"
        title = name.replace("_", " ")
        if anchor not in {section.anchor for section in self.sections}:
            self.sections.append(_Section(anchor, title, schema))
        return f"[{title}](#{anchor})"

    def _resolved(self, schema: Schema) -> Schema:
        """``schema`` with what it refers to; its own description goes first."""
        reference = _reference(schema)
        if reference is None:
            return schema
        return {**self.schema["definitions"][reference], **{k: v for k, v in schema.items() if k != "allOf"}}


def _literal(value: object) -> str:
    """``value`` as it is written in YAML."""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _reference(schema: Schema) -> str | None:
    """The name of the definition that ``schema`` stands for, where it is one of the same file."""
    if str(schema.get("$ref", "#")).partition("#")[0]:
        return None
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if len(schema.get("allOf", ())) == 1:
        return _reference(schema["allOf"][0])
    return None


def _has_keys(schema: Schema) -> bool:
    return bool(schema.get("properties"))


def _merged(alternatives: Sequence[Schema]) -> Schema | None:
    """One schema for alternatives that differ in a single key each, as steps do in their verbs; None for others."""
    common = set.intersection(*(set(each["properties"]) for each in alternatives))
    if any(len(each["properties"]) != len(common) + 1 for each in alternatives):
        return None
    shared = alternatives[0]
    required = [key for key in shared["required"] if key in common]
    order = [*required, *(key for each in alternatives for key in each["properties"] if key not in common)]
    order += sorted(common - set(required))
    known = {key: value for each in alternatives for key, value in each["properties"].items()}
    return {"properties": {key: known[key] for key in order}, "required": required}


def _alternative(schema: Schema) -> str:
    """The keys that tell one alternative from the others."""
    keys = [key for key in schema.get("required", ()) if key not in ("id", "at", "reason")] or list(
        schema["properties"]
    )
    return ", ".join(f"`{key}`" for key in keys)


def _plain(schema: Schema) -> str:
    kinds = schema.get("type", "")
    names = {
        "boolean": "`true` · `false`",
        "integer": "a whole number",
        "object": "a mapping",
        "null": "`null`",
    }
    found = [names.get(kind, f"a {kind}") for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind]
    text = str(schema.get("title") or " or ".join(found))
    if "pattern" in schema and not schema.get("title"):
        text += f", as `{schema['pattern']}`"
    return text.replace("a string", "a text")


def _cell(schema: Schema) -> str:
    """A kind of value in one cell of a table."""
    what = _escaped(schema.get("description") or schema.get("title", ""))
    choices = schema.get("enum")
    return f"{what} {' · '.join(f'`{value}`' for value in choices)}" if choices and not what else what


def _later(keys: Iterable[str]) -> Iterator[str]:
    names = ", ".join(f"`{key}`" for key in keys)
    if names:
        yield ""
        yield f"Of the language, but not in this version: {names}."


def _escaped(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
