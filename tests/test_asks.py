"""Steps that ask others: calls, tasks for people, changes of audiences."""

from __future__ import annotations

import json

from plays import holds
from shop import START, Shop, Sink

from runner.engine.deliver import deliver
from runner.store.database import Database
from runner.store.tables import event, message, pool_value, run, step_log
from tests.acting import CATALOG, project, rows

CALLS = """
topic: offers
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - id: score
    call:
      url: = "https://shop.example/" + trigger.plan
      json: {contact: = contact.id, seats: = trigger.seats, half: = trigger.seats / 2, list: [1, two, {day: = today}]}
      up_to: 2h
      save_as: score
      answer: {ok: boolean, value: number}
      on_error: [{id: unknown, exit: unknown}]
  - {id: good, condition: {if: run.score.ok and run.score.value > 5, else: [{id: bad, exit: bad}]}}
"""


def shop(**journeys: str) -> dict[str, str]:
    files = project(**journeys)
    files["journeys/catalog.yaml"] = CATALOG + "  crm: {uses: file}\n  audiences: {uses: file}\n" + HOURS
    return files


HOURS = """
hours:
  office: {from: "09:00", to: "17:00", timezone: Europe/Berlin}
  counter: {from: "08:30", to: "09:00", days: [thu, fri], timezone: Europe/Berlin}
"""


def test_the_answer_to_a_call_is_kept(database: Database) -> None:
    tests = """
  - name: A good answer
    start: 2026-03-01T10:00:00Z
    given: {calls: {score: {status: 200, json: {ok: true, value: 7.5, more: unread}}}}
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 0m, completed: true}]
  - name: Another
    start: 2026-03-01T10:00:00Z
    given: {calls: {score: {status: 201, json: {ok: true, value: 5}}}}
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 0m, exit: bad}]
  - name: What does not fit is missing
    start: 2026-03-01T10:00:00Z
    given: {calls: {score: {status: 200, json: {ok: perhaps, value: [7]}}}}
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 0m, exit: bad}]
  - name: An answer that is no object
    start: 2026-03-01T10:00:00Z
    given: {calls: {score: {status: 200, json: [ok]}}}
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 0m, exit: bad}]
"""
    holds(database, shop(demo=CALLS), "demo", tests)
    payloads = rows(database, message.c.kind, message.c.payload)
    assert payloads == [
        (
            "call",
            {
                "url": "https://shop.example/pro",
                "json": {
                    "contact": "contact",
                    "seats": 3_000_000,
                    "half": 1_500_000,
                    "list": [1_000_000, "two", {"day": "2026-03-01"}],
                },
            },
        )
    ]


def test_a_call_that_is_refused_or_never_answered_goes_on_by_on_error(database: Database) -> None:
    tests = """
  - name: Refused
    start: 2026-03-01T10:00:00Z
    given: {calls: {score: {status: 404, json: {ok: true, value: 9}}}}
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 0m, exit: unknown}]
  - name: Never answered
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: pro, seats: 3}]
    expect: [{at: 2h, exit: unknown}]
"""
    holds(database, shop(demo=CALLS), "demo", tests)


TASK = """
topic: offers
trigger: {event: Signed Up}
exit: [{event: Left, reason: left}]
steps:
  - id: talk
    hand_off:
      to: sales
      reason: = "They asked for " + trigger.plan
      sla: 1h
      accepted: [{id: talked, exit: talked}]
      rejected: [{id: declined, wait: 30m}]
      escalate: [{id: louder, hand_off: {to: managers, sla: 2h, escalate: [{id: nobody, exit: nobody}]}}]
  - {id: hello, send: {channel: email, template: hello}}
"""


def test_a_task_names_the_contact_and_the_step(database: Database) -> None:
    """By which the answer names the run, whatever channel hands it over: the text, too, is all that a file has."""
    shop_with_task = Shop(
        database,
        shop(demo=TASK.replace("steps:\n", "steps:\n  - {id: tagged, update: {add_tags: [asked]}}\n", 1)),
    )
    shop_with_task.sign_up("ana", plan="pro")
    sink = Sink()
    deliver(database, shop_with_task.versions, {"crm": sink}, START)
    (task,) = sink.messages
    assert task.payload == {
        "to": "sales",
        "reason": "They asked for pro",
        "contact": "ana",
        "email": "ana@x.example",
        "phone": None,
        "journey": "demo",
        "step": "talk",
        "run": 1,
        "visit": 1,
    }
    assert json.loads(task.text) == task.payload


def test_a_run_stands_at_a_task_until_somebody_answers_or_time_is_up(database: Database) -> None:
    tests = """
  - name: Accepted
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: pro}
      - {at: 59m, picked_up: talk}
    expect: [{at: 59m, exit: talked}]
  - name: Rejected
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: pro}
      - {at: 20m, rejected: talk}
    expect:
      - {at: 50m, send: hello}
      - {at: 50m, completed: true}
  - name: Too late for the first, in time for the second
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: pro}
      - {at: 90m, picked_up: talk}
      - {at: 100m, picked_up: louder}
    expect:
      - {at: 100m, send: hello}
      - {at: 100m, completed: true}
  - name: Nobody, at the very end
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: pro}
    expect: [{at: 3h, exit: nobody}]
  - name: Who leaves is not asked for any more
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: pro}
      - {at: 10m, event: Left}
      - {at: 20m, picked_up: talk}
    expect: [{at: 10m, exit: left}]
"""
    holds(database, shop(demo=TASK), "demo", tests)


def test_an_sla_counts_within_business_hours(database: Database) -> None:
    """Friday, 27 March 2026; on Sunday clocks in Berlin go forward."""
    journey = TASK.replace("sla: 1h", "sla: 4h\n      hours: office").replace(
        "escalate: [{id: louder, hand_off: {to: managers, sla: 2h, escalate: [{id: nobody, exit: nobody}]}}]",
        "escalate: [{id: nobody, exit: nobody}]",
    )
    cases = {
        "In the morning": ("2026-03-27T09:30:00+01:00", "2026-03-27T13:30:00+01:00"),
        "Before hours": ("2026-03-27T06:00:00+01:00", "2026-03-27T13:00:00+01:00"),
        "Over the weekend and the change of clocks": (
            "2026-03-27T15:00:00+01:00",
            "2026-03-30T11:00:00+02:00",
        ),
        "At the weekend": ("2026-03-28T12:00:00+01:00", "2026-03-30T13:00:00+02:00"),
        "To the very end of a day": ("2026-03-27T13:00:00+01:00", "2026-03-27T17:00:00+01:00"),
    }
    tests = "".join(until_nobody_came(name, *case) for name, case in cases.items())
    holds(database, shop(demo=journey), "demo", tests)


def until_nobody_came(name: str, start: str, end: str) -> str:
    return f"""
  - name: {name}
    start: {start}
    events: [{{at: 0m, event: Signed Up, plan: pro}}]
    expect: [{{at: {end}, exit: nobody}}]
"""


def test_half_an_hour_a_day_is_business_hours_too(database: Database) -> None:
    journey = """
trigger: {event: Signed Up}
steps:
  - {id: ask, hand_off: {to: sales, sla: 2h, hours: counter, escalate: [{id: nobody, exit: nobody}]}}
"""
    # 15 minutes of a Thursday, the Friday, both of the next week, and the rest on the Thursday after that.
    tests = until_nobody_came("Half done", "2026-03-26T08:45:00+01:00", "2026-04-09T08:45:00+02:00")
    holds(database, shop(demo=journey), "demo", tests)


def test_an_audience_is_changed_and_the_run_goes_on(database: Database) -> None:
    journey = """
trigger: {event: Signed Up}
steps:
  - {id: into, ad_audience: {add: buyers}}
  - {id: out-of, ad_audience: {remove: leads, channel: crm}}
"""
    tests = """
  - name: At once
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, completed: true}]
"""
    holds(database, shop(demo=journey), "demo", tests)
    assert rows(database, message.c.kind, message.c.channel, message.c.status, message.c.payload) == [
        ("audience", "audiences", "sent", {"audience": "buyers", "action": "add"}),
        ("audience", "crm", "sent", {"audience": "leads", "action": "remove"}),
    ]
    assert rows(database, run.c.status) == [("completed",)]


HELD_OUT = """
topic: offers
holdout: 10%
trigger: {event: Signed Up}
steps:
  - {id: voucher, draw: {pool: vouchers, if_empty: [{id: none-left, exit: none-left}]}}
  - {id: score, call: {url: "https://shop.example/", save_as: score, on_error: [{id: no, exit: no}]}}
  - {id: talk, hand_off: {to: sales, sla: 1h, escalate: [{id: late, exit: late}]}}
  - {id: into, ad_audience: {add: buyers}}
  - {id: trial, emit: {event: Trial Started}}
  - {id: on, enroll: next}
  - {id: agreed, consent: {give: offers}}
  - {id: hello, send: email}
"""


def test_who_is_held_out_walks_the_same_path_and_acts_on_nothing(database: Database) -> None:
    files = shop(demo=HELD_OUT, next="trigger: {manual: true}\nsteps: [{id: rest, wait: 1d}]\n")
    files["journeys/catalog.yaml"] += "pools:\n  vouchers: {file: vouchers.csv}\n"
    tests = """
  - name: Withheld at the instant at which it would have left
    start: 2026-03-01T10:00:00Z
    given: {holdout: true, pools: {vouchers: [A1]}}
    events: [{at: 0m, event: Signed Up}]
    expect:
      - {at: 0m, send: hello, withheld: held_out}
      - {at: 0m, completed: true}
"""
    holds(database, files, "demo", tests)
    skipped = dict(rows(database, step_log.c.step, step_log.c.outcome))
    assert skipped == {
        **dict.fromkeys(("voucher", "score", "talk", "into", "trial", "on"), "skipped"),
        "agreed": "done",
        "hello": "ready",
    }
    assert rows(database, message.c.kind) == [("message",)]
    assert rows(database, pool_value.c.partition) == [(None,)]
    names = {name for (name,) in rows(database, event.c.name)}
    assert names == {"Signed Up", "Contact Identified", "Consent Granted"}
