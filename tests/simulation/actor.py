"""A process in a world: it takes one step at a time, stops where others may have their turn, and may die anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from greenlet import getcurrent, greenlet

from runner.problem import JourneysError
from runner.store.types import to_microseconds
from tests.simulation.lawful import Deed, Stage, UnlawfulError
from tests.simulation.stand import Handle
from tests.simulation.wire import Crash, IOFailed, Moment


class Fault(Enum):
    CRASH = "the process dies"
    ERROR = "a statement fails, or a commit before it took effect"
    LOST = "a commit succeeds, and the client sees an error"


@dataclass(frozen=True)
class Mishap:
    """A fault that befalls a step at its moment number ``place`` or, where it does not fit there, later."""

    fault: Fault
    place: int

    def befalls(self, moment: Moment, place: int) -> bool:
        if place < self.place:
            return False
        return {
            Fault.CRASH: True,
            Fault.ERROR: moment is not Moment.COMMITTED,
            Fault.LOST: moment is Moment.COMMITTED,
        }[self.fault]


class Actor:
    """``present`` answers this process's present; ``committed`` is told of each commit; ``stops`` says whether to let
    others have their turn now."""

    def __init__(
        self,
        number: int,
        handle: Handle,
        present: Callable[[], datetime],
        committed: Callable[[Deed, Moment, str], None],
        stops: Callable[[], bool],
    ) -> None:
        self.number = number
        self.dead = False
        self.result: Any = None
        self._handle = handle
        self._present = present
        self._committed = committed
        self._stops = stops
        self._stage = Stage.TICK
        self._latest = 0
        self._place = 0
        self._mishap: Mishap | None = None
        self._befallen = False
        self._fiber: greenlet | None = None
        handle.listener = self._hear

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of a step."""
        return self._fiber is not None

    def clock(self) -> datetime:
        now = self._present()
        self._latest = max(self._latest, to_microseconds(now))
        return now

    def start(self, stage: Stage, step: Callable[[], Any], mishap: Mishap | None) -> None:
        """Begin a step, and go on with it until it stops."""
        self._stage, self._place, self._mishap, self._befallen = stage, 0, mishap, False
        self._latest = -(2**62)
        self.result = None
        self._fiber = greenlet(lambda: self._live(step))
        self.resume()

    def resume(self) -> None:
        """Go on with the step until it stops again, or is through."""
        assert self._fiber is not None
        self._fiber.switch()
        self._look_after()

    def finish(self) -> None:
        """Go on with the step to its end."""
        while self.busy:
            self.resume()

    def kill(self) -> None:
        """Die, in the middle of a step or between two."""
        if self._fiber is not None:
            self._fiber.throw(Crash("killed"))
        self.dead = True
        self._look_after()

    def pause(self) -> None:
        """Let others have their turn, perhaps; called from within a step."""
        if self._stops():
            getcurrent().parent.switch()

    def _look_after(self) -> None:
        if self._fiber is not None and self._fiber.dead:
            self._fiber = None
        if self.dead:
            self._handle.cut()

    def _live(self, step: Callable[[], Any]) -> None:
        try:
            self.result = step()
        except Crash:
            self.dead = True
        except JourneysError:
            if not self._befallen:
                raise
        except UnlawfulError:
            raise
        except Exception as error:
            if self.dead:
                return
            raise UnlawfulError(f"{self._stage.value} failed with {type(error).__name__}: {error}") from error

    def _hear(self, moment: Moment, statement: str) -> None:
        if self.dead:
            raise Crash("it is dead already")
        place, self._place = self._place, self._place + 1
        deed = Deed(process=self.number, stage=self._stage, now=self._latest)
        self._committed(deed, moment, statement)
        if self._mishap is not None and self._mishap.befalls(moment, place):
            fault, self._mishap = self._mishap.fault, None
            self._befallen = True
            if fault is Fault.CRASH:
                self.dead = True
                raise Crash(f"at {moment.value}: {statement[:60]}")
            raise IOFailed("disk I/O error")
        if moment is Moment.COMMITTED:
            self.pause()
