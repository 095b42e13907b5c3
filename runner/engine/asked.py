"""What is handed over that is no message to the contact: calls, tasks for people, changes of audiences; and the answer
to a call, which comes back to the run as an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from channels.base import Answer, Message, Rejected, Result, RetryLater, Sent
from runner.engine.versions import Version
from runner.journey.catalog import CALL_ANSWERED
from runner.journey.expression import Expression
from runner.journey.fit import fit, present
from runner.journey.model import AdAudience, Call, HandOff, Verb
from runner.journey.model.acts import JsonList, JsonObject, JsonValue
from runner.journey.values import MILLIONTHS
from runner.store.people.arrival import Arrival
from runner.store.sending.messages import Change, Claimed, MessageKey
from runner.store.tables import MessageKind, MessageStatus


def asked_message(one: Claimed, version: Version, verb: Verb, key: str) -> Message:
    """What was written at the step, ready to be handed over. ``text`` says the same for people."""
    payload = one.payload or {}
    match verb:
        case Call():
            kind, subject, made = (
                MessageKind.CALL,
                f"{verb.method} {payload.get('url')}",
                _call(verb, payload),
            )
        case HandOff():
            kind, subject, made = MessageKind.TASK, f"Task for {verb.to}", {**payload, **_whom(one)}
        case AdAudience():
            kind, subject, made = MessageKind.AUDIENCE, f"Audience {verb.audience}", {**payload, **_whom(one)}
        case _:
            raise TypeError(f"{one.held.key.step} asks nobody")
    sender = version.catalog.channels.get(one.channel)
    return Message(
        idempotency_key=key,
        recipient=one.contact_key,
        let_go_at=one.let_go_at,
        journey=one.journey,
        step=one.held.key.step,
        contact=one.contact_key,
        locale=version.catalog.locale,
        subject=subject,
        text=json.dumps(made, indent=2, ensure_ascii=False),
        sender_name=sender.sender_name if sender else None,
        sender_address=sender.sender_address if sender else None,
        kind=kind.value,
        payload=made,
    )


def _whom(one: Claimed) -> Mapping[str, Any]:
    """By what the other side knows the contact, and by what its answer names the run."""
    key = one.held.key
    return {
        "contact": one.contact_key,
        "email": one.email,
        "phone": one.phone,
        "journey": one.journey,
        "step": key.step,
        "run": key.run,
        "visit": key.visit,
    }


def _call(verb: Call, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    made: dict[str, Any] = {
        "method": verb.method,
        "url": payload.get("url"),
        "headers": {name: value for name, value in payload.get("headers", {}).items() if value is not None},
        "timeout": verb.timeout.elapsed / 1_000_000,
    }
    if verb.json is not None:
        made["json"] = _plain(verb.json, payload.get("json"))
    return made


def _plain(made: JsonValue, stored: Any) -> Any:
    """A stored value as JSON has it elsewhere: numbers as they are, not in millionths."""
    match made:
        case JsonObject(members=members):
            return {key: _plain(inner, (stored or {}).get(key)) for key, inner in members}
        case JsonList(items=items):
            return [_plain(inner, value) for inner, value in zip(items, stored or [], strict=False)]
        case Expression(type=type):
            return _as_json(present(stored, type))
    return None


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _as_json(inner) for key, inner in value.items()}
    return value


def answered(
    verb: Verb | None, key: MessageKey, message: Message, result: Result, change: Change, at: datetime
) -> Change:
    """``change`` with what the run is told of it, where the step is a call: its answer, or that there is none, as when
    all attempts were in vain."""
    if not isinstance(verb, Call):
        return change
    answer: Answer | None = None
    match result:
        case Sent(answer=None):
            return change
        case Sent(answer=answer) | Rejected(answer=answer):
            pass
        case RetryLater(reason=reason) if change.held.attempts > verb.retry:
            change = Change(held=change.held, to=MessageStatus.FAILED, reason=reason)
        case _:
            return change
    good = isinstance(result, Sent)
    told: dict[str, Any] = {
        "run": key.run * MILLIONTHS,
        "journey": message.journey,
        "step": key.step,
        "visit": key.visit * MILLIONTHS,
        "ok": good,
        "status": answer.status * MILLIONTHS if answer else None,
    }
    if good and answer is not None and verb.answer is not None:
        told["json"] = fit(answer.json, verb.answer.type)
    event = Arrival(
        contact=message.contact,
        name=CALL_ANSWERED,
        at=at,
        properties=told,
        undeclared={},
        dedup_key=f"answer:{message.idempotency_key}",
    )
    return replace(change, told=event)
