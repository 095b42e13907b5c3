"""From when on what was due counts as late."""

from __future__ import annotations

from datetime import timedelta

LATE_AFTER = timedelta(minutes=5)
"""A timer that is overdue by more goes on at the present, and a message that was let go longer ago is asked once more
whether it may leave now. Within it the instant that was due counts."""
