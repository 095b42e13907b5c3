"""Writes down what becomes of messages that are handed over, each by a guarded transition, and counts them.

A result that cannot be written, because the database is away, stays where it is until it can.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from channels.base import Channel, Recoverable
from runner.engine.outcome import Delivered, Unrecorded, not_begun
from runner.engine.prepare import Prepared
from runner.store.database import Database
from runner.store.people.events import store_events
from runner.store.sending import messages
from runner.store.sending.messages import Change, Held, MessageKey, written
from runner.store.statement import Connection
from runner.store.tables import MessageStatus

logger = logging.getLogger(__name__)


class Recording:
    """The results of one who delivers. ``unrecorded``: those of before, which are written first. Used by one thread."""

    def __init__(self, database: Database, unrecorded: Unrecorded) -> None:
        self._database = database
        self._unrecorded = unrecorded
        self._counts: dict[str, int] = {}
        self._under_way: set[Held] = set()

    @property
    def pending(self) -> bool:
        """Whether something is known that is not written yet."""
        return bool(self._unrecorded.changes or self._unrecorded.in_vain)

    def add(self, results: Sequence[Change]) -> None:
        """Results that are to be written."""
        self._unrecorded.changes += results

    def write(self) -> None:
        """Write the results that are known."""
        if self._unrecorded.in_vain:
            in_vain = written(MessageStatus.SENDING, self._unrecorded.in_vain)
            with self._database.begin() as connection:
                messages.record(connection, in_vain)
            self._unrecorded.in_vain = []
        if self._unrecorded.changes:
            results = written(MessageStatus.SENDING, self._unrecorded.changes)
            with self._database.begin() as connection:
                recorded = messages.record(connection, results)
                self._tell(connection, recorded)
            self._written(recorded)

    def begin(
        self,
        kept: Connection,
        prepared: Sequence[Prepared],
        present: datetime,
        until: datetime,
        channels: Mapping[str, Channel],
    ) -> frozenset[Held]:
        """Commit that these are being handed over by ``channels``, until then at most, and the results that are known.
        Answers which are still ours."""
        # Whoever recovers may have another channel by that name, which knows nothing of what this one was given.
        askable = {name for name, channel in channels.items() if isinstance(channel, Recoverable)}
        results = written(MessageStatus.SENDING, self._unrecorded.changes)
        begins = written(
            MessageStatus.CLAIMED,
            (
                Change(
                    held=one.held,
                    to=MessageStatus.SENDING,
                    lease_until=until,
                    provider_id=None if one.channel in askable else messages.NOBODY_TO_ASK,
                )
                for one in prepared
            ),
        )
        try:
            with self._database.begin(kept) as connection:
                recorded, begun = messages.record_and_begin(connection, results, begins)
                self._tell(connection, recorded)
        except Exception:
            self._unrecorded.in_vain.extend(not_begun(one, present) for one in prepared)
            raise
        self._written(recorded)
        # A claim that lapsed and the one that followed it may meet in one commit: only the later holds the message.
        holders = {held.key: held for held in sorted(one.held for one in prepared)}
        ours = frozenset(held for key, held in holders.items() if key in begun)
        self._under_way |= ours
        return ours

    def renew(self, until: datetime) -> None:
        """Hold what is being handed over until then: what was begun, and whose result is not written. May be called
        from any thread."""
        under_way = tuple(self._under_way)
        if under_way:
            with self._database.begin() as connection:
                messages.renew(connection, under_way, until=until)

    def give_up(self, prepared: Sequence[Prepared]) -> None:
        """Renew the lease of these no more: whoever handed them over failed, and their result may never be known."""
        self._under_way.difference_update(one.held for one in prepared)

    def settle(self, changes: Sequence[Change]) -> None:
        """Write what becomes of claimed messages that are not handed over now."""
        if changes:
            with self._database.begin() as connection:
                messages.change(connection, MessageStatus.CLAIMED, changes)
        self._count(change.to for change in changes)

    def hand_back(self, changes: Sequence[Change]) -> None:
        """The same of those that are ready again as if nobody had claimed them."""
        with self._database.begin() as connection:
            messages.change(connection, MessageStatus.CLAIMED, changes)
        self.pass_over(len(changes))

    def pass_over(self, count: int) -> None:
        """Count messages that were claimed and are left to others."""
        self._counts["skipped"] = self._counts.get("skipped", 0) + count

    def told(self, claimed: int) -> Delivered:
        """What became of messages since this was asked the last time; ``claimed`` were claimed meanwhile."""
        counts, self._counts = self._counts, {}
        return Delivered(claimed=claimed, **counts)

    def _tell(self, connection: Connection, recorded: frozenset[MessageKey]) -> None:
        """Tell the runs that wait for one of the results."""
        told = [
            change.told
            for change in self._unrecorded.changes
            if change.told is not None and change.held.key in recorded
        ]
        if told:
            store_events(connection, self._database.deployment, told, pending=True)

    def _written(self, done: frozenset[MessageKey]) -> None:
        changes, self._unrecorded.changes = self._unrecorded.changes, []
        self._count(change.to for change in changes)
        self._under_way.difference_update(change.held for change in changes)
        for change in changes:
            if change.held.key not in done:
                name = "/".join(map(str, change.held.key))
                logger.warning(
                    "a result came too late: the message is no longer ours",
                    extra={"key": name, "result": change.to.value},
                )

    def _count(self, statuses: Iterable[MessageStatus]) -> None:
        for status in statuses:
            name = "retried" if status is MessageStatus.READY else status.value
            self._counts[name] = self._counts.get(name, 0) + 1
