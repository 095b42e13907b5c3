"""Expectations beside what happened: what passes, what does not, and what the author reads then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from golden import golden
from hypothesis import given
from hypothesis import strategies as st

from runner.journey.duration import parse_duration
from runner.journey.scenario import (
    Consent,
    Expected,
    ExpectedCompletion,
    ExpectedExit,
    ExpectedPassing,
    ExpectedSend,
    Never,
    Person,
    Received,
    Scenario,
)
from runner.problem import Span
from runner.review.happenings import Happening, Kind
from runner.review.timeline import (
    Comparison,
    Decision,
    Mark,
    compare,
    comparison_text,
    offset_text,
)

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
SPAN = Span("journeys/cart/tests.yaml", 4, 5)


def after(text: str) -> datetime:
    duration = parse_duration(text)
    assert duration is not None
    return START + timedelta(microseconds=duration.elapsed)


def scenario(
    *expected: Expected,
    never: tuple[str, ...] = (),
    events: tuple[str, ...] = ("0m",),
    until: str | None = None,
    consents: tuple[str, ...] = ("offers",),
) -> Scenario:
    return Scenario(
        journey="cart",
        name="a buyer is left alone",
        span=SPAN,
        person=Person(id="ana", traits={}, consents=tuple(Consent(topic) for topic in consents)),
        start=START,
        zone=ZoneInfo("Asia/Tbilisi"),
        journeys=("cart",),
        received=tuple(
            Received(at=after(at), name="Cart Updated", properties={}, span=SPAN) for at in events
        ),
        expected=expected,
        never=tuple(Never(step=step, span=SPAN) for step in never),
        until=after(until) if until else None,
    )


def send(at: str | None, step: str = "remind", **more: object) -> ExpectedSend:
    return ExpectedSend(at=after(at) if at else None, step=step, span=SPAN, **more)  # type: ignore[arg-type]


def exits(at: str | None, reason: str = "bought") -> ExpectedExit:
    return ExpectedExit(at=after(at) if at else None, reason=reason, span=SPAN)


def sent(at: str, step: str = "remind", subject: str = "Your cart of 80", **more: str) -> Happening:
    return Happening(
        at=after(at),
        kind=Kind.SENT,
        journey=more.pop("journey", "cart"),
        name=step,
        channel="email",
        subject=subject,
        text="80 EUR are waiting",
        **more,
    )


SUBJECT_WITHOUT_90 = 'the subject does not contain "90"; it is "Your cart of 80"'
TEXT_WITHOUT_90 = 'the text does not contain "90"; the nearest line is "80 EUR are waiting"'


def blocked(at: str, reason: str = "no_consent", step: str = "remind") -> Happening:
    return Happening(
        at=after(at), kind=Kind.BLOCKED, journey="cart", name=step, detail=reason, channel="email"
    )


def happened(at: str, kind: Kind, name: str = "", detail: str = "") -> Happening:
    return Happening(at=after(at), kind=kind, journey="cart", name=name, detail=detail)


def complaints(comparison: Comparison) -> list[str]:
    return [row.why for row in comparison.rows if row.mark is Mark.WRONG]


def test_what_is_expected_and_happens_at_its_instant_passes() -> None:
    comparison = compare(
        scenario(send("1h", subject_contains=("80",), text_contains=("EUR",)), exits("2h")),
        [sent("1h"), happened("2h", Kind.EXITED, "bought")],
    )
    assert comparison.passed
    assert [row.mark for row in comparison.rows] == [Mark.FINE, Mark.FINE]


@pytest.mark.parametrize(
    ("expected", "what", "why"),
    [
        (send("1h"), sent("61m"), "expected at 1h, happened at 1h1m"),
        (send("1h"), blocked("1h"), "was blocked: no_consent"),
        (send("1h", blocked="no_consent"), sent("1h"), "was not blocked"),
        (send("1h", blocked="no_address"), blocked("1h"), "was blocked: no_consent"),
        (send("1h", channel="sms"), sent("1h"), "expected by sms, went by email"),
        (send("1h", subject_contains=("90",)), sent("1h"), SUBJECT_WITHOUT_90),
        (send("1h", text_contains=("90",)), sent("1h"), TEXT_WITHOUT_90),
        (send("1h"), sent("1h", trouble="the template fails"), "the template fails"),
        (exits("1h"), happened("2h", Kind.EXITED, "bought"), "expected at 1h, happened at 2h"),
        (
            ExpectedCompletion(at=after("1h"), span=SPAN),
            happened("2h", Kind.COMPLETED),
            "expected at 1h, happened at 2h",
        ),
    ],
)
def test_what_happens_otherwise_than_expected_says_why(expected: Expected, what: Happening, why: str) -> None:
    assert complaints(compare(scenario(expected), [what])) == [why]


def test_what_does_not_happen_is_missed() -> None:
    assert complaints(compare(scenario(send("1h"), exits("2h")), [sent("1h")])) == ["did not happen"]


@pytest.mark.parametrize(
    "what", [sent("30m", "nudge"), happened("30m", Kind.EXITED, "bought"), blocked("30m", step="nudge")]
)
def test_what_nobody_expects_may_not_happen(what: Happening) -> None:
    (why,) = complaints(compare(scenario(send("1h")), [what, sent("1h")]))
    assert why.startswith("is not expected")


def test_a_run_may_complete_or_restart_unsaid() -> None:
    story = [happened("0m", Kind.EXITED, "restarted"), sent("1h"), happened("1h", Kind.COMPLETED)]
    assert compare(scenario(send("1h")), story).passed


def test_what_happens_after_the_last_named_instant_is_left_open() -> None:
    assert compare(scenario(send("1h")), [sent("1h"), sent("3d", "nudge")]).passed
    assert not compare(scenario(send("1h"), until="4d"), [sent("1h"), sent("3d", "nudge")]).passed
    assert not compare(scenario(send("1h"), events=("0m", "4d")), [sent("1h"), sent("3d", "nudge")]).passed


@pytest.mark.parametrize(
    "what",
    [
        sent("30d"),
        blocked("30d"),
        happened("30d", Kind.COMPLETED),
        happened("30d", Kind.EXITED, "restarted"),
    ],
)
def test_with_an_empty_list_nothing_may_happen_ever(what: Happening) -> None:
    assert scenario().horizon == START + timedelta(days=400)
    assert complaints(compare(scenario(), [what]))
    assert compare(scenario(), [happened("0m", Kind.RECEIVED, "Cart Updated")]).passed


def test_a_run_that_the_engine_gave_up_on_is_never_fine() -> None:
    assert not compare(scenario(send("1h")), [sent("1h"), happened("1h", Kind.SET_ASIDE, "storm")]).passed


@pytest.mark.parametrize("kind", [Kind.SENT, Kind.LEFT, Kind.STANDS])
def test_never_is_broken_by_reaching_the_step(kind: Kind) -> None:
    story = [happened("2d", kind, "voucher")]
    assert complaints(compare(scenario(never=("voucher",)), story)) == ["was reached at 2d"]


def test_a_blocked_message_does_not_break_never_but_wants_to_be_named() -> None:
    assert compare(scenario(send("1h", blocked="no_consent"), never=("remind",)), [blocked("1h")]).passed
    (why,) = complaints(
        compare(
            scenario(exits("2h"), never=("remind",)), [blocked("1h"), happened("2h", Kind.EXITED, "bought")]
        )
    )
    assert "write {at: 1h, send: remind, blocked: no_consent}" in why


def test_with_only_never_the_rest_is_left_open() -> None:
    assert compare(scenario(never=("voucher",)), [sent("0m"), happened("1h", Kind.EXITED, "bought")]).passed


def test_at_one_instant_any_order_is_right() -> None:
    both = [sent("1h"), sent("1h", "nudge")]
    assert compare(scenario(send("1h"), send("1h", "nudge")), both).passed
    assert compare(scenario(send("1h", "nudge"), send("1h")), both).passed


def test_without_an_instant_an_expectation_holds_at_any_time_but_in_order() -> None:
    story = [sent("7d"), happened("9d", Kind.EXITED, "bought")]
    assert compare(scenario(send(None), exits(None)), story).passed
    assert not compare(scenario(exits(None), send(None)), story).passed


def test_other_journeys_are_shown_and_not_compared() -> None:
    comparison = compare(scenario(send("1h")), [sent("30m", journey="welcome"), sent("1h")])
    assert comparison.passed
    assert "(welcome)" in comparison.rows[0].happened


def test_a_missing_consent_is_suspected() -> None:
    (why,) = complaints(compare(scenario(send("1h"), consents=()), [blocked("1h")]))
    assert "`consents:`" in why


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"])), max_size=8),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"])), max_size=8),
)
def test_comparison_pairs_everything_once(wanted: list[tuple[int, str]], had: list[tuple[int, str]]) -> None:
    """Each expectation and each happening stands in exactly one row, and only equal lists pass."""
    wanted, had = sorted(wanted), sorted(had)
    case = scenario(*(send(f"{hour}h", step) for hour, step in wanted), until="6h")
    comparison = compare(case, [sent(f"{hour}h", step) for hour, step in had])
    assert sum(bool(row.expected) for row in comparison.rows) == len(wanted)
    assert sum(bool(row.happened) for row in comparison.rows) == len(had)
    assert comparison.passed == (wanted == had)


@given(
    st.timedeltas(timedelta(0), timedelta(days=500)).map(lambda t: timedelta(seconds=int(t.total_seconds())))
)
def test_offsets_are_written_as_authors_write_them(offset: timedelta) -> None:
    duration = parse_duration(offset_text(offset))
    assert duration is not None
    assert timedelta(microseconds=duration.elapsed) == offset
    assert offset_text(-timedelta(days=30)) == "-30d"


def test_a_failure_reads_like_this() -> None:
    case = scenario(
        send("1h", subject_contains=("90",)),
        exits("2h", "recovered"),
        never=("voucher",),
        events=("0m", "2h"),
    )
    comparison = compare(
        case,
        [
            happened("0m", Kind.RECEIVED, "Cart Updated"),
            happened("0m", Kind.ENTERED),
            sent("1h"),
            happened("1h", Kind.LEFT, "value", "rest"),
            blocked("1h", step="nudge"),
            happened("1h", Kind.STANDS, "came-back"),
            happened("2h", Kind.RECEIVED, "Order Completed"),
        ],
    )
    decided = Comparison(
        rows=comparison.rows,
        decisions=(
            Decision(
                at=after("1h"),
                step="value",
                outcome="rest",
                source="contact.lifetime_value >= 100",
                values=(("contact.lifetime_value", "20"),),
            ),
        ),
    )
    golden("scenario/failure.out", comparison_text(case, decided) + "\n")


def test_a_step_is_passed_by_the_way_that_is_expected() -> None:
    left = [
        happened("1h", Kind.LEFT, "ask", detail="accepted"),
        happened("2h", Kind.LEFT, "pause", detail="elapsed"),
        happened("3h", Kind.LEFT, "ask", detail="rejected"),
    ]

    def passes(at: str, way: str | None = None) -> Expected:
        return ExpectedPassing(step="ask", way=way, at=after(at), span=SPAN)

    assert complaints(compare(scenario(passes("3h")), left)) == []
    assert complaints(compare(scenario(passes("1h", "accepted"), passes("3h", "rejected")), left)) == []
    assert complaints(compare(scenario(passes("1h", "escalated")), left[:1])) == ["went the way accepted"]
    assert complaints(compare(scenario(passes("4h")), left[:1])) == ["expected at 4h, happened at 1h"]
    assert complaints(compare(scenario(passes("4h")), left[1:2])) == ["did not happen"]


def test_files_that_go_along_are_looked_into() -> None:
    message = replace(sent("1h"), attached=("visit.ics\nDTSTART:20260301T100000Z", "list.csv\na,b"))
    wanted = send("1h", attached_contains=("visit.ics", "DTSTART:2026", "a,b"))
    assert complaints(compare(scenario(wanted), [message])) == []
    (why,) = complaints(compare(scenario(send("1h", attached_contains=("visit.vcf",))), [message]))
    assert why == 'no file that goes along contains "visit.vcf"; there is visit.ics, list.csv'


def test_of_several_lines_the_nearest_is_shown() -> None:
    text = "Dear Ana,\n\nyour cart of 80 EUR is waiting.\n\nThe shop"
    message = replace(sent("1h"), text=text)
    (row,) = compare(scenario(send("1h", text_contains=("cart of 90 EUR",))), [message]).rows
    assert row.why.endswith('the nearest line is "your cart of 80 EUR is waiting."')
    (row,) = compare(scenario(send("1h", text_contains=("x",))), [replace(message, text="")]).rows
    assert row.why.endswith("it is empty")
