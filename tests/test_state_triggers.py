"""Triggers that hang on the state of a contact: attributes, consents, the ends of other journeys."""

from __future__ import annotations

from plays import holds

from runner.store.database import Database

CATALOG = """
attributes:
  plan: {type: string, one_of: [free, pro]}
  points: {type: number}
  vip: {type: boolean}
  born: {type: date}
events:
  Signed Up: {plan: string}
  Stop: {}
topics:
  offers: {title: Offers, opt_in: explicit}
  news: {title: News, opt_in: explicit}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
  sms: {uses: file}
"""
TEMPLATE = "---\nsubject: '{}'\n---\nHello\n"


def project(**journeys: str) -> dict[str, str]:
    """The files of journeys by name, names with _ for -; each may send the template `hello`."""
    files = {"journeys/catalog.yaml": CATALOG}
    for name, text in journeys.items():
        name = name.replace("_", "-")
        subject = next((line[2:] for line in text.splitlines() if line.startswith("# ")), "Hello")
        files[f"journeys/{name}/journey.yaml"] = f"journey: {name}\nlanguage: 1\ntitle: Example\n{text}"
        if "send:" in text:
            files[f"journeys/{name}/hello.txt"] = TEMPLATE.format(subject)
    return files


SEND = "topic: receipts\nsteps:\n  - {id: hello, send: email}\n"
UPGRADED = (
    "# {{ trigger.old }} to {{ trigger.new }}\ntrigger: {attribute: plan, from: free, to: pro}\n"
    "entry: {reentry: always}\n" + SEND
)


def test_an_attribute_that_changes_from_and_to(database: Database) -> None:
    holds(
        database,
        project(upgraded=UPGRADED),
        "upgraded",
        """
  - name: from free to pro enters, other ways do not
    contact: {id: ana, plan: free}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, identify: {plan: pro}}
      - {at: 2h, identify: {plan: pro}}
      - {at: 3h, identify: {plan: null}}
      - {at: 4h, identify: {plan: pro}}
      - {at: 5h, identify: {plan: free}}
      - {at: 6h, identify: {points: 3}}
      - {at: 7h, identify: {plan: pro, points: 4}}
    expect:
      - {at: 1h, send: hello, subject_contains: free to pro}
      - {at: 1h, completed: true}
      - {at: 7h, send: hello}
      - {at: 7h, completed: true}
  - name: what it was before the start is no change
    contact: {id: bea, plan: pro}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, identify: {plan: pro}}
    expect: []
""",
    )


ANY = "trigger: {attribute: points}\nentry: {reentry: always}\n" + SEND
LOST = "trigger: {attribute: vip, from: true, to: null}\n" + SEND
COUNTS = """
trigger: {event: Signed Up}
steps:
  - {id: same, update: {set: {points: = contact.points}}}
  - {id: pause, wait: 1h}
  - {id: more, update: {set: {points: = contact.points + 1, vip: true}}}
  - {id: lost, update: {set: {vip: null}}}
"""


def test_an_update_step_changes_attributes_too(database: Database) -> None:
    holds(
        database,
        project(counts=COUNTS, any=ANY, lost=LOST),
        "any",
        """
  - name: writing the same value again is no change
    with: [counts, lost]
    contact: {id: ana, points: 7}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, identify: {points: null}}
      - {at: 3h, identify: {points: null}}
    expect:
      - {at: 1h, send: hello}
      - {at: 1h, completed: true}
      - {at: 2h, send: hello}
      - {at: 2h, completed: true}
""",
    )
    holds(
        database,
        project(counts=COUNTS, any=ANY, lost=LOST),
        "lost",
        """
  - name: null is the value of those who have none
    with: [counts, any]
    contact: {id: ana, points: 7}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
    expect:
      - {at: 1h, send: hello}
      - {at: 1h, completed: true}
""",
    )


WITHDRAWN = "trigger: {consent: offers, channel: email, change: withdrawn}\nentry: {reentry: always}\n" + SEND
GIVEN = "trigger: {consent: offers, change: given}\nentry: {reentry: always}\n" + SEND


def test_consents_that_change(database: Database) -> None:
    holds(
        database,
        project(given=GIVEN),
        "given",
        """
  - name: to give again what is given is no change
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, consent: offers, change: given}
      - {at: 2h, consent: offers, change: given}
      - {at: 3h, consent: offers, channel: email, change: given}
      - {at: 4h, consent: offers, channel: email, change: withdrawn}
      - {at: 5h, consent: offers, change: given}
      - {at: 6h, consent: news, change: given}
    expect:
      - {at: 1h, send: hello}
      - {at: 1h, completed: true}
      - {at: 5h, send: hello}
      - {at: 5h, completed: true}
""",
    )
    holds(
        database,
        project(withdrawn=WITHDRAWN),
        "withdrawn",
        """
  - name: a word for every channel is one for this channel
    contact: {id: ana, consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, consent: offers, channel: sms, change: withdrawn}
      - {at: 2h, consent: offers, change: withdrawn}
      - {at: 3h, consent: offers, channel: email, change: withdrawn}
      - {at: 4h, consent: offers, channel: email, change: given}
      - {at: 5h, consent: offers, channel: email, change: withdrawn}
    expect:
      - {at: 2h, send: hello}
      - {at: 2h, completed: true}
      - {at: 5h, send: hello}
      - {at: 5h, completed: true}
""",
    )


STEP = """
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - {id: give, consent: {give: offers}}
"""


def test_a_consent_that_a_step_gives(database: Database) -> None:
    holds(
        database,
        project(given=GIVEN, step=STEP),
        "given",
        """
  - name: once
    with: [step]
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, event: Signed Up}
      - {at: 2h, event: Signed Up}
    expect:
      - {at: 1h, send: hello}
      - {at: 1h, completed: true}
""",
    )


FIRST = """
trigger: {event: Signed Up}
entry: {reentry: always}
exit:
  - {event: Stop, reason: stopped}
steps:
  - {id: pause, wait: 1h}
  - {id: pro, condition: {if: trigger.plan == "pro", else: [{id: leave, exit: no-pro}]}}
  - {id: long, condition: not contact.vip}
"""


def after(outcome: str) -> str:
    return (
        f"# {{{{ trigger.outcome }}}}\ntrigger: {{journey: first{outcome}}}\nentry: {{reentry: always}}\n"
        + SEND
    )


def test_the_end_of_another_journey(database: Database) -> None:
    files = project(
        first=FIRST,
        every=after(""),
        completed=after(", outcome: completed"),
        stopped=after(", outcome: stopped"),
        no_pro=after(", outcome: no-pro"),
        gated=after(", outcome: condition"),
    )
    runs = """
  - name: completed
    with: [first]
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: pro}]
    expect: %s
  - name: stopped
    with: [first]
    contact: {id: bea}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: pro}, {at: 30m, event: Stop}]
    expect: %s
  - name: exit step
    with: [first]
    contact: {id: cleo}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: free}]
    expect: %s
  - name: gate
    with: [first]
    contact: {id: dora, vip: true}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: pro}]
    expect: %s
"""

    def sent(at: str, outcome: str) -> str:
        return f"[{{at: {at}, send: hello, subject_contains: {outcome}}}, {{at: {at}, completed: true}}]"

    each = [sent("1h", "completed"), sent("30m", "stopped"), sent("1h", "no-pro"), sent("1h", "condition")]
    holds(database, files, "every", runs % tuple(each))
    for place, name in enumerate(("completed", "stopped", "no-pro", "gated")):
        holds(
            database, files, name, runs % tuple(one if at == place else "[]" for at, one in enumerate(each))
        )


STALE = "trigger: {consent: news, channel: email, change: stale}\nentry: {reentry: always}\n" + SEND
STALE_ANY = "trigger: {consent: news, change: stale}\nentry: {reentry: always}\n" + SEND


def test_a_consent_that_grows_stale(database: Database) -> None:
    files = project(stale=STALE, any=STALE_ANY)
    files["journeys/catalog.yaml"] = files["journeys/catalog.yaml"].replace(
        "news: {title: News, opt_in: explicit}", "news: {title: News, opt_in: explicit, stale_after: 10d}"
    )
    tests = """
  - name: ten days after it was given
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, consent: news, change: given}
    expect: [{at: 10d1h, send: hello}, {at: 10d1h, completed: true}]
  - name: given anew, it is as young as that
    contact: {id: bea}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 1h, consent: news, change: given}
      - {at: 5d, consent: news, change: given}
    expect: [{at: 15d, send: hello}, {at: 15d, completed: true}]
  - name: withdrawn, it has no age
    contact: {id: cleo}
    start: 2026-03-01T10:00:00Z
    until: 20d
    events:
      - {at: 1h, consent: news, change: given}
      - {at: 5d, consent: news, change: withdrawn}
    expect: []
  - name: given before the start
    contact: {id: dora}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 2026-02-28T10:00:00Z, consent: news, change: given}
    expect: [{at: 9d, send: hello}, {at: 9d, completed: true}]
"""
    holds(database, files, "stale", tests)
    holds(database, files, "any", tests)
    holds(
        database,
        files,
        "stale",
        """
  - name: a word of its own counts for the channel
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    until: 20d
    events:
      - {at: 1h, consent: news, change: given}
      - {at: 5d, consent: news, channel: email, change: given}
    expect: [{at: 15d, send: hello}, {at: 15d, completed: true}]
""",
    )


LEAVES = """
topic: offers
trigger: {event: Signed Up}
entry: {per: trigger.plan}
exit:
  - {consent: withdrawn, reason: unwanted}
  - {replied: any, reason: replied}
steps:
  - {id: hello, send: email}
  - {id: pause, wait: 1d}
  - {id: again, send: {channel: email, template: hello}}
"""


def test_a_run_ends_when_a_consent_that_it_needs_is_withdrawn(database: Database) -> None:
    holds(
        database,
        project(leaves=LEAVES),
        "leaves",
        """
  - name: of its topic, for every channel
    contact: {id: ana, consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 1h, consent: news, change: withdrawn}
      - {at: 2h, consent: offers, channel: sms, change: withdrawn}
      - {at: 3h, consent: offers, change: withdrawn}
    expect:
      - {at: 0m, send: hello}
      - {at: 3h, exit: unwanted}
  - name: for its channel
    contact: {id: bea, consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 3h, consent: offers, channel: email, change: withdrawn}
    expect:
      - {at: 0m, send: hello}
      - {at: 3h, exit: unwanted}
  - name: a reply to one of its messages
    contact: {id: cleo, consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, replied: hello}
    expect:
      - {at: 0m, send: hello}
      - {at: 2h, exit: replied}
  - name: only the run whose message it was
    contact: {id: dora, consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: free}
      - {at: 1h, event: Signed Up, plan: pro}
      - {at: 2h, replied: hello}
    expect:
      - {at: 0m, send: hello}
      - {at: 1h, send: hello}
      - {at: 2h, exit: replied}
      - {at: 1d, send: again}
      - {at: 1d, completed: true}
""",
    )
