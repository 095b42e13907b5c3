"""What ``update`` writes: to the contact, to its tags, to the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
    update,
)

from runner.journey.catalog import CONTACT_UPDATED, OWN_FIELDS, SCORE_ADDED
from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.longest import LONGEST_EMAIL, LONGEST_KEY
from runner.journey.model import Update
from runner.store.causes.announce import Announcement, announcement, cause_key
from runner.store.causes.attributes import attribute_json, changed
from runner.store.passes.advance import at_node, leave
from runner.store.passes.program import MOVING_RUN, ProgramSql, of_run
from runner.store.passes.told import store_told
from runner.store.passes.working import moving
from runner.store.people.places import belongs_in
from runner.store.predicates import Row, json_value, value
from runner.store.statement import Statement
from runner.store.steps.acts import tell
from runner.store.tables import contact, event, run
from runner.store.types import Json, constant, json_merged, json_object, tags_changed

Writing = Callable[[Expression, Row, str], ColumnElement[Any]]
_RANK = bindparam("rank", type_=Integer())


def update_values(
    sql: ProgramSql, node: Node, connection: Connection, n: int, watched: Sequence[str] = ()
) -> None:
    """Write what the ``update`` at ``node`` says, and let the runs go on. Of the attributes ``watched`` it is told what
    changes.

    Runs of one contact that are here together write one after the other, in order of their ids, so that each sees
    what the one before it wrote.
    """
    verb = node.verb
    assert isinstance(verb, Update)
    writes_contact = bool(verb.attributes or verb.add_tags or verb.remove_tags)
    # What the run remembers is computed before the contact changes: both read the values from before the step.
    writing: list[Callable[[ProgramSql, Node], Statement]] = []
    if verb.values:
        writing.append(_write_run)
    if writes_contact:
        writing.append(_write_contact)
    told = tuple(name for name, _ in verb.attributes if name in watched)
    most = sql.once(("most runs", node.index), lambda: _most(sql, node)).run(connection, n=n).scalar() or 0
    for rank in range(1, most + 1):
        if told:
            tell_of = sql.once(("tell", node.index, told), lambda: _tell(sql, node, told))
            tell_of.run(connection, n=n, rank=rank)
        for write in writing:
            build = partial(write, sql, node)
            sql.once((write, node.index), build).run(connection, n=n, rank=rank)
    if verb.score is not None:
        _add_to_score(sql, node, connection, n)
    if (writes_contact or verb.score is not None) and most:
        _announce(sql, node, connection, n)
    leave(sql, node, connection, n)


def _ranked(sql: ProgramSql, node: Node) -> Any:
    """The runs that are at ``node``, each with its rank among those of its contact."""
    rank = func.row_number().over(partition_by=(moving.c.partition, moving.c.contact), order_by=moving.c.run)
    return (
        select(moving.c.partition, moving.c.contact, moving.c.run, moving.c.at, rank.label("rank"))
        .select_from(moving.join(run, MOVING_RUN))
        .where(at_node(sql, node))
        .subquery("ranked")
    )


def _with_contacts(these: Any) -> FromClause:
    """Runs of ``_ranked`` with their contacts."""
    return these.join(run, of_run(these)).join(  # type: ignore[no-any-return]
        contact, (contact.c.partition == these.c.partition) & (contact.c.id == these.c.contact)
    )


def _most(sql: ProgramSql, node: Node) -> Statement:
    return Statement(select(func.max(_ranked(sql, node).c.rank)))


def _write_run(sql: ProgramSql, node: Node) -> Statement:
    """Writes the values of the run."""
    assert isinstance(node.verb, Update)
    these = _ranked(sql, node)
    data = json_merged(run.c.data, _as_object(node.verb.values, sql.row(these), sql.dialect))
    found = _written(these, [data.label("data")])
    return Statement(update(run).values(data=found.c.data).where(of_run(found)))


def _write_contact(sql: ProgramSql, node: Node) -> Statement:
    """Writes the attributes and tags of the contact."""
    verb = node.verb
    assert isinstance(verb, Update)
    these = _ranked(sql, node)
    row = sql.row(these)
    written = {
        contact.c[name].name: _fitting(name, found, row, sql.dialect, value)
        for name, found in verb.attributes
        if name in OWN_FIELDS
    }
    if "account" in written:
        written["belongs_in"] = belongs_in(written["account"])
    if attributes := [(name, found) for name, found in verb.attributes if name not in OWN_FIELDS]:
        written["attributes"] = json_merged(contact.c.attributes, _as_object(attributes, row, sql.dialect))
    if verb.add_tags or verb.remove_tags:
        added, removed = (literal(list(tags), Json()) for tags in (verb.add_tags, verb.remove_tags))
        written["tags"] = tags_changed(contact.c.tags, added, removed)
    found = _written(these, [made.label(name) for name, made in written.items()])
    return Statement(
        update(contact)
        .values({name: found.c[name] for name in written})
        .where(contact.c.partition == found.c.partition, contact.c.id == found.c.contact)
    )


def _written(these: Any, values: Sequence[ColumnElement[Any]]) -> Any:
    """What is written by those runs of ``these`` whose turn it is."""
    return (
        select(these.c.partition, these.c.contact, these.c.run, *values)
        .select_from(_with_contacts(these))
        .where(these.c.rank == _RANK)
        .subquery()
    )


def _as_object(pairs: Sequence[tuple[str, Expression]], row: Row, dialect: str) -> Any:
    parts: list[Any] = []
    for name, found in pairs:
        parts += [literal(name, Text()), json_value(found, row, dialect)]
    return json_object(*parts)


def _tell(sql: ProgramSql, node: Node, told: Sequence[str]) -> Announcement:
    """Tells which of the attributes ``told`` change."""
    assert isinstance(node.verb, Update)
    these = _ranked(sql, node)
    row = sql.row(these)
    each = [
        changed(
            sql.dialect,
            name,
            these,
            run=these.c.run,
            old=attribute_json(name, sql.dialect),
            new=func.nullif(_fitting(name, found, row, sql.dialect, json_value), _json_null(sql.dialect)),
            key=cause_key(these.c.run, node.step.id, run.c.visit, f":{name}"),
        )
        .select_from(_with_contacts(these))
        .where(these.c.rank == _RANK)
        for name, found in node.verb.attributes
        if name in told
    ]
    return announcement(sql.dialect, each[0] if len(each) == 1 else select(*union_all(*each).subquery().c))


def _fitting(name: str, found: Expression, row: Row, dialect: str, written: Writing) -> ColumnElement[Any]:
    """What is written to the attribute ``name``; NULL where it is too long, as an import would have it: addresses and
    accounts stand in indexes."""
    made = written(found, row, dialect)
    if name not in OWN_FIELDS:
        return made
    text = cast(value(found, row, dialect), Text())
    octets = func.octet_length(text) if dialect == "postgresql" else func.length(cast(text, LargeBinary()))
    size, most = (octets, LONGEST_EMAIL) if name == "email" else (func.length(text), LONGEST_KEY)
    return case((size <= constant(most), made), else_=null())


def _json_null(dialect: str) -> Any:
    return literal_column("'null'::jsonb" if dialect == "postgresql" else "'null'")


def _add_to_score(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Record what is added as an event of the contact, which is past at once: the steps behind see the new score."""
    verb = node.verb
    assert isinstance(verb, Update)
    assert verb.score is not None
    name, add = verb.score
    part = ":score"

    def properties() -> dict[str, Any]:
        return {"score": literal(name, Text()), "add": json_value(add, sql.row(moving), sql.dialect)}

    def build_past() -> Statement:
        return Statement(
            update(event)
            .values(pending=False)
            .where(
                at_node(sql, node),
                of_run(moving),
                event.c.partition == moving.c.partition,
                event.c.contact == moving.c.contact,
                event.c.dedup_key == cause_key(moving.c.run, node.step.id, run.c.visit, part),
            )
        )

    tell(sql, node, connection, n, SCORE_ADDED, properties, part=part)
    store_told(connection)
    sql.once(("score is past", node.index), build_past).run(connection, n=n)


def _announce(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """An internal event at the run's instant, for the exits and waits of this contact that read what has changed. Its
    properties name the attributes that were written."""
    verb = node.verb
    assert isinstance(verb, Update)
    written = {name: True for name, _ in verb.attributes}

    def build() -> Statement:
        return announcement(
            sql.dialect,
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                moving.c.at,
                literal_column(f"'{CONTACT_UPDATED}'").label("name"),
                literal(written, Json()).label("properties"),
                cause_key(moving.c.run, node.step.id, run.c.visit).label("key"),
            )
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node)),
        )

    sql.once(("announce", node.index), build).run(connection, n=n)
