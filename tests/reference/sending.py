"""What becomes of messages, one at a time: which leave, which wait, which never will."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from runner.journey.catalog import ADDRESS_OF, Catalog, OptIn
from runner.journey.model import BestHour, Delivery, Rate, Send, Step, Window
from runner.journey.policies import TRANSACTIONAL, Cap, Hold, Over, QuietHours
from tests.reference.lives import Asked, Carried, Message, Run, To, Walk
from tests.reference.person import Person
from tests.reference.wall_clock import MICROSECOND, elapsed, next_allowed, wall_of

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Why the message never leaves, or until when it waits, but for places that others compete for; to whom it is
    withheld, and in which words it is."""

    reason: str
    until: datetime | None
    withheld: str
    template: str


class Sending:
    """How runs of one contact stand at sends and leave them."""

    key: str
    catalog: Catalog
    person: Person
    walks: dict[str, Walk]
    now: datetime
    messages: list[Message]
    candidates: dict[Run, Look]
    """The runs that wait for a decision, each with what its message hangs on by itself."""
    counted: list[tuple[datetime, str, str]]
    """Messages that use up places of caps: when they were let go, their channel and topic. Where each leaves at the
    instant at which it is let go, none is cancelled; one that is uses up no place."""
    places: dict[tuple[str, str], list[datetime]]
    """What was given of those of which only so many leave in a time, by journey and step."""
    templates: Mapping[str, frozenset[str]]
    """Those that are written, by journey."""
    _holds: Callable[..., bool]

    def _send(self, run: Run, step: Step, send: Send) -> To | None:
        """The run comes to a send, or has stood there and asks again."""
        if run.step is not step:
            run.step, run.arrived_at, run.place = step, self.now, None
        run.due, run.on_hold = None, False
        look = self._look(run, send)
        if self._is_decided_together(run, send):
            self.candidates[run] = look
            return None
        return self._settle(run, look, look.reason)

    def _look(self, run: Run, send: Send) -> Look:
        """What the message hangs on by itself, as its run comes to the send or asks again."""
        reason, until = self._refused(run, send), None
        if not reason and not self._has_a_place_to_come(run, send):
            until = self._waits_until(run, send)
        return Look(reason=reason, until=until, withheld=self._withheld(run), template=self._cell(run, send))

    def _decide(self) -> Mapping[Run, To]:
        """Who of those who have come to sends goes on: each asks for a place after the one before it has its answer."""
        looks = {run: look for run, look in self.candidates.items() if run.active}
        self.candidates = {}
        goes_on = {}
        for run in sorted(looks, key=self._turn):
            look, send = looks[run], _send_of(run)
            reason, until = look.reason, look.until
            assert run.arrived_at is not None
            expires = run.arrived_at + elapsed(send.valid_for)
            if not reason and self._has_a_place_to_come(run, send):
                until = run.place
            elif not reason:
                reason, until = self._may_not_leave_now(run, send, look)
            if until is not None and self.now >= expires:
                reason, until = "expired", None
            if until is None:
                goes_on[run] = self._settle(run, look, reason)
            else:
                run.due = min(until, expires)
        return goes_on

    def _has_a_place_to_come(self, run: Run, send: Send) -> bool:
        assert run.arrived_at is not None
        return run.place is not None and min(run.place, run.arrived_at + elapsed(send.valid_for)) > self.now

    def _may_not_leave_now(self, run: Run, send: Send, look: Look) -> tuple[str, datetime | None]:
        """Why the message of a run that waits for no place is blocked, or until when it waits."""
        reason, until = "", look.until
        if until is None:
            reason, until = self._asks_for_a_place(send)
        if until is not None:
            self._give_back_place(run, send)
        elif not reason and send.rate and not look.withheld:
            until = self._place(run, send, send.rate)
        return reason, until

    def _turn(self, run: Run) -> tuple[int, str, int, int]:
        walk, send = self.walks[run.journey.name], _send_of(run)
        assert run.step is not None
        return (self._priority(send), run.journey.name, walk.steps.index(run.step), run.number)

    def _priority(self, send: Send) -> int:
        order = self.catalog.policies.priority
        own = [send.priority, send.topic, *([TRANSACTIONAL] if self._transactional(send) else [])]
        return next((order.index(name) for name in own if name in order), len(order))

    def _settle(self, run: Run, look: Look, reason: str) -> To:
        """The message leaves, or with a ``reason`` it never will; the run goes on."""
        step, send = run.step, _send_of(run)
        assert step is not None
        withheld = look.withheld
        run.step = run.due = None
        run.asked[step.id] = Asked(channel=send.channel, topic=send.topic, at=self.now)
        status = "blocked" if reason else "withheld" if withheld else "ready"
        run.place = None
        self.messages.append(
            Message(
                contact=self.key, journey=run.journey.name, step=step.id, channel=send.channel,
                at=self.now, status=status, reason=reason or withheld, template=look.template if send.cells else "",
            )
        )  # fmt: skip
        walk = self.walks[run.journey.name]
        if reason:
            run.data["blocked"] = reason
            return To(walk.into(send.if_blocked, step))
        run.let_go.append((step.id, self.now))
        run.carried.append(Carried(step=step.id, at=self.now))
        if not withheld and not self._transactional(send):
            self.counted.append((self.now, send.channel, send.topic))
        return To(walk.after[step.id])

    def _withheld(self, run: Run) -> str:
        if run.held_out:
            return "held_out"
        if run.journey.delivery is Delivery.SEED:
            address = self._address(_send_of(run)) or ""
            seeds = [seed.lower() for seed in run.journey.seeds]
            return "" if address.lower() in seeds else "seed"
        return "shadow" if run.journey.delivery is Delivery.SHADOW else ""

    def _address(self, send: Send) -> str | None:
        field = ADDRESS_OF.get(send.channel)
        return self.person.fields[field] if field else self.key

    def _cell(self, run: Run, send: Send) -> str:
        """The template that the contact gets; empty where none is written for them."""
        if send.cells is None:
            return send.template
        values = [self.person.text(expression, self.now, run) for expression in send.cells.by]
        name = "/".join((send.cells.folder, *values))
        return name if name in self.templates[run.journey.name] else send.cells.empty or ""

    def _transactional(self, send: Send) -> bool:
        return self.catalog.topics[send.topic].opt_in is OptIn.NONE

    # What concerns a send ------------------------------------------------------------------------------------

    def _is_decided_together(self, run: Run, send: Send) -> bool:
        """Whether the message hangs on more than its contact: then all of an instant are looked at together."""
        return bool(
            "run.blocked" in str(run.journey.steps)
            or run.journey.holdout is not None
            or self.catalog.policies.holdout
            or run.journey.delivery is not Delivery.LIVE
            or send.window
            or send.only_if
            or send.rate
            or send.cells
            or send.if_blocked
            or self._quiet_hours(send)
            or self._caps(send)
            or self._may_be_held(send)
        )

    def _quiet_hours(self, send: Send) -> QuietHours | None:
        quiet = self.catalog.policies.quiet_hours
        if (
            quiet is None
            or send.ignore_quiet_hours
            or (quiet.channels and send.channel not in quiet.channels)
        ):
            return None
        return quiet

    def _caps(self, send: Send) -> list[Cap]:
        return [
            cap
            for cap in self.catalog.policies.caps
            if not self._transactional(send)
            and cap.channel in (None, send.channel)
            and cap.topic in (None, send.topic)
        ]

    def _may_be_held(self, send: Send) -> list[Hold]:
        return [
            hold
            for hold in self.catalog.policies.holds
            if (send.topic in hold.topics if hold.topics else not self._transactional(send))
        ]

    # Why it may not leave, or not now ------------------------------------------------------------------------

    def _refused(self, run: Run, send: Send) -> str:
        """Why no waiting helps the message; empty where it may leave some time."""
        topic, transactional = self.catalog.topics[send.topic], self._transactional(send)
        address = self._address(send)
        if not address:
            return "no_address"
        receipts_too = self.person.suppressed.get((send.channel, address))
        if receipts_too or (receipts_too is False and not transactional):
            return "suppressed"
        if not transactional:
            word = self.person.word(send.topic, send.channel)
            soft = self.person.opt_in(topic, self.now) is OptIn.SOFT
            if (word is None and not soft) or (word is not None and word.state != "given"):
                return "no_consent"
            if topic.stale_after and word and self.now >= word.since + elapsed(topic.stale_after):
                return "consent_stale"
        if not self._holds(send.only_if, run):
            return "only_if"
        return "" if self._cell(run, send) else "empty_cell"

    def _waits_until(self, run: Run, send: Send) -> datetime | None:
        """When to ask again, for a message that may not leave now."""
        run.on_hold = any(self._holds(hold.when, None) for hold in self._may_be_held(send))
        if run.on_hold:
            return self.now + HOUR
        quiet = self._quiet_hours(send)
        if quiet and self._wall_clock_is_within(self.now, quiet.begins, quiet.ends):
            return self._end_of(quiet)
        if isinstance(send.window, Window) and not self._is_open(send.window):
            return next_allowed(
                self.now + MICROSECOND, self.person.zone(), send.window.begins, send.window.days
            )
        if isinstance(send.window, BestHour):
            return self._best_hour(run, send.window)
        return None

    def _best_hour(self, run: Run, window: BestHour) -> datetime | None:
        """When the wall clock shows their hour, minute after minute, and at the latest when the time for it is over."""
        assert run.arrived_at is not None
        latest = run.arrived_at + elapsed(window.within)
        wanted = self.person.best_hour(self.now)
        instant = self.now
        while instant < latest:
            shown = wall_of(instant, self.person.zone()).time()
            if shown.hour == wanted or (wanted is None and shown == window.fallback):
                break
            instant = instant.replace(second=0, microsecond=0) + MINUTE
        return None if instant <= self.now else min(instant, latest)

    def _wall_clock_is_within(self, instant: datetime, begins: time, ends: time) -> bool:
        shown = wall_of(instant, self.person.zone()).time()
        return begins <= shown < ends if begins < ends else shown >= begins or shown < ends

    def _end_of(self, quiet: QuietHours) -> datetime:
        """Minute after minute, until the wall clock shows something else."""
        instant = self.now.replace(second=0, microsecond=0)
        while self._wall_clock_is_within(instant, quiet.begins, quiet.ends) or instant < self.now:
            instant += MINUTE
        return instant

    def _is_open(self, window: Window) -> bool:
        """Hours over midnight belong to the day on which they begin."""
        shown = wall_of(self.now, self.person.zone())
        if window.begins >= window.ends and shown.time() < window.ends:
            shown -= timedelta(days=1)
            return shown.weekday() in window.days
        within = self._wall_clock_is_within(self.now, window.begins, window.ends)
        return within and shown.weekday() in window.days

    def _asks_for_a_place(self, send: Send) -> tuple[str, datetime | None]:
        """Why there is no place for the message, or until when it waits for one."""
        full = [(cap, free) for cap in self._caps(send) if (free := self._next_place(cap)) is not None]
        if any(cap.over is Over.DROP for cap, _ in full):
            return "frequency_cap", None
        return "", max((free for _, free in full), default=None)

    def _place(self, run: Run, send: Send, rate: Rate) -> datetime | None:
        """When it is the run's turn, of those of which so many leave in a time; None for now. A place stays taken
        though its run leaves, or is blocked."""
        assert run.arrived_at is not None
        taken = self._places_of(run)
        if run.place is None:
            per = elapsed(rate.per)
            instants = sorted({self.now, *(at + per for at in taken if at + per > self.now)})
            run.place = next(at for at in instants if _has_room(rate.most, per, taken, at))
            if run.place < run.arrived_at + elapsed(send.valid_for):
                taken.append(run.place)
        return run.place if run.place > self.now else None

    def _give_back_place(self, run: Run, send: Send) -> None:
        """What was the run's turn has come, and its message has to wait: there will be another one."""
        assert run.arrived_at is not None
        if run.place is not None and run.place < run.arrived_at + elapsed(send.valid_for):
            self._places_of(run).remove(run.place)
        run.place = None

    def _places_of(self, run: Run) -> list[datetime]:
        assert run.step is not None
        return self.places.setdefault((run.journey.name, run.step.id), [])

    def _next_place(self, cap: Cap) -> datetime | None:
        """When the cap has room again; None where it has room now."""
        per = elapsed(cap.per)
        taken = sorted(
            at
            for at, channel, topic in self.counted
            if at > self.now - per and cap.channel in (None, channel) and cap.topic in (None, topic)
        )
        return None if len(taken) < cap.most else taken[len(taken) - cap.most] + per


def _has_room(most: int, per: timedelta, taken: Sequence[datetime], at: datetime) -> bool:
    """Whether with one more at that instant there are still no more than ``most`` in any (x - per, x]."""
    places = [*taken, at]
    return all(sum(end - per < place <= end for place in places) <= most for end in places)


def _send_of(run: Run) -> Send:
    assert run.step is not None
    assert isinstance(run.step.verb, Send)
    return run.step.verb


def stands_at_send(run: Run) -> bool:
    return run.step is not None and isinstance(run.step.verb, Send)
