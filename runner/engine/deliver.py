"""Hands messages that were let go over to their channels, each once.

A message is claimed, looked at once more, rendered, and becomes ``sending`` by a commit directly before it is handed
over; its result is written only while the attempt still holds it. So whenever the process dies, at most what was
``sending`` is in doubt, and ``recover.py`` asks the channel about it. Nothing here waits or tries again: a retry is a
row.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from channels.base import (
    Channel,
    Message,
    Preparing,
    Recoverable,
    Rejected,
    Result,
    RetryLater,
    Sent,
    Unknown,
)
from runner.engine.commits import Commits
from runner.engine.render import Content, Recipient, RenderError, render
from runner.engine.versions import Version, Versions
from runner.journey.model import Send
from runner.store.database import Database, Deployment
from runner.store.steps.sends import ADDRESS_OF
from runner.store.sending import messages
from runner.store.sending.messages import Change, Claimed, Held, MessageKey
from runner.store.tables import ConsentState, MessageStatus

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a claim holds without a sign of life; longer than any channel's time-out."""
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(minutes=15)
MISCONFIGURED = timedelta(minutes=1)
"""When to look again at a message whose channel or version this process does not have (yet)."""
TOGETHER = 50
"""How many messages become ``sending`` in one commit on a channel that can be asked about each of them."""


AHEAD = 50
"""For how many messages a channel may do a part of its work beforehand."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What became of the claimed messages. ``skipped`` were handed back untouched, or were no longer ours."""

    claimed: int = 0
    sent: int = 0
    retried: int = 0
    failed: int = 0
    blocked: int = 0
    unknown: int = 0
    skipped: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(kw_only=True)
class Unrecorded:
    """Results that are known but not written yet, because the database went away: whoever calls ``deliver`` again
    hands in the same one, and they are written first."""

    changes: list[Change] = field(default_factory=list)
    in_vain: list[Change] = field(default_factory=list)
    """Of messages that may have become ``sending``, by a commit whose answer was lost, and were not handed over."""


@dataclass(frozen=True)
class _Prepared:
    held: Held
    channel: str
    message: Message


def deliver(
    database: Database,
    versions: Versions,
    channels: Mapping[str, Channel],
    now: datetime,
    *,
    exact: bool = False,
    worker: str = "",
    limit: int = 200,
    lease: timedelta = LEASE,
    clock: Callable[[], datetime] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    unrecorded: Unrecorded | None = None,
    commits: Commits | None = None,
) -> Delivered:
    """Hand over up to ``limit`` messages that are ready at ``now``. ``claimed`` of the answer tells if there were any.

    ``channels`` are keyed by the names that the catalog gives them. ``exact`` is virtual time: a message counts as
    handed over at the instant that let it go, so consent and expiry, judged at that instant, are not looked at again.
    ``clock`` answers the present while a batch is on its way (without it time stands still); ``stopping`` is asked
    between messages, and what was not begun is handed back. ``worker`` names this process in the log. Threads that
    deliver at a time share ``commits``.
    """
    delivery = _Delivery(
        database=database,
        commits=commits or Commits(database),
        channels=channels,
        exact=exact,
        lease=lease,
        clock=clock or (lambda: now),
        stopping=stopping,
        unrecorded=unrecorded if unrecorded is not None else Unrecorded(),
    )
    delivery.write_results()
    lease_until = now + lease
    with database.begin() as connection:
        claimed = messages.claim(connection, now=now, lease_until=lease_until, limit=limit)
    prepared, refused = _prepare(claimed, versions, channels, database.deployment, now, exact=exact)
    if refused:
        with database.begin() as connection:
            messages.change(connection, MessageStatus.CLAIMED, refused)
    for change in refused:
        delivery.count(change.to)
    for name, group in _by_channel(prepared).items():
        with delivery.commits.taking_part():
            delivery.hand_over(channels[name], group, lease_until)
    delivery.write_results()
    total = Delivered(claimed=len(claimed), **delivery.counts)
    if claimed:
        logger.debug("%s delivered: %s", worker, total)
    return total


def idempotency_key(deployment: Deployment, key: MessageKey) -> str:
    """The same for every attempt at one message, and for no other message of any deployment: 64 hexadecimal digits."""
    parts = (deployment.key, key.partition, key.contact, key.run, key.step, key.visit)
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def retry_delay(key: str, attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th attempt: doubling from FIRST_RETRY to LONGEST_RETRY, up to a quarter
    more or less. The jitter comes from a hash, so it differs between messages and is the same when computed again."""
    delay: timedelta = min(FIRST_RETRY * 2 ** min(attempts - 1, 20), LONGEST_RETRY)
    fraction = int.from_bytes(hashlib.sha256(f"{key}/{attempts}".encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=delay.total_seconds() * (0.75 + fraction / 2))


# Preparing ---------------------------------------------------------------------------------------------------------


def _prepare(
    claimed: Sequence[Claimed],
    versions: Versions,
    channels: Mapping[str, Channel],
    deployment: Deployment,
    now: datetime,
    *,
    exact: bool,
) -> tuple[list[_Prepared], list[Change]]:
    """The messages that can be handed over, rendered, and what becomes of the others."""
    prepared: list[_Prepared] = []
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
        elif not exact and (reason := _second_look(one, version, now)):
            refused.append(Change(held=one.held, to=MessageStatus.BLOCKED, reason=reason))
        else:
            try:
                key = idempotency_key(deployment.as_of(one.let_go_at), one.held.key)
                message = _message(one, version, key)
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
                prepared.append(_Prepared(one.held, one.channel, message))
    return prepared, refused


def _second_look(one: Claimed, version: Version, now: datetime) -> str | None:
    """Why the message may not leave after all: what was true when policy let it go may have changed since."""
    if one.expires_at < now:
        return "expired"
    if not _recipient(one):
        return "no_address"
    topic = version.catalog.topics.get(one.topic)
    if (topic is None or not topic.transactional) and one.consent is not ConsentState.GIVEN:
        return "no_consent"
    return None


def _recipient(one: Claimed) -> str:
    """The address that the channel needs; the contact's key for channels that need none."""
    address = {"email": one.email, "phone": one.phone}
    needed = ADDRESS_OF.get(one.channel)
    return (address[needed] or "") if needed else one.contact_key


def _message(one: Claimed, version: Version, key: str) -> Message:
    verb = version.program.node(one.held.key.step).verb
    assert isinstance(verb, Send)
    content: Content = render(
        version.journey,
        version.catalog,
        version.templates,
        verb.template,
        recipient=Recipient(
            key=one.contact_key,
            email=one.email,
            phone=one.phone,
            timezone=one.timezone,
            locale=one.locale,
            attributes=one.attributes,
            tags=one.tags,
        ),
        trigger=one.trigger,
        data=one.data,
        entered_at=one.entered_at,
    )
    sender = version.catalog.channels.get(one.channel)
    return Message(
        idempotency_key=key,
        recipient=_recipient(one),
        let_go_at=one.let_go_at,
        journey=one.journey,
        step=one.held.key.step,
        contact=one.contact_key,
        locale=content.locale,
        subject=content.subject,
        text=content.text,
        html=content.html,
        sender_name=content.sender_name or (sender.sender_name if sender else None),
        sender_address=content.sender_address or (sender.sender_address if sender else None),
        reply_to=content.reply_to,
    )


def _by_channel(prepared: Sequence[_Prepared]) -> dict[str, list[_Prepared]]:
    groups: dict[str, list[_Prepared]] = {}
    for one in prepared:
        groups.setdefault(one.channel, []).append(one)
    return groups


# Handing over ------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Delivery:
    """One call of ``deliver``: what it was given, and what it counted."""

    database: Database
    commits: Commits
    channels: Mapping[str, Channel]
    exact: bool
    lease: timedelta
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]
    unrecorded: Unrecorded
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, status: MessageStatus) -> None:
        names = {MessageStatus.READY: "retried"}
        name = names.get(status, status.value)
        self.counts[name] = self.counts.get(name, 0) + 1

    def hand_over(self, channel: Channel, group: Sequence[_Prepared], lease_until: datetime) -> None:
        """Hand the group over. What was passed over, since another process looked at its row at that very instant, is
        ready again at once instead of when its lease is over."""
        passed_over: list[_Prepared] = []
        self._hand_over_parts(channel, group, lease_until, passed_over)
        if passed_over:
            self._hand_back(passed_over, self.clock())

    def _hand_over_parts(
        self,
        channel: Channel,
        group: Sequence[_Prepared],
        lease_until: datetime,
        passed_over: list[_Prepared],
    ) -> None:
        """Part by part; each part is ``sending`` from its own commit on, which also writes the results of the part
        before."""
        size = len(group) if self.exact else TOGETHER if isinstance(channel, Recoverable) else 1
        parts = list(_parts(group, size))
        ahead = max(1, AHEAD // size)
        for place, part in enumerate(parts):
            if isinstance(channel, Preparing) and place % ahead == 0:
                _prepare_ahead(
                    channel, [one.message for each in parts[place : place + ahead] for one in each]
                )
            present = self.clock()
            # A claim that runs out is somebody else's soon: better hand the rest back in time.
            if self.stopping() or (not self.exact and present > lease_until - self.lease / 4):
                self._hand_back([one for rest in parts[place:] for one in rest], present)
                return
            begun = self._begin(part, present)
            unreachable: str | None = None
            for one in part:
                if one.held not in begun:
                    passed_over.append(one)
                    continue
                # Stopped, or held up, past the lease: by now the message may be somebody else's, or in doubt.
                if not self.exact and (now := self.clock()) >= present + self.lease:
                    contact = one.message.contact
                    logger.warning("a message was not begun within its lease", extra={"contact": contact})
                    self.unrecorded.changes.append(_not_begun(one, now))
                    continue
                result = _sent(channel, one.message)
                self.unrecorded.changes.append(self._change(one, result))
                if isinstance(result, RetryLater) and result.unreachable:
                    unreachable = result.reason
            if unreachable is not None:
                logger.warning(
                    "a channel cannot be reached; its messages wait",
                    extra={"channel": part[0].channel, "error": unreachable},
                )
                self._put_off([one for rest in parts[place + 1 :] for one in rest])
                return

    def write_results(self) -> None:
        """Write the results that are known; they stay where they are if the database is away."""
        if self.unrecorded.in_vain:
            with self.database.begin() as connection:
                messages.record(connection, self.unrecorded.in_vain)
            self.unrecorded.in_vain = []
        if self.unrecorded.changes:
            self._written(self.commits.commit(self.unrecorded.changes, []).recorded)

    def _written(self, done: frozenset[MessageKey]) -> None:
        for change in self.unrecorded.changes:
            self.count(change.to)
            if change.held.key not in done:
                name = "/".join(map(str, change.held.key))
                logger.warning(
                    "a result came too late: the message is no longer ours",
                    extra={"key": name, "result": change.to.value},
                )
        self.unrecorded.changes = []

    def _begin(self, part: Sequence[_Prepared], present: datetime) -> frozenset[Held]:
        """Commit that the part is being handed over. Answers which of it are still ours."""
        until = present + self.lease
        begins = [Change(held=one.held, to=MessageStatus.SENDING, lease_until=until) for one in part]
        try:
            done = self.commits.commit(self.unrecorded.changes, begins)
        except Exception:
            self.unrecorded.in_vain.extend(_not_begun(one, present) for one in part)
            raise
        self._written(done.recorded)
        return done.begun

    def _change(self, one: _Prepared, result: Result) -> Change:
        """The transition that a channel's answer means."""
        match result:
            case Sent(provider_id=provider_id):
                at = one.message.let_go_at if self.exact else self.clock()
                return Change(held=one.held, to=MessageStatus.SENT, sent_at=at, provider_id=provider_id)
            case RetryLater(reason=reason, after=after):
                delay = retry_delay(one.message.idempotency_key, one.held.attempts)
                at = self.clock() + max(delay, after or timedelta())
                return Change(held=one.held, to=MessageStatus.READY, available_at=at, reason=reason)
            case Rejected(reason=reason):
                return Change(held=one.held, to=MessageStatus.FAILED, reason=reason)
        return Change(held=one.held, to=MessageStatus.UNKNOWN, reason=result.reason)

    def _hand_back(self, rest: Sequence[_Prepared], present: datetime) -> None:
        """Nothing was handed over: ready again, at once."""
        with self.database.begin() as connection:
            messages.change(
                connection,
                MessageStatus.CLAIMED,
                [Change(held=one.held, to=MessageStatus.READY, available_at=present) for one in rest],
            )
        self.counts["skipped"] = self.counts.get("skipped", 0) + len(rest)

    def _put_off(self, rest: Sequence[_Prepared]) -> None:
        """The channel cannot be reached: ready again, later."""
        waiting = RetryLater("the channel could not be reached")
        changes = [self._change(one, waiting) for one in rest]
        with self.database.begin() as connection:
            messages.change(connection, MessageStatus.CLAIMED, changes)
        for change in changes:
            self.count(change.to)


def _not_begun(one: _Prepared, now: datetime) -> Change:
    """It became ``sending``, and was not handed over."""
    return Change(held=one.held, to=MessageStatus.READY, available_at=now)


def _prepare_ahead(channel: Preparing, ahead: Sequence[Message]) -> None:
    """Have the channel prepare these; an exception, which none should raise, leaves each to ``send``."""
    try:
        channel.prepare(ahead)
    except Exception:
        logger.exception("the channel failed to prepare messages", extra={"messages": len(ahead)})


def _sent(channel: Channel, message: Message) -> Result:
    """The channel's answer; an exception, which no channel should raise, leaves us in the dark."""
    try:
        return channel.send(message)
    except Exception as bug:
        logger.exception("the channel failed on a message", extra={"contact": message.contact})
        return Unknown(f"a bug in the channel: {type(bug).__name__}")


def _parts(group: Sequence[_Prepared], size: int) -> Iterator[Sequence[_Prepared]]:
    for start in range(0, len(group), max(1, size)):
        yield group[start : start + size]
