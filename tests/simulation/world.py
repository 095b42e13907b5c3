"""A world: contacts, runners, a provider and a clock, all drawn from one number and played in one process."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from channels.base import Message
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.types import EPOCH, to_microseconds
from tests.simulation.actor import Actor, Fault, Mishap
from tests.simulation.ground import DEPLOYMENT, ground
from tests.simulation.lawful import Deed, Law, Stage, UnlawfulError
from tests.simulation.life import Life
from tests.simulation.process import Process
from tests.simulation.provider import Answer, Askable, Plain
from tests.simulation.snapshot import Message as StoredMessage
from tests.simulation.snapshot import read
from tests.simulation.stand import Stand
from tests.simulation.wire import Moment

WORLDS_A_GROUND = 50
MOST_TICKS = 1_000
"""In so many ticks in a row anything that there is to do in a world is done, also where its journeys start each other
in a circle, until they are stopped."""
MOST_ROUNDS = 120

_ANSWERS = {
    Answer.TAKEN: 24,
    Answer.SLOW: 6,
    Answer.BUSY: 3,
    Answer.BUSY_FOR_AN_HOUR: 1,
    Answer.UNREACHABLE: 2,
    Answer.REFUSED: 1,
    Answer.SILENT: 1,
    Answer.SILENT_AND_LOST: 1,
    Answer.RAISES: 1,
    Answer.RAISES_LATE: 1,
    Answer.DIES: 1,
    Answer.DIES_LATE: 1,
}
_FAULTS = {Fault.CRASH: 3, Fault.ERROR: 3, Fault.LOST: 2}
_STAGES = {Stage.TICK: 5, Stage.DELIVER: 1, Stage.RECOVER: 1}
_STAGES_WITH_MESSAGES = {Stage.TICK: 2, Stage.DELIVER: 7, Stage.RECOVER: 3}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a world came to. ``digest`` is made of every statement in its order: a seed that is played again gives the
    same. ``messages`` are by status."""

    digest: int
    commits: int
    deaths: int
    mishaps: int
    runs: int
    messages: dict[str, int]


class World:
    """Set up from ``seed``; ``script.py`` plays it."""

    def __init__(self, seed: int, stand: Stand) -> None:
        self.chance = Random(f"world {seed}")
        self.ground = ground(seed // WORLDS_A_GROUND)
        self.now = self.ground.begin
        self.faults = True
        self.law = Law(self.ground.compiled, DEPLOYMENT)
        self.provider = self.law.provider
        self.life = Life(self.chance, self.ground.first.catalog, self.ground.begin)
        self.contacts = [f"c{number}" for number in range(self.chance.choice((1, 2, 3, 12, 24)))]
        self.waiting: list[list[Arrival]] = []
        self.stored: list[Arrival] = []
        self.story: list[str] = []
        self._stand = stand
        self._digest = self._commits = self._deaths = self._mishaps = self._processes = 0
        self._broken: UnlawfulError | None = None
        self.asks = self.chance.random() < 0.4
        self._calm = self.chance.random() < 0.1
        self._pace = replace(
            LIVE, contacts=self.chance.choice((1, 2, 20_000)), passes=self.chance.choice((1, 3, 6))
        )
        stand.set(self.ground.image)
        self._version = self._data_version()
        self.law.look(read(stand.reader), Deed(process=0, stage=Stage.APPLY, now=0))
        count = self.chance.choice((1, 2, 2, 3))
        self.skews = [timedelta() for _ in range(count)]
        self._processes_of: dict[int, Process] = {}
        self._channels: dict[int, Plain] = {}
        self.runners = [self._runner(place) for place in range(count)]
        self.office = self._actor(-1, self._present(None))

    # Processes ---------------------------------------------------------------------------------------------

    def _actor(self, place: int, present: Callable[[], datetime]) -> Actor:
        self._processes += 1
        return Actor(
            self._processes,
            self._stand.handles[place],
            present,
            self._heard,
            lambda: self.chance.random() < 0.5,
        )

    def _present(self, place: int | None) -> Callable[[], datetime]:
        return lambda: self.now + (timedelta() if place is None else self.skews[place])

    def _runner(self, place: int) -> Actor:
        actor = self._actor(place, self._present(place))
        channel = (Askable if self.asks else Plain)(self.provider, self._answer, actor.pause)
        self._channels[actor.number] = channel
        self._processes_of[actor.number] = Process(
            self._stand.handles[place].database,
            {"email": channel},
            actor.clock,
            pace=self._pace,
            batch=self.chance.choice((1, 3, 200)),
            compiled=self.ground.compiled,
        )
        return actor

    def _answer(self, message: Message) -> Answer:
        answer = self._draw(_ANSWERS) if self.faults and not self._calm else Answer.TAKEN
        self.story.append(f"    {message.contact}/{message.journey}/{message.step}: {answer.value}")
        return answer

    def _draw(self, weights: dict[Any, int]) -> Any:
        return self.chance.choices(list(weights), weights=list(weights.values()))[0]

    def mishap(self) -> Mishap | None:
        """What is to befall the next step: mostly nothing."""
        chance = self.chance
        if not self.faults or self._calm or chance.random() > 0.25:
            return None
        self._mishaps += 1
        return Mishap(self._draw(_FAULTS), chance.randrange(chance.choice((8, 30, 100))))

    def begin(self, actor: Actor, stage: Stage) -> None:
        """Have a process that is idle begin a step."""
        mishap = self.mishap()
        self.story.append(f"{self.now:%d %H:%M:%S} {actor.number} {stage.value} {mishap or ''}")
        if stage in (Stage.STORE, Stage.APPLY):
            step: Callable[[], Any] = self._store if stage is Stage.STORE else self._apply
        else:
            process = self._processes_of[actor.number]
            step = {
                Stage.TICK: process.tick,
                Stage.DELIVER: process.deliver,
                Stage.RECOVER: process.recover,
            }[stage]
        actor.start(stage, step, mishap)
        self._look_after(actor)

    def resume(self, actor: Actor) -> None:
        self.story.append(f"{self.now:%d %H:%M:%S} {actor.number} goes on")
        actor.resume()
        self._look_after(actor)

    def finish(self, actor: Actor) -> None:
        while actor.busy:
            self.resume(actor)

    def kill(self, actor: Actor) -> None:
        actor.kill()
        self._look_after(actor)

    def _look_after(self, actor: Actor) -> None:
        if self._broken is not None:
            raise self._broken
        if not actor.dead:
            return
        self._deaths += 1
        self.story.append(f"{self.now:%d %H:%M:%S} {actor.number} is dead")
        if actor is self.office:
            self.office = self._actor(-1, self._present(None))
        else:
            place = self.runners.index(actor)
            self.runners[place] = self._runner(place)

    def _heard(self, deed: Deed, moment: Moment, statement: str) -> None:
        self._digest = zlib.crc32(statement.encode(), self._digest)
        if moment is not Moment.COMMITTED:
            return
        found = self._data_version()
        if found == self._version:
            return
        self._version = found
        self._commits += 1
        try:
            self.law.look(read(self._stand.reader), deed)
        except UnlawfulError as error:
            self._broken = error
            raise

    def _data_version(self) -> int:
        (version,) = self._stand.reader.execute("PRAGMA data_version").fetchone()
        return int(version)

    # What happens ------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """One of the runners does something."""
        actor = self.chance.choice(self.runners)
        if not actor.busy:
            waits = any(message.available_at or message.lease_until for message in self._messages)
            self.begin(actor, self._draw(_STAGES_WITH_MESSAGES if waits else _STAGES))
        elif self.faults and not self._calm and self.chance.random() < 0.06:
            self.kill(actor)
        else:
            self.resume(actor)

    def send_in(self, batch: list[Arrival]) -> None:
        """Events on their way to the store; some of them were sent before."""
        if self.stored and self.chance.random() < 0.2:
            batch = [*batch, self.chance.choice(self.stored)]
        self.waiting.append(batch)

    def _store(self) -> None:
        batch = self.waiting[0]
        keys = {(arrival.contact, arrival.dedup_key) for arrival in batch}
        self.law.submitted |= keys
        database = self._stand.handles[-1].database
        with database.begin() as connection:
            store_events(connection, DEPLOYMENT, batch, received_at=self.office.clock(), pending=True)
        self.law.acknowledged |= keys
        self.stored += [arrival for arrival in batch if arrival not in self.stored]
        del self.waiting[0]

    def _apply(self) -> None:
        project = self.chance.choice((self.ground.first, self.ground.second))
        database = self._stand.handles[-1].database
        apply_project(database, project, now=self.office.clock(), author=None, git_commit=None)

    def store_all(self) -> None:
        """Store what is on its way, however often that fails."""
        while self.waiting:
            self.finish(self.office)
            if self.waiting:
                self.begin(self.office, Stage.STORE)
        self.finish(self.office)

    def tick_until_quiet(self) -> None:
        """Tick until nothing is due, whoever does it and whatever befalls them."""
        for attempt in range(MOST_TICKS):
            place = self.chance.randrange(len(self.runners))
            result = self.through(place, Stage.TICK)
            if result is not None and not result.more and not result.outdated:
                return
            if attempt > MOST_TICKS // 2:
                self.faults = False
        left = self.law.settled(self.micros)
        raise UnlawfulError(f"after {MOST_TICKS} ticks there is still something due: {left}")

    def through(self, place: int, stage: Stage) -> Any:
        """Have the runner of that place take a step to its end. Answers its result; None where something befell
        it."""
        self.finish(self.runners[place])
        actor = self.runners[place]
        self.begin(actor, stage)
        self.finish(actor)
        return actor.result

    @property
    def said(self) -> set[str]:
        """The keys of which a runner that is still alive was told that they were taken over."""
        return {key for actor in self.runners for key in self._channels[actor.number].said}

    @property
    def micros(self) -> int:
        return to_microseconds(self.now)

    def next_timer(self) -> datetime | None:
        """The earliest instant at which a run is due, or time causes something."""
        seen = self.law.snapshot
        instants = (seen.next_cause, *(run.next_at for run in seen.runs.values()))
        timers = [instant for instant in instants if instant is not None]
        return EPOCH + timedelta(microseconds=min(timers)) if timers else None

    def come_to_rest(self) -> Told:
        """Without faults, and with time to spare, everything that was begun comes to its end."""
        self.faults = False
        self.skews = [timedelta() for _ in self.skews]
        self.store_all()
        for place in range(len(self.runners)):
            self.through(place, Stage.DELIVER)
        for _ in range(MOST_ROUNDS):
            self.tick_until_quiet()
            place = self.chance.randrange(len(self.runners))
            self.through(place, Stage.RECOVER)
            while self.through(place, Stage.DELIVER).claimed:
                pass
            if not self.law.settled(self.micros):
                return self._told()
            self.now = max(self.now, self._next_message())
        raise UnlawfulError("it never comes to rest:\n  " + "\n  ".join(self.law.settled(self.micros)))

    @property
    def _messages(self) -> Iterable[StoredMessage]:
        return self.law.snapshot.messages.values()

    def _next_message(self) -> datetime:
        """When the next message can be handed over, or is taken back."""
        waits = [
            at
            for message in self._messages
            for at in (message.available_at, message.lease_until)
            if at is not None
        ]
        return EPOCH + timedelta(microseconds=min(waits)) if waits else self.now

    def _told(self) -> Told:
        messages: dict[str, int] = {}
        for message in self._messages:
            messages[message.status] = messages.get(message.status, 0) + 1
        return Told(
            digest=self._digest,
            commits=self._commits,
            deaths=self._deaths,
            mishaps=self._mishaps,
            runs=len(self.law.snapshot.runs),
            messages=messages,
        )
