"""How a world is played. Half of them keep exact time and are held against the naive model; the others have clocks
that jump, late events and new versions, and only laws to keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tests.reference.engine_lives import read_lives
from tests.reference.lives import Happening, Lived
from tests.reference.model import Contact
from tests.simulation.ground import BEFORE, written_texts
from tests.simulation.lawful import Stage, UnlawfulError
from tests.simulation.stand import Stand
from tests.simulation.world import Told, World

MOST_INSTANTS = 50


def play(seed: int, stand: Stand) -> Told:
    """Play the world of ``seed`` to its end. Raises UnlawfulError where a law is broken, with the story so far."""
    world = World(seed, stand)
    try:
        if world.chance.random() < 0.5:
            _keep_time(world)
            _compare(world, stand)
        else:
            _jump_about(world)
        told = world.come_to_rest()
        _look_at_the_end(world)
    except UnlawfulError as error:
        story = "\n".join(world.story[-40:])
        raise UnlawfulError(f"seed {seed}: {error}\n{story}") from error
    return told


def _keep_time(world: World) -> None:
    """Events arrive when they happen, and time goes from one instant to the next only when nothing is left to do."""
    world.law.in_order = True
    coming = [arrival for contact in world.contacts for arrival in world.life.introduce(contact)]
    for contact in world.contacts:
        coming += [world.life.event(contact, world.life.instant()) for _ in range(world.chance.randint(2, 8))]
    until = world.now + timedelta(days=world.chance.randint(3, 9))
    for left in reversed(range(MOST_INSTANTS)):
        for contact in world.contacts:
            batch = [one for one in coming if one.contact == contact and one.at == world.now]
            if batch:
                world.send_in(batch)
        coming = [one for one in coming if one.at != world.now]
        world.store_all()
        for _ in range(world.chance.randrange(6)):
            world.turn()
        world.tick_until_quiet()
        instants = [one.at for one in coming]
        timer = world.next_timer()
        if timer is not None:
            instants.append(timer)
        following = min(instants, default=until)
        if following >= until or not left:
            return  # at an instant at which nothing is left to do
        for _ in range(world.chance.randrange(6)):
            world.now = min(following, world.now + timedelta(seconds=world.chance.choice((0, 30, 100, 1000))))
            if world.now < following:
                world.turn()
        world.now = following


def _compare(world: World, stand: Stand) -> None:
    """Hold what was lived against what the naive model tells."""
    lived = read_lives(stand.observed)
    # What the model does not know: a message may be blocked at its hand-over, or be cancelled before it, and a cap has
    # room again then.
    snapshot = world.law.snapshot
    beyond = {
        snapshot.contacts[key[:2]].key
        for key, message in snapshot.messages.items()
        if message.status == "cancelled" or (message.status == "blocked" and message.attempts)
    }
    project = world.ground.first
    for key in world.contacts:
        if key in beyond:
            continue
        happenings = [
            Happening(at=arrival.at, order=order, name=arrival.name, properties=arrival.properties)
            for order, arrival in enumerate(world.stored)
            if arrival.contact == key
        ]
        applied = world.ground.begin - BEFORE
        contact = Contact(
            key, happenings, project.journeys, project.catalog, applied, templates=written_texts(project)
        )
        told = contact.live_until(world.now)
        found = lived.get(key)
        if found is None or _as_decided(found) != told:
            raise UnlawfulError(f"{key} lived otherwise than the model tells:\n{found}\n{told}")


NOT_LET_GO = ("blocked", "withheld")
"""What policy may decide of a message instead of letting it go."""


def _as_decided(lived: Lived) -> Lived:
    """With each message as policy decided, whatever became of it since."""
    messages = [
        message if message.status in NOT_LET_GO else replace(message, status="ready", reason="")
        for message in lived.messages
    ]
    return replace(lived, messages=tuple(sorted(messages, key=str)))


def _jump_about(world: World) -> None:
    chance = world.chance
    world.skews = [timedelta(minutes=chance.choice((0, 0, 0, -60, -7, 7, 60))) for _ in world.skews]
    for contact in world.contacts:
        world.send_in(world.life.introduce(contact))
    world.store_all()
    for _ in range(chance.randint(30, 70)):
        match chance.choices(("turn", "events", "time", "apply", "storm"), weights=(60, 14, 14, 2, 1))[0]:
            case "turn":
                world.turn()
            case "events":
                contact = chance.choice(world.contacts)
                world.send_in(
                    [world.life.event(contact, _instant(world)) for _ in range(chance.randint(1, 3))]
                )
                _at_the_office(world, Stage.STORE)
            case "storm":
                contact, at = chance.choice(world.contacts), _instant(world)
                world.send_in([world.life.event(contact, at) for _ in range(15)])
                _at_the_office(world, Stage.STORE)
            case "apply":
                _at_the_office(world, Stage.APPLY)
            case "time":
                world.now += _stretch(world)


def _at_the_office(world: World, stage: Stage) -> None:
    if world.office.busy:
        world.resume(world.office)
    elif stage is Stage.APPLY or world.waiting:
        world.begin(world.office, stage)


def _instant(world: World) -> datetime:
    """When an event says that it happened: now, long ago, or in the future."""
    chance = world.chance
    minutes = chance.choice((0, 0, 0, -1, -30, -120, -1500, -3000, 30, 1500))
    return world.now + timedelta(minutes=minutes)


def _stretch(world: World) -> timedelta:
    chance = world.chance
    kind = chance.choices(("seconds", "minutes", "hours", "days", "back"), weights=(4, 4, 3, 1, 1))[0]
    match kind:
        case "seconds":
            return timedelta(seconds=chance.randint(1, 120))
        case "minutes":
            return timedelta(minutes=chance.randint(1, 30))
        case "hours":
            return timedelta(hours=chance.randint(1, 8))
        case "days":
            return timedelta(days=chance.randint(1, 2))
    return -timedelta(minutes=chance.randint(1, 60))


def _look_at_the_end(world: World) -> None:
    """What must be true when all has come to rest."""
    law, said, wrong = world.law, world.said, []
    for key, message in law.snapshot.messages.items():
        identity = law.key(key)
        if message.status == "unknown" and world.asks and identity not in world.provider.in_doubt:
            wrong.append(f"message {key} is unknown, and its channel could have been asked")
        if message.status == "unknown" and identity in said:
            wrong.append(f"message {key} is unknown, and somebody who lives knows that it was taken over")
    if wrong:
        raise UnlawfulError("in the end:\n  " + "\n  ".join(wrong))
