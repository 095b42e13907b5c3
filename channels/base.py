"""What a channel is: one method, a closed set of outcomes. Imports nothing of the runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of text that goes along. ``name`` is what the reader sees; ``method`` is what a calendar asks of who gets
    it (RFC 5546: ``REQUEST``, ``CANCEL``, …)."""

    name: str
    media_type: str
    text: str
    method: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A rendered message, ready to be handed over.

    ``idempotency_key`` is the same for every attempt at the same message, and for no other message; the Message-ID is
    made of it. ``let_go_at`` is the instant at which policy let the message go (aware, UTC), and the ``Date`` of it.
    ``prepared`` is what the channel made of it beforehand.
    """

    idempotency_key: str
    recipient: str
    let_go_at: datetime
    journey: str
    step: str
    contact: str
    locale: str
    subject: str = ""
    text: str = ""
    html: str | None = None
    title: str = ""
    attachments: tuple[Attachment, ...] = ()
    sender_name: str | None = None
    sender_address: str | None = None
    reply_to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "message"
    """``message`` to the contact, ``call``, ``task`` or ``audience``."""
    payload: Mapping[str, Any] | None = None
    """What a call, a task or a change of an audience hands over, as JSON has it; ``text`` says the same for people."""
    prepared: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Answer:
    """The answer to a call. ``json`` is None where the body is no JSON."""

    status: int
    json: object = None


@dataclass(frozen=True)
class Sent:
    """The message was taken over. ``provider_id`` is what the other side calls it."""

    provider_id: str | None = None
    answer: Answer | None = None


@dataclass(frozen=True)
class RetryLater:
    """Nothing was taken over; another attempt may succeed. ``after`` obeys a ``Retry-After``. ``unreachable`` says that
    it is not about this message: the others need not be tried now."""

    reason: str
    after: timedelta | None = None
    unreachable: bool = False


@dataclass(frozen=True)
class Rejected:
    """The other side refused this message for good."""

    reason: str
    answer: Answer | None = None


@dataclass(frozen=True)
class Unknown:
    """The message may or may not have been taken over; nobody can tell."""

    reason: str


Result = Sent | RetryLater | Rejected | Unknown


class Channel(Protocol):
    """Carries messages. ``send`` never raises for what the other side does: each outcome is a ``Result``."""

    def send(self, message: Message) -> Result:
        """Hand ``message`` over once. May be called from one thread at a time."""
        ...

    def close(self) -> None:
        """Give back connections; the channel is not used afterwards."""
        ...


@runtime_checkable
class Preparing(Channel, Protocol):
    """A channel that can do a part of its work on several messages beforehand, which costs less than one by one."""

    def prepare(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The same messages, in their order, with what ``send`` will need as ``prepared``, whichever channel with the
        same settings sends them. Hands nothing over. A message that cannot be prepared is left to ``send``, which says
        why. May be called while another thread sends."""
        ...


@runtime_checkable
class Recoverable(Channel, Protocol):
    """A channel that can be asked about a message whose handing over was cut short, by a crash or a time-out."""

    def look_up(self, message: Message) -> Sent | RetryLater | Unknown:
        """What became of ``message``, whose identity alone is filled in, not its content.

        Sent: it was taken over. RetryLater: it was not, or handing it over again does no harm. Unknown: cannot tell.
        """
        ...


@runtime_checkable
class Checkable(Channel, Protocol):
    """A channel that can say whether it would get through, without a message."""

    def check(self) -> str | None:
        """Why nothing can be handed over at present; None where it can. Hands nothing over."""
        ...
