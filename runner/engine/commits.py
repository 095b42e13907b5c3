"""Transitions that the connections of one process commit together.

Each message becomes ``sending`` by a commit directly before it is handed over. A commit waits for the disk, so several
connections that wait at a time share one: whoever comes while one is under way joins the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.store import messages
from runner.store.database import Database
from runner.store.messages import Change, MessageKey
from runner.store.tables import MessageStatus


@dataclass(frozen=True)
class Done:
    """Which messages were still ours when their result was written, and which when they were begun."""

    recorded: frozenset[MessageKey] = frozenset()
    begun: frozenset[MessageKey] = frozenset()


@dataclass
class _Request:
    results: Sequence[Change]
    begins: Sequence[Change]
    done: Done | None = None
    error: BaseException | None = field(default=None, repr=False)


class Commits:
    """Commits for several threads, as few times as it can: those that wait for one are served by a single one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Request] = deque()
        self._turn = threading.Lock()

    def commit(self, results: Sequence[Change], begins: Sequence[Change]) -> Done:
        """Write ``results`` of messages that were handed over, and begin others that are claimed (``sending``).

        Returns when both are committed, with all of these messages that were still ours and perhaps some of others.
        Raises what the database raises, and then nothing was written.
        """
        request = _Request(results, begins)
        self._waiting.append(request)
        with self._turn:
            if request.done is None and request.error is None:
                self._serve()
        if request.error is not None:
            raise request.error
        assert request.done is not None
        return request.done

    def _serve(self) -> None:
        """Commit all that wait."""
        requests = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            with self._database.begin() as connection:
                recorded = messages.record(connection, [one for each in requests for one in each.results])
                begins = [one for each in requests for one in each.begins]
                begun = messages.change(connection, MessageStatus.CLAIMED, begins)
        except BaseException as error:
            for request in requests:
                request.error = error
        else:
            for request in requests:
                request.done = Done(recorded, begun)
