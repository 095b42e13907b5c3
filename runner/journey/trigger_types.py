"""What ``trigger.*`` is in a run, by the trigger that started it."""

from __future__ import annotations

from collections.abc import Mapping

from runner.journey.catalog import Catalog
from runner.journey.model.triggers import AttributeTrigger, EventTrigger, ManualTrigger, Trigger
from runner.journey.reserved import PROPERTIES
from runner.journey.values import ValueType


def trigger_types(trigger: Trigger, catalog: Catalog) -> Mapping[str, ValueType]:
    """The properties of the events that ``trigger`` hears, by name."""
    match trigger:
        case EventTrigger(event=name):
            return catalog.events[name].properties if name in catalog.events else PROPERTIES.get(name, {})
        case AttributeTrigger(type=type):
            return {**PROPERTIES[trigger.event], "old": type, "new": type}
        case ManualTrigger(properties=properties):
            return {**PROPERTIES[trigger.event], **properties}
        case _:
            return PROPERTIES[trigger.event]


def common_types(triggers: tuple[Trigger, ...], catalog: Catalog) -> dict[str, ValueType]:
    """What every one of ``triggers`` has, with one type."""
    first, *others = [trigger_types(each, catalog) for each in triggers] or [{}]
    return {name: type for name, type in first.items() if all(other.get(name) == type for other in others)}
