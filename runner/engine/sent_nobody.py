"""What became of messages to somebody who is no contact: bad lines, since nobody was sent anything under such a key.

A key that is misspelt would otherwise make a contact, and the complaint would hold for that one alone. One that says to
which address the message went is kept all the same: the address is suppressed, for whoever has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.engine.intake import Rejected
from runner.engine.line import shown
from runner.journey.catalog import ACCOUNT_IDENTIFIED, MESSAGE_EVENTS
from runner.store.deployment import Deployment
from runner.store.partition import partition_of
from runner.store.people.arrival import Arrival
from runner.store.people.identities import known_contacts
from runner.store.statement import Connection


def without_strangers(
    connection: Connection, deployment: Deployment, arrivals: Sequence[Arrival]
) -> tuple[Sequence[Arrival], list[Rejected]]:
    """The arrivals, and those of them that are about messages to somebody who is no contact by then, neither by what is
    stored nor by a line before."""
    asked = sorted({arrival.contact for arrival in arrivals if _wants_contact(arrival)})
    if not asked:
        return arrivals, []
    contacts = {
        *known_contacts(connection, [(partition_of(key, deployment.partitions), key) for key in asked])
    }
    kept, rejected = [], []
    for arrival in arrivals:
        if _wants_contact(arrival) and arrival.contact not in contacts:
            reason = f"nobody was sent anything as {shown(arrival.contact)}: there is no such contact before this line"
            rejected.append(Rejected(line=arrival.line, reason=reason, text=arrival.text))
            continue
        kept.append(arrival)
        if arrival.name != ACCOUNT_IDENTIFIED:
            contacts.add(arrival.contact)
    return kept, rejected


def _wants_contact(arrival: Arrival) -> bool:
    return arrival.name in MESSAGE_EVENTS and not arrival.properties.get("address")
