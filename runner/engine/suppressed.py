"""To what addresses nothing is sent, whoever has them, asked as messages leave.

Policy knows what was told of the contact itself. Others who have the same address lie in any partitions, and policy,
which looks at those that it has locked, cannot know of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.engine.prepare import recipient_of
from runner.engine.versions import Version, Versions
from runner.journey.catalog import ADDRESS_OF
from runner.journey.model import Send
from runner.journey.send_rules import SUPPRESSED
from runner.store.deployment import Deployment
from runner.store.sending.messages import Claimed, Held
from runner.store.sending.suppressed_addresses import Address, Suppressed, suppressed_among
from runner.store.statement import Connection
from runner.store.tables import MessageKind, SuppressionReason


def as_addresses_are(
    connection: Connection, claimed: Sequence[Claimed], deployment: Deployment, *, exact: bool
) -> tuple[list[Claimed], bool]:
    """The messages, of each what suppresses its address, whoever told of it; and whether suppressions are to be noted.
    ``exact``: what was told at the instant that let the message go, or later, does not count; and what was told of the
    contact itself was judged by policy then."""
    to = {
        one.held: Address(one.channel, address)
        for one in claimed
        if one.kind == MessageKind.MESSAGE and one.channel in ADDRESS_OF and (address := recipient_of(one))
    }
    if not to:
        return list(claimed), False
    found = suppressed_among(connection, deployment, frozenset(to.values()))
    if not found.by_address and not exact:
        return list(claimed), found.to_note
    said = {held: found.by_address.get(address) for held, address in to.items()}
    return [_as_it_is(one, said.get(one.held), exact) for one in claimed], found.to_note


def _as_it_is(one: Claimed, said: Suppressed | None, exact: bool) -> Claimed:
    if exact:
        reason = said.reason.value if said and said.since < one.let_go_at else None
    elif said and one.suppressed in (None, SuppressionReason.UNSUBSCRIBED):
        reason = said.reason.value
    else:
        return one
    return one if reason == one.suppressed else replace(one, suppressed=reason)


def suppressed_alone(claimed: Sequence[Claimed], versions: Versions) -> Mapping[Held, str]:
    """The messages to suppressed addresses, with that as their reason."""
    return {
        one.held: SUPPRESSED
        for one in claimed
        if one.suppressed and (known := versions.by_id.get(one.version)) and is_kept_from(one, known)
    }


def is_kept_from(one: Claimed, version: Version) -> bool:
    """Whether the message may not go to its address. Receipts go where somebody has merely unsubscribed."""
    if not one.suppressed or one.kind != MessageKind.MESSAGE:
        return False
    send = version.program.node(one.held.key.step).verb
    assert isinstance(send, Send)
    return one.suppressed != SuppressionReason.UNSUBSCRIBED or not version.sql.rules.transactional(send)
