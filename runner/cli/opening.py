"""The channels of a deployment, made of what the catalogs declare and the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channels.base import Channel
    from runner.daemon.opened import Open
    from runner.engine.versions import Versions
    from runner.journey.catalog import ChannelSettings
    from runner.settings import Settings


def declared_channels(versions: Versions) -> Mapping[str, ChannelSettings]:
    """The channels of all versions in use, as the newest that has it declares each."""
    channels: dict[str, ChannelSettings] = {}
    for version in sorted(versions, key=lambda version: version.id):
        channels.update(version.catalog.channels)
    return channels


def opener(settings: Settings, *, durable: bool = True) -> Open:
    """What opens the channels of versions; it raises JourneysError where one cannot be opened."""
    from channels.registry import ChannelError, Surroundings, open_channels
    from runner.clock import utc_now
    from runner.problem import JourneysError

    around = Surroundings(folder=settings.folder, clock=utc_now, durable=durable)

    def opened(versions: Versions) -> Mapping[str, Channel]:
        try:
            return open_channels(declared_channels(versions).values(), settings.channels, around)
        except ChannelError as error:
            raise JourneysError(str(error)) from error

    return opened
