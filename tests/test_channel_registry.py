"""Channels are made from what the catalog and the deployment say."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.file import FileChannel
from channels.registry import TRANSPORTS, ChannelError, Surroundings, open_channels
from channels.smtp import SmtpChannel
from channels.webhook import IdempotentWebhookChannel
from runner.journey.catalog import ChannelSettings
from tests.sample_message import AT
from tests.servers import SECRET

EMAIL = ChannelSettings(name="email", uses="file")


def test_channels_of_a_catalog(tmp_path: Path) -> None:
    hook = ChannelSettings(
        name="push",
        uses="webhook",
        options={"url": "https://x.example/", "secret": SECRET, "idempotent": True},
    )
    channels = open_channels([EMAIL, hook], {}, Surroundings(folder=tmp_path, clock=lambda: AT))
    assert isinstance(channels["email"], FileChannel)
    assert isinstance(channels["push"], IdempotentWebhookChannel)
    assert (tmp_path / "outbox").is_dir()


def test_a_deployment_chooses_another_transport_and_its_options(tmp_path: Path) -> None:
    declared = ChannelSettings(name="email", uses="file", options={"folder": "elsewhere"})
    overrides = {"email": {"uses": "smtp", "host": "mail.example"}}
    channels = open_channels([declared], overrides, Surroundings(folder=tmp_path, clock=lambda: AT))
    assert isinstance(channels["email"], SmtpChannel)
    channels = open_channels(
        [declared], {"email": {"folder": "sent"}}, Surroundings(folder=tmp_path, clock=lambda: AT)
    )
    assert isinstance(channels["email"], FileChannel)
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ChannelSettings(name="email", uses="pigeon"), "channel email: there is no transport 'pigeon'"),
        (ChannelSettings(name="email", uses="smtp"), "channel email: smtp needs host"),
        (ChannelSettings(name="email", uses="file", options={"dir": "x"}), "unknown option 'dir'"),
        (ChannelSettings(name="email", uses="file", options={"folder": ""}), "folder must be a path"),
    ],
)
def test_what_is_wrong_names_the_channel(tmp_path: Path, settings: ChannelSettings, said: str) -> None:
    with pytest.raises(ChannelError, match=said):
        open_channels([settings], {}, Surroundings(folder=tmp_path, clock=lambda: AT))


def test_every_transport_is_in_the_contract_suite() -> None:
    from tests.test_channel_contract import CHANNELS

    assert set(TRANSPORTS) <= set(CHANNELS)


def test_an_override_of_a_channel_that_nobody_declares_is_refused(tmp_path: Path) -> None:
    around = Surroundings(folder=tmp_path, clock=lambda: AT)
    with pytest.raises(ChannelError, match=r"channel e-mail: .*did you mean 'email'"):
        open_channels([EMAIL], {"e-mail": {"uses": "file"}}, around)
    assert list(tmp_path.iterdir()) == []
    assert open_channels([], {"email": {"uses": "file"}}, around) == {}
