"""Who is at the keyboard, for the audit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def operator(project: Path) -> str:
    """The user as git knows them, else the one who is logged in, else ``unknown``."""
    return author(project) or "unknown"


def author(project: Path) -> str | None:
    """The same, None where nobody is known."""
    name, address = git(project, "config", "user.name"), git(project, "config", "user.email")
    if name and address:
        return f"{name} <{address}>"
    return name or address or os.environ.get("USER")


def git(project: Path, *arguments: str) -> str | None:
    """What git prints, or None where there is no git, no repository or no answer."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed arguments)
            ["git", "-C", str(project), *arguments],  # noqa: S607 (the user's own git)
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
