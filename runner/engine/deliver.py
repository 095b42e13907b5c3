"""Hands messages that were let go over to their channels, each once.

A message is claimed, looked at once more, rendered, and becomes ``sending`` by a commit directly before it is handed
over; its result is written only while the attempt still holds it. So whenever the process dies, at most what was
``sending`` is in doubt: one message a connection, or a handful on channels that can be asked, as ``recover.py`` does.
A commit waits for the disk, which takes longer than all the rest; so it serves all connections that are free.
Nothing here waits or tries again: a retry is a row.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from channels.base import Channel, Message, Preparing, Recoverable, Result, RetryLater, Unknown
from runner.engine.address_limit import beyond_limit, give_back_places
from runner.engine.asked import answered
from runner.engine.lines import Channels, Lines
from runner.engine.outcome import Delivered as Delivered  # which whoever delivers is told
from runner.engine.outcome import Unrecorded as Unrecorded
from runner.engine.outcome import change_of, not_begun
from runner.engine.prepare import Prepared, made_beforehand, prepare
from runner.engine.recording import Recording
from runner.engine.second_look import derived, not_allowed, not_yet_allowed, second_look, without_paused
from runner.engine.suppressed import as_addresses_are, suppressed_alone
from runner.engine.versions import Versions
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.sending.messages import Change, Held
from runner.store.sending.suppressed_addresses import note_suppressions
from runner.store.statement import Connection

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a message is held without a sign of life: of whoever claimed it, and while it is handed over, of the process
that does so, however long the other side takes."""
TOGETHER = 50
"""How many messages become ``sending`` in one commit on a channel that can be asked about each of them."""
AHEAD = 2
"""For how many rounds of its lines a channel does a part of its work beforehand."""
LONGEST_WAIT = 0.02
"""Seconds that a commit waits for company at most, however long commits take."""
PATIENCE = 1.0
"""Seconds that a step which finds nothing to begin waits for what is on its way."""


@dataclass
class _Part:
    """Messages of one channel that become ``sending`` together and go over one line. ``made``: the channel has done
    beforehand what it can."""

    channel: str
    messages: Sequence[Prepared]
    lease_until: datetime
    made: bool


@dataclass
class _Outcome:
    """What came of a ``part``: ``changes`` grow message by message. ``not_taken``: of these nothing was taken over.
    ``trouble``: what ended it before its time."""

    channel: str
    part: Sequence[Prepared]
    changes: list[Change] = field(default_factory=list)
    not_taken: list[Prepared] = field(default_factory=list)
    unreachable: str | None = None
    trouble: BaseException | None = None


def deliver(
    database: Database,
    versions: Versions,
    channels: Mapping[str, Channel],
    now: datetime,
    *,
    exact: bool = False,
    limit: int = 200,
    lease: timedelta = LEASE,
    clock: Callable[[], datetime] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    unrecorded: Unrecorded | None = None,
    recipients: frozenset[str] | None = None,
) -> Delivered:
    """Hand over up to ``limit`` messages that are ready at ``now``, one at a time, and write what became of them.

    ``claimed`` of the answer tells if there were any. ``channels`` are keyed by the names that the catalog gives them;
    the rest is as for ``Delivery``. Without a ``clock`` time stands still.
    """
    delivery = Delivery(
        database,
        [channels],
        exact=exact,
        lease=lease,
        clock=clock or (lambda: now),
        stopping=stopping,
        unrecorded=unrecorded,
        recipients=recipients,
    )
    done = delivery.step(versions, now, limit=limit)
    return done + delivery.finish()


class Delivery:
    """Hands over what is ready, over several connections of one process. Used by one thread, which calls ``step`` again
    and again.

    ``channels``: one mapping for each connection. ``exact`` is virtual time: a message counts as handed over at the
    instant that let it go, so consent and expiry, judged at that instant, are not looked at again. ``clock`` answers
    the present; ``stopping`` is asked between messages, and what was not begun is handed back. ``recipients``: the
    addresses, in lower case, to which alone messages go; None is everybody.
    """

    def __init__(
        self,
        database: Database,
        channels: Sequence[Channels],
        *,
        clock: Callable[[], datetime],
        exact: bool = False,
        lease: timedelta = LEASE,
        stopping: Callable[[], bool] = lambda: False,
        unrecorded: Unrecorded | None = None,
        recipients: frozenset[str] | None = None,
    ) -> None:
        self.lines: Lines[_Outcome] = Lines(channels)
        self._database = database
        self._clock = clock
        self._exact = exact
        self._recipients = recipients
        self._lease = lease
        self._stopping = stopping
        self._recording = Recording(database, unrecorded if unrecorded is not None else Unrecorded())
        self._parts: deque[_Part] = deque()
        self._passed_over: list[Prepared] = []
        self._not_taken: list[Prepared] = []
        self._last_took = 0.0
        self._more_to_note = False

    @property
    def pending(self) -> bool:
        """Whether something is on its way, or its result is not written yet."""
        return bool(self.lines.busy or self._recording.pending)

    def step(self, versions: Versions, now: datetime, *, limit: int) -> Delivered:
        """Claim up to ``limit`` messages that are ready at ``now``, and begin to hand each of them over, as the clock
        says. Answers what is known by then, of earlier ones too. Where there are none, it waits a while for those on
        their way."""
        try:
            if not self.lines.busy:
                self._recording.write()
            self._give_back_places()
            claimed = self._claim(versions, now, limit)
            if self._parts:
                kept = self._database.keep()
                try:
                    while self._parts:
                        self._turn(kept)
                finally:
                    kept.close()
                self._hand_back_passed_over()
            elif self.lines.busy:
                self._collect(PATIENCE)
                self._wait_for_company()
                self._recording.write()
        except BaseException:
            self._parts.clear()
            raise
        return self._recording.told(claimed)

    def finish(self, seconds: float | None = None) -> Delivered:
        """Wait for what is on its way, so long at most, and write what became of it."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self.lines.busy:
            left = PATIENCE if deadline is None else min(PATIENCE, deadline - time.monotonic())
            if left <= 0:
                break
            self._collect(left)
        self._recording.write()
        self._give_back_places()
        return self._recording.told(0)

    def renew(self) -> None:
        """Renew the lease of what is being handed over. Called from another thread, each quarter of a lease: those
        that hand over may be waiting for the other side."""
        self._recording.renew(self._clock() + self._lease)

    # Preparing -------------------------------------------------------------------------------------------------------

    def _claim(self, versions: Versions, now: datetime, limit: int) -> int:
        """Claim, render, and queue what can be handed over."""
        if self._stopping():
            return 0
        present = self._clock()
        lease_until = present + self._lease
        with self._database.begin() as connection:
            taken = messages.take(connection, now=now, lease_until=lease_until, limit=limit)
            held = without_paused(connection, taken)
        to_note = self._prepare(held, lease_until, versions, present) if held else False
        # Very many are noted some at a time, also while nothing is ready.
        if to_note or (self._more_to_note and not taken):
            self._more_to_note = note_suppressions(self._database) > 0
        return len(taken)

    def _prepare(
        self, held: Sequence[Held], lease_until: datetime, versions: Versions, now: datetime
    ) -> bool:
        """Look once more at what was taken, render it, and queue what can be handed over. Answers whether there are
        suppressions to be noted.

        It is read behind the claim: on SQLite nobody else can write as long as that lasts.
        """
        deployment, channels = self._database.deployment, self.lines.channels
        with self._database.read() as connection:
            claimed = messages.details(connection, held)
            going, to_note = as_addresses_are(connection, claimed, deployment, exact=self._exact)
            looked, waiting = dict[Held, str](), list[Change]()
            if self._exact:
                looked |= suppressed_alone(going, versions)
            else:
                looked |= second_look(connection, going, versions, now)
                allowed = [one for one in going if one.held not in looked]
                waiting, expired = not_yet_allowed(connection, allowed, versions, now)
                looked |= expired
            if waiting:
                put_off = {change.held for change in waiting}
                going = [one for one in going if one.held not in put_off]
            computed = derived(connection, going, versions, now)
        self._recording.pass_over(len(held) - len(claimed))
        if waiting:
            self._recording.hand_back(waiting)
        unwanted = {**looked, **not_allowed(going, self._recipients)}
        wanted = [one for one in going if one.held not in unwanted]
        unwanted |= beyond_limit(self._database, wanted, versions)
        prepared, refused = prepare(going, versions, channels, deployment, now, unwanted, computed)
        self._recording.settle(refused)
        for name, group in _by_channel(prepared).items():
            channel = channels[name]
            size = len(group) if self._exact else TOGETHER if isinstance(channel, Recoverable) else 1
            made = not isinstance(channel, Preparing)
            for start in range(0, len(group), size):
                self._parts.append(_Part(name, group[start : start + size], lease_until, made))
        return to_note

    def _make(self) -> None:
        """Have the channel of the next part do a part of its work, for that and some behind it."""
        first = self._parts[0]
        if first.made:
            return
        together = [
            part
            for part in islice(self._parts, AHEAD * self.lines.count)
            if part.channel == first.channel and not part.made
        ]
        channel = self.lines.channels[first.channel]
        assert isinstance(channel, Preparing)
        made = iter(made_beforehand(channel, [one.message for part in together for one in part.messages]))
        for part in together:
            part.messages = [replace(one, message=next(made)) for one in part.messages]
            part.made = True

    # Handing over ----------------------------------------------------------------------------------------------------

    def _turn(self, kept: Connection) -> None:
        """Begin as many parts as lines are free, by one commit, which also writes the results of those before."""
        self._make()
        while not self.lines.free and not self._stopping():
            self._collect(PATIENCE)
        self._wait_for_company()
        if not self._parts:
            return
        present = self._clock()
        # A claim that runs out is somebody else's soon: better hand the rest back in time.
        if self._stopping() or (not self._exact and present > self._parts[0].lease_until - self._lease / 4):
            self._hand_back(self._rest(), present)
            return
        parts: list[_Part] = []
        while self._parts and self._parts[0].made and len(parts) < self.lines.free:
            parts.append(self._parts.popleft())
        if not parts:
            return
        before = time.perf_counter()
        together = [one for part in parts for one in part.messages]
        begun = self._recording.begin(kept, together, present, present + self._lease, self.lines.channels)
        self._last_took = time.perf_counter() - before
        for part in parts:
            ours = [one for one in part.messages if one.held in begun]
            self._passed_over += [one for one in part.messages if one.held not in begun]
            if ours:
                self.lines.hand(partial(self._sent, part.channel, ours, present))
                if self.lines.count == 1:
                    self._collect()

    def _wait_for_company(self) -> None:
        """Wait until all lines are free, but no longer than the last commit took: so nobody loses more by waiting than
        a commit of their own would have cost, and a slow line holds up no other."""
        deadline = time.perf_counter() + min(self._last_took, LONGEST_WAIT)
        while self.lines.busy and self._collect(deadline - time.perf_counter()):
            pass

    def _collect(self, seconds: float = 0.0) -> bool:
        """Take over what a line came to; whether one did within ``seconds``."""
        outcome = self.lines.collect(seconds)
        if outcome is None:
            return False
        self._recording.add(outcome.changes)
        self._not_taken += outcome.not_taken
        if outcome.trouble is not None:
            self._recording.give_up(outcome.part)
            raise outcome.trouble
        if outcome.unreachable is not None:
            extra = {"channel": outcome.channel, "error": outcome.unreachable}
            logger.warning("a channel cannot be reached; its messages wait", extra=extra)
            self._put_off(outcome.channel)
        return True

    def _sent(self, name: str, part: Sequence[Prepared], begun: datetime, channels: Channels) -> _Outcome:
        """Hand a part over, one message after the other: the work of a line."""
        outcome = _Outcome(name, part)
        channel = channels[name]
        try:
            for one in part:
                # Stopped, or held up, past the lease: by now the message may be somebody else's, or in doubt.
                if not self._exact and (now := self._clock()) >= begun + self._lease:
                    extra = {"contact": one.message.contact}
                    logger.warning("a message was not begun within its lease", extra=extra)
                    outcome.changes.append(not_begun(one, now))
                    continue
                result = _answer(channel, one.message)
                outcome.changes.append(self._change(one, result))
                if isinstance(result, RetryLater):
                    outcome.not_taken.append(one)
                    outcome.unreachable = result.reason if result.unreachable else outcome.unreachable
        except BaseException as trouble:
            outcome.trouble = trouble
        return outcome

    def _change(self, one: Prepared, result: Result) -> Change:
        present = self._clock()
        at = one.message.let_go_at if self._exact else present
        change = change_of(one, result, present, at)
        return answered(one.verb, one.held.key, one.message, result, change, at)

    # Handing back ----------------------------------------------------------------------------------------------------

    def _rest(self, channel: str | None = None) -> list[Prepared]:
        """Take what was not begun out of the queue: all, or that of one channel."""
        rest = [part for part in self._parts if channel in (None, part.channel)]
        self._parts = deque(part for part in self._parts if part not in rest)
        return [one for part in rest for one in part.messages]

    def _hand_back_passed_over(self) -> None:
        """What was passed over, since another process looked at its row at that very instant, is ready again at once
        instead of when its lease is over."""
        if self._passed_over:
            passed_over, self._passed_over = self._passed_over, []
            self._hand_back(passed_over, self._clock())

    def _hand_back(self, rest: Sequence[Prepared], present: datetime) -> None:
        """Nothing was handed over: ready again, at once."""
        self._recording.hand_back([not_begun(one, present) for one in rest])
        self._not_taken += rest

    def _put_off(self, channel: str) -> None:
        """The channel cannot be reached: what waits for it is ready again, later."""
        waiting = RetryLater("the channel could not be reached")
        rest = self._rest(channel)
        self._recording.settle([self._change(one, waiting) for one in rest])
        self._not_taken += rest

    def _give_back_places(self) -> None:
        """Once it is written what became of them."""
        if self._not_taken and not self._recording.pending:
            not_taken, self._not_taken = self._not_taken, []
            give_back_places(self._database, not_taken)


def _by_channel(prepared: Sequence[Prepared]) -> dict[str, list[Prepared]]:
    groups: dict[str, list[Prepared]] = {}
    for one in prepared:
        groups.setdefault(one.channel, []).append(one)
    return groups


def _answer(channel: Channel, message: Message) -> Result:
    """The channel's answer; an exception, which no channel should raise, leaves us in the dark."""
    try:
        return channel.send(message)
    except Exception as bug:
        logger.exception("the channel failed on a message", extra={"contact": message.contact})
        return Unknown(f"a bug in the channel: {type(bug).__name__}")
