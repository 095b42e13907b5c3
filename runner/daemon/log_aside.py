"""A log that nobody has to wait for: lines are written by a thread of their own.

Whoever reads standard error may stop, and then the pipe fills up and a write hangs. A stage that logs would hang with
it, behind the lock of the handler every other, and whoever wants to end the process last.
"""

from __future__ import annotations

import logging
import threading
from logging.handlers import QueueHandler
from queue import Full, Queue
from typing import TextIO

MOST_WAITING = 10_000
"""Lines that wait for their reader; those beyond are dropped and counted."""
FAREWELL = 5.0
"""Seconds that the reader of the log gets at the end of the process."""


class LogAside(QueueHandler):
    """Writes to ``stream`` by a thread of its own. What finds no room is dropped, and a line says how much that was
    as soon as somebody reads again."""

    queue: Queue[logging.LogRecord]

    def __init__(self, stream: TextIO, form: logging.Formatter) -> None:
        super().__init__(Queue(MOST_WAITING))
        self._stream = stream
        self.setFormatter(form)
        self._dropped = 0
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as it is: it goes to no other process."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits. Called under the lock of the handler."""
        try:
            self.queue.put_nowait(record)
        except Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until everything is written, but no longer than FAREWELL."""
        with self.queue.all_tasks_done:
            self.queue.all_tasks_done.wait_for(lambda: not self.queue.unfinished_tasks, FAREWELL)

    def _write_all(self) -> None:
        while True:
            record = self.queue.get()
            self._write(record)
            if self._dropped:
                assert self.lock is not None
                with self.lock:
                    dropped, self._dropped = self._dropped, 0
                self._write(_lost(dropped))
            self.queue.task_done()

    def _write(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()
        except Exception:
            self.handleError(record)


def _lost(lines: int) -> logging.LogRecord:
    text = "the log was not read in time; lines are missing"
    return logging.getLogger(__name__).makeRecord(
        __name__, logging.WARNING, __file__, 0, text, (), None, extra={"lines": lines}
    )


def log_is_out() -> bool:
    """Whether all lines so far could be written, for which their reader gets FAREWELL. Where not, the process has to
    end by ``os._exit``: Python waits at its end for whoever holds standard error."""
    last = threading.Thread(target=_flush_all, name="farewell", daemon=True)
    last.start()
    last.join(FAREWELL)
    return not last.is_alive() and not any(
        each.queue.unfinished_tasks for each in logging.getLogger().handlers if isinstance(each, LogAside)
    )


def _flush_all() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
