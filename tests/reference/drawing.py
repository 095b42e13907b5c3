"""What generated journeys are drawn with: chance, and conditions about what a journey knows so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.reference.vocabulary import (
    ABOUT_ACCOUNTS,
    ABOUT_COLLEAGUES,
    ABOUT_CONSENTS,
    ABOUT_CONTACTS,
    ABOUT_DATES,
    ABOUT_HISTORY,
    ABOUT_ITS_HEARERS,
    ABOUT_JOURNEYS,
    ABOUT_READERS,
    ABOUT_RUN_VALUES,
    ABOUT_THE_BROADCAST,
    ABOUT_THE_DERIVED,
    ABOUT_THE_EVENT,
    ABOUT_THE_TRIGGER,
    ABOUT_TIME,
    BROADCAST,
    DATES,
    WEEKDAYS,
)

Draw = Any
"""Hypothesis's ``draw``: takes a strategy, answers a value."""


@dataclass
class Drawing:
    """What the author of one journey draws with, and what they remember of it."""

    draw: Draw
    name: str
    steps_left: int
    others: Sequence[str] = ()
    """The other journeys of the project."""
    manual: Sequence[str] = ()
    """Those of all journeys that others may enroll into."""
    priorities: Sequence[str] = ()
    """The places of messages that the catalog orders."""
    chatty: bool = False
    """Whether the journey starts easily and sends much, so that policies have something to decide about."""
    asks: bool = True
    """Whether somebody answers: readers open messages and press links, people and systems are asked for something. Only
    then may the journey ask, or hang on whom there has been before, or on how many get a message."""
    alone: bool = False
    """Whether nobody else is there who could take the place of a contact."""
    shares: bool = False
    """Whether contacts share accounts, and look at each other."""
    has_goal: bool = False
    knows_event: bool = True
    """Whether ``trigger.*`` has the properties of an event."""
    top: list[str] = field(default_factory=list)
    count: int = 0
    needs_consent: bool = False
    sends: list[str] = field(default_factory=list)
    run_values: set[str] = field(default_factory=set)
    jumps: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    leaves: list[tuple[dict[str, Any], str, int]] = field(default_factory=list)
    """Waits for a date, by which key they may leave it by a jump, and at which step they stand."""
    templates: set[str] = field(default_factory=set)

    def one_of(self, *choices: Any) -> Any:
        """One of the choices; of those that read the trigger only where it can be read."""
        able = [each for each in choices if self.knows_event or "trigger." not in str(each)]
        return self.draw(st.sampled_from(able))

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def seldom(self) -> bool:
        return not self.draw(st.integers(0, 3))

    def test(self) -> str:
        """What is asked at one instant."""
        return self.turning(ABOUT_JOURNEYS, *[ABOUT_COLLEAGUES] * 3 * self.shares)

    def turning(self, *more: Sequence[str]) -> str:
        """A condition that may read the contact, history, the trigger and what the run has done so far."""
        pools = [ABOUT_CONTACTS, ABOUT_HISTORY, ABOUT_TIME, *more]
        if self.asks:
            pools += [ABOUT_ACCOUNTS, ABOUT_THE_DERIVED, ABOUT_THE_DERIVED, ABOUT_CONSENTS, ABOUT_DATES]
        if self.knows_event:
            pools.append(ABOUT_THE_TRIGGER)
        if self.run_values:
            pools.append(tuple(f"run.{name} is not None" for name in sorted(self.run_values)))
            pools += [ABOUT_RUN_VALUES[name] for name in sorted(self.run_values & ABOUT_RUN_VALUES.keys())]
        if self.sends:
            pools.append(tuple(f'sent("{step}")' for step in self.sends))
            if self.asks:
                pools.append(tuple(about.format(step=step) for about in ABOUT_READERS for step in self.sends))
        first = self.one_of(*self.one_of(*pools))
        if self.seldom():
            second = self.one_of(*self.one_of(*pools))
            return str(self.one_of(f"({first}) and ({second})", f"({first}) or ({second})", f"not ({first})"))
        return str(first)

    def of_trigger(self) -> str:
        colleagues = ABOUT_COLLEAGUES if self.shares else ()
        return str(self.one_of(*ABOUT_THE_EVENT, *ABOUT_CONTACTS, *ABOUT_HISTORY, *colleagues))

    def broadcast(self) -> dict[str, Any]:
        """A broadcast that somebody hears."""
        return {"event": BROADCAST, "where": self.one_of(*ABOUT_THE_BROADCAST, *ABOUT_ITS_HEARERS)}

    def weekdays(self) -> list[str]:
        return sorted(
            self.draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1, max_size=4)), key=WEEKDAYS.index
        )

    def dates(self) -> list[str]:
        """What can be waited for."""
        return [*DATES, *(["run.day"] * 2 if "day" in self.run_values else [])]
