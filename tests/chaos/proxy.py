"""A TCP proxy that does harm: it delays, cuts, loses answers, or stops forwarding without a word.

Each connection through it gets at most one ``Harm``, which strikes once. What a harm waits for is looked for in the
bytes of the client, so the same proxy stands before PostgreSQL and before an SMTP server.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from tests.servers import free_port

LONGEST_MARK = 64
COMMIT = b"COMMIT"
"""What psycopg sends to commit, as a simple query."""
DATA = b"DATA\r\n"
FINAL_DOT = b"\r\n.\r\n"


class Kind(StrEnum):
    DELAY = "delay"  # everything comes `seconds` late from here on
    CUT = "cut"  # both sides are reset; of the bytes that come together, a part goes through
    CUT_BEFORE = "cut before the mark"  # the bytes that hold the mark do not go through
    LOSE_ANSWER = "cut after the mark, before its answer"
    HALF_OPEN = "half-open"  # nothing goes through any more for `seconds`, then both sides are reset


@dataclass(frozen=True, kw_only=True)
class Harm:
    """Strikes at the ``count``-th ``mark`` of the client, or, without a mark, after ``count`` bytes of both sides."""

    kind: Kind
    count: int = 1
    mark: bytes = b""
    seconds: float = 0.0


@dataclass
class Proxy:
    """Listens on ``port`` of loopback. ``plan`` chooses the harm of each new connection; None is none."""

    port: int
    target: int
    plan: Callable[[], Harm | None]
    struck: Counter[str]
    """How often each kind of harm struck."""
    connections: int = 0

    def heal(self) -> None:
        """Do no more harm to new connections."""
        self.plan = lambda: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, self.plan(), writer, far_writer)
        await asyncio.gather(
            line.carry(reader, far_writer, from_client=True),
            line.carry(far_reader, writer, from_client=False),
        )


class _Line:
    """One connection through the proxy, in both directions."""

    def __init__(
        self,
        proxy: Proxy,
        harm: Harm | None,
        near: asyncio.StreamWriter,
        far: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._harm = harm
        self._ends = (near, far)
        self._bytes = 0
        self._marks = 0
        self._tail = b""
        self._losing = False
        self._late = 0.0

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                if self._losing and not from_client:
                    self._cut(Kind.LOSE_ANSWER)
                    return
                harm = self._strikes(piece, from_client=from_client)
                if harm is not None and await self._strike(harm, piece, writer):
                    return
                await asyncio.sleep(self._late)
                writer.write(piece)
                await writer.drain()
            writer.close()

    def _strikes(self, piece: bytes, *, from_client: bool) -> Harm | None:
        """The harm, if this is its moment. It is forgotten then."""
        harm = self._harm
        if harm is None or (harm.mark and not from_client):
            return None
        self._bytes += len(piece)
        if harm.mark:
            self._marks += (self._tail + piece).count(harm.mark)
            # So much of the end as may be the beginning of a mark, and holds none that was counted.
            self._tail = (self._tail + piece)[-(len(harm.mark) - 1) :]
        if (self._marks if harm.mark else self._bytes) < harm.count:
            return None
        self._harm = None
        return harm

    async def _strike(self, harm: Harm, piece: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answers whether the connection is over for this direction."""
        match harm.kind:
            case Kind.DELAY:
                self._proxy.struck[harm.kind] += 1
                self._late = harm.seconds
                return False
            case Kind.LOSE_ANSWER:
                self._losing = True
                return False
            case Kind.HALF_OPEN:
                self._proxy.struck[harm.kind] += 1
                for end in self._ends:
                    end.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(harm.seconds)
                self._abort()
                return True
            case Kind.CUT:
                writer.write(piece[: self._bytes % (len(piece) + 1)])
                with contextlib.suppress(OSError):
                    await writer.drain()
        self._cut(harm.kind)
        return True

    def _cut(self, kind: Kind) -> None:
        self._proxy.struck[kind] += 1
        self._abort()

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()


@contextmanager
def a_proxy(target: int, plan: Callable[[], Harm | None] = lambda: None) -> Iterator[Proxy]:
    """A proxy to ``target``, a port of loopback, in a thread of its own."""
    proxy = Proxy(free_port(), target, plan, Counter())
    loop = asyncio.new_event_loop()
    listening = threading.Event()

    async def listen() -> None:
        await asyncio.start_server(proxy.serve, "127.0.0.1", proxy.port)
        listening.set()

    def work() -> None:
        loop.run_until_complete(listen())
        loop.run_forever()
        for connection in asyncio.all_tasks(loop):
            connection.cancel()
        loop.run_until_complete(asyncio.sleep(0))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    listening.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
