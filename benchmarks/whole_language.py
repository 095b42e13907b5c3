"""A project in which each journey uses the whole language, and a journey of many steps: what ``check`` is timed on."""

# ruff: noqa: E501
from __future__ import annotations

CATALOG = """
timezone: Europe/Berlin
locale: en
attributes:
  first_name: {type: string, pii: true}
  plan: {type: string, one_of: [free, pro]}
  lifetime_value: {type: number, unit: EUR}
  open_tickets: {type: number}
  renewal_date: {type: date}
  last_seen: {type: datetime}
  vip: {type: boolean}
  country: {type: string}
accounts:
  industry: {type: string, one_of: [retail, health]}
  seats: number
events:
  Signed Up: {source: string, plan: string, seats: number}
  Order Completed: {order_id: string, revenue: number, total: number, items: [{sku: string, price: number}]}
  Trial Started: {ends: date}
  Asset Read: {stage: string, minutes: number}
  Back In Stock: {broadcast: true, sku: string}
topics:
  news: {title: News, opt_in: double, stale_after: 730d}
  offers: {title: Offers, opt_in: soft, on_unknown: hold}
  tips: {title: Tips, opt_in: [{when: contact.country in EU, is: double}, {else: soft}]}
  orders: {title: Your orders, opt_in: none}
segments:
  big: {when: 'total("Order Completed", "revenue", within="365d") > 500', persona: true}
  quiet: {when: 'days_since("Order Completed") >= 90', refresh: 2h}
lists: {EU: [AT, BE, DE]}
stages:
  - {name: problem, when: 'did("Asset Read", where=event.stage == "problem")'}
  - {name: use, when: 'did("Order Completed", by="account")'}
scores:
  lead: [{event: Asset Read, where: event.minutes > 1, add: 10, fades: 30d}, {event: Order Completed, add: 5}]
funnel:
  - {name: reads, when: contact.stage is not None, probability: 0.05}
  - {name: evaluates, when: did("Trial Started"), probability: 0.25, value: contact.lifetime_value}
channels:
  email: {uses: file, cost: 0.0004, sender: {name: Shop, address: hello@shop.example}}
  sms: {cost: 0.07}
  crm: {uses: file}
  audiences: {uses: file}
pools: {vouchers: {file: vouchers.csv}}
hours: {office: {from: "09:00", to: "17:00"}}
policies:
  quiet_hours: {from: "21:00", to: "08:00", channels: [sms, email]}
  frequency_cap: [{max: 3, per: 7d}, {max: 1, per: 1d, channel: sms, over: drop}, {max: 2, per: 7d, topic: offers, over: defer}]
  priority: [transactional, news, offers]
  hold: [{when: contact.open_tickets > 0, topics: [offers]}]
  holdout: {percent: 5, name: global}
costs: [{name: licence, amount: 2000, per: month}]
goals: [{name: repeat revenue, metric: revenue, target: 10000, by: 2027-02-21, alert_below: 80%}]
links: {domain: links.shop.example, utm: {source: journeys, campaign: "{journey}", content: "{step}"}}
"""

FRAGMENT = """
fragment: hint
parameters:
  topic: topic
  pause: {type: duration, default: 3d}
  least: {type: number, default: 0}
steps:
  - {id: gate, condition: {if: "contact.lifetime_value >= {least}", else: [{id: skip, goto: end}]}}
  - {id: hello, send: {channel: email, topic: "{topic}"}}
  - {id: pause, wait: "{pause}"}
  - {id: end, update: {add_tags: [hinted]}}
"""

HEAD = """
journey: NAME
language: 1
title: The whole language
owner: growth@shop.example
topic: offers
"""

EVERYTHING = """
trigger:
  - {event: Signed Up, where: event.source != "import"}
  - {segment: big, change: enter}
  - {attribute: plan, from: free, to: pro}
  - {consent: news, channel: email, change: given}
  - {schedule: "0 9 * * MON", timezone: contact, audience: contact.vip, catch_up: skip}
  - {date: contact.renewal_date, every: year, offset: -7d, at: "09:00", if_past: skip}
  - {journey: BEFORE, outcome: completed}
  - {manual: true, properties: {code: string}}
entry: {per: contact.country, again: restart, reentry: 30d}
exit:
  - {event: Order Completed, where: event.revenue > 1000, reason: bought}
  - {when: 'contact.open_tickets > 3 or days_since("Order Completed") > 300', reason: busy}
  - {consent: withdrawn, reason: unwanted}
  - {replied: any, reason: replied}
goal: {event: Order Completed, where: event.revenue > 0, within: 7d, value: event.revenue / 2}
holdout: 10%
delivery: seed
seeds: [growth@shop.example]
ramp: [{percent: 5, for: 2d}, {percent: 100}]
links:
  later: {snooze: [3d, 1w]}
  stop: {exit: stopped}
  confirm: {consent: {give: news}}
  behind: {ask: {run.begins: {type: date, min: = today}}}
  done: {emit: {event: Asset Read, properties: {minutes: 3}}, expires: 30d}
steps:
  - {id: settle, wait: {for: 1h30m, at: "09:00", days: [mon, tue], timezone: Europe/Berlin}}
  - {id: hello, send: {channel: email, window: {from: "11:00", to: "12:00"}, valid_for: 3d, rate: {max: 200, per: 1h}, only_if: not contact.vip}}
  - {id: bought, wait: {event: Order Completed, where: event.revenue > 10, since: entry, up_to: 5d, save_as: order}}
  - {id: stock, wait: {event: Back In Stock, where: event.sku == contact.country, up_to: {until: contact.renewal_date, offset: -7d}}}
  - {id: pro, wait: {when: contact.plan == "pro", up_to: 30d}}
  - id: first
    wait:
      any:
        - {event: Order Completed, where: event.revenue > 1000, name: large}
        - {when: contact.vip, then: [{id: welcome, send: {channel: email, template: hello}}]}
      up_to: 2w
      timeout: [{id: silent, exit: silent}]
  - {id: orders, wait: {collect: Order Completed, for: 7d, at: "09:00", max: 20, save_as: orders}}
  - {id: renewal, wait: {until: contact.renewal_date, offset: -1w, at: "10:00", if_past: continue, if_missing: {goto: value}}}
  - {id: note, update: {set: {plan: pro, last_seen: = now}, run: {since: = today}, add_tags: [seen], score: {add: 5}}}
  - id: value
    branch:
      - when: contact.lifetime_value >= 100 and count("Order Completed", within="90d") >= 2
        name: high
        steps: [{id: voucher, draw: {pool: vouchers, save_as: code, if_empty: [{id: none, exit: none-left}]}}]
      - {name: rest, else: [{id: ping, call: "https://shop.example/ping"}]}
  - id: test
    split:
      arms: [{name: control, percent: 40}, {name: text, percent: 60, steps: [{id: text, send: {channel: sms, template: hello}}]}]
      experiment: {metric: goal, winner: bayes, guardrail: unsubscribed, by: [contact.plan]}
  - {id: score, call: {url: "https://shop.example/score", json: {who: = contact.id}, save_as: score, answer: {ok: boolean}}}
  - {id: good, condition: {if: run.score.ok and sent("hello"), else: [{id: bad, goto: last}]}}
  - {id: talk, hand_off: {to: sales, sla: 4h, hours: office, escalate: [{id: nobody, exit: nobody}]}}
  - {id: ads, ad_audience: {add: buyers}}
  - {id: agreed, consent: {give: news, channel: email}}
  - {id: read, emit: {event: Asset Read, properties: {minutes: = contact.lifetime_value / 2}}}
  - {id: onward, enroll: {journey: NEXT, properties: {code: = contact.plan}}}
  - {id: weeks, series: {each: [1, 2, 3], do: [{id: pause, wait: "{item}w"}, {id: nudge, send: {channel: email, template: hello}}]}}
  - {id: hint, use: {fragment: hint, with: {topic: news, least: 100}}}
  - {id: last, send: {channel: email, template: {by: [contact.plan, contact.vip], from: cells, empty: hello}}}
"""

GREETING = "Hello {{ contact.first_name|default('you') }}\n"
TEMPLATE = f"---\nsubject: {GREETING}---\n{GREETING}{{{{ links.stop }}}}\n"

TRIGGER = "trigger: {event: Signed Up}\n"
ENDS = """
journey: NAME
language: 1
title: One end of the chain
trigger: {manual: true, properties: {code: string}}
steps: [{id: pause, wait: 1d}]
"""
STRETCH = """
  - {id: wait-N, wait: {event: Order Completed, where: event.revenue > N, up_to: 5d}}
  - {id: send-N, send: {channel: email, template: hello}}
  - id: value-N
    branch:
      - when: contact.lifetime_value >= N and not contact.vip
        name: high
        steps: [{id: note-N, update: {run: {value_N: = contact.lifetime_value}}}]
      - {name: rest, else: [{id: gate-N, condition: 'count("Order Completed", within="90d") >= 2 or sent("send-N")'}]}
"""
"""Five steps, of which two stand in a branch."""


def files_of(journeys: int) -> dict[str, str]:
    """A project of so many journeys, each of which starts the next one, and of the two ends of this chain."""
    names = ["begin", *(f"j{number:03}" for number in range(journeys)), "end"]
    files = {"journeys/catalog.yaml": CATALOG, "journeys/fragments/hint.yaml": FRAGMENT}
    files |= {f"journeys/{name}/journey.yaml": ENDS.replace("NAME", name) for name in ("begin", "end")}
    for before, name, following in zip(names, names[1:], names[2:], strict=False):
        text = (HEAD + EVERYTHING).replace("NAME", name).replace("NEXT", following).replace("BEFORE", before)
        files |= {f"journeys/{name}/{path}.txt": TEMPLATE for path in ("hello", "cells/free/true")}
        files[f"journeys/{name}/journey.yaml"] = text
    return files


def long_journey(steps: int) -> dict[str, str]:
    """A project of one journey of so many steps, a multiple of five."""
    stretches = "".join(STRETCH.replace("N", str(number)) for number in range(1, steps // 5 + 1))
    links = "links: {stop: {exit: stopped}}\n"
    text = HEAD.replace("NAME", "long") + TRIGGER + links + "steps:\n" + stretches
    return {
        "journeys/catalog.yaml": CATALOG,
        "journeys/long/journey.yaml": text,
        "journeys/long/hello.txt": TEMPLATE,
    }
