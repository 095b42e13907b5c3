"""What happens when: each rule of the language's order of things, and the tests that would catch its other reading.

The words are those of the language's specification, a sentence or a half of one at a time. A test of a table is named
with its row in brackets.
"""

from __future__ import annotations

HERE = "tests/test_rules.py::test_a_rule"
WAITS = "tests/test_waits.py::test_a_rule_of_waits"
POLICY = "tests/test_policies.py::test_policy"

RULES: dict[str, tuple[str, ...]] = {
    # An arriving event
    "An arriving event is looked at in this order: the contact itself, goal, exit, waits, triggers.": (
        f"{HERE}[the contact before the goal]",
        f"{HERE}[the goal before exits, exits before waits]",
        f"{HERE}[waits before triggers]",
        f"{WAITS}[exits go before waits]",
        "tests/test_reference_model.py::test_the_engine_agrees_with_the_model_on_sqlite",
        "tests/test_reference_model.py::test_the_engine_agrees_with_the_model_on_postgresql",
    ),
    "What an event ends, ends before triggers are looked at, so one event can end a run and start the next.": (
        f"{HERE}[one event ends a run and starts the next]",
    ),
    "A timer due at the very instant of an event fires first, and does not see that event.": (
        f"{HERE}[a timer fires before the event of its instant]",
        f"{WAITS}[the time-out goes before the event of its instant, and does not see it]",
    ),
    "Events of one instant go by arrival;": (f"{HERE}[events of one instant go by arrival]",),
    "from files, by file name, then line.": (
        "tests/test_rules.py::test_events_of_one_instant_go_by_file_name_then_line",
    ),
    # What a run causes
    "What a run causes happens at the run's instant, before anything later of that contact, in every journey:": (
        "tests/test_acts.py::test_what_a_run_causes_comes_before_anything_later",
    ),
    "emit,": ("tests/test_acts.py::test_an_emitted_event_starts_another_journey_at_the_same_instant",),
    "enroll,": ("tests/test_acts.py::test_a_journey_is_entered_by_another_with_what_that_hands_over",),
    "update,": (
        "tests/test_state_triggers.py::test_an_update_step_changes_attributes_too",
        f"{WAITS}[what another run of the contact writes is read at its instant]",
    ),
    "a consent,": (
        "tests/test_acts.py::test_other_journeys_hear_of_a_consent",
        "tests/test_state_triggers.py::test_a_consent_that_a_step_gives",
    ),
    "its end.": ("tests/test_state_triggers.py::test_the_end_of_another_journey",),
    "Circles across journeys are a finding; a run is set aside after 50 such events at one instant.": (
        "tests/test_acts.py::test_a_circle_ends_after_fifty_events_at_one_instant",
    ),
    # Entering
    "`reentry: 30d` allows entry from exactly 30 days after the last entry of that contact and `per` value.": (
        f"{HERE}[reentry from exactly so long after the last entry, of the contact and value]",
        "tests/test_entry_by_account.py::test_reentry_counts_the_entries_of_all",
    ),
    "Defaults: `always` for schedules": (
        "tests/test_schedules.py::test_it_fires_for_everybody_in_the_zone_of_the_catalog",
    ),
    "and yearly dates,": ("tests/test_dates.py::test_a_date_of_every_year_comes_every_year",),
    "`never` otherwise.": (f"{HERE}[never again unless said, and a missing value counts as one]",),
    "A missing `per` value counts as one value.": (
        f"{HERE}[never again unless said, and a missing value counts as one]",
    ),
    # Messages
    "A run stands on `send` until policy lets the message go or blocks it. Later waits count from then,": (
        f"{POLICY}[at night a message waits until the quiet hours are over, and what follows counts from then]",
    ),
    "and `sent(x)` is true from then.": (f"{HERE}[sent is true from when policy lets the message go]",),
    "Leaving a run by exit cancels its messages that have not been handed over yet.": (
        f"{POLICY}[who leaves the journey while their message waits gets none]",
        "tests/test_deliver.py::test_a_run_that_ends_takes_its_message_back",
    ),
    "A message not handed over within `valid_for`": (
        f"{POLICY}[a message that cannot wait until the morning is blocked as expired, when it expires and not before]",
        "tests/test_deliver.py::test_a_message_that_waited_too_long_is_expired",
    ),
    "(24 h unless said) is blocked as `expired`.": (
        f"{HERE}[a message that is not handed over within a day is blocked as expired]",
    ),
    # The goal
    "A goal is counted when it happens within its window after a message of the run that was let go": (
        f"{HERE}[a goal is counted within its window after a message that was let go]",
        f"{HERE}[a message that was blocked opens no window]",
    ),
    "(or withheld, for held-out runs);": (
        f"{HERE}[a goal is counted within its window after a message that was let go]",
    ),
    "it ends the run only with `then: exit`.": (f"{HERE}[a goal ends the run only where that is said]",),
    # Values
    "`exit` and `wait` over values are read at every event of the contact,": (
        f"{WAITS}[a condition is read on arrival, at every event, and when time alone turns it]",
        "tests/test_scenarios.py::test_the_shop_does_what_its_scenarios_say",
    ),
    "internal ones too,": (f"{HERE}[values are read at internal events too]",),
    "at the instants at which time alone can turn them,": (
        f"{HERE}[exits are read when time alone turns them]",
        f"{WAITS}[a condition is read on arrival, at every event, and when time alone turns it]",
        f"{WAITS}[a date that moves takes the instant with it at which a condition turns]",
    ),
    "and before each step.": (f"{HERE}[exits are read before each step]",),
    # Dates and zones
    "Waiting on a date follows the attribute: if it changes, by whatever means, the wait moves.": (
        f"{HERE}[a wait for a date follows it by whatever means it changes]",
        f"{WAITS}[up to a date follows the date]",
        "tests/test_dates.py::test_the_trigger_follows_the_date_and_the_zone",
        "tests/test_dates.py::test_a_date_that_is_imported_as_history_is_followed",
    ),
    "A change of zone moves local times": (
        "tests/test_ways_of_time.py::test_local_times_move_with_their_contact_and_elapsed_times_do_not",
        f"{WAITS}[a digest at a local time follows the zone]",
    ),
    "and deferred messages,": (f"{POLICY}[the night is that of the contact, and moves with them]",),
    "never elapsed waits.": (
        f"{WAITS}[a change of zone never moves an elapsed wait]",
        "tests/test_ways_of_time.py::test_local_times_move_with_their_contact_and_elapsed_times_do_not",
    ),
    # Segments
    "Segments have members with a date. They are read at each event of the contact": (
        "tests/test_segment_triggers.py::test_who_comes_in_by_an_identify_enters_and_who_is_in_already_does_not",
        "tests/test_segment_triggers.py::test_events_updates_and_consents_bring_people_in",
    ),
    "and, where time alone changes them, at every `refresh` (1 h unless said, on the hour in UTC);": (
        "tests/test_segment_triggers.py::test_time_alone_takes_people_out_at_a_refresh",
    ),
    "a change is dated then.": (
        "tests/test_rules.py::test_a_change_of_a_segment_is_dated_when_it_is_seen",
        "tests/test_segment_triggers.py::test_time_alone_takes_people_out_at_a_refresh",
    ),
    # Applying
    "Applying a journey whose trigger people match already: `existing: skip` (default) or `enter`.": (
        "tests/test_segment_triggers.py::test_existing_people_enter_where_the_journey_says_so",
        "tests/test_state_kept.py::test_existing_people_enter_once_over_ticks_and_applies",
    ),
    "A new version enters only on what is received after its `apply`;": (
        "tests/test_rules.py::test_a_new_version_enters_only_on_what_is_received_after_its_apply",
    ),
    "imported events are history unless imported with `--live`.": (
        "tests/test_rules.py::test_imported_events_are_history_unless_they_are_live",
    ),
}
