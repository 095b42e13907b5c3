"""Makes claimed messages ready: renders each."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from channels.base import Channel, Message, Preparing
from runner.engine.asked import asked_message
from runner.engine.render import Content, Recipient, RenderError, render
from runner.engine.versions import Version, Versions
from runner.journey.model import Delivery, Journey, Send, Verb
from runner.store.database import Deployment
from runner.store.sending.messages import Change, Claimed, Held, MessageKey
from runner.store.steps.sends import ADDRESS_OF
from runner.store.tables import MessageStatus

logger = logging.getLogger(__name__)

MISCONFIGURED = timedelta(minutes=1)
"""When to look again at a message whose channel or version this process does not have (yet)."""


@dataclass(frozen=True)
class Prepared:
    """A message as the caller holds it, rendered for the channel of that name."""

    held: Held
    channel: str
    message: Message
    verb: Verb | None = None


def prepare(
    claimed: Sequence[Claimed],
    versions: Versions,
    channels: Mapping[str, Channel],
    deployment: Deployment,
    now: datetime,
    unwanted: Mapping[Held, str],
    derived: Mapping[Held, Mapping[str, Any]] | None = None,
) -> tuple[list[Prepared], list[Change]]:
    """The messages that can be handed over, rendered, and what becomes of the others. ``unwanted`` are those that may
    not leave after all, each with the reason; ``derived`` is what is computed of their readers."""
    prepared: list[Prepared] = []
    refused: list[Change] = []
    for one in claimed:
        version = versions.by_id.get(one.version)
        if version is None or one.channel not in channels:
            logger.warning(
                "a message waits: this process does not know its %s",
                "channel" if version else "version",
                extra={"channel": one.channel, "journey": one.journey, "version": one.version},
            )
            later = now + MISCONFIGURED
            refused.append(Change(held=one.held, to=MessageStatus.READY, available_at=later))
        elif reason := unwanted.get(one.held):
            refused.append(Change(held=one.held, to=MessageStatus.BLOCKED, reason=reason))
        else:
            try:
                key = idempotency_key(deployment.as_of(one.let_go_at), one.held.key, one.made_in)
                message = _message(one, version, key, (derived or {}).get(one.held, {}))
            except RenderError as error:
                logger.error(
                    "a message cannot be rendered", extra={"contact": one.contact_key, "error": str(error)}
                )
                refused.append(Change(held=one.held, to=MessageStatus.FAILED, reason=str(error)))
            except Exception as bug:
                # A bug of ours must not stop the neighbours; the message keeps the name, the log the traceback.
                logger.exception("a message cannot be rendered", extra={"contact": one.contact_key})
                reason = f"a bug in journeys: {type(bug).__name__}"
                refused.append(Change(held=one.held, to=MessageStatus.FAILED, reason=reason))
            else:
                verb = version.program.node(one.held.key.step).verb
                prepared.append(Prepared(one.held, one.channel, message, verb))
    return prepared, refused


def _links(version: Version, key: str) -> Mapping[str, str]:
    """The addresses of the journey's links: nobody can make one up, since nobody can make up the message's key."""
    domain = version.catalog.links.domain or "links.invalid"
    return {link.name: f"https://{domain}/press/{key}/{link.name}" for link in version.journey.links}


def _marked(subject: str, journey: Journey) -> str:
    """The subject, which tells of a journey that is sent to its seeds alone."""
    return f"[seed] {subject}" if journey.delivery is Delivery.SEED else subject


def recipient_of(one: Claimed) -> str:
    """The address that the channel needs; the contact's key for channels that need none."""
    address = {"email": one.email, "phone": one.phone}
    needed = ADDRESS_OF.get(one.channel)
    return (address[needed] or "") if needed else one.contact_key


def _message(one: Claimed, version: Version, key: str, derived: Mapping[str, Any]) -> Message:
    verb = version.program.node(one.held.key.step).verb
    if not isinstance(verb, Send):
        return asked_message(one, version, verb, key)
    content: Content = render(
        version.journey,
        version.catalog,
        version.templates,
        one.template or verb.template,
        recipient=Recipient(
            key=one.contact_key,
            email=one.email,
            phone=one.phone,
            timezone=one.timezone,
            locale=one.locale,
            account=one.account,
            account_attributes=one.account_attributes,
            attributes=one.attributes,
            tags=one.tags,
            derived=derived,
        ),
        trigger=one.trigger,
        data=one.data if one.payload is None else one.payload,
        entered_at=one.entered_at,
        links=_links(version, key),
    )
    sender = version.catalog.channels.get(one.channel)
    return Message(
        idempotency_key=key,
        recipient=recipient_of(one),
        let_go_at=one.let_go_at,
        journey=one.journey,
        step=one.held.key.step,
        contact=one.contact_key,
        locale=content.locale,
        subject=_marked(content.subject, version.journey),
        text=content.text,
        html=content.html,
        title=content.title,
        attachments=content.attachments,
        sender_name=content.sender_name or (sender.sender_name if sender else None),
        sender_address=content.sender_address or (sender.sender_address if sender else None),
        reply_to=content.reply_to,
    )


def made_beforehand(channel: Preparing, ahead: Sequence[Message]) -> Sequence[Message]:
    """These, as the channel has prepared them; an exception, which none should raise, leaves each to ``send``."""
    try:
        return channel.prepare(ahead)
    except Exception:
        logger.exception("the channel failed to prepare messages", extra={"messages": len(ahead)})
        return ahead


def idempotency_key(deployment: Deployment, key: MessageKey, made_in: int | None = None) -> str:
    """The same for every attempt at one message, and for no other message of any deployment: 64 hexadecimal digits.
    ``made_in``: the partition in which the contact was made, wherever it lies by now."""
    partition = key.partition if made_in is None else made_in
    parts = (deployment.key, partition, key.contact, key.run, key.step, key.visit)
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
