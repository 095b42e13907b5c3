"""What policy says of messages, a scenario a rule: each would fail were the rule read otherwise."""

from __future__ import annotations

NIGHT = 'quiet_hours: {from: "21:00", to: "08:00", channels: [email]}'

HELLO = """
steps:
  - {id: hello, send: {channel: email}}
  - {id: pause, wait: 1h}
  - {id: second, send: {channel: email}}
"""

SCENARIOS = {
    "at night a message waits until the quiet hours are over, and what follows counts from then": (
        NIGHT,
        HELLO,
        """
        - name: an evening
          contact: {consents: [offers]}
          start: 2026-03-01T20:59:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}, {at: 661m, send: second}]
        - name: the very minute
          contact: {consents: [offers]}
          start: 2026-03-01T21:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 11h, send: hello}, {at: 12h, send: second}]
        - name: the last minute
          contact: {consents: [offers]}
          start: 2026-03-01T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0h, send: hello}, {at: 1h, send: second}]
        """,
    ),
    "who has a place of a rate keeps it, whatever happens at night; one that comes at night is given anew": (
        NIGHT,
        "steps: [{id: hello, send: {channel: email, rate: {max: 1, per: 12h}}}]",
        """
        - name: their place comes as the night is over
          contact: {consents: [offers]}
          start: 2026-03-01T20:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 30m, event: Signed Up}, {at: 2h, identify: {plan: pro}}]
          expect: [{at: 0m, send: hello}, {at: 12h, send: hello}]
        - name: their place comes at night
          contact: {consents: [offers]}
          start: 2026-03-01T10:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 30m, event: Signed Up}]
          expect: [{at: 0m, send: hello}, {at: 22h, send: hello}]
        """,
    ),
    "who waits for a place is asked for caps as it comes, and not when something happens to them before": (
        "frequency_cap: [{max: 1, per: 1h}]",
        "steps: [{id: hello, send: {channel: email, rate: {max: 1, per: 3h}}}]",
        """
        - name: another message an hour before
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          with: [other]
          events:
            - {at: 0m, event: Signed Up}
            - {at: 90m, event: Signed Up}
            - {at: 2h, event: Asked}
            - {at: 150m, identify: {plan: pro}}
          expect: [{at: 0m, send: hello}, {at: 3h, send: hello}]
        - name: another message half an hour before
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          with: [other]
          events: [{at: 0m, event: Signed Up}, {at: 90m, event: Signed Up}, {at: 150m, event: Asked}]
          expect: [{at: 0m, send: hello}, {at: 3h, send: hello, blocked: frequency_cap}]
        """,
    ),
    "the night is that of the contact, and moves with them": (
        NIGHT,
        HELLO,
        """
        - name: in Tbilisi it is night
          contact: {consents: [offers], timezone: Asia/Tbilisi}
          start: 2026-03-01T19:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 10h, send: hello}, {at: 11h, send: second}]
        - name: and in New York it is day, where the contact turns out to be
          contact: {consents: [offers], timezone: Asia/Tbilisi}
          start: 2026-03-01T19:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 30m, identify: {timezone: America/New_York}}]
          expect: [{at: 30m, send: hello}, {at: 90m, send: second}]
        - name: further east it is later
          contact: {consents: [offers], timezone: Europe/London}
          start: 2026-03-01T22:00:00+00:00
          events: [{at: 0m, event: Signed Up}, {at: 30m, identify: {timezone: America/New_York}}]
          expect: [{at: 30m, send: hello}, {at: 90m, send: second}]
        """,
    ),
    "the clocks going forward at night shorten the wait": (
        NIGHT,
        HELLO,
        """
        - name: 29 March 2026
          contact: {consents: [offers]}
          start: 2026-03-28T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 9h, send: hello}, {at: 10h, send: second}]
        """,
    ),
    "an hour that comes twice is quiet both times": (
        'quiet_hours: {from: "01:00", to: "02:30", channels: [email]}',
        HELLO,
        """
        - name: 25 October 2026, the second quarter past two
          contact: {consents: [offers]}
          start: 2026-10-25T02:15:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 15m, send: hello}, {at: 75m, send: second}]
        """,
    ),
    "a message that cannot wait until the morning is blocked as expired, when it expires and not before": (
        NIGHT,
        """
        steps:
          - id: hello
            send: {channel: email, valid_for: 2h, if_blocked: [{id: other, send: {channel: email, topic: receipts,
              ignore_quiet_hours: true}}, {id: why, condition: run.blocked == "expired"}, {id: over, exit: late}]}
        """,
        """
        - name: after two hours
          contact: {consents: [offers]}
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 2h, send: hello, blocked: expired}, {at: 2h, send: other}, {at: 2h, exit: late}]
        - name: at the very end it may still leave
          contact: {consents: [offers]}
          start: 2026-03-01T06:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 2h, send: hello}]
        """,
    ),
    "who leaves the journey while their message waits gets none": (
        NIGHT,
        """
        exit: [{event: Bought, reason: bought}]
        steps: [{id: hello, send: {channel: email}}]
        """,
        """
        - name: bought at night
          contact: {consents: [offers]}
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1h, event: Bought}]
          expect: [{at: 1h, exit: bought}, {never: hello}]
        """,
    ),
    "consent is judged when the message leaves, not only when the run comes to it": (
        NIGHT,
        "steps: [{id: hello, send: {channel: email}}]",
        """
        - name: withdrawn at night
          contact: {consents: [offers]}
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1h, consent: offers, change: withdrawn}]
          expect: [{at: 10h, send: hello, blocked: no_consent}]
        - name: nobody waits for what they may not get
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1h, consent: offers, change: given}]
          expect: [{at: 0h, send: hello, blocked: no_consent}]
        """,
    ),
    "a window opens on its days, on the contact's wall clock": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email, window: {from: "11:00", to: "12:00", days: [mon, wed]}, valid_for: 7d}}
        """,
        """
        - name: monday within
          contact: {consents: [offers]}
          start: 2026-03-02T11:59:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}]
        - name: monday at its end
          contact: {consents: [offers]}
          start: 2026-03-02T12:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 47h, send: hello}]
        - name: tuesday
          contact: {consents: [offers]}
          start: 2026-03-03T11:30:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 1410m, send: hello}]
        """,
    ),
    "a window over midnight belongs to the day on which it opens": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email, window: {from: "22:00", to: "02:00", days: [mon]}, valid_for: 7d}}
        """,
        """
        - name: tuesday at one
          contact: {consents: [offers]}
          start: 2026-03-03T01:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}]
        - name: monday at one
          contact: {consents: [offers]}
          start: 2026-03-02T01:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 21h, send: hello}]
        """,
    ),
    "a window that does not exist on a day opens on the next": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email, window: {from: "02:15", to: "02:45"}, valid_for: 7d}}
        """,
        """
        - name: 29 March 2026
          contact: {consents: [offers]}
          start: 2026-03-29T00:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 1515m, send: hello}]
        """,
    ),
    "the best hour is that of most opens by people, within so long; too few are no habit": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email, window: {best: 24h, fallback: "11:00"}}}
        """,
        """
        - name: opens at seven in the evening
          contact: {consents: [offers]}
          start: 2026-03-02T10:00:00+01:00
          events:
            - {at: -15h, opened: hello}
            - {at: -63h, opened: hello}
            - {at: -24h, opened: hello}
            - {at: -12h, opened: hello, bot: true}
            - {at: -36h, opened: hello, bot: true}
            - {at: -60h, opened: hello, bot: true}
            - {at: 0m, event: Signed Up}
          expect: [{at: 9h, send: hello}]
        - name: two opens
          contact: {consents: [offers]}
          start: 2026-03-02T10:00:00+01:00
          events: [{at: -15h, opened: hello}, {at: -63h, opened: hello}, {at: 0m, event: Signed Up}]
          expect: [{at: 1h, send: hello}]
        - name: long ago
          contact: {consents: [offers]}
          start: 2026-03-02T10:00:00+01:00
          events:
            - {at: -15h, opened: hello}
            - {at: -63h, opened: hello}
            - {at: -2163h, opened: hello}
            - {at: 0m, event: Signed Up}
          expect: [{at: 1h, send: hello}]
        - name: in the hour itself
          contact: {consents: [offers]}
          start: 2026-03-02T19:30:00+01:00
          events:
            - {at: -24h, opened: hello}
            - {at: -48h, opened: hello}
            - {at: -72h, opened: hello}
            - {at: 0m, event: Signed Up}
          expect: [{at: 0m, send: hello}]
        """,
    ),
    "a cap counts what was let go in (instant - per, instant], over journeys, and receipts neither count nor wait": (
        "frequency_cap: {max: 2, per: 1d}",
        """
        steps:
          - {id: hello, send: {channel: email}}
          - {id: receipt, send: {channel: email, topic: receipts, template: other}}
          - {id: pause, wait: 1h}
          - {id: second, send: {channel: email}}
          - {id: day, wait: {for: 0m, at: "12:00"}}
          - {id: third, send: {channel: email, template: other}}
        """,
        """
        - name: two a day
          contact: {consents: [offers]}
          start: 2026-03-02T12:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 2h, event: Asked}, {at: 23h, event: Bought}]
          expect:
            - {at: 0h, send: hello}
            - {at: 0h, send: receipt}
            - {at: 1h, send: second}
            - {at: 24h, send: third}
        - name: another journey takes the second place
          contact: {consents: [offers]}
          with: [other]
          start: 2026-03-02T12:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 30m, event: Asked}]
          expect:
            - {at: 0h, send: hello}
            - {at: 0h, send: receipt}
            - {at: 1h, send: second, blocked: frequency_cap}
            - {at: 24h, send: third}
        """,
    ),
    "a cap of a channel or a topic counts those alone; one that defers lets the message go when there is room": (
        "frequency_cap: [{max: 1, per: 1d, channel: sms}, {max: 1, per: 2d, topic: news, over: defer}]",
        """
        steps:
          - {id: hello, send: {channel: email}}
          - {id: short, send: {channel: sms, template: other}}
          - {id: second, send: {channel: email, topic: news, valid_for: 7d}}
          - {id: pause, wait: 1h}
          - {id: shorter, send: {channel: sms, template: other}}
          - {id: more, send: {channel: email, template: second, topic: news, valid_for: 7d}}
          - {id: last, send: {channel: email, template: second, topic: news, valid_for: 1d}}
        """,
        """
        - name: each for itself
          contact: {consents: [offers, news], phone: "+49123"}
          start: 2026-03-02T12:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect:
            - {at: 0h, send: hello}
            - {at: 0h, send: short}
            - {at: 0h, send: second}
            - {at: 1h, send: shorter, blocked: frequency_cap}
            - {at: 48h, send: more}
            - {at: 72h, send: last, blocked: expired}
        """,
    ),
    "a hold ends at the event that ends it, or within the hour in which time does": (
        """hold: [{when: 'contact.open_tickets > 0 or did("Asked", within="90m")', topics: [offers]}]""",
        """
        steps:
          - {id: news, send: {channel: email, topic: news, template: other}}
          - {id: hello, send: {channel: email}}
        """,
        """
        - name: by an event
          contact: {consents: [offers, news], open_tickets: 2}
          start: 2026-03-02T12:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 10m, event: Bought}, {at: 20m, identify: {open_tickets: 0}}]
          expect: [{at: 0m, send: news}, {at: 20m, send: hello}]
        - name: by time
          contact: {consents: [offers, news]}
          start: 2026-03-02T12:00:00+01:00
          events: [{at: -10m, event: Asked}, {at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: news}, {at: 2h, send: hello}]
        """,
    ),
    "only_if is read again as the message leaves": (
        NIGHT,
        "steps: [{id: hello, send: {channel: email, only_if: not contact.vip}}]",
        """
        - name: changed at night
          contact: {consents: [offers], vip: false}
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1h, identify: {vip: true}}]
          expect: [{at: 1h, send: hello, blocked: only_if}]
        - name: as before
          contact: {consents: [offers], vip: false}
          start: 2026-03-01T22:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 10h, send: hello}]
        """,
    ),
    "a consent grows too old at its very instant": (
        "",
        "steps: [{id: hello, send: {channel: email, topic: news}}]",
        """
        - name: a moment before
          start: 2026-03-01T12:00:00+01:00
          events: [{at: -719h59m, consent: news, change: given}, {at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}]
        - name: thirty days
          start: 2026-03-01T12:00:00+01:00
          events: [{at: -30d, consent: news, change: given}, {at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, blocked: consent_stale}]
        """,
    ),
    "a double opt-in counts once it is confirmed, a soft one until somebody says no": (
        "",
        "steps: [{id: hello, send: {channel: email, topic: tips}}]",
        """
        - name: not confirmed, then confirmed
          contact: {country: DE}
          start: 2026-03-02T08:00:00+01:00
          events:
            - {at: 0m, consent: tips, change: given}
            - {at: 1m, event: Signed Up}
            - {at: 2m, consent: tips, change: given, confirmed: true}
            - {at: 3m, consent: tips, change: given}
            - {at: 4m, event: Signed Up}
          expect: [{at: 1m, send: hello, blocked: no_consent}, {at: 4m, send: hello}]
        - name: soft
          contact: {country: US}
          start: 2026-03-02T08:00:00+01:00
          events:
            - {at: 0m, event: Signed Up}
            - {at: 1m, unsubscribed: hello}
            - {at: 2m, event: Signed Up}
          expect: [{at: 0m, send: hello}, {at: 2m, send: hello, blocked: no_consent}]
        """,
    ),
    "a hard bounce and a complaint suppress the address, whatever was consented to; a soft bounce does not": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email}}
          - {id: pause, wait: 1h}
          - {id: second, send: {channel: email, topic: receipts}}
        """,
        """
        - name: bounced, until there is another address, not the same in capital letters
          contact: {email: ana@example.com, consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events:
            - {at: 0m, event: Signed Up}
            - {at: 1m, bounced: hello}
            - {at: 30m, identify: {email: Ana@Example.com}}
            - {at: 2h, event: Signed Up}
            - {at: 150m, identify: {email: new@example.com}}
          expect:
            - {at: 0m, send: hello}
            - {at: 1h, send: second, blocked: suppressed}
            - {at: 2h, send: hello, blocked: suppressed}
            - {at: 3h, send: second}
        - name: bounced softly
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1m, bounced: hello, soft: true}]
          expect: [{at: 0m, send: hello}, {at: 1h, send: second}]
        - name: complained
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events:
            - {at: 0m, event: Signed Up}
            - {at: 1m, complained: hello}
            - {at: 2m, identify: {email: new@example.com}}
            - {at: 2h, event: Signed Up}
          expect:
            - {at: 0m, send: hello}
            - {at: 1h, send: second}
            - {at: 2h, send: hello, blocked: no_consent}
            - {at: 3h, send: second}
        - name: unsubscribed, and the receipt still comes
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}, {at: 1m, unsubscribed: hello}]
          expect: [{at: 0m, send: hello}, {at: 1h, send: second}]
        """,
    ),
    "who is held out goes the same way, receives nothing, and uses up no cap": (
        "frequency_cap: {max: 1, per: 1d}",
        """
        holdout: 10%
        goal: {event: Bought, within: 1d}
        steps:
          - {id: hello, send: {channel: email}}
          - {id: pause, wait: 1h}
          - {id: again, condition: sent("hello")}
          - {id: second, send: {channel: email}}
        """,
        """
        - name: held out
          contact: {consents: [offers]}
          given: {holdout: true}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, withheld: held_out}, {at: 1h, send: second, withheld: held_out}]
        - name: held out, and without consent
          given: {holdout: true}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, blocked: no_consent}, {at: 1h, exit: condition}]
        - name: not held out
          contact: {consents: [offers]}
          given: {holdout: false}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}, {at: 1h, send: second, blocked: frequency_cap}]
        """,
    ),
    "a journey in shadow is decided about and sent to nobody": (
        "",
        "delivery: shadow\nsteps: [{id: hello, send: {channel: email}}]",
        """
        - name: shadow
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, withheld: shadow}]
        """,
    ),
    "seeds alone receive what is sent to seeds, and read so": (
        "",
        "delivery: seed\nseeds: [ME@shop.example]\nsteps: [{id: hello, send: {channel: email}}]",
        """
        - name: a seed
          contact: {consents: [offers], email: me@shop.example}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, subject_contains: "[seed] A mail"}]
        - name: anybody else
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, withheld: seed}]
        """,
    ),
    "why a message was blocked is known further down": (
        "",
        """
        steps:
          - {id: hello, send: {channel: email}}
          - {id: gate, condition: {if: run.blocked == "no_consent", else: [{id: fine, exit: sent}]}}
          - {id: over, exit: blocked}
        """,
        """
        - name: blocked
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello, blocked: no_consent}, {at: 0m, exit: blocked}]
        - name: sent
          contact: {consents: [offers]}
          start: 2026-03-02T08:00:00+01:00
          events: [{at: 0m, event: Signed Up}]
          expect: [{at: 0m, send: hello}, {at: 0m, exit: sent}]
        """,
    ),
}

OTHER = """\
journey: other
language: 1
title: Another
topic: offers
trigger: {event: Asked}
entry: {reentry: always}
steps: [{id: hello, send: {channel: email}}]
"""
