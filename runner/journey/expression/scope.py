"""What an expression may speak of at the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_FIELDS,
    RESERVED_PROPERTIES,
    Catalog,
)
from runner.journey.values import ValueType


@dataclass(frozen=True, kw_only=True)
class Scope:
    """``trigger``, ``event``, ``run_values``: name to type; None where the name may not be used.

    ``sends`` holds the ids of the steps that send, for ``sent()``, and ``former`` those by which their messages may be
    known from earlier versions. ``of_colleague``: ``contact`` is somebody else than
    the one in the run.
    """

    catalog: Catalog
    trigger: Mapping[str, ValueType] | None = None
    event: Mapping[str, ValueType] | None = None
    run_values: Mapping[str, ValueType] = field(default_factory=dict)
    sends: frozenset[str] = frozenset()
    former: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of_colleague: bool = False

    def contact_type(self, name: str) -> ValueType | None:
        """The type of ``contact.NAME``. What every contact has keeps its kind, whatever the catalog declares."""
        standard = CONTACT_FIELDS.get(name)
        declared = self.catalog.attribute_type(name)
        if standard is not None and declared is not None and declared.kind is not standard.kind:
            return standard
        return declared

    def event_properties(self, name: str) -> Mapping[str, ValueType] | None:
        """The properties of the event ``name``, or None where the catalog has no such event."""
        declared = self.catalog.events.get(name)
        return declared.properties if declared else RESERVED_PROPERTIES.get(name)

    def event_names(self) -> list[str]:
        """The events of which authors are told: those of the catalog, and the reserved ones that applications send."""
        return [*self.catalog.events, CONSENT_GRANTED, CONSENT_WITHDRAWN]
