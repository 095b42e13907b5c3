"""Sends with ``per_address``: so many messages of their journey go to one address, whoever has it.

A place is taken as a message leaves, and given back where it did not. People of one address lie in any partitions, and
policy, which looks at those that it has locked, cannot know of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.engine.prepare import Prepared, idempotency_key, recipient_of
from runner.engine.versions import Versions
from runner.journey.model import Send
from runner.journey.send_rules import ADDRESS_LIMIT
from runner.store.database import Database
from runner.store.sending.address_places import counted_form, give_place_back, hashed_address, take_place
from runner.store.sending.messages import Claimed, Held, surely_unsent


def beyond_limit(database: Database, claimed: Sequence[Claimed], versions: Versions) -> Mapping[Held, str]:
    """The messages for which there is no place left, each with the reason; the others have theirs from now on. Takes
    a transaction of its own where any asks for one."""
    asking, deployment = [], database.deployment
    for one in claimed:
        version = versions.by_id.get(one.version)
        verb = version.program.node(one.held.key.step).verb if version else None
        if isinstance(verb, Send) and verb.per_address is not None:
            asking.append(
                (
                    hashed_address(deployment, one.channel, counted_form(one.channel, recipient_of(one))),
                    one,
                    verb.per_address,
                )
            )
    if not asking:
        return {}
    found = {}
    with database.begin() as connection:
        # Who asks for several places asks in one order, as everybody does: so nobody waits for each other.
        for address, one, most in sorted(asking, key=lambda each: (each[0], each[1].let_go_at, each[1].held)):
            key = idempotency_key(deployment.as_of(one.let_go_at), one.held.key, one.made_in)
            if not take_place(
                connection, deployment, address=address, journey=one.journey, message=key, most=most
            ):
                found[one.held] = ADDRESS_LIMIT
    return found


def give_back_places(database: Database, prepared: Sequence[Prepared]) -> None:
    """Give back the places of messages that were not handed over after all: nobody got them, and they may be cancelled
    before anybody does. Those that may have arrived keep theirs."""
    having = [one for one in prepared if isinstance(one.verb, Send) and one.verb.per_address is not None]
    if not having:
        return
    deployment = database.deployment
    with database.begin() as connection:
        unsent = surely_unsent(connection, [one.held for one in having])
        places = [
            (
                hashed_address(deployment, one.channel, counted_form(one.channel, one.message.recipient)),
                one.message.journey,
                one.message.idempotency_key,
            )
            for one in having
            if one.held.key in unsent
        ]
        for address, journey, key in sorted(places):
            give_place_back(connection, deployment, address=address, journey=journey, message=key)
