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
    """The channels of all versions in use, as the newest that has it declares each, and that of calls where a step
    makes some."""
    from runner.journey.catalog import ASKED_BY_CALL, ChannelSettings
    from runner.journey.model import Call

    channels: dict[str, ChannelSettings] = {}
    for version in sorted(versions, key=lambda version: version.id):
        channels.update(version.catalog.channels)
    if any(isinstance(node.verb, Call) for version in versions for node in version.program.nodes):
        channels.setdefault(ASKED_BY_CALL, ChannelSettings(name=ASKED_BY_CALL, uses=ASKED_BY_CALL))
    return channels


def opener(settings: Settings, *, durable: bool = True) -> Open:
    """What opens the channels of versions; it raises JourneysError where one cannot be opened."""
    from channels.registry import ChannelError, Surroundings, open_channels
    from runner.clock import utc_now
    from runner.journey.catalog import ASKED_BY_CALL
    from runner.problem import JourneysError
    from runner.settings import SETTINGS_FILE, line_of

    around = Surroundings(folder=settings.folder, clock=utc_now, durable=durable)

    def opened(versions: Versions) -> Mapping[str, Channel]:
        try:
            declared = dict(declared_channels(versions))
            # Calls that nobody has said how to make wait; everything else goes on.
            if ASKED_BY_CALL not in settings.channels:
                declared.pop(ASKED_BY_CALL, None)
            # How calls are made may be said before a step makes one.
            said = {
                name: each
                for name, each in settings.channels.items()
                if name in declared or name != ASKED_BY_CALL
            }
            return open_channels(declared.values(), said, around)
        except ChannelError as error:
            line = line_of(settings.folder, "channels", error.channel)
            raise JourneysError(f"{SETTINGS_FILE}:{line}: {error}" if line else str(error)) from error

    return opened
