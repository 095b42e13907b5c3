"""Small projects and small lives at random: valid journeys of the language's core, and events that make trouble.

Instants and lengths lie on a coarse grid, so that timers and events often fall on the same instant, and around changes
of the clock. A journey is drawn as the mapping that its YAML file holds; JSON is YAML, so that is how it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from runner.journey.catalog import (
    ACCOUNT_IDENTIFIED,
    CALL_ANSWERED,
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    IDENTIFIED,
    MESSAGE_BOUNCED,
    MESSAGE_CLICKED,
    MESSAGE_COMPLAINED,
    MESSAGE_OPENED,
    MESSAGE_REPLIED,
    MESSAGE_UNSUBSCRIBED,
    TASK_ACCEPTED,
    TASK_REJECTED,
)
from runner.store.people.arrival import NOBODY
from tests.reference.author import Author
from tests.reference.drawing import Draw
from tests.reference.lives import Press
from tests.reference.vocabulary import ACCOUNTS, BROADCAST, CATALOG, EVENTS, FRAGMENT, QUIET

CHANGES_OF_CLOCKS = {
    "America/New_York": (date(2026, 3, 6), date(2026, 10, 30)),
    "Europe/Berlin": (date(2026, 3, 27), date(2026, 10, 23)),
    "Australia/Lord_Howe": (date(2026, 4, 3), date(2026, 10, 2)),
    "Africa/Cairo": (date(2026, 4, 22), date(2026, 10, 28)),
    "America/Santiago": (date(2026, 4, 3), date(2026, 9, 4)),
    "Asia/Beirut": (date(2026, 3, 27), date(2026, 10, 23)),
    "UTC": (date(2026, 1, 1), date(2026, 12, 30)),
}
"""Zones, each with days just before its clocks change; in some that is at midnight, in one by half an hour."""
_ID = r'"id": "(s\d+)",\s*'
HISTORY = (*EVENTS, IDENTIFIED, CONSENT_WITHDRAWN)
"""What may be known of a contact before the journeys are applied. A consent that is given is so by its introduction."""
ZONES = tuple(CHANGES_OF_CLOCKS)


@dataclass(frozen=True)
class Recorded:
    """One event of one contact before it is stored: properties and traits as an import would carry them."""

    contact: str
    name: str
    at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """To press one of the links of one of the letters that a contact gets, so long ``after`` it has come. ``letter``
    and ``link`` are places, counted round; ``option`` is that of a snooze, ``given`` and ``day`` (from the press on)
    are what the reader gives."""

    contact: str
    letter: int
    link: int
    after: timedelta
    option: int
    given: int
    day: timedelta


@dataclass(frozen=True)
class Case:
    """A project and what arrived, in order of arrival. ``cuts`` are instants at which the engine ticks on the way."""

    files: Mapping[str, str]
    recorded: tuple[Recorded, ...]
    until: datetime
    cuts: tuple[datetime, ...]
    before: tuple[Recorded, ...] = ()
    """What is known before the journeys are applied, of accounts and of contacts."""
    wishes: tuple[Wish, ...] = ()
    presses: tuple[Press, ...] = ()
    """What the wishes come to, once it is known who gets which letters."""
    moves: bool = False
    """Whether contacts change accounts in which they look at each other."""


def project_files(
    draw: Draw, zone: str, *, asks: bool = True, alone: bool = False, shares: bool = False
) -> dict[str, str]:
    """The files of a project of one to three journeys; ``asks``, ``alone`` and ``shares`` are as ``Drawing`` has
    them."""
    chatty = draw(st.booleans())
    policies = draw_policies(draw) if chatty or draw(st.booleans()) else {}
    catalog = {"timezone": zone, **CATALOG} | ({"policies": policies} if policies else {})
    files = {"journeys/catalog.yaml": json.dumps(catalog, indent=1)}
    files["journeys/fragments/hint.yaml"] = json.dumps(FRAGMENT)
    names = [f"j{number + 1}" for number in range(draw(st.sampled_from((1, 1, 2, 2, 3))))]
    manual = draw(st.sampled_from(([], [], names[-1:]))) if len(names) > 1 else []
    for name in names:
        others = [other for other in names if other != name]
        author = Author(
            draw,
            name,
            steps_left=draw(st.integers(4 if chatty else 2, 9)),
            others=others,
            manual=manual,
            priorities=policies.get("priority", ()),
            chatty=chatty,
            asks=asks,
            alone=alone,
            shares=shares,
        )
        journey = author.journey()
        files[f"journeys/{author.name}/journey.yaml"] = json.dumps(journey, indent=1)
        for template in author.templates:
            files[f"journeys/{author.name}/{template}.txt"] = f"---\nsubject: {template}\n---\n{template}\n"
    return files


def draw_policies(draw: Draw) -> dict[str, Any]:
    """Some of what a catalog may say about all messages."""
    policies: dict[str, Any] = {}
    if draw(st.booleans()):
        begins, ends = draw(st.sampled_from(QUIET))
        channels = draw(st.sampled_from(({}, {"channels": ["email"]})))
        policies["quiet_hours"] = {"from": begins, "to": ends, **channels}
    cap = st.fixed_dictionaries(
        {"max": st.sampled_from((1, 1, 2)), "per": st.sampled_from(("6h", "1d", "2d"))},
        optional={
            "channel": st.sampled_from(("email", "sms")),
            "topic": st.sampled_from(("offers", "news")),
            "over": st.sampled_from(("drop", "defer")),
        },
    )
    if draw(st.sampled_from((True, True, True, False))):
        policies["frequency_cap"] = draw(st.lists(cap, min_size=1, max_size=2))
        policies["priority"] = draw(
            st.sampled_from((["news", "offers"], ["transactional"], ["tips", "news"]))
        )
    if draw(st.booleans()):
        when = st.sampled_from(("contact.points >= 2", 'did("C", within="12h")', 'contact.plan == "x"'))
        topics = draw(st.sampled_from(({}, {"topics": ["offers"]}, {"topics": ["receipts", "news"]})))
        policies["hold"] = [{"when": draw(when), **topics}]
    if draw(st.sampled_from((False,) * 7 + (True,))):
        policies["holdout"] = {"percent": 40} | draw(st.sampled_from(({}, {"name": "quiet"})))
    return policies


def asked(files: Mapping[str, str], verb: str) -> list[str]:
    """The steps at which somebody is asked, by the ids that the author wrote."""
    return sorted({match[1] for text in files.values() for match in re.finditer(_ID + f'"{verb}"', text)})


def steps_asked_about(files: Mapping[str, str]) -> list[str]:
    """The steps of which a journey asks what readers have done with their messages."""
    asked_about = r'(?:opened|clicked|replied)\(\\?"(s\d+)'
    return sorted({match[1] for text in files.values() for match in re.finditer(asked_about, text)})


def answer_of(run: Any, steps: list[str], **more: Any) -> Any:
    """Answers to what is asked at one of the steps."""
    return st.fixed_dictionaries({"run": run, "step": st.sampled_from(steps), **more})


@st.composite
def cases(draw: Draw) -> Case:
    zone = draw(st.sampled_from(ZONES))
    first_day = draw(st.sampled_from(CHANGES_OF_CLOCKS[zone]))
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC)
    people = draw(st.integers(1, 3))
    shares = people > 1 and draw(st.booleans())
    files = project_files(draw, zone, alone=people == 1, shares=shares)

    instants = st.builds(
        lambda days, hours, minutes: start + timedelta(days=days, hours=hours, minutes=minutes),
        st.integers(0, 5),
        st.sampled_from((0, 1, 2, 5, 6, 7, 12, 18)),
        st.sampled_from((0, 0, 30)),
    )
    dates = st.integers(-1, 8).map(lambda days: (first_day + timedelta(days=days)).isoformat())
    properties = st.fixed_dictionaries(
        {},
        optional={
            "n": st.sampled_from((0, 1, 2, 2.5, 3)),
            "k": st.sampled_from(("x", "y")),
            "d": dates,
            "t": instants.map(datetime.isoformat),
        },
    )
    broadcast_properties = st.fixed_dictionaries(
        {"n": st.sampled_from((1, 2)), "k": st.sampled_from(("x", "pro", "acme")), "d": dates}
    )
    belongs = {"account": st.sampled_from(("acme", "acme", "beta", None))} if shares else {}
    traits = st.fixed_dictionaries(
        {},
        optional={
            **belongs,
            "plan": st.sampled_from(("pro", "free", "x", None)),
            "points": st.sampled_from((0, 1, 2, 3, None)),
            "vip": st.sampled_from((True, False, None)),
            "due": st.one_of(dates, st.none()),
            "meet": instants.map(datetime.isoformat),
            "timezone": st.sampled_from((*ZONES, None)),
            "email": st.sampled_from(("someone@example.com", "other@example.com", "c0@example.com", None)),
            "phone": st.sampled_from(("+4912", "+49", "+4913", None)),
        },
    )
    consents = st.fixed_dictionaries(
        {"topic": st.sampled_from(("offers", "offers", "news", "receipts"))},
        optional={"channel": st.sampled_from(("email", "sms"))},
    )
    asked_twice = st.sampled_from(("tips", "deals", "club", "clan"))
    twice = st.fixed_dictionaries({"topic": asked_twice}, optional={"confirmed": st.just(True)})
    feedback = st.fixed_dictionaries(
        {},
        optional={
            "run": st.sampled_from((1, 2)),
            "journey": st.sampled_from(("j1", "j2")),
            "step": st.sampled_from(("s1", "s2", "s3")),
            "soft": st.booleans(),
            "channel": st.sampled_from(("email", "sms")),
            "address": st.just("other@example.com"),
        },
    )
    read = st.fixed_dictionaries(
        {},
        optional={
            "bot": st.booleans(),
            "step": st.sampled_from(steps_asked_about(files) or ["s1", "s2"]),
            "run": st.sampled_from((1, 1, 2)),
            "link": st.sampled_from(("yes", "no")),
        },
    )
    readers_matter = '"best"' in str(files) or bool(steps_asked_about(files))
    told = (MESSAGE_REPLIED, MESSAGE_BOUNCED, MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED)
    run = st.sampled_from((1, 1, 2))
    said = st.fixed_dictionaries(
        {}, optional={"n": st.sampled_from((1_000_000, 3_000_000)), "k": st.sampled_from(("x", "y"))}
    )
    tasks, calls = (asked(files, verb) for verb in ("hand_off", "call"))
    answers = [
        *([st.tuples(st.sampled_from((TASK_ACCEPTED, TASK_REJECTED)), answer_of(run, tasks))] * bool(tasks)),
        *(
            [st.tuples(st.just(CALL_ANSWERED), answer_of(run, calls, ok=st.booleans(), json=said))]
            * bool(calls)
        ),
    ]
    event = st.one_of(
        st.tuples(st.sampled_from(EVENTS), properties),
        st.tuples(st.sampled_from(EVENTS), properties),
        st.tuples(st.sampled_from(EVENTS), properties),
        st.tuples(st.just(IDENTIFIED), traits),
        st.tuples(
            st.sampled_from((CONSENT_GRANTED, CONSENT_GRANTED, CONSENT_WITHDRAWN)),
            st.one_of(consents, consents, twice),
        ),
        st.tuples(st.sampled_from(told), feedback),
        *([st.tuples(st.sampled_from((MESSAGE_OPENED, MESSAGE_CLICKED)), read)] * 3 * readers_matter),
    )
    recorded: list[Recorded] = []
    before: list[Recorded] = []
    enters = '"existing": "enter"' in str(files)
    known_before = draw(st.booleans()) or enters or shares
    for account, said in ACCOUNTS.items() if known_before else ():
        before.append(Recorded(account, ACCOUNT_IDENTIFIED, start - timedelta(days=9), said))
    for number in range(people):
        contact = f"c{number}"
        earlier = known_before and draw(st.sampled_from((True, enters, enters, False)))
        if '"best"' in str(files) and draw(st.booleans()):
            opens = st.tuples(st.integers(2, 9), st.sampled_from((1, 2, 6, 6, 12)), st.booleans())
            for days, hour, bot in draw(st.lists(opens, min_size=3, max_size=6)):
                at = start - timedelta(days=days) + timedelta(hours=hour)
                before.append(Recorded(contact, MESSAGE_OPENED, at, {"bot": True} if bot else {}))
        if '"schedule"' in str(files):
            # Schedules mean who is there when they fire; here the events of all are stored beforehand.
            before.append(Recorded(contact, IDENTIFIED, start - timedelta(days=9), {}))
        if draw(st.sampled_from((True,) * 7 + (False,))):
            known = {"email": f"{contact}@example.com", "phone": "+49", "points": 1}
            since, said_then = (start - timedelta(days=8), before) if earlier else (start, recorded)
            said_then.append(Recorded(contact, IDENTIFIED, since, known))
            for topic in ("offers", "news", "tips"):
                said = {"topic": topic, "confirmed": True}
                said_then.append(Recorded(contact, CONSENT_GRANTED, since, said))
        if earlier:
            past = instants.map(lambda at: at - timedelta(days=6))
            of_past = st.tuples(event, past).filter(lambda found: found[0][0] in HISTORY)
            history = draw(st.lists(of_past, max_size=5))
            before += [Recorded(contact, name, at, said) for (name, said), at in history]
        if earlier or shares:
            account = {
                "account": draw(
                    st.sampled_from(("acme", "acme", "beta") if shares else ("acme", "beta", "none"))
                )
            }
            before.append(Recorded(contact, IDENTIFIED, start - timedelta(days=7), account))
        heard = draw(st.lists(st.tuples(event, instants), min_size=3, max_size=12))
        if answers:
            # Most come when nobody has asked, or are about another run.
            heard += draw(st.lists(st.tuples(st.one_of(*answers), instants), min_size=3, max_size=9))
        # Nobody promises which of several colleagues acts first at one instant.
        apart = timedelta(minutes=7 * number * shares)
        recorded += [Recorded(contact, name, at + apart, said) for (name, said), at in heard]
    if f'"{BROADCAST}"' in "".join(text for path, text in files.items() if path.endswith("journey.yaml")):
        told_all = st.tuples(st.one_of(properties, broadcast_properties), instants)
        recorded += [
            Recorded(NOBODY, BROADCAST, at, said)
            for said, at in draw(st.lists(told_all, min_size=2, max_size=6))
        ]
    until = start + timedelta(days=draw(st.integers(4, 16)))
    cuts = tuple(sorted(cut for cut in draw(st.lists(instants, max_size=2)) if cut < until))
    linked = any('"links"' in text for path, text in files.items() if path.endswith("journey.yaml"))
    before.sort(key=lambda recorded: recorded.at)
    return Case(
        files,
        tuple(recorded),
        until,
        cuts,
        tuple(before),
        wishes=draw_presses(draw, people) if linked else (),
        moves=shares and any("account" in each.properties for each in recorded),
    )


def draw_presses(draw: Draw, people: int) -> tuple[Wish, ...]:
    """What readers wish to press."""
    wishes = st.builds(
        Wish,
        contact=st.integers(0, people - 1).map(lambda number: f"c{number}"),
        letter=st.integers(0, 3),
        link=st.integers(0, 3),
        after=st.sampled_from(("0m", "30m", "6h", "7h", "12h", "30h", "50h")).map(hours),
        option=st.integers(0, 1),
        given=st.sampled_from((0, 1, 2, 3)),
        day=st.integers(-1, 6).map(timedelta),
    )
    return tuple(draw(st.lists(wishes, min_size=2, max_size=6)))


def hours(text: str) -> timedelta:
    return timedelta(**{{"m": "minutes", "h": "hours"}[text[-1]]: int(text[:-1])})


def with_presses(case: Case, letters: Mapping[str, Sequence[tuple[datetime, str, str]]]) -> Case:
    """The case with what its readers press. ``letters`` are the messages that each contact gets where nobody presses
    anything: when, of which journey and step."""
    links = {
        journey["journey"]: journey.get("links", {})
        for journey in (
            json.loads(text) for path, text in case.files.items() if path.endswith("journey.yaml")
        )
    }
    presses = []
    for wish in case.wishes:
        got = sorted(letter for letter in letters.get(wish.contact, ()) if links[letter[1]])
        if not got:
            continue
        at, journey, step = got[wish.letter % len(got)]
        name = sorted(links[journey])[wish.link % len(links[journey])]
        options = links[journey][name].get("snooze")
        at += wish.after
        presses.append(
            Press(
                contact=wish.contact,
                journey=journey,
                step=step,
                link=name,
                at=at,
                option=options[wish.option] if isinstance(options, list) else None,
                values={
                    "given": wish.given,
                    "day": (at + wish.day).date().isoformat(),
                    "fine": wish.given > 1,
                    "words": "x" * wish.given,
                    "hour": (at + wish.day).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                },
            )
        )
    in_time = (press for press in presses if press.at <= case.until)
    return replace(case, presses=tuple(sorted(in_time, key=lambda press: press.at)))
