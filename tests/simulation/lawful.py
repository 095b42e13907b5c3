"""What must be true after every commit, whoever made it and whatever befell them before.

Each law looks at what a commit has changed, and says what is wrong with it in one sentence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from runner.engine.prepare import idempotency_key
from runner.engine.versions import Versions
from runner.journey.catalog import OptIn
from runner.journey.graph import Program
from runner.journey.model import Leave, Send, WaitUntil
from runner.store.database import Deployment
from runner.store.sending.message_statements import POSSIBLE_DUPLICATE
from runner.store.sending.messages import MessageKey as StoredKey
from runner.store.tables import MESSAGE_TRANSITIONS, MessageStatus
from tests.reference.expressions import Situation, evaluate
from tests.simulation.provider import Provider
from tests.simulation.snapshot import NOTHING, Message, MessageKey, Run, RunKey, Snapshot


class UnlawfulError(AssertionError):
    """Something is true that never may be."""


class Stage(Enum):
    """What a process was at when it committed."""

    TICK = "tick"
    DELIVER = "deliver"
    RECOVER = "recover"
    STORE = "store events"
    APPLY = "apply"


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Who has committed: the process by its number, what it was at, and the latest instant that it can take for the
    present, µs."""

    process: int
    stage: Stage
    now: int


WRITTEN_BY_THE_ENGINE = ("schedule:", "appointment:", "consent:", "attribute:", "segment:")
"""How the keys of those events begin that nobody sends: a schedule that fires, a date or a segment whose time comes,
and what has changed about a contact."""
TAKEN_BACK = "appointment:"
"""How the keys of those events begin that go again where their instant moves before anybody has handled them."""

_HELD = (MessageStatus.CLAIMED, MessageStatus.SENDING)
_DECIDED = (MessageStatus.READY, MessageStatus.BLOCKED, MessageStatus.CANCELLED, MessageStatus.WITHHELD)
_TAKEN = (MessageStatus.SENDING, MessageStatus.SENT, MessageStatus.UNKNOWN)
_NEVER_CHANGES = ("journey", "version", "channel", "topic", "let_go_at")
_NEVER_CHANGES_IN_RUNS = ("journey", "version", "per", "entry_key", "entered_at")


def _after_a_tick(old: Message) -> tuple[str, ...]:
    """What the end of a run may make of a message. What may have arrived stays in doubt."""
    if old.status in (MessageStatus.READY, MessageStatus.CLAIMED):
        in_doubt = old.reason == POSSIBLE_DUPLICATE
        return (MessageStatus.UNKNOWN if in_doubt else MessageStatus.CANCELLED,)
    return (old.status,)


class Law:
    """Watches one world. ``acknowledged`` are the events that are stored as far as their sender knows, by contact
    key and dedup key; ``submitted`` are those and the ones that were tried. ``in_order``: every event arrives when
    it happens."""

    def __init__(self, versions: Versions, deployment: Deployment) -> None:
        self._versions = versions
        self.provider = Provider(self.expects)
        self._deployment = deployment
        self._before = NOTHING
        self._keys: dict[MessageKey, str] = {}
        self._holders: dict[tuple[MessageKey, int], int] = {}
        self._withheld: set[tuple[MessageKey, int]] = set()
        self.in_order = False
        self.acknowledged: set[tuple[str, str]] = set()
        self.submitted: set[tuple[str, str]] = set()

    @property
    def snapshot(self) -> Snapshot:
        return self._before

    def look(self, now: Snapshot, deed: Deed) -> None:
        """Compare with what was before. Raises UnlawfulError that lists all that is wrong."""
        before, self._before = self._before, now
        wrong = [
            *self._messages(before, now, deed),
            *self._runs(before, now, deed),
            *self._events(before, now),
        ]
        if not before.kept <= now.kept:
            wrong.append(f"rows that are never changed were: {sorted(map(str, before.kept - now.kept))}")
        if any(now.left.get(key) != value for key, value in before.left.items()):
            wrong.append("the log of steps was rewritten")
        if wrong:
            raise UnlawfulError(f"after a commit of {deed}:\n  " + "\n  ".join(wrong))

    def key(self, message: MessageKey) -> str:
        """The idempotency key of a message."""
        key = self._keys.get(message)
        if key is None:
            key = self._keys[message] = idempotency_key(self._deployment, StoredKey(*message))
        return key

    def expects(self, key: str) -> bool:
        """Whether the message of an idempotency key is being handed over."""
        return any(
            message.status == MessageStatus.SENDING and self.key(found) == key
            for found, message in self._before.messages.items()
        )

    # Messages ----------------------------------------------------------------------------------------------

    def _messages(self, before: Snapshot, now: Snapshot, deed: Deed) -> Iterator[str]:
        for key in before.messages.keys() - now.messages.keys():
            yield f"message {key} is gone"
        for key, message in now.messages.items():
            old = before.messages.get(key)
            if old == message:
                continue
            if old is None:
                yield from self._new_message(key, message, now, deed)
            else:
                yield from self._changed_message(key, old, message, now, deed)
            if message.status in _HELD and message.lease_until is None:
                yield f"message {key} is held by nobody until never"
        for key, message in now.messages.items():
            taken = self.provider.taken[self.key(key)]
            if taken > 1:
                yield f"message {key} was taken over {taken} times"
            if taken and message.status not in _TAKEN and self.key(key) not in self.provider.overtaken:
                yield f"message {key} was taken over, and is {message.status}"
            if not taken and message.status == MessageStatus.SENT:
                yield f"message {key} is sent, and nobody took it over"

    def _new_message(self, key: MessageKey, message: Message, now: Snapshot, deed: Deed) -> Iterator[str]:
        run = now.runs.get(key[:3])
        program = self._program(message.version)
        node = next((node for node in program.nodes if node.step.id == key[3]), None)
        if deed.stage is not Stage.TICK:
            yield f"message {key} was made by {deed.stage.value}"
        if run is None or (run.journey, run.version) != (message.journey, message.version):
            yield f"message {key} belongs to no run of its version"
        if message.status not in _DECIDED or message.attempts:
            yield f"message {key} begins as {message.status}, attempt {message.attempts}"
        if node is None or not isinstance(node.verb, Send):
            yield f"message {key} comes from a step that sends nothing"
            return
        left = now.left.get((key[:3], node.index, key[4]))
        blocked = message.status == MessageStatus.BLOCKED
        if left is None or left.outcome != ("blocked" if blocked else "ready"):
            yield f"message {key} is {message.status}, but its step was left so: {left}"

    def _changed_message(
        self, key: MessageKey, old: Message, message: Message, now: Snapshot, deed: Deed
    ) -> Iterator[str]:
        status, before = MessageStatus(message.status), MessageStatus(old.status)
        if status is not before and status not in MESSAGE_TRANSITIONS[before]:
            yield f"message {key} went from {before} to {status}"
        for name in _NEVER_CHANGES:
            if getattr(old, name) != getattr(message, name):
                yield f"message {key} changed its {name}"
        if message.expires_at > old.expires_at:  # the end of its run may bring it forward
            yield f"message {key} put off its expires_at"
        if not MESSAGE_TRANSITIONS[before]:
            yield f"message {key} was {before} and changed: {old} {message}"
        claimed = status is MessageStatus.CLAIMED and before is MessageStatus.READY
        if message.attempts != old.attempts + claimed:
            yield f"message {key} counts {message.attempts} attempts after {old.attempts}"
        if claimed:
            self._holders[key, message.attempts] = deed.process
            if not self._consented(key, message, now, deed.now):
                self._withheld.add((key, message.attempts))
        if status is MessageStatus.SENDING and (key, message.attempts) in self._withheld:
            yield f"message {key} is sent without the consent to {message.topic}"
        yield from self._whose(key, old, message, claimed, deed)

    def _whose(
        self, key: MessageKey, old: Message, message: Message, claimed: bool, deed: Deed
    ) -> Iterator[str]:
        """Whether ``deed`` may do that to a message at all."""
        lapsed = old.lease_until is not None and old.lease_until <= deed.now
        match deed.stage:
            case Stage.DELIVER if not claimed and self._holders.get((key, old.attempts)) != deed.process:
                yield f"message {key} was changed by a process that does not hold it"
            case Stage.DELIVER if claimed and (old.available_at or 0) > deed.now:
                yield f"message {key} was claimed before its time"
            case Stage.RECOVER if not lapsed:
                yield f"message {key} was taken back while its lease held"
            case Stage.TICK if message.status not in _after_a_tick(old):
                yield f"message {key} became {message.status} in a tick"
            case Stage.STORE | Stage.APPLY:
                yield f"message {key} was changed by {deed.stage.value}"

    def _consented(self, key: MessageKey, message: Message, now: Snapshot, present: int) -> bool:
        topic = self._versions.by_id[message.version].catalog.topics[message.topic]
        who = Situation(instant=present, attributes=now.contacts[key[:2]].attributes)
        opt_in = next(
            (case.opt_in for case in topic.cases if case.when is None or evaluate(case.when, who) is True),
            topic.opt_in,
        )
        own = now.consents.get((*key[:2], message.topic, message.channel))
        every = now.consents.get((*key[:2], message.topic, "*"))
        if opt_in is OptIn.SOFT:  # until somebody says no
            return (own or every) != "withdrawn"
        return topic.transactional or (own or every) == "given"

    # Runs --------------------------------------------------------------------------------------------------

    def _runs(self, before: Snapshot, now: Snapshot, deed: Deed) -> Iterator[str]:
        for gone in before.runs.keys() - now.runs.keys():
            yield f"run {gone} is gone"
        changed = {key for key, run in now.runs.items() if before.runs.get(key) != run}
        for key in sorted(changed) if deed.stage is not Stage.TICK else ():
            if deed.stage is not Stage.APPLY or not self._asked_again(
                before.runs.get(key), now.runs[key], deed
            ):
                yield f"run {key} was changed by {deed.stage.value}"
        moved = changed | {key for key, _, _ in now.left.keys() - before.left.keys()}
        paths = self._paths(now, moved)
        for key in sorted(moved):
            yield from self._run(key, before.runs.get(key), now.runs[key], paths[key], now)
        on = Counter(
            (*key[:2], run.journey, run.per) for key, run in now.runs.items() if run.status == "active"
        )
        yield from (f"{count} runs of {who} are on at once" for who, count in on.items() if count > 1)
        causes = Counter((*key[:2], run.journey, run.entry_key) for key, run in now.runs.items())
        yield from (f"{who} entered {count} times" for who, count in causes.items() if count > 1)

    def _asked_again(self, old: Run | None, run: Run, deed: Deed) -> bool:
        """Whether a run that policy keeps waiting at a send was only made due at once, which it was not before."""
        if old is None or old.node is None or old.due_at is None or old.due_at <= deed.now:
            return False
        at_once = min(deed.now, deed.now if old.review_at is None else old.review_at)
        sends = isinstance(self._program(old.version).nodes[old.node].verb, Send)
        return sends and run == old._replace(due_at=deed.now, next_at=at_once)

    def _paths(self, now: Snapshot, moved: set[RunKey]) -> Mapping[RunKey, list[tuple[int, str]]]:
        """Of each run the nodes that it has left and how, in the order of the program."""
        paths: defaultdict[RunKey, list[tuple[int, str]]] = defaultdict(list)
        for (key, node, _), left in now.left.items():
            if key in moved:
                paths[key].append((node, left.outcome))
        for path in paths.values():
            path.sort()
        return paths

    def _run(
        self, key: RunKey, old: Run | None, run: Run, path: list[tuple[int, str]], now: Snapshot
    ) -> Iterator[str]:
        if old is not None:
            if old.status != "active" and old != run:
                yield f"run {key} had ended, and changed: {old} {run}"
            for name in _NEVER_CHANGES_IN_RUNS:
                if getattr(old, name) != getattr(run, name):
                    yield f"run {key} changed its {name}"
        elif run.version != now.in_force[run.journey]:
            yield f"run {key} entered version {run.version}, which is not in force"
        program = self._program(run.version)
        reached: int | None = 0
        reason: str | None = None
        for node, outcome in path:
            if node != reached:
                yield f"run {key} left node {node} without having been there: {path}"
            edges = [edge for edge in program.nodes[node].edges if edge.outcome == outcome]
            if not edges:
                yield f"run {key} left node {node} by {outcome}, where there is no such way"
                return
            reached, reason = edges[0].target, edges[0].reason
        sends = {node for node, _ in path if isinstance(program.nodes[node].verb, Send)}
        messages = {program.node(message[3]).index for message in now.messages if message[:3] == key}
        if sends != messages:
            yield f"run {key} has passed the sends {sorted(sends)}, and has messages of {sorted(messages)}"
        if run.status == "active":
            yield from self._position(key, run, program, reached)
            return
        if run.status == "set_aside":
            # Where it stood stays known, so that it can be resumed.
            run = run._replace(node=None, due_at=None)
        if (run.step, run.node, run.due_at, run.review_at, run.next_at) != (None,) * 5:
            yield f"run {key} has ended, and stands somewhere: {run}"
        by_itself = reached == program.end and run.reason == reason
        if run.status == "completed" and not by_itself:
            yield f"run {key} is completed without having come to the end: {path}"
        ended_now = old is None or old.status == "active"
        if run.status == "exited" and not by_itself and ended_now:
            for message_key, message in now.messages.items():
                if message_key[:3] == key and message.status in (MessageStatus.READY, MessageStatus.CLAIMED):
                    yield f"run {key} was ended by {run.reason}, but message {message_key} is {message.status}"

    def _position(self, key: RunKey, run: Run, program: Program, reached: int | None) -> Iterator[str]:
        """An active run stands at one wait, the one to which its path leads, with the timer of that wait."""
        if run.node is None or run.node != reached or run.node >= program.end:
            yield f"run {key} stands at node {run.node}, but its path leads to {reached}"
            return
        node = program.nodes[run.node]
        if node.step.id != run.step:
            yield f"run {key} stands at node {run.node}, which is {node.step.id}, and says {run.step}"
        timers = [at for at in (run.due_at, run.review_at) if at is not None]
        if run.next_at != min(timers, default=None):
            yield f"run {key} has its next instant at {run.next_at}, with timers at {timers}"
        match node.verb:
            case WaitUntil(if_missing=if_missing):
                waits = run.due_at is not None or if_missing is Leave.WAIT
            case Send():  # put off by policy
                waits = run.due_at is not None
            case _:
                waits = node.timer_outcome is not None and run.due_at is not None
        if not waits:
            yield f"run {key} stands at {run.step}, and nothing will ever move it: {run}, {type(node.verb).__name__}"
        if self.in_order and run.arrived_at < run.entered_at:
            yield f"run {key} came to {run.step} before it entered"

    def _program(self, version: int) -> Program:
        return self._versions.by_id[version].program

    # Events ------------------------------------------------------------------------------------------------

    def _events(self, before: Snapshot, now: Snapshot) -> Iterator[str]:
        for key, old in before.events.items():
            event = now.events.get(key)
            if event is None:
                if not (old.pending and key[2].startswith(TAKEN_BACK)):
                    yield f"event {key} is gone"
            elif event[:4] != old[:4] or (event.pending and not old.pending):
                yield f"event {key} changed: {old} {event}"
        stored = {
            (now.contacts[partition, contact].key, dedup)
            for (partition, contact, dedup), event in now.events.items()
            if event.caused_by is None and not dedup.startswith(WRITTEN_BY_THE_ENGINE)
        }
        if missing := self.acknowledged - stored:
            yield f"events were acknowledged and are not stored: {sorted(missing)}"
        if strange := stored - self.submitted:
            yield f"events are stored that nobody sent: {sorted(strange)}"

    # The end -----------------------------------------------------------------------------------------------

    def settled(self, now: int) -> list[str]:
        """What is still to be done at the instant ``now``, µs, when everybody says that they are through."""
        left = self._before
        return [
            *(
                f"event {key} waits"
                for key, event in left.events.items()
                if event.pending and event.at <= now
            ),
            *(
                f"run {key} was due at {run.next_at}"
                for key, run in left.runs.items()
                if run.next_at is not None and run.next_at <= now
            ),
            *(
                f"message {key} is {message.status}"
                for key, message in left.messages.items()
                if message.status in (MessageStatus.READY, *_HELD)
            ),
        ]
