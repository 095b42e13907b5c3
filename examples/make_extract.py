"""Make the extract in ``complete-journey/`` from the full year: ``python examples/make_extract.py FOLDER``.

FOLDER holds ``identify.ndjson.gz`` and ``track.ndjson.gz`` of all households. Every sixth household in order of its
number is kept, with all of its lines, byte for byte and in their order. Running it again gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

EVERY = 6
FILES = ("identify.ndjson.gz", "track.ndjson.gz")


def household(line: str) -> str:
    """The ``userId`` of one line, such as ``hh-900``."""
    return str(json.loads(line)["userId"])


def main(source: Path, target: Path) -> None:
    lines = {name: gzip.decompress((source / name).read_bytes()).decode().splitlines(True) for name in FILES}
    everybody = sorted(
        {household(line) for line in lines[FILES[0]]}, key=lambda key: int(key.removeprefix("hh-"))
    )
    kept = frozenset(everybody[::EVERY])
    for name in FILES:
        text = "".join(line for line in lines[name] if household(line) in kept)
        # mtime=0: the same lines always make the same file.
        (target / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "complete-journey")
