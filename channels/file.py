"""The outbox as a folder: an ``.eml`` a message, which any mail program opens. Nothing leaves the machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from channels.base import Message, Rejected, Result, RetryLater, Sent
from channels.header import Unfit
from channels.mime import build

_PART = re.compile(r"\.[0-9a-f]{1,64}-(\d+)\.part")


class FileChannel:
    """Writes each message into ``folder``, once: the file's name is made of the message's identity, and a message whose
    file is there already is sent.

    ``durable`` waits for the disk before a message counts as sent, so a power cut loses none; without it (virtual time)
    a killed process still leaves whole files only. One folder may be shared by several processes of one machine.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned_parts(folder)

    def send(self, message: Message) -> Result:
        """Write the message. Rejected where it cannot be an email, RetryLater where the disk does not take it."""
        path = self._folder / file_name(message)
        if path.exists():
            return Sent(path.name)
        try:
            content = build(_addressed(message)).content
        except Unfit as unfit:
            return Rejected(str(unfit))
        try:
            self._write(path, message, content)
        except OSError as error:
            return RetryLater(
                f"{path.name} could not be written: {error.strerror or error}", unreachable=True
            )
        return Sent(path.name)

    def look_up(self, message: Message) -> Sent | RetryLater:
        """Whether the message's file is there: files appear whole or not at all, so this is always known. After a
        restored backup it may bear the instant of another life; the key alone says whose it is."""
        path = self._folder / file_name(message)
        if path.exists():
            return Sent(path.name)
        for found in self._folder.glob(f"*-{message.idempotency_key[:16]}.eml"):
            return Sent(found.name)
        return RetryLater("its file was not written")

    def check(self) -> str | None:
        """Why the folder takes no file; None where it does. What is written is removed at once."""
        part = self._folder / f".0-{os.getpid()}.part"
        try:
            part.write_bytes(b".")
            part.unlink()
        except OSError as error:
            return f"{self._folder}: {error.strerror or error}"
        return None

    def close(self) -> None:
        """Nothing is held between messages."""

    def _write(self, path: Path, message: Message, content: bytes) -> None:
        part = self._folder / f".{message.idempotency_key[:16]}-{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                file.write(content)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            _appear(part, path)
        finally:
            part.unlink(missing_ok=True)
        if self._durable:
            _sync_folder(self._folder)


def file_name(message: Message) -> str:
    """``TIME-CONTACT-JOURNEY-STEP-KEY.eml``: sorts by the instant of letting go, and fits in 255 bytes."""
    at = message.let_go_at.astimezone(UTC)
    names = "-".join(
        (
            _safe(message.contact, 64),
            _safe(message.journey, 40),
            _safe(message.step, 40),
            # 64 bits: a file that is there counts as sent, so two messages must never meet in one name.
            message.idempotency_key[:16],
        )
    )
    return f"{at:%Y-%m-%dT%H%M%SZ}-{names}.eml"


def _safe(name: str, longest: int) -> str:
    """The name as part of a file name, at most ``longest`` bytes. One that had to be changed ends in a hash of
    its own, so that two names never become one."""
    kept = "".join(
        c if c.isascii() and (c.isalnum() or c in "._@+-") else "_" for c in name[:longest]
    ).lstrip(".")
    if kept == name:
        return kept
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept[: longest - 9]}~{digest}"


def _addressed(message: Message) -> Message:
    """A message that is no email (an SMS, a webhook's) gets an address that holds its recipient and leads nowhere."""
    if "@" in message.recipient:
        return message
    return replace(message, recipient=f"{_safe(message.recipient, 64).strip('.')}@recipient.invalid")


def _appear(part: Path, path: Path) -> None:
    """Give the finished file its name, in one step, unless the name is taken."""
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except (OSError, NotImplementedError):
        # File systems without hard links: renaming is as atomic, but would replace a file made since we looked; its
        # content is the same message.
        part.rename(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable. Windows cannot open a folder, and makes names durable by itself."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_abandoned_parts(folder: Path) -> None:
    """Remove what processes that are no more left unfinished."""
    for entry in os.scandir(folder):
        match = _PART.fullmatch(entry.name)
        if match and not _alive(int(match[1])):
            Path(entry.path).unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if os.name == "nt":  # where os.kill() would end the process that it asks about
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != os.getpid()
