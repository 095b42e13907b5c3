"""The lines of a file that were not taken: as they stood, ready to be mended and imported again, and why, beside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.engine.intake import Rejected, csv_header

FIRST_SHOWN = 10
"""How many lines of one kind are told one by one; the file has all."""


@dataclass
class RejectFile:
    """Made when the first line is rejected; written under another name, and moved into place at the end. ``first``
    are the first that were rejected, ``count`` says how many were."""

    path: Path
    header: str | None
    count: int = 0
    first: list[Rejected] = field(default_factory=list)

    @classmethod
    def of(cls, source: Path, folder: Path) -> RejectFile:
        """Of the file ``source``. The name holds its whole path: files of one base name do not share a
        reject file, and that of a reject file is another one."""
        plain = Path(source.name[:-3] if source.name.lower().endswith(".gz") else source.name)
        digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:8]
        return cls(path=folder / f"{plain.stem}-{digest}{plain.suffix}", header=csv_header(source))

    def take(self, rejections: Sequence[Rejected]) -> None:
        """Write these lines down, in their order."""
        if not rejections:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = "a" if self.count else "w"
        part, part_of_reasons = _part(self.path), _part(_reasons(self.path))
        with (
            part.open(mode, encoding="utf-8", errors="surrogateescape", newline="\n") as lines,
            part_of_reasons.open(mode, encoding="utf-8", errors="replace") as reasons,
        ):
            if self.header is not None and self.count == 0:
                lines.write(f"{self.header}\n")
            for rejected in rejections:
                lines.write(f"{rejected.text}\n")
                reasons.write(f"{rejected.line}: {rejected.reason}\n")
        self.count += len(rejections)
        self.first += rejections[: FIRST_SHOWN - len(self.first)]

    def place(self) -> None:
        """Put what was written in the place of what an earlier import of the same file has left."""
        if self.count:
            for path in (self.path, _reasons(self.path)):
                _part(path).replace(path)

    def clear(self) -> None:
        """Forget what an earlier import of the same file has left."""
        for path in (self.path, _reasons(self.path)):
            path.unlink(missing_ok=True)


def _reasons(path: Path) -> Path:
    return path.with_name(f"{path.name}.reasons")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")
