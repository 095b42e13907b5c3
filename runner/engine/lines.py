"""The connections of one process, over which messages are handed over at the same time.

Each has channels of its own, and there are as many threads, which do nothing but wait for the other side. Whichever is
awake takes what is to be done next: where the other side answers at once one of them does it all, since to wake the
others would cost more than the work. All the rest, from the claim to the record, is the work of one thread, which alone
uses what is here: several that did it would fight for the interpreter, and commit for one message at a time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from channels.base import Channel

T = TypeVar("T")
Channels = Mapping[str, Channel]
Work = Callable[[Channels], T]


@dataclass(eq=False)
class _Line(Generic[T]):
    """One connection to each channel."""

    channels: Channels
    following: Channels | None = None
    """The channels that it is to have once it is free."""
    since: float = field(default=0.0)


class Lines(Generic[T]):
    """So many lines as ``channels`` has items. Work on a line answers what it comes to and never raises.

    A single line has no thread: ``hand`` returns when the work is done.
    """

    def __init__(self, channels: Sequence[Channels]) -> None:
        self._done: queue.SimpleQueue[tuple[_Line[T], T] | None] = queue.SimpleQueue()
        self._free = [_Line[T](each) for each in channels]
        self._busy: list[_Line[T]] = []
        self._given: queue.SimpleQueue[tuple[_Line[T], Work[T]] | None] | None = None
        if len(channels) > 1:
            self._given = queue.SimpleQueue()
            for _ in channels:
                threading.Thread(target=self._work, args=(self._given,), name="line", daemon=True).start()

    @property
    def count(self) -> int:
        return len(self._free) + len(self._busy)

    @property
    def free(self) -> int:
        """How many have nothing to do."""
        return len(self._free)

    @property
    def busy(self) -> int:
        """How many are at work, or have answers that nobody has collected."""
        return len(self._busy)

    @property
    def channels(self) -> Channels:
        """The channels of one of them, to ask what they are."""
        line = (self._free or self._busy)[-1]
        return line.following or line.channels

    def hand(self, work: Work[T]) -> None:
        """Have a free line do ``work``; the one that was free last, whose connections are the freshest."""
        line = self._free.pop()
        line.since = time.monotonic()
        self._busy.append(line)
        if self._given is None:
            self._done.put((line, work(line.channels)))
        else:
            self._given.put((line, work))

    def collect(self, seconds: float = 0.0) -> T | None:
        """What a line came to; None where none is done within ``seconds``, or ``nudge`` was called."""
        try:
            found = self._done.get(timeout=seconds) if seconds > 0 else self._done.get_nowait()
        except queue.Empty:
            return None
        if found is None:
            return None
        line, outcome = found
        self._busy.remove(line)
        self._free.append(line)
        self._renew(line)
        return outcome

    def nudge(self) -> None:
        """Have ``collect`` return now. May be called from any thread, and from a signal handler."""
        self._done.put(None)

    def busy_for(self) -> float:
        """Seconds for which the line that is at work the longest has been."""
        begun = [line.since for line in tuple(self._busy)]
        return time.monotonic() - min(begun) if begun else 0.0

    def use(self, channels: Sequence[Channels]) -> None:
        """Give the lines other channels, each as soon as it is free. The old ones are closed."""
        for line, following in zip((*self._free, *self._busy), channels, strict=True):
            _close(line.following)
            line.following = following
        for line in self._free:
            self._renew(line)

    def close(self) -> None:
        """Close the channels of all that are free, and end their threads. Those at work are left to their fate."""
        for line in self._free:
            _close(line.channels)
            if self._given is not None:
                self._given.put(None)

    def _renew(self, line: _Line[T]) -> None:
        if line.following is not None:
            _close(line.channels)
            line.channels, line.following = line.following, None

    def _work(self, given: queue.SimpleQueue[tuple[_Line[T], Work[T]] | None]) -> None:
        while (found := given.get()) is not None:
            line, work = found
            self._done.put((line, work(line.channels)))


def _close(channels: Channels | None) -> None:
    for channel in (channels or {}).values():
        channel.close()
