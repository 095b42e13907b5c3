"""Whether a channel would get through is asked without sending a message."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from servers import Answer, an_http_server, an_smtp_server, smtp_settings, webhook_settings

from channels.base import Checkable
from channels.file import FileChannel
from channels.smtp import SmtpChannel
from channels.webhook import open_webhook
from runner.clock import utc_now


@contextmanager
def an_smtp_channel(folder: Path) -> Iterator[Checkable]:
    del folder
    with an_smtp_server() as server, closing(SmtpChannel(smtp_settings(server))) as channel:
        yield channel
        assert server.envelopes == []


@contextmanager
def a_webhook(folder: Path) -> Iterator[Checkable]:
    del folder
    with an_http_server(Answer(200)) as server:
        yield open_webhook(webhook_settings(server), clock=utc_now)
        assert server.requests == []


@contextmanager
def a_file_channel(folder: Path) -> Iterator[Checkable]:
    yield FileChannel(folder / "outbox")
    assert list((folder / "outbox").iterdir()) == []


@pytest.mark.parametrize("channel", [an_smtp_channel, a_webhook, a_file_channel])
def test_a_channel_is_asked_without_a_message(channel: Any, tmp_path: Path) -> None:
    with channel(tmp_path) as opened:
        assert isinstance(opened, Checkable)
        assert opened.check() is None
        assert opened.check() is None


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path / "outbox")
    (tmp_path / "outbox").rmdir()
    assert "No such file" in str(channel.check())


def test_a_receiver_without_a_valid_certificate(tmp_path: Path) -> None:
    with an_http_server(Answer(200)) as server:
        settings = dataclasses.replace(webhook_settings(server), ca_file=None)
        assert "certificate" in str(open_webhook(settings, clock=utc_now).check()).lower()
