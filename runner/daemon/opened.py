"""The channels that versions send through, opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from channels.base import Channel
from runner.engine.versions import Versions

Open = Callable[[Versions], Mapping[str, Channel]]
"""Opens the channels that these versions send through. Each worker has its own."""


@contextmanager
def opened(open_channels: Open, versions: Versions) -> Iterator[Mapping[str, Channel]]:
    """The channels, as long as they are needed."""
    channels = open_channels(versions)
    try:
        yield channels
    finally:
        close(channels)


def close(channels: Mapping[str, Channel]) -> None:
    """Close all of them."""
    for channel in channels.values():
        channel.close()
