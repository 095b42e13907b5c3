"""A folder in which the processes of one runner keep their figures, so that the one that is asked can add them up.

prometheus_client looks for it once, when it is imported. So nothing here imports it, and whoever wants to share does so
before anything that counts is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_figures() -> Iterator[None]:
    """As long as the block lasts, the processes that this one starts add to its figures, and go on counting in them
    when one ends and another takes its place."""
    with TemporaryDirectory(prefix="journeys-figures-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


def is_shared() -> bool:
    """Whether the figures of this process are shared."""
    return _FOLDER in os.environ
