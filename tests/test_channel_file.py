"""The outbox folder: one whole file a message, whatever the contact is called and whenever the process dies."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Rejected, RetryLater, Sent
from channels.file import Carried, FileChannel, file_name
from tests.sample_message import AT, a_message


def test_the_name_says_when_to_whom_and_why(tmp_path: Path) -> None:
    message = a_message()
    result = FileChannel(tmp_path).send(message)
    assert result == Sent(f"2026-03-01T100000Z-ana-abandoned-cart-remind-{message.idempotency_key[:16]}.eml")
    assert [path.name for path in tmp_path.iterdir()] == [result.provider_id]


def test_two_messages_whose_keys_begin_alike_get_two_names() -> None:
    keys = ["0123456789abcdef" + "0" * 48, "01234567fedcba98" + "0" * 48]
    assert len({file_name(a_message(idempotency_key=key)) for key in keys}) == 2


def test_names_sort_by_time() -> None:
    names = [file_name(a_message(let_go_at=AT + timedelta(hours=hour))) for hour in range(0, 2_000, 7)]
    assert names == sorted(names)


def test_a_message_that_is_there_is_sent_and_not_written_again(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path)
    first = channel.send(a_message())
    (path,) = tmp_path.iterdir()
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert channel.send(a_message(text="changed meanwhile")) == first
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@given(contact=st.text(max_size=500), step=st.text(max_size=100))
def test_no_name_leaves_the_folder_or_is_too_long(contact: str, step: str) -> None:
    name = file_name(a_message(contact=contact, step=step))
    assert Path(name).name == name
    assert name.isascii()
    assert len(name.encode()) <= 255
    assert not set(name) & set('/\\\0:*?"<>|\n')


@given(st.lists(st.text(max_size=100) | st.text("aé.", max_size=90), min_size=2, max_size=2, unique=True))
def test_two_contacts_never_share_a_file_even_if_their_keys_begin_alike(contacts: list[str]) -> None:
    one, other = (file_name(a_message(contact=contact)) for contact in contacts)
    assert one != other


@pytest.mark.parametrize(
    "contact", ["../../etc/passwd", "..", ".", "", "/", "C:\\x", "a/b", "ანა", "-rf", "a\0b"]
)
def test_hostile_contacts_get_a_file_like_everybody(tmp_path: Path, contact: str) -> None:
    outbox = tmp_path / "outbox"
    assert isinstance(FileChannel(outbox).send(a_message(contact=contact)), Sent)
    assert len(list(outbox.iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]


def test_an_email_to_what_is_no_address_is_refused_as_a_mail_server_would(tmp_path: Path) -> None:
    assert isinstance(FileChannel(tmp_path).send(a_message(recipient="+995599123456")), Rejected)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = FileChannel(tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        result = channel.send(a_message())
    assert isinstance(result, RetryLater)
    assert result.unreachable
    assert "No space left" in result.reason
    assert list(tmp_path.iterdir()) == []
    assert isinstance(channel.send(a_message()), Sent)


def test_without_hard_links_files_are_renamed_into_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    assert isinstance(FileChannel(tmp_path).send(a_message()), Sent)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_dead_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    abandoned = tmp_path / f".{'0' * 16}-{child}.part"
    abandoned.write_text("half a mess")
    somebody_elses = tmp_path / f".{'1' * 16}-{os.getppid()}.part"
    somebody_elses.write_text("half a message, still being written")
    FileChannel(tmp_path)
    assert list(tmp_path.iterdir()) == [somebody_elses]


def test_a_folder_that_is_opened_again_keeps_what_this_process_is_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An apply has every worker open its channels anew, while others write; an earlier process may have had the number
    of this one."""
    of_before = tmp_path / f".{'0' * 16}-{os.getpid()}.part"
    of_before.write_text("half a message of who had this number before")
    channel = FileChannel(tmp_path)
    assert not of_before.exists()
    writing, go_on, sync = threading.Event(), threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        writing.set()
        assert go_on.wait(10)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(1) as worker:
        sending = worker.submit(channel.send, a_message())
        assert writing.wait(10)
        FileChannel(tmp_path)
        go_on.set()
        assert isinstance(sending.result(), Sent)
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


def test_a_file_is_found_by_its_key_whatever_instant_it_bears(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path)
    written = channel.send(a_message())
    assert channel.look_up(a_message(let_go_at=AT + timedelta(hours=1))) == written
    assert isinstance(channel.look_up(a_message(idempotency_key="f" * 64)), RetryLater)


def test_a_file_is_found_though_it_was_written_as_another_kind(tmp_path: Path) -> None:
    written = FileChannel(tmp_path).send(a_message())
    assert FileChannel(tmp_path, carried=Carried(emails=False)).look_up(a_message()) == written
