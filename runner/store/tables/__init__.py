"""The tables. Contact-owned ones begin their key with ``partition``, then ``contact``: a contact's rows lie together,
every hot statement starts from a batch of contacts, and the tables can be distributed over nodes.

Ids of contact-owned rows count within their contact and are given out under the lock of its partition, except for
events, which anybody may store at any time. Statuses are enums; CHECK constraints and partial indexes come from them.
"""

from runner.store.tables.base import metadata
from runner.store.tables.causes import (
    appointing,
    appointment,
    begun,
    broadcast,
    broadcast_heard,
    broadcast_hearing,
    firing,
    membership,
)
from runner.store.tables.messages import address_use, conversion, message
from runner.store.tables.people import (
    account,
    consent,
    consent_log,
    contact,
    contact_id_sequence,
    event,
    event_id_sequence,
    placement,
    suppressed_address,
    suppression,
)
from runner.store.tables.runs import assignment, deferral, run, step_log
from runner.store.tables.shared import (
    audit,
    deployment,
    experiment,
    journey,
    journey_version,
    pool_value,
    rate_use,
    shard,
    zone_local,
    zone_offset,
)
from runner.store.tables.status import (
    LET_GO,
    MESSAGE_TRANSITIONS,
    ConsentState,
    JourneyState,
    MessageKind,
    MessageStatus,
    RunStatus,
    SuppressionReason,
)

__all__ = [
    "LET_GO",
    "MESSAGE_TRANSITIONS",
    "ConsentState",
    "JourneyState",
    "MessageKind",
    "MessageStatus",
    "RunStatus",
    "SuppressionReason",
    "account",
    "address_use",
    "appointing",
    "appointment",
    "assignment",
    "audit",
    "begun",
    "broadcast",
    "broadcast_heard",
    "broadcast_hearing",
    "consent",
    "consent_log",
    "contact",
    "contact_id_sequence",
    "conversion",
    "deferral",
    "deployment",
    "event",
    "event_id_sequence",
    "experiment",
    "firing",
    "journey",
    "journey_version",
    "membership",
    "message",
    "metadata",
    "placement",
    "pool_value",
    "rate_use",
    "run",
    "shard",
    "step_log",
    "suppressed_address",
    "suppression",
    "zone_local",
    "zone_offset",
]
