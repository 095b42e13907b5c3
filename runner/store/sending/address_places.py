"""How many messages of a journey go to one address, whoever has it: contacts of any partition."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from sqlalchemy import and_, delete, exists, select

from channels.domain import ascii_domain
from runner.journey.catalog import ADDRESS_OF
from runner.store.deployment import Deployment
from runner.store.insert import insert_new
from runner.store.partition import partition_of
from runner.store.statement import Connection
from runner.store.tables import address_use

_NOT_OF_A_NUMBER = re.compile(r"[^0-9+]")


def hashed_address(deployment: Deployment, channel: str, address: str) -> str:
    """An address as it is counted: 64 hexadecimal digits, which nobody who lacks the deployment's key can guess.
    ``address`` is in its ``counted_form``."""
    return hashlib.sha256("\x1f".join((deployment.key, channel, address)).encode()).hexdigest()


def counted_form(channel: str, address: str) -> str:
    """What all spellings of an address have in common: no blanks around it, no capital letters, composed characters
    (NFC), and of a mailbox the domain in ASCII (IDNA, RFC 3490), which is what is written to. Of a number nothing but
    its digits and a plus. On a channel that needs no address it is the contact's key, as it is: no two contacts are one
    there."""
    if channel not in ADDRESS_OF:
        return address
    address = address.strip()
    if "@" in address and address.isascii():
        return address.lower()
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    if not at:
        return _NOT_OF_A_NUMBER.sub("", unicodedata.normalize("NFKC", address)) or address.lower()
    return f"{local}@{ascii_domain(domain)}".lower()


def take_place(
    connection: Connection, deployment: Deployment, *, address: str, journey: str, message: str, most: int
) -> bool:
    """Give ``message``, an idempotency key, one of the ``most`` places that ``journey`` has for ``address``, which is
    hashed. False where all are taken; what has a place keeps it. Two that ask at once never get the same. Served by
    pk_address_use and its unique constraint."""
    partition = partition_of(address, deployment.partitions)
    same = and_(
        address_use.c.partition == partition,
        address_use.c.address == address,
        address_use.c.journey == journey,
    )
    has_place = select(exists().where(same, address_use.c.message == message))
    if connection.execute(has_place).scalar():
        return True
    place = {"partition": partition, "address": address, "journey": journey, "message": message}
    for nth in range(1, most + 1):
        new = insert_new(connection, address_use).values(**place, nth=nth).returning(address_use.c.nth)
        if connection.execute(new).first() is not None:
            return True
    return bool(connection.execute(has_place).scalar())


def give_place_back(
    connection: Connection, deployment: Deployment, *, address: str, journey: str, message: str
) -> None:
    """Take from ``message`` the place that it has: it was not handed over, and asks again if it ever is to be."""
    connection.execute(
        delete(address_use).where(
            address_use.c.partition == partition_of(address, deployment.partitions),
            address_use.c.address == address,
            address_use.c.journey == journey,
            address_use.c.message == message,
        )
    )
