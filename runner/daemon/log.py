"""What the process says while it runs, on standard error."""

from __future__ import annotations

import logging
import sys
import time


class OneLine(logging.Formatter):
    """A line a record, a traceback included, with the instant in UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\\n")


def log_to_stderr(level: int = logging.INFO) -> None:
    """Have the process log to standard error, one line a record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # It says at every look that the one before is still at work, which is no news.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
