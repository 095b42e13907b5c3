"""Which channels there are, and how each is made of a catalog's and a deployment's options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from channels import call, file, smtp, webhook
from channels.base import Channel


class Declared(Protocol):
    """A channel as the catalog declares it: ``uses`` names a transport of TRANSPORTS."""

    @property
    def name(self) -> str: ...
    @property
    def uses(self) -> str: ...
    @property
    def options(self) -> Mapping[str, object]: ...
    @property
    def cost(self) -> Decimal | None: ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a transport may need beside its options: ``folder``, which relative paths start from; a clock; whether to
    wait for the disk; and the channel that is being opened."""

    folder: Path
    clock: Callable[[], datetime]
    durable: bool = True
    channel: Declared | None = None


class ChannelError(ValueError):
    """A channel cannot be made of its options. The text names the channel and the option."""

    def __init__(self, channel: str, why: str) -> None:
        super().__init__(f"channel {channel}: {why}")
        self.channel = channel


def _open_file(options: Mapping[str, object], around: Surroundings) -> Channel:
    unknown = sorted(set(options) - {"folder"})
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; file has folder")
    folder = options.get("folder", "outbox")
    if not isinstance(folder, str) or not folder:
        raise ValueError("folder must be a path")
    return file.FileChannel(around.folder / folder, durable=around.durable, carried=_carried(around.channel))


def _carried(channel: Declared | None) -> file.Carried:
    """What a channel carries: emails are what is called so, and what the catalog has go by SMTP."""
    if channel is None:
        return file.Carried()
    emails = channel.name == "email" or channel.uses == "smtp"
    return file.Carried(emails=emails, texts=channel.name == "sms", cost=channel.cost)


def _open_smtp(options: Mapping[str, object], around: Surroundings) -> Channel:
    return smtp.SmtpChannel(smtp.settings_from(options, around.folder))


def _open_webhook(options: Mapping[str, object], around: Surroundings) -> Channel:
    return webhook.open_webhook(webhook.settings_from(options, around.folder), clock=around.clock)


def _open_call(options: Mapping[str, object], around: Surroundings) -> Channel:
    return call.CallChannel(call.settings_from(options, around.folder), clock=around.clock)


TRANSPORTS: Mapping[str, Callable[[Mapping[str, object], Surroundings], Channel]] = {
    "file": _open_file,
    "smtp": _open_smtp,
    "webhook": _open_webhook,
    "call": _open_call,
}
"""Every transport there is. A constructor raises ValueError that says which option is wrong."""


def transport_of(declared: Declared, overrides: Mapping[str, Mapping[str, object]]) -> str:
    """The transport that carries a channel in this deployment, whose ``overrides`` are keyed by channel."""
    return str(overrides.get(declared.name, {}).get("uses", declared.uses))


def open_channels(
    declared: Iterable[Declared],
    overrides: Mapping[str, Mapping[str, object]],
    around: Surroundings,
) -> dict[str, Channel]:
    """A channel for each that the catalog declares, by its name.

    A deployment's ``overrides`` (by channel: ``uses`` and options) go before the catalog's options; where they name
    another transport the catalog's options do not apply. Raises ChannelError, also for an override of a channel that
    nobody declares.
    """
    declared = list(declared)
    names = [channel.name for channel in declared]
    for name in overrides:
        if names and name not in names:
            near = get_close_matches(name, names, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ChannelError(name, f"the catalog has no such channel ({meant}it has {', '.join(names)})")
    opened: dict[str, Channel] = {}
    for channel in declared:
        own = {name: value for name, value in overrides.get(channel.name, {}).items() if name != "uses"}
        transport = transport_of(channel, overrides)
        options = {**channel.options, **own} if transport == channel.uses else own
        try:
            if transport not in TRANSPORTS:
                raise ValueError(f"there is no transport {transport!r}; there are {', '.join(TRANSPORTS)}")
            opened[channel.name] = TRANSPORTS[transport](options, replace(around, channel=channel))
        except (ValueError, OSError) as error:
            for made in opened.values():
                made.close()
            raise ChannelError(channel.name, str(error)) from error
    return opened
