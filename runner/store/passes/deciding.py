"""The working tables of messages that are decided about together: what each hangs on by itself, and the verdicts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table

from runner.store.passes.working import working
from runner.store.types import ByCodePoint, Instant

deciding = Table(
    "deciding",
    working,
    Column("n", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("node", SmallInteger, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("since", Instant, nullable=False, comment="when the run came to the send"),
    Column("expires", Instant, nullable=False),
    Column("journey", ByCodePoint, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("counted", Integer, nullable=False, comment="1 where it takes a place that may be the last"),
    Column("template", ByCodePoint),
    Column("withheld", ByCodePoint, comment="why it is decided about and not sent"),
    Column("blocked", ByCodePoint, comment="why it may not leave at all"),
    Column("reason", ByCodePoint, comment="why it has to wait"),
    Column("until", Instant, comment="when it is looked at again"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Runs at sends that are decided about together, and what each hangs on by itself.",
)
Index("ix_deciding_node", deciding.c.n, deciding.c.version, deciding.c.node)

READY, BLOCKED, DEFERRED, QUEUED = "ready", "blocked", "deferred", "queued"
"""What is decided about a message; ``queued`` is one that only its send's rate may still keep."""

verdict = Table(
    "verdict",
    working,
    Column("n", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("node", SmallInteger, nullable=False),
    Column("rank", Integer, nullable=False, comment="its turn among those of its contact"),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("outcome", ByCodePoint, nullable=False),
    Column("reason", ByCodePoint),
    Column("until", Instant),
    Column("template", ByCodePoint),
    Column("withheld", ByCodePoint),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="What was decided about them.",
)
Index("ix_verdict_node", verdict.c.n, verdict.c.version, verdict.c.node)
