"""What was true when policy let a message go may have changed since: each is looked at once more as it leaves, and what
it says of its reader is computed then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from runner.engine.lateness import LATE_AFTER
from runner.engine.prepare import recipient_of
from runner.engine.suppressed import is_kept_from
from runner.engine.versions import Version, Versions
from runner.journey.catalog import OptIn, Topic
from runner.journey.model import Send
from runner.journey.send_rules import CONSENT_STALE, EXPIRED, NO_ADDRESS, NO_CONSENT, ONLY_IF, SUPPRESSED
from runner.store.journeys.states import NEVER, paused_journeys
from runner.store.sending.asked_again import Asked, asked_again
from runner.store.sending.derived import derived_values
from runner.store.sending.messages import Change, Claimed, Held, Taken, change
from runner.store.sending.not_yet import not_yet
from runner.store.statement import Connection
from runner.store.tables import ConsentState, MessageKind, MessageStatus

NOT_A_RECIPIENT = "not_a_recipient"
"""Why a message is blocked where the deployment is no production and its reader not among those who are named."""


def without_paused(connection: Connection, taken: Sequence[Taken]) -> list[Held]:
    """The messages of journeys that are not paused. The others are put off until their journey is resumed."""
    paused = paused_journeys(connection) if taken else frozenset[str]()
    held = [one.held for one in taken if one.journey in paused]
    back = [Change(held=one, to=MessageStatus.READY, available_at=NEVER) for one in held]
    change(connection, MessageStatus.CLAIMED, back)
    return [one.held for one in taken if one.journey not in paused]


def second_look(
    connection: Connection, claimed: Sequence[Claimed], versions: Versions, now: datetime
) -> Mapping[Held, str]:
    """The messages that may not leave after all, each with the reason: the first in the order of ``BLOCK_REASONS``."""
    asked: dict[Held, Asked] = {}
    by_send: dict[tuple[int, str], list[Held]] = {}
    for one in claimed:
        if one.version in versions.by_id and one.kind == MessageKind.MESSAGE:
            by_send.setdefault((one.version, one.held.key.step), []).append(one.held)
    for (number, step), held in by_send.items():
        version = versions.by_id[number]
        asked |= asked_again(connection, version.sql, version.program.node(step), held, now)
    found = {}
    for one in claimed:
        known = versions.by_id.get(one.version)
        if known and (reason := _reason(one, known, asked.get(one.held, Asked()), now)):
            found[one.held] = reason
    return found


def not_yet_allowed(
    connection: Connection, claimed: Sequence[Claimed], versions: Versions, now: datetime
) -> tuple[list[Change], Mapping[Held, str]]:
    """The messages that were let go longer than ``LATE_AFTER`` ago and may not leave at ``now``, by quiet hours, window
    or hold: those that wait, each until it is to be asked again, and those that are ``expired`` by now."""
    by_send: dict[tuple[int, str], dict[Held, datetime]] = {}
    late_before = now - LATE_AFTER
    for one in claimed:
        late = one.let_go_at < late_before
        if late and one.version in versions.by_id and one.kind == MessageKind.MESSAGE:
            by_send.setdefault((one.version, one.held.key.step), {})[one.held] = one.expires_at
    waiting, expired = [], {}
    for (number, step), expires in by_send.items():
        version = versions.by_id[number]
        found = not_yet(connection, version.sql, version.program.node(step), list(expires), now)
        for held, (reason, until) in found.items():
            if expires[held] <= now:
                expired[held] = EXPIRED
                continue
            at = min(until, expires[held])
            waiting.append(Change(held=held, to=MessageStatus.READY, available_at=at, reason=reason))
    return waiting, expired


def derived(
    connection: Connection, claimed: Sequence[Claimed], versions: Versions, now: datetime
) -> Mapping[Held, Mapping[str, Any]]:
    """What is computed of the contacts, for the messages that read it: stage, persona, scores, in stored form."""
    by_version: dict[int, list[Held]] = {}
    for one in claimed:
        known = versions.by_id.get(one.version)
        if known and known.derived and one.kind == MessageKind.MESSAGE:
            by_version.setdefault(one.version, []).append(one.held)
    found: dict[Held, Mapping[str, Any]] = {}
    for number, held in by_version.items():
        version = versions.by_id[number]
        found |= derived_values(connection, version.sql, version.derived, held, now)
    return found


def not_allowed(claimed: Sequence[Claimed], recipients: frozenset[str] | None) -> Mapping[Held, str]:
    """The messages to others than ``recipients``, addresses in lower case; none where there is no such list."""
    if recipients is None:
        return {}
    return {one.held: NOT_A_RECIPIENT for one in claimed if recipient_of(one).lower() not in recipients}


def _reason(one: Claimed, version: Version, asked: Asked, now: datetime) -> str | None:
    if one.kind != MessageKind.MESSAGE:  # nothing is said to the contact
        return EXPIRED if one.expires_at < now else None
    send = version.program.node(one.held.key.step).verb
    assert isinstance(send, Send)
    if not recipient_of(one):
        return NO_ADDRESS
    transactional = version.sql.rules.transactional(send)
    if is_kept_from(one, version):
        return SUPPRESSED
    topic = version.sql.rules.topics.get(one.topic)
    if not transactional and (reason := _consent(one, topic, asked, now)):
        return reason
    if not asked.only_if:
        return ONLY_IF
    return EXPIRED if one.expires_at < now else None


def _consent(one: Claimed, topic: Topic | None, asked: Asked, now: datetime) -> str | None:
    opt_in = OptIn.EXPLICIT
    if topic is not None:
        opt_in = topic.opt_in if asked.opt_in is None else topic.cases[asked.opt_in].opt_in
    if one.consent is not ConsentState.GIVEN:
        return None if opt_in is OptIn.SOFT and one.consent is None else NO_CONSENT
    if topic is None or topic.stale_after is None or one.consent_since is None:
        return None
    age = timedelta(microseconds=topic.stale_after.elapsed)
    return CONSENT_STALE if one.consent_since + age <= now else None
