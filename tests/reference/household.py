"""Several contacts of the reference model, side by side: who shares an account looks at the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tests.reference.lives import Lived, Press
from tests.reference.model import Contact


class Household:
    """``contacts`` by their keys: all that there are."""

    def __init__(self, contacts: Mapping[str, Contact]) -> None:
        self.contacts = contacts
        self.instants: set[datetime] = set()
        """Those at which something may have happened."""
        everybody = [contact.person for contact in contacts.values()]
        for contact in contacts.values():
            contact.person.everybody = everybody

    def live_until(self, until: datetime, presses: Sequence[Press] = ()) -> dict[str, Lived]:
        """What each of them has lived through by then. ``presses`` are the buttons that they press, in order; when one
        is pressed, all of that instant has been done."""
        for press in presses:
            self._live_until(press.at)
            self.contacts[press.contact].press(press)
        self._live_until(until)
        return {key: contact.lived() for key, contact in self.contacts.items()}

    def _live_until(self, until: datetime) -> None:
        following = {key: contact.next_instant(until) for key, contact in self.contacts.items()}
        while (instant := min((at for at in following.values() if at is not None), default=None)) is not None:
            coming = [self.contacts[key] for key, at in following.items() if at == instant]
            acting = [contact for contact in coming if len(coming) > 1 and contact.acts_at(instant)]
            for contact in coming:
                others = [other for other in acting if other is not contact]
                contact.person.acting = bool(others)
                contact.person.moving = any(other.changes_account(instant) for other in others)
            for contact in coming:
                contact.go_on(instant)
                following[contact.key] = contact.next_instant(until)
            self.instants.add(instant)
