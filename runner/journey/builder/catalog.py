"""The catalog: what exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from runner.journey.builder.business import amount_of, build_costs, build_goals, build_links
from runner.journey.builder.campaigns import build_campaigns
from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.builder.people import build_people
from runner.journey.builder.policies import build_opt_in_cases, build_policies
from runner.journey.builder.resources import build_hours, build_pools
from runner.journey.catalog import (
    CONTACT_FIELDS,
    DERIVED_FIELDS,
    RESERVED_PROPERTIES,
    Attribute,
    Catalog,
    ChannelSettings,
    EventType,
    OnUnknown,
    OptIn,
    Topic,
)
from runner.journey.duration import DAY, Duration
from runner.journey.expression.names import is_taken
from runner.journey.header_text import header_trouble
from runner.journey.reserved import OWN_EVENTS
from runner.journey.values import Kind, ValueType
from runner.journey.words import did_you_mean
from runner.journey.yaml import Field, Fields, Scalar, Value
from runner.journey.zone_names import known_zone, known_zones
from runner.problem import Problem, Severity

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_SIMPLE = {kind.value: kind for kind in (Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME)}


def is_locale(text: str) -> bool:
    """Whether ``text`` is a language tag as contacts and template files have it: de, pt-BR, zh-Hans."""
    return _LOCALE.fullmatch(text) is not None


def zone_problem(name: str) -> tuple[str, str | None] | None:
    """Why ``name`` is no IANA time zone, and what was perhaps meant; None where it is one."""
    if known_zone(name):
        return None
    return f'Unknown time zone "{name}".', did_you_mean(name, known_zones())


def build_catalog(tree: Value) -> tuple[Catalog, tuple[Problem, ...]]:
    """The catalog as far as it can be read, and what is wrong with it beyond its schema."""
    notes = Notes(Catalog())
    root = fields_of(tree)
    if root is None:
        return Catalog(), ()
    builder = _CatalogBuilder(notes)
    catalog = Catalog(
        timezone=builder.timezone(root.get("timezone")),
        locale=builder.locale(root.get("locale")),
        attributes={f.key: a for f in _each(root, "attributes") if (a := builder.attribute(f))},
        events={f.key: e for f in _each(root, "events") if (e := builder.event(f))},
        topics={f.key: builder.topic(f) for f in _each(root, "topics")},
        channels={f.key: c for f in _each(root, "channels") if (c := builder.channel(f))},
        lists={f.key: builder.list(f) for f in _each(root, "lists")},
        accounts={f.key: a for f in _each(root, "accounts") if (a := builder.attribute(f, of_account=True))},
    )
    declared = {field.key for section in ("attributes", "accounts") for field in _each(root, section)}
    catalog = replace(catalog, unreadable=frozenset(declared - {*catalog.attributes, *catalog.accounts}))
    notes.catalog = catalog
    catalog = build_people(notes, root, catalog, builder.refresh)
    catalog = build_opt_in_cases(notes, root, catalog)
    return (
        replace(
            catalog,
            policies=build_policies(notes, root, catalog),
            costs=build_costs(root.get("costs")),
            goals=build_goals(notes, root.get("goals")),
            campaigns=build_campaigns(notes, root.get("campaigns"), catalog),
            links=build_links(notes, root.get("links")),
            pools=build_pools(root.get("pools")),
            hours=build_hours(notes, root.get("hours"), catalog.timezone),
        ),
        tuple(notes.problems),
    )


def _each(root: Fields, key: str) -> tuple[Field, ...]:
    inner = fields_of(root.get(key))
    return inner.fields if inner else ()


def property_types(notes: Notes, declared: Fields) -> Mapping[str, ValueType]:
    """Names and types of properties, as events declare them."""
    return _CatalogBuilder(notes).members(declared)


class _CatalogBuilder:
    """Makes the entries of the catalog, each from its field."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def timezone(self, value: Value | None) -> str:
        name = text_of(value)
        if value is None or name is None:
            return "UTC"
        trouble = zone_problem(name)
        if trouble:
            self.notes.note("timezone/unknown", trouble[0], value.span, trouble[1])
            return "UTC"
        return name

    def locale(self, value: Value | None) -> str:
        name = text_of(value)
        if value is None or name is None:
            return "en"
        if not is_locale(name):
            hint = "Write en, pt-BR or zh-Hans."
            self.notes.note("locale/invalid", f'"{name}" is no locale.', value.span, hint)
            return "en"
        return name

    def list(self, field: Field) -> tuple[str, ...]:
        """A list of texts. Expressions call it by its name alone, which must not mean anything else there."""
        if is_taken(field.key):
            message = f"`{field.key}` means something else in expressions."
            self.notes.note("list/reserved", message, field.key_span, "Choose another name.")
        return tuple(text for item in items_of(field.value) if (text := text_of(item)) is not None)

    def attribute(self, field: Field, *, of_account: bool = False) -> Attribute | None:
        options = fields_of(field.value)
        declared = options.get("type") if options else field.value
        type = self.type(declared)
        if type is None:
            return None
        standard = None if of_account else CONTACT_FIELDS.get(field.key)
        if field.key in DERIVED_FIELDS and not of_account:
            message = f"`contact.{field.key}` is computed, from `{field.key}s` of the catalog."
            self.notes.note("attribute/reserved", message, field.key_span, "Choose another name.")
            return None
        if standard is not None and standard.kind is not type.kind:
            message = f"Every contact has `{field.key}`; its type is {standard.kind.value}."
            self.notes.note("attribute/reserved", message, field.key_span, "Choose another name.")
            return None
        if options is None:
            return Attribute(name=field.key, type=type)
        one_of = options.get("one_of")
        if one_of is not None and type.kind is not Kind.STRING:
            self.notes.note(
                "attribute/one-of", "Only a string may have `one_of`.", options.key_span("one_of")
            )
        allowed = tuple(text for item in items_of(one_of) if (text := text_of(item)) is not None)
        pii = options.get("pii")
        return Attribute(
            name=field.key,
            type=replace(type, one_of=allowed) if type.kind is Kind.STRING else type,
            pii=isinstance(pii, Scalar) and pii.value is True,
            unit=text_of(options.get("unit")),
        )

    def type(self, value: Value | None) -> ValueType | None:
        """The type that a property declares: a name, a list of one type, or a mapping of members."""
        name = text_of(value)
        if name is not None:
            return ValueType(_SIMPLE[name]) if name in _SIMPLE else None
        members = fields_of(value)
        if members is not None:
            return ValueType(Kind.OBJECT, fields=self.members(members))
        items = items_of(value)
        inner = self.type(items[0]) if len(items) == 1 else None
        return ValueType(Kind.LIST, items=inner) if inner else None

    def members(self, fields: Fields) -> Mapping[str, ValueType]:
        return {field.key: type for field in fields.fields if (type := self.type(field.value))}

    def event(self, field: Field) -> EventType | None:
        if field.key in OWN_EVENTS:
            message = f"`{field.key}` is a reserved event: the runner tells itself of it."
            self.notes.note("event/reserved", message, field.key_span, "Choose another name.")
            return None
        if field.key in RESERVED_PROPERTIES:
            message = f"`{field.key}` is a reserved event; it need not be declared."
            hint = "Remove it, or choose another name."
            self.notes.note("event/reserved", message, field.key_span, hint)
            return None
        members = fields_of(field.value) or Fields((), field.value.span)
        told = members.get("broadcast")
        broadcast = isinstance(told, Scalar) and told.value is True
        properties = Fields(
            tuple(each for each in members.fields if not (broadcast and each.key == "broadcast")),
            members.span,
        )
        return EventType(name=field.key, properties=self.members(properties), broadcast=broadcast)

    def refresh(self, options: Fields | None) -> dict[str, Duration]:
        """How often time is looked at that changes the segment, where the author says it."""
        value = options.get("refresh") if options else None
        duration = self.notes.duration(value)
        if value is None or duration is None:
            return {}
        if DAY % duration.elapsed:
            message = f"A day is no multiple of `{text_of(value)}`, so it would not begin anew with the day."
            self.notes.note("segment/refresh", message, value.span, "Write 15m, 1h, 6h or 1d.")
            return {}
        return {"refresh": duration}

    def topic(self, field: Field) -> Topic:
        options = fields_of(field.value)
        opt_in = text_of(options.get("opt_in")) if options else None
        title = text_of(options.get("title")) if options else None
        # One that the schema refuses still exists: journeys that name it are not to blame.
        kind = OptIn(opt_in) if opt_in in set(OptIn) else OptIn.EXPLICIT
        unknown = text_of(options.get("on_unknown")) if options else None
        return Topic(
            name=field.key,
            title=title or field.key,
            opt_in=kind,
            on_unknown=OnUnknown(unknown) if unknown in set(OnUnknown) else None,
            stale_after=self.notes.duration(options.get("stale_after")) if options else None,
        )

    def one_line(self, name: Value | None) -> None:
        """The name of a sender stands in a header, of which a line break would begin another."""
        trouble = header_trouble(name.text) if isinstance(name, Scalar) else None
        if name is not None and trouble:
            message = f"The name of a sender {trouble}."
            self.notes.note("channel/sender-name", message, name.span)

    def channel(self, field: Field) -> ChannelSettings | None:
        options = fields_of(field.value)
        if options is None:
            return None
        sender = fields_of(options.get("sender"))
        self.one_line(sender.get("name") if sender else None)
        made = ChannelSettings(
            name=field.key,
            uses=text_of(options.get("uses")) or "file",
            uses_said="uses" in options,
            sender_name=text_of(sender.get("name")) if sender else None,
            sender_address=text_of(sender.get("address")) if sender else None,
            cost=amount_of(options.get("cost")),
        )
        if made.sender_address is None and (made.name == "email" or made.uses == "smtp"):
            self.notes.note(
                "channel/sender",
                f"The channel `{field.key}` names no sender.",
                field.key_span,
                "Add `sender: {name: Shop, address: hello@shop.example}`; mail without a sender is refused.",
                Severity.WARNING,
            )
        return made
