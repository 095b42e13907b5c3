"""Messages that other tools send, and the events by which they tell of them."""

from __future__ import annotations

from dataclasses import replace

from runner.journey.builder.notes import Notes, fields_of, text_of
from runner.journey.business import CampaignGoal, Campaigns, Reaction
from runner.journey.catalog import Catalog
from runner.journey.expression import Scope
from runner.journey.values import BOOLEAN, NUMBER, Kind
from runner.journey.words import listed
from runner.journey.yaml import Field, Fields, Value


def build_campaigns(notes: Notes, value: Value | None, catalog: Catalog) -> tuple[Campaigns, ...]:
    """The tools of the catalog, in its order; ``catalog`` has all else that they may speak of."""
    builder = _Campaigns(notes, Scope(catalog=catalog))
    fields = fields_of(value)
    return tuple(made for field in (fields.fields if fields else ()) if (made := builder.tool(field)))


class _Campaigns:
    def __init__(self, notes: Notes, scope: Scope) -> None:
        self.notes = notes
        self.scope = scope

    def tool(self, field: Field) -> Campaigns | None:
        options = fields_of(field.value)
        label = options.get("name") if options else None
        name = text_of(label)
        if options is None or label is None or name is None:
            return None
        sent = self.event(options.get("sent"))
        reactions = {
            reaction: event for reaction in Reaction if (event := self.event(options.get(reaction.value)))
        }
        if sent is None:
            return None
        events = dict.fromkeys((sent, *reactions.values()))
        types = {event: (self.scope.event_properties(event) or {}).get(name) for event in events}
        type = types[sent]
        lacking = [event for event, other in types.items() if other is None or other != type]
        if type is None or lacking:
            told = listed(lacking, "and")
            message = f"`{name}` is no property of {told}, or one of another type than of `{sent}`."
            hint = "All events of a tool name the campaign by the same property."
            self.notes.note("campaigns/name", message, label.span, hint)
            return None
        if type.kind not in (Kind.STRING, Kind.NUMBER):
            message = f"`{name}` is a {type.kind.value}, which names no campaign."
            self.notes.note("campaigns/name", message, label.span, "Name one by a string or a number.")
            return None
        goal = self.goal(fields_of(options.get("goal")), sent)
        return Campaigns(tool=field.key, sent=sent, label=name, type=type, reactions=reactions, goal=goal)

    def event(self, value: Value | None) -> str | None:
        """An event of the catalog that happens to a contact."""
        name = text_of(value)
        if value is None or name is None:
            return None
        if self.scope.event_properties(name) is None:
            self.notes.unknown("event", name, list(self.scope.catalog.events), value.span)
            return None
        declared = self.scope.catalog.events.get(name)
        if declared is not None and declared.broadcast:
            message = f"`{name}` is a broadcast: it has no contact, so it tells of nobody's message."
            self.notes.note("campaigns/broadcast", message, value.span)
            return None
        return name

    def goal(self, options: Fields | None, sent: str) -> CampaignGoal | None:
        event = self.event(options.get("event")) if options else None
        if options is None or event is None:
            return None
        within = self.notes.duration(options.get("within"))
        properties = self.scope.event_properties
        scope = replace(self.scope, event=properties(event), trigger=properties(sent))
        where = self.notes.expression(options.get("where"), scope, expect=BOOLEAN)
        value = self.notes.expression(options.get("value"), scope, expect=NUMBER)
        return CampaignGoal(event=event, within=within, where=where, value=value) if within else None
