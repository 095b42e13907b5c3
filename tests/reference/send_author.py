"""Sends at random: when a message may leave, to how many, in which words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.reference.drawing import Drawing
from tests.reference.vocabulary import CELLS, TOPICS, WINDOWS


@dataclass
class SendAuthor(Drawing):
    def send(self, name: str) -> dict[str, Any]:
        """A send of the step ``name``, without the steps for those whose message is blocked."""
        topic = self.one_of(*TOPICS)
        self.needs_consent |= topic != "receipts"
        send: dict[str, Any] = {"channel": self.one_of("email", "email", "sms"), "topic": topic}
        self.templates.add(name)
        if self.seldom():
            send["window"] = self.window()
        if self.seldom():
            send["valid_for"] = self.one_of("30m", "6h", "3d")
        if self.seldom() and self.seldom():
            send["only_if"] = self.test()
        if self.priorities and self.seldom():
            send["priority"] = self.one_of(*self.priorities)
        if topic == "receipts" and self.maybe():
            send["ignore_quiet_hours"] = True
        if self.alone and self.maybe():
            send["rate"] = {"max": self.one_of(1, 1, 2), "per": self.one_of("6h", "1d", "2d")}
        if self.seldom() and self.maybe():
            send["template"] = self.cells(name)
        return send

    def window(self) -> dict[str, Any]:
        if self.asks and self.maybe():
            return {
                "best": self.one_of("6h", "24h"),
                "fallback": self.one_of("06:00", "12:00", "02:30"),
            }
        begins, ends = self.one_of(*WINDOWS)
        return {"from": begins, "to": ends} | ({"days": self.weekdays()} if self.maybe() else {})

    def cells(self, name: str) -> dict[str, Any]:
        """A template for some of what contacts may be; the others get that of the step, or nothing."""
        by, written = self.one_of(*CELLS)
        folder = f"cells-{name}"
        self.templates |= {f"{folder}/{cell}" for cell in written}
        return {"by": list(by), "from": folder, "empty": self.one_of("skip", name)}
