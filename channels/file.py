"""The outbox as a folder: an ``.eml`` an email, which any mail program opens; all else is JSON, as a webhook would post
it. Nothing leaves the machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

from channels.base import Message, Rejected, Result, RetryLater, Sent
from channels.document import document
from channels.header import Unfit
from channels.mime import build
from channels.segments import segments

_PART = re.compile(r"\.[0-9a-f]{1,64}-(\d+)\.part")

_opened: set[Path] = set()
_opening = threading.Lock()
"""The folders that this process has opened, and who changes them: from the first opening on, unfinished files under its
number are its own, and not those of an earlier process of that number."""

EMAIL, JSON = ".eml", ".json"


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a folder is written for. ``emails``: its messages are emails, which calls, tasks and changes of an audience
    never are. ``texts``: they are SMS, whose segments are counted. ``cost`` of one, in the money of the catalog."""

    emails: bool = True
    texts: bool = False
    cost: Decimal | None = None


class FileChannel:
    """Writes each message into ``folder``, once: the file's name is made of the message's identity, and a message whose
    file is there already is sent.

    ``durable`` waits for the disk before a message counts as sent, so a power cut loses none; without it (virtual time)
    a killed process still leaves whole files only. One folder may be shared by several processes of one machine.
    """

    def __init__(self, folder: Path, *, durable: bool = True, carried: Carried | None = None) -> None:
        self._folder = folder
        self._durable = durable
        self._carried = carried or Carried()
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned_parts(folder)

    def send(self, message: Message) -> Result:
        """Write the message. Rejected where it cannot be an email or text, RetryLater where the disk takes none."""
        email = self._carried.emails and message.kind == "message"
        path = self._folder / file_name(message, EMAIL if email else JSON)
        if path.exists():
            return Sent(path.name)
        try:
            content = build(message).content if email else written(message, self._carried)
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
        for suffix in (EMAIL, JSON):
            path = self._folder / file_name(message, suffix)
            if path.exists():
                return Sent(path.name)
        for found in self._folder.glob(f"*-{message.idempotency_key[:16]}.*"):
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


def written(message: Message, carried: Carried) -> bytes:
    """The message as JSON in UTF-8, for people and programs to read: what a webhook would post, and with it what an SMS
    takes and costs. Raises Unfit for a lone surrogate, which is no text."""
    whole = document(message)
    data: dict[str, Any] = whole["data"]
    if carried.texts and message.kind == "message":
        data["segments"] = _counted(data["text"])
    if carried.cost is not None and message.kind == "message":
        data["cost"] = float(carried.cost)
    try:
        return (json.dumps(whole, ensure_ascii=False, indent=2) + "\n").encode()
    except UnicodeEncodeError:
        raise Unfit("it holds a lone surrogate") from None


def _counted(text: str) -> Mapping[str, object]:
    cut = segments(text)
    return {"count": cut.count, "alphabet": cut.alphabet.value, "places": cut.places}


def file_name(message: Message, suffix: str = EMAIL) -> str:
    """``TIME-CONTACT-JOURNEY-STEP-KEY.eml`` or ``.json``: sorts by the instant of letting go, and fits in 255 bytes."""
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
    return f"{at:%Y-%m-%dT%H%M%SZ}-{names}{suffix}"


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
    """Remove what processes that are no more left unfinished. One of them may have had the number of this one, as in a
    container, where every first process has the same."""
    with _opening:
        first = folder.resolve() not in _opened
        for entry in os.scandir(folder):
            match = _PART.fullmatch(entry.name)
            if match and not _alive(int(match[1]), first=first):
                Path(entry.path).unlink(missing_ok=True)
        _opened.add(folder.resolve())


def _alive(process: int, *, first: bool) -> bool:
    """Whether the process still runs. ``first``: this one has written nothing yet, so what bears its number is not
    its own."""
    if process == os.getpid():
        return not first
    if os.name == "nt":  # where os.kill() would end the process that it asks about
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True
