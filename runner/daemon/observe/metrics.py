"""What a process counts and measures, as Prometheus reads it. What each figure says is told in docs/observe.md.

Some are counted where the work is done, the others are read when somebody asks: of the stages, and of the database.
"""

from __future__ import annotations

import logging
import platform
import re
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from channels.base import (
    Channel,
    Message,
    Preparing,
    Recoverable,
    Rejected,
    Result,
    RetryLater,
    Sent,
    Unknown,
)
from runner.clock import utc_now
from runner.daemon.observe.figures import is_shared
from runner.daemon.observe.health import Delivering, Living, Seen
from runner.daemon.observe.lately import Lately
from runner.daemon.opened import Open
from runner.engine.deliver import Delivered
from runner.engine.tick import Ticked
from runner.engine.versions import Versions
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.tables import JourneyState, MessageStatus
from runner.store.watching.reports import message_states

logger = logging.getLogger(__name__)

TICK_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SEND_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LATENCY_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)

_WORD = re.compile(r"[a-z_]{1,40}")
_OF_PROCESS = re.compile(r"\d+/")
"""What names of stages have of their process: it would make new series at each start."""

States = Mapping[tuple[MessageStatus, str | None], int]
COUNTING = 100.0
"""Counting all messages takes at most one part in so many of the time."""

# When a series was made is of no use here, and would be a family more for each.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The figures of one process, or of it and the processes that share theirs (``figures.py``). ``clock`` answers the
    present, aware, in UTC."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("journeys_build", "The software that runs.", registry=self.registry).info(
            {"version": version("journeys-as-code"), "python": platform.python_version()}
        )
        # Figures that are shared are read from where they lie, those of this process too.
        registry = None if is_shared() else self.registry
        if is_shared():
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        self._tick_duration = Histogram(
            "journeys_tick_duration_seconds",
            "How long ticks took; idle ones had nothing to do.",
            ["outcome"],
            buckets=TICK_SECONDS,
            registry=registry,
        )
        self._tick_contacts = Counter(
            "journeys_tick_contacts", "Contacts that ticks took up.", registry=registry
        )
        self._tick_passes = Counter("journeys_tick_passes", "Passes of ticks.", registry=registry)
        self._handled = Counter(
            "journeys_messages_handled",
            "What became of the messages that this process claimed.",
            ["outcome"],
            registry=registry,
        )
        self._recovered = Counter(
            "journeys_messages_recovered",
            "What became of messages that somebody held beyond the lease.",
            ["outcome"],
            registry=registry,
        )
        self._resent = Counter(
            "journeys_messages_resent",
            "Messages that may have arrived and were made ready again, as their topic says.",
            registry=registry,
        )
        self._latency = Histogram(
            "journeys_delivery_latency_seconds",
            "From the instant at which a message was let go until the other side had taken it.",
            ["channel"],
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self._send_duration = Histogram(
            "journeys_channel_send_duration_seconds",
            "How long handing over one message took.",
            ["channel", "result"],
            buckets=SEND_SECONDS,
            registry=registry,
        )
        for outcome in _OUTCOMES:
            self._handled.labels(outcome)
            self._recovered.labels(outcome)

    # Where the work is done

    def ticked(self, ticked: Ticked, seconds: float) -> None:
        """A tick is over, which took so long."""
        outcome = "outdated" if ticked.outdated else "worked" if ticked.contacts else "idle"
        self._tick_duration.labels(outcome).observe(seconds)
        self._tick_contacts.inc(ticked.contacts)
        self._tick_passes.inc(ticked.passes)

    def delivered(self, delivered: Delivered) -> None:
        """A batch of messages was handed over."""
        _count(self._handled, delivered)

    def recovered(self, delivered: Delivered) -> None:
        """What others had left behind was taken up."""
        _count(self._recovered, delivered)

    def resent(self, messages: int) -> None:
        """So many messages that may have arrived are to be handed over again."""
        self._resent.inc(messages)

    def measured(self, open_channels: Open) -> Open:
        """The same opener, of channels whose handing over is measured."""

        def opened(versions: Versions) -> Mapping[str, Channel]:
            return {
                name: (_MeasuredRecoverable if isinstance(channel, Recoverable) else _Measured)(
                    name, channel, self
                )
                for name, channel in open_channels(versions).items()
            }

        return opened

    def handed_over(self, channel: str, message: Message, result: Result | None, seconds: float) -> None:
        """A channel has answered, or raised (None)."""
        self._send_duration.labels(channel, _RESULTS[type(result)]).observe(seconds)
        if isinstance(result, Sent):
            late = (self._clock() - message.let_go_at).total_seconds()
            self._latency.labels(channel).observe(max(0.0, late))

    # When somebody asks

    def watch(
        self,
        process: Living,
        seen: Lately[Seen],
        states: Lately[States],
        workers: Delivering | None = None,
    ) -> None:
        """Tell of the stages of ``process``, too, of what its database says, and of the ``workers`` that deliver for
        it."""
        self.registry.register(_AtScrape(process, seen, states, workers, self._clock))

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All figures, and the media type of the text, as a client asks for it with ``Accept``."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, media_type = choose_encoder("")
        return encode(self.registry), media_type


def counted_messages(database: Database) -> Lately[States]:
    """How many messages are in which state. It is found out the less often the more there are."""

    def count() -> States:
        with database.read() as connection:
            return message_states(connection)

    return Lately(count, share=COUNTING)


_OUTCOMES = tuple(each.name for each in fields(Delivered) if each.name != "claimed")
_RESULTS: Mapping[type[object], str] = {
    Sent: "sent",
    RetryLater: "retry_later",
    Rejected: "rejected",
    Unknown: "unknown",
    type(None): "unknown",
}


def _count(counter: Counter, delivered: Delivered) -> None:
    for outcome in _OUTCOMES:
        counter.labels(outcome).inc(getattr(delivered, outcome))


class _Measured:
    """A channel whose handing over is measured."""

    def __init__(self, name: str, channel: Channel, metrics: Metrics) -> None:
        self._name = name
        self._channel = channel
        self._metrics = metrics

    def send(self, message: Message) -> Result:
        begun, result = time.perf_counter(), None
        try:
            result = self._channel.send(message)
            return result
        finally:
            self._metrics.handed_over(self._name, message, result, time.perf_counter() - begun)

    def prepare(self, messages: Sequence[Message]) -> Sequence[Message]:
        return self._channel.prepare(messages) if isinstance(self._channel, Preparing) else messages

    def close(self) -> None:
        self._channel.close()


class _MeasuredRecoverable(_Measured):
    def look_up(self, message: Message) -> Sent | RetryLater | Unknown:
        assert isinstance(self._channel, Recoverable)
        return self._channel.look_up(message)


class _AtScrape:
    """What is read when somebody asks."""

    def __init__(
        self,
        process: Living,
        seen: Lately[Seen],
        states: Lately[States],
        workers: Delivering | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._process = process
        self._workers = workers
        self._seen = seen
        self._states = states
        self._last_states: States = {}
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        yield from self._of_stages()
        up = 1
        try:
            yield from _of_database(self._seen.ask())
            yield _of_messages(self._counted())
        except (JourneysError, TimeoutError):
            up = 0
        yield _gauge("journeys_database_up", "Whether the database answered.", (((), up),))

    def _counted(self) -> States:
        try:
            self._last_states = self._states.ask()
        except TimeoutError:
            logger.debug("messages are still being counted")
        return self._last_states

    def _of_stages(self) -> Iterator[Metric]:
        beat = GaugeMetricFamily(
            "journeys_stage_last_beat_timestamp_seconds",
            "When a stage last gave a sign of life.",
            labels=["stage"],
        )
        failures = CounterMetricFamily(
            "journeys_stage_failures", "How often a stage failed and was tried again.", labels=["stage"]
        )
        for stage in self._process.stages:
            name = _OF_PROCESS.sub("", stage.name)
            beat.add_metric([name], (self._clock() - stage.silent_for()).timestamp())
            failures.add_metric([name], stage.failures)
        yield from (beat, failures)
        restarts = CounterMetricFamily(
            "journeys_delivery_process_restarts",
            "How often a process that delivers ended, and was to be started anew.",
        )
        restarts.add_metric((), self._workers.restarts if self._workers else 0)
        yield restarts


def _of_database(seen: Seen) -> Iterator[Metric]:
    signs = seen.signs
    received = [one.event_received_at for one in signs.partitions if one.event_received_at is not None]
    for what, named, oldest in (
        ("due_run", "the most overdue run", signs.due),
        ("unhandled_event", "the oldest event that has not been handled", min(received, default=None)),
        ("ready_message", "the oldest message that could be handed over", signs.ready.oldest),
    ):
        lag = max(0.0, (signs.at - oldest).total_seconds()) if oldest else 0.0
        yield _gauge(
            f"journeys_oldest_{what}_lag_seconds", f"How long {named} has been waiting.", (((), lag),)
        )
    waiting = (
        (("ready",), signs.ready.count),
        (("lapsed",), signs.lapsed.count),
        (("unknown",), signs.unknown.count),
    )
    yield _gauge(
        "journeys_messages_waiting",
        "Messages that wait to be handed over, for another holder, or for somebody's decision.",
        waiting,
        "state",
    )
    yield _gauge(
        "journeys_runs_set_aside", "Runs that the engine gave up on.", (((), signs.set_aside.count),)
    )
    states = Tally(state for _, _, state, _ in seen.in_force)
    yield _gauge(
        "journeys_in_force",
        "Journeys in force.",
        [((state.value,), states[state.value]) for state in JourneyState],
        "state",
    )


def _of_messages(states: States) -> Metric:
    counted: Tally[tuple[str, ...]] = Tally()
    for (status, reason), messages in states.items():
        counted[status.value, reason if reason and _WORD.fullmatch(reason) else ""] += messages
    return _gauge("journeys_messages", "Messages by state.", counted.items(), "state", "reason")


def _gauge(
    name: str, text: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
