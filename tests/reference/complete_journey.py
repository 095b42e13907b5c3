"""What the three shipped journeys must do with the recorded events, counted with nothing but the standard library.

Written from the text of the journeys and the definition of the language, as somebody with a spreadsheet would: each
journey is a function over one household's orders, mailings and redemptions. No code of the package is used, not even
to read a duration, so that an error there cannot hide here.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

SHOP = ZoneInfo("America/New_York")
MORNING = time(10)
DAY = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Order:
    at: datetime
    revenue: Decimal
    line: int


@dataclass(frozen=True, kw_only=True)
class Mailing:
    at: datetime
    campaign: int
    ends: date
    line: int


@dataclass(frozen=True, kw_only=True)
class Redemption:
    at: datetime
    campaign: int
    line: int


@dataclass(frozen=True, kw_only=True)
class Household:
    """All that was recorded of one household, each list in order of time, then of the lines of the file."""

    key: str
    orders: tuple[Order, ...]
    mailings: tuple[Mailing, ...]
    redemptions: tuple[Redemption, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class Message:
    contact: str
    journey: str
    at: datetime
    step: str


@dataclass(frozen=True, kw_only=True, order=True)
class Conversion:
    contact: str
    journey: str
    at: datetime
    value: Decimal


@dataclass(frozen=True, kw_only=True, order=True)
class Run:
    """``status`` is active, completed or exited; ``step`` is where an active one stands at the end of the recording."""

    contact: str
    journey: str
    per: str
    entered_at: datetime
    status: str
    reason: str = ""
    ended_at: datetime | None = None
    step: str = ""


@dataclass(frozen=True, kw_only=True)
class Counted:
    runs: tuple[Run, ...]
    messages: tuple[Message, ...]
    conversions: tuple[Conversion, ...]


def read_households(folder: Path) -> tuple[tuple[Household, ...], datetime]:
    """The households of the track file of ``folder``, by key, and the instant of the last event."""
    orders: defaultdict[str, list[Order]] = defaultdict(list)
    mailings: defaultdict[str, list[Mailing]] = defaultdict(list)
    redemptions: defaultdict[str, list[Redemption]] = defaultdict(list)
    last = datetime.min.replace(tzinfo=UTC)
    with gzip.open(folder / "track.ndjson.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            raw = json.loads(line, parse_float=Decimal)
            key, said = raw["userId"], raw["properties"]
            at = datetime.fromisoformat(raw["timestamp"])
            last = max(last, at)
            if raw["event"] == "Order Completed":
                orders[key].append(Order(at=at, revenue=Decimal(said["revenue"]), line=number))
            elif raw["event"] == "Campaign Received":
                ends = date.fromisoformat(said["ends"])
                mailings[key].append(Mailing(at=at, campaign=said["campaign_id"], ends=ends, line=number))
            else:
                redemptions[key].append(Redemption(at=at, campaign=said["campaign_id"], line=number))
    everybody = sorted({*orders, *mailings, *redemptions})
    return tuple(
        Household(
            key=key,
            orders=tuple(sorted(orders[key], key=lambda order: (order.at, order.line))),
            mailings=tuple(sorted(mailings[key], key=lambda mailing: (mailing.at, mailing.line))),
            redemptions=tuple(sorted(redemptions[key], key=lambda used: (used.at, used.line))),
        )
        for key in everybody
    ), last


def in_the_morning(day: date) -> datetime:
    """Ten o'clock on ``day`` in the shop's zone, which exists once on every day there."""
    return datetime.combine(day, MORNING, tzinfo=SHOP).astimezone(UTC)


def next_morning(at: datetime, days: int = 0) -> datetime:
    """The first ten o'clock at or after the same time on the wall clock ``days`` days later."""
    wall = at.astimezone(SHOP).replace(tzinfo=None) + timedelta(days=days)
    return in_the_morning(wall.date() if wall.time() <= MORNING else wall.date() + timedelta(days=1))


def arm_of_wording(contact: str) -> str:
    """The half that a household falls into by the hash that the language defines."""
    number = int.from_bytes(sha256(f"first-order/wording/{contact}".encode()).digest()[:8], "big") % 10_000
    return "nudge-list" if number < 5_000 else "nudge-recipe"


def attributed(
    run: Run, messages: Iterable[Message], goals: Iterable[tuple[datetime, Decimal]], within: timedelta
) -> Iterator[Conversion]:
    """Of ``goals`` those that lie within ``within`` after the last message of the run before them. A message that goes
    out at the very instant of an event goes first."""
    sent = sorted(message.at for message in messages)
    for at, value in goals:
        before = [instant for instant in sent if instant <= at]
        if before and at <= before[-1] + within:
            yield Conversion(contact=run.contact, journey=run.journey, at=at, value=value)


@dataclass(frozen=True)
class Outcome:
    run: Run
    messages: tuple[Message, ...]
    conversions: tuple[Conversion, ...]


def first_order(household: Household, until: datetime) -> Iterator[Outcome]:
    if not household.orders:
        return
    contact, journey = household.key, "first-order"
    first, *later = household.orders
    second = later[0] if later else None
    two_weeks = first.at + 14 * DAY
    morning = next_morning(two_weeks)

    def message(step: str, at: datetime) -> Message:
        return Message(contact=contact, journey=journey, step=step, at=at)

    def run(status: str, reason: str = "", ended_at: datetime | None = None, step: str = "") -> Run:
        return Run(
            contact=contact, journey=journey, per="", entered_at=first.at, status=status,
            reason=reason, ended_at=ended_at, step=step,
        )  # fmt: skip

    messages = [message("welcome", first.at)]
    # An order at the very instant of a timer comes after it: hence < and not <= below.
    if second and second.at < two_weeks:
        walked = run("exited", "second-order", second.at)
    elif until < two_weeks:
        walked = run("active", step="second-order")
    elif until < morning:
        walked = run("active", step="morning")
    elif second and second.at < morning:
        walked = run("exited", "second-order", morning)
    else:
        messages.append(message(arm_of_wording(contact), morning))
        walked = run("completed", ended_at=morning)
    goals = [(second.at, second.revenue)] if second else []
    yield Outcome(walked, tuple(messages), tuple(attributed(walked, messages, goals, 14 * DAY)))


def win_back(household: Household, until: datetime) -> Iterator[Outcome]:
    contact, journey = household.key, "win-back"
    for place, order in enumerate(household.orders):
        following = household.orders[place + 1] if place + 1 < len(household.orders) else None
        fourth_week = next_morning(order.at, days=28)
        last_call = next_morning(fourth_week, days=14)
        year = [o.revenue for o in household.orders[: place + 1] if fourth_week - 365 * DAY < o.at]
        first_step = "missed" if sum(year) >= 1000 else "offer"

        steps = [
            (step, at)
            for step, at in ((first_step, fourth_week), ("last-call", last_call))
            if at <= until and not (following and following.at < at)
        ]
        messages = [Message(contact=contact, journey=journey, step=step, at=at) for step, at in steps]
        if len(messages) == 2:
            status, reason, ended_at, step = "completed", "", last_call, ""
        elif following:
            status, reason, ended_at, step = "exited", "ordered", following.at, ""
        else:
            status, reason, ended_at, step = "active", "", None, "patience" if messages else "quiet"
        run = Run(
            contact=contact, journey=journey, per="", entered_at=order.at, status=status,
            reason=reason, ended_at=ended_at, step=step,
        )  # fmt: skip
        goals = [(o.at, o.revenue) for o in household.orders[place + 1 :]]
        yield Outcome(run, tuple(messages), tuple(attributed(run, messages, goals, 14 * DAY)))


def coupon_reminder(household: Household, until: datetime) -> Iterator[Outcome]:
    contact, journey = household.key, "coupon-reminder"
    seen: set[int] = set()
    for mailing in household.mailings:
        if mailing.campaign in seen:
            continue
        seen.add(mailing.campaign)
        due = in_the_morning(mailing.ends - timedelta(days=5))
        redeemed = [
            used
            for used in household.redemptions
            if used.campaign == mailing.campaign and (used.at, used.line) > (mailing.at, mailing.line)
        ]
        status, reason, ended_at, step = "active", "", None, "nearly-over"
        messages: list[Message] = []
        if due < mailing.at:
            status, reason, ended_at, step = "exited", "past", mailing.at, ""
        elif redeemed and redeemed[0].at < due:
            status, reason, ended_at, step = "exited", "redeemed", redeemed[0].at, ""
        elif due <= until:
            messages.append(Message(contact=contact, journey=journey, step="remind", at=due))
            status, reason, ended_at, step = "completed", "", due, ""
        run = Run(
            contact=contact, journey=journey, per=str(mailing.campaign), entered_at=mailing.at, status=status,
            reason=reason, ended_at=ended_at, step=step,
        )  # fmt: skip
        goals = [(used.at, Decimal("2.50")) for used in redeemed]
        yield Outcome(run, tuple(messages), tuple(attributed(run, messages, goals, 5 * DAY)))


def count(folder: Path, *, everybody_may_be_written_to: bool = True) -> Counted:
    """What the three journeys must have done by the instant of the last event of ``folder``.

    Without consent the messages stand at the same instants, blocked; nobody converts, for nothing has left.
    """
    households, until = read_households(folder)
    outcomes = [
        outcome
        for household in households
        for journey in (first_order, win_back, coupon_reminder)
        for outcome in journey(household, until)
    ]
    return Counted(
        runs=tuple(sorted(outcome.run for outcome in outcomes)),
        messages=tuple(sorted(message for outcome in outcomes for message in outcome.messages)),
        conversions=tuple(
            sorted(conversion for outcome in outcomes for conversion in outcome.conversions)
            if everybody_may_be_written_to
            else ()
        ),
    )
