"""The other side of a channel: takes messages over, or not, and counts each by its idempotency key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from enum import Enum

from channels.base import Message, Rejected, Result, RetryLater, Sent, Unknown
from tests.simulation.wire import Crash


class Answer(Enum):
    """What happens to a message that is handed over."""

    TAKEN = "taken over, and said so"
    SLOW = "taken over after others have had their turn"
    BUSY = "not taken over: try later"
    BUSY_FOR_AN_HOUR = "not taken over: try later than that"
    UNREACHABLE = "nobody answers at all"
    REFUSED = "refused for good"
    SILENT = "taken over, but the answer is lost"
    SILENT_AND_LOST = "not taken over, and the answer is lost"
    RAISES = "the channel itself fails before it has said a word"
    RAISES_LATE = "the channel itself fails after the message was taken over"
    DIES = "the process dies before the message is taken over"
    DIES_LATE = "the process dies after the message was taken over"


TAKING = frozenset({Answer.TAKEN, Answer.SLOW, Answer.SILENT, Answer.RAISES_LATE, Answer.DIES_LATE})
LEAVES_IN_DOUBT = frozenset({Answer.SILENT, Answer.SILENT_AND_LOST, Answer.RAISES, Answer.RAISES_LATE})
_RESULTS: dict[Answer, Result] = {
    Answer.BUSY: RetryLater("451 busy"),
    Answer.BUSY_FOR_AN_HOUR: RetryLater("429", after=timedelta(hours=1)),
    Answer.UNREACHABLE: RetryLater("connection refused", unreachable=True),
    Answer.REFUSED: Rejected("550 never"),
    Answer.SILENT: Unknown("silence"),
    Answer.SILENT_AND_LOST: Unknown("silence"),
}


class Provider:
    """One for all runners of a world. ``taken`` counts how often the message of a key was taken over; ``in_doubt``
    are the keys about which the channel once could not tell; ``overtaken`` those that somebody handed over who
    held them no longer, because he had been stopped past his lease. ``expects`` answers whether a key is being
    handed over."""

    def __init__(self, expects: Callable[[str], bool]) -> None:
        self.taken: Counter[str] = Counter()
        self.in_doubt: set[str] = set()
        self.overtaken: set[str] = set()
        self._expects = expects

    def take(self, key: str, *, again: bool) -> None:
        """Take a message over, a second time only where ``again`` says so."""
        if not self._expects(key):
            self.overtaken.add(key)
        self.taken[key] = self.taken[key] + 1 if again else 1


class Plain:
    """A runner's connection to a provider that cannot be asked, and that takes the same message twice.

    ``answer`` says what happens next; ``pause`` lets others have their turn. ``said`` are the keys of which the
    runner was told that they were taken over.
    """

    _again = True

    def __init__(
        self, provider: Provider, answer: Callable[[Message], Answer], pause: Callable[[], None]
    ) -> None:
        self.provider = provider
        self.said: set[str] = set()
        self._answer = answer
        self._pause = pause

    def send(self, message: Message) -> Result:
        answer = self._answer(message)
        key = message.idempotency_key
        if answer is Answer.SLOW:
            self._pause()
        if answer in LEAVES_IN_DOUBT:
            self.provider.in_doubt.add(key)
        if answer in TAKING:
            self.provider.take(key, again=self._again)
        if answer is Answer.SLOW:
            self._pause()
        if answer in (Answer.RAISES, Answer.RAISES_LATE):
            raise RuntimeError("a bug of the channel")
        if answer in (Answer.DIES, Answer.DIES_LATE):
            raise Crash(answer.value)
        result = _RESULTS.get(answer) or Sent(f"id-{key[:8]}")
        if isinstance(result, Sent):
            self.said.add(key)
        return result

    def close(self) -> None:
        """There is nothing to give back."""


class Askable(Plain):
    """The same for a provider that knows idempotency keys and can be asked, as the folder of the file channel."""

    _again = False

    def look_up(self, message: Message) -> Sent | RetryLater | Unknown:
        key = message.idempotency_key
        return Sent(f"id-{key[:8]}") if self.provider.taken[key] else RetryLater("it never came")
