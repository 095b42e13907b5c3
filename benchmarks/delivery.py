"""How fast messages are handed over: to a channel that takes everything, and over SMTP, signed, to a sink.

Beside the whole stand its parts, each measured by itself in the same run: rendering, building the mail, signing it,
``smtplib`` over a kept connection, and the store's work as bare ``executemany`` in the same batches. Their sum is the
floor. Parts and whole take turns, and of the rounds the median of their ratios counts: by the wall clock (connections
overlap, so the whole may be faster than the sum) and by processor time of this process and of the database's backends.
What happens once a process, such as compiling versions, is done before, in a round that does not count.

Then two worker processes beside one: see ``delivery_processes.py``.

    python -m benchmarks.delivery [--messages 5000] [--database sqlite|postgresql|both] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import smtplib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.delivery_processes import two_beside_one
from benchmarks.drained import BATCH, CONNECTIONS, LEASE, Null, drain, smtp_channel
from benchmarks.harness import KINDS, Row, databases, processor_seconds
from benchmarks.mails import NOW, fill, reset
from benchmarks.sink import a_sink
from channels.base import Channel, Message
from channels.dkim import Signer, signed, signer
from channels.mime import build
from runner.engine.prepare import prepare
from runner.engine.versions import load_versions
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.types import to_microseconds

SAMPLE = 1_000
ROUNDS = 5
PARTS = ("render", "build", "sign", "smtp", "store")
PARTS_OF_NULL = ("render", "store")
TARGET = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--database", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    kinds = KINDS if options.database == "both" else [options.database]
    figures = [figure for kind in kinds for figure in measure(kind, options.messages, tell=print)]
    print(f"{'':<28}{'database':<12}{'size':>8}{'a second':>10}{'floor':>10}{'ratio':>7}{'cpu':>7}")
    for each in figures:
        cpu = "" if each["cpu_ratio"] is None else f"{each['cpu_ratio']:.2f}"
        print(
            f"{each['name']:<28}{each['database']:<12}{each['size']:>8,}{each['per_second']:>10,.0f}"
            f"{each['floor_per_second']:>10,.0f}{each['ratio']:>7.2f}{cpu:>7}"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(
    kind: str, size: int, *, tell: Callable[[str], object] = lambda _line: None
) -> list[dict[str, Any]]:
    """The figures of one kind of database, ``size`` messages each; ``tell`` is given the shares of the parts."""
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signers = (signer(domain="shop.example", selector="bench", pem=pem),)
    rows: list[Row] = []
    with databases(kind) as make, a_sink() as sink:
        database = make()
        fill(database, size)
        wholes: dict[str, Callable[[], Channel]] = {
            "delivery, null channel": Null,
            "delivery, SMTP and DKIM": lambda: smtp_channel(sink.port, signers),
        }
        versions = load_versions(database)
        rounds: list[dict[str, Cost]] = []
        for _ in range(1 + ROUNDS):
            costs = measure_parts(database, size, sink.port, signers)
            for name, channel in wholes.items():
                reset(database)
                costs[name] = Cost.of(partial(drain, database, versions, channel), size, database)
            rounds.append(costs)
        del rounds[0]
        for name in wholes:
            parts = PARTS_OF_NULL if name.endswith("null channel") else PARTS
            of_whole = [costs[name] for costs in rounds]
            of_floor = [Cost.sum(costs[part] for part in parts) for costs in rounds]
            whole, floor = Cost.median(of_whole), Cost.median(of_floor)
            shares = {part: Cost.median([costs[part] for costs in rounds]).cpu for part in parts}
            told = ", ".join(
                f"{part} {cpu * 1e6:.0f} µs ({cpu / floor.cpu:.0%})" for part, cpu in shares.items()
            )
            tell(f"{kind}, {name}: {whole.cpu * 1e6:.0f} µs of processors a message; its parts: {told}")
            rows.append(beside(of_whole, of_floor, name, kind, size))
        for name, where in (("null channel", None), ("SMTP and DKIM", sink)):
            rows.append(two_beside_one(database, size, name, where, pem, tell))
    return [dataclasses.asdict(row) for row in rows]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds a message, by the wall clock and of processors."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[], object], size: int, database: Database | None = None) -> Cost:
        cpu, wall = processor_seconds(database), time.perf_counter()
        work()
        wall = time.perf_counter() - wall
        return cls(wall=wall / size, cpu=(processor_seconds(database) - cpu) / size)

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        all_costs = list(costs)
        return cls(wall=sum(each.wall for each in all_costs), cpu=sum(each.cpu for each in all_costs))

    @classmethod
    def median(cls, costs: Sequence[Cost]) -> Cost:
        return cls(
            wall=statistics.median(each.wall for each in costs),
            cpu=statistics.median(each.cpu for each in costs),
        )


def beside(whole: Sequence[Cost], floor: Sequence[Cost], name: str, kind: str, size: int) -> Row:
    """The whole beside its floor, round by round: what slows a round of the one slows the other as well."""
    pairs = list(zip(whole, floor, strict=True))
    return Row(
        name=name,
        database=kind,
        size=size,
        per_second=1 / Cost.median(whole).wall,
        floor_per_second=1 / Cost.median(floor).wall,
        ratio=statistics.median(parts.wall / one.wall for one, parts in pairs),
        cpu_ratio=statistics.median(parts.cpu / one.cpu for one, parts in pairs),
        target=TARGET,
    )


# The parts ---------------------------------------------------------------------------------------------------------


def measure_parts(database: Database, size: int, port: int, signers: Sequence[Signer]) -> dict[str, Cost]:
    """Each part by itself, a message. What a version makes once (a skeleton, compiled templates) is made before."""
    sample = min(size, SAMPLE)
    versions = load_versions(database)
    reset(database)
    with database.begin() as connection:
        claimed = messages.claim(connection, now=NOW, lease_until=NOW + LEASE, limit=sample)

    def render() -> list[Message]:
        prepared, refused = prepare(claimed, versions, {"email": Null()}, database.deployment, NOW, {})
        assert not refused
        return [one.message for one in prepared]

    rendered = render()
    mails = [build(message) for message in rendered]
    contents = [signed(mail.content, signers) for mail in mails]
    costs = {
        "render": Cost.of(render, sample),
        "build": Cost.of(lambda: [build(message) for message in rendered], sample),
        "sign": Cost.of(lambda: [signed(mail.content, signers) for mail in mails], sample),
    }
    with closing(smtplib.SMTP("127.0.0.1", port)) as server:
        server.ehlo()
        costs["smtp"] = Cost.of(
            lambda: [
                server.sendmail(mail.sender, [mail.recipient], content)
                for mail, content in zip(mails, contents, strict=True)
            ],
            sample,
        )
    reset(database)
    costs["store"] = Cost.of(lambda: drain_by_hand(database), size, database)
    return costs


def drain_by_hand(database: Database) -> None:
    """What the store must do at least: claims of BATCH with all that rendering needs, as Python values, then
    ``sending`` and ``sent`` in groups of as many as there are connections, since each may have one message in doubt."""
    sqlite = database.dialect == "sqlite"
    mark = "?" if sqlite else "%s"
    at = to_microseconds if sqlite else (lambda instant: instant)
    now, until = at(NOW), at(NOW + LEASE)
    key = f"partition = {mark} AND contact = {mark} AND run = {mark} AND step = {mark} AND visit = {mark}"
    join = "CROSS JOIN" if sqlite else "JOIN"
    find = (
        "SELECT m.partition, m.contact, m.run, m.step, m.visit, m.attempts, m.journey, m.version, m.channel, m.topic, "
        "m.let_go_at, m.expires_at, c.key, c.email, c.phone, c.timezone, c.locale, k.state, r.entered_at, "
        "c.attributes, c.tags, r.trigger, r.data FROM (SELECT * FROM message WHERE status = 'ready' AND available_at "
        f"<= {mark} ORDER BY available_at LIMIT {BATCH}{'' if sqlite else ' FOR UPDATE SKIP LOCKED'}) m "
        f"{join} contact c ON c.partition = m.partition AND c.id = m.contact "
        f"{join} run r ON r.partition = m.partition AND r.contact = m.contact AND r.id = m.run "
        "LEFT JOIN consent k ON k.partition = m.partition AND k.contact = m.contact AND k.topic = m.topic "
        "AND k.channel = '*'"
    )
    claim = (
        f"UPDATE message SET status = 'claimed', attempts = attempts + 1, lease_until = {mark}, available_at = NULL "
        f"WHERE {key} AND status = 'ready'"
    )
    begin = f"UPDATE message SET status = 'sending', lease_until = {mark} WHERE {key} AND status = 'claimed'"
    record = (
        f"UPDATE message SET status = 'sent', sent_at = {mark}, lease_until = NULL, provider_id = {mark} "
        f"WHERE {key} AND status = 'sending'"
    )
    raw = database.engine.raw_connection()
    try:
        cursor = raw.cursor()

        @contextmanager
        def transaction() -> Iterator[None]:
            if sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            yield
            cursor.execute("COMMIT") if sqlite else raw.commit()

        while True:
            with transaction():
                cursor.execute(find, (now,))
                rows = cursor.fetchall()
                keys = [tuple(row[:5]) for row in rows]
                if sqlite:  # psycopg has read the JSON already
                    rows = [(*row[:-4], *map(json.loads, row[-4:])) for row in rows]
                if keys:
                    cursor.executemany(claim, [(until, *each) for each in keys])
            if not keys:
                return
            last: list[tuple[Any, ...]] = []
            for start in range(0, len(keys) + CONNECTIONS, CONNECTIONS):
                group = keys[start : start + CONNECTIONS]
                with transaction():
                    if last:
                        cursor.executemany(record, [(now, "taken", *each) for each in last])
                    if group:
                        cursor.executemany(begin, [(until, *each) for each in group])
                last = group
    finally:
        raw.close()


if __name__ == "__main__":
    main()
