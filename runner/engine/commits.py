"""Transitions that the connections of one process commit together.

Each message becomes ``sending`` by a commit directly before it is handed over, so that a crash leaves one message a
connection in doubt. A commit waits for the disk, which takes longer than all the rest; so connections that come to
that point at about the same time share one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.store.database import Database
from runner.store.sending import messages
from runner.store.sending.messages import Change, Held, MessageKey
from runner.store.tables import MessageStatus

LONGEST_WAIT = 0.02
"""Seconds that a commit waits for company at most, however long commits take."""


@dataclass(frozen=True)
class Done:
    """Which messages were still ours when their result was written, and which when they were begun."""

    recorded: frozenset[MessageKey] = frozenset()
    begun: frozenset[Held] = frozenset()


@dataclass
class _Request:
    """What one thread wants committed. ``turn`` is released when it was served, or is to serve."""

    results: Sequence[Change]
    begins: Sequence[Change]
    turn: threading.Lock = field(default_factory=threading.Lock)
    done: Done | None = None
    error: BaseException | None = None


class Commits:
    """Commits for several threads, as few times as it can.

    One of the threads that wait serves all of them. Before that it waits until everybody who takes part has come, but
    no longer than the last commit took: so nobody loses more by waiting than a commit of their own would have cost, and
    a slow connection holds up no other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._company = threading.Condition()
        self._taking_part = 0
        self._waiting: list[_Request] = []
        self._served = False
        """Whether some thread is about to serve those who wait."""
        self._last_took = 0.0

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """While this thread hands messages over, and so will come again and again."""
        with self._company:
            self._taking_part += 1
        try:
            yield
        finally:
            with self._company:
                self._taking_part -= 1
                self._company.notify()

    def commit(self, results: Sequence[Change], begins: Sequence[Change]) -> Done:
        """Write ``results`` of messages that were handed over, and begin others that are claimed (``sending``).

        Returns when both are committed, with all of these messages that were still ours and perhaps some of others.
        Raises what the database raises, and then nothing was written.
        """
        request = _Request(results, begins)
        request.turn.acquire()
        with self._company:
            self._waiting.append(request)
            serving, self._served = not self._served, True
            if self._complete():
                self._company.notify()
        if not serving:
            request.turn.acquire()
        if request.done is None and request.error is None:
            self._serve()
        if request.error is not None:
            raise request.error
        assert request.done is not None
        return request.done

    def _complete(self) -> bool:
        return len(self._waiting) >= self._taking_part

    def _serve(self) -> None:
        """Commit what everybody waits for, and have the first of those who came meanwhile go on."""
        with self._company:
            self._company.wait_for(self._complete, min(self._last_took, LONGEST_WAIT))
            requests, self._waiting = self._waiting, []
        begun = time.perf_counter()
        try:
            done = self._commit(requests)
        except BaseException as error:
            for request in requests:
                request.error = error
        else:
            for request in requests:
                request.done = done
        with self._company:
            self._last_took = time.perf_counter() - begun
            self._served = bool(self._waiting)
            following = self._waiting[:1]
        for request in (*following, *requests):
            request.turn.release()

    def _commit(self, requests: Sequence[_Request]) -> Done:
        with self._database.begin() as connection:
            recorded = messages.record(connection, [one for each in requests for one in each.results])
            begins = [one for each in requests for one in each.begins]
            begun = messages.change(connection, MessageStatus.CLAIMED, begins)
        # A claim that lapsed and the one that followed it may meet in one commit: only the later holds the message.
        holders = {held.key: held for held in sorted(one.held for one in begins)}
        return Done(recorded, frozenset(held for key, held in holders.items() if key in begun))
