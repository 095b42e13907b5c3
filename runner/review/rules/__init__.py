"""Rules: what is wrong with a project though every file of it can be read.

A rule is a module with a function ``check``: a project in, problems out. Its docstring says what it finds,
with an example that passes and one that fails; the tests run both. A rule takes part once it stands in
``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runner.journey.project import Project
from runner.problem import Problem
from runner.review.proof.question import Prover
from runner.review.rules import (
    always_false,
    always_true,
    asked_elsewhere,
    asked_too_soon,
    branch_covered,
    circle,
    draw_empty,
    else_unreachable,
    enroll_target,
    goal_journey,
    gone_before,
    link_domain,
    missing_template,
    no_unsubscribe,
    run_value_too_early,
    sent_too_early,
    subject,
    subject_default,
    template_left_out,
    template_markup,
    template_plural,
    template_single_brace,
    template_syntax,
    trigger_everybody,
    trigger_farewell,
    trigger_journey,
    trigger_unbounded,
    unreachable,
    unused_entry,
    unused_fragment,
    unused_template,
    wait_in_quiet_hours,
    window_in_quiet_hours,
    within_cap,
)

Rule = Callable[[Project], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    missing_template.check,
    unused_template.check,
    subject.check,
    subject_default.check,
    template_syntax.check,
    template_markup.check,
    template_plural.check,
    template_left_out.check,
    template_single_brace.check,
    no_unsubscribe.check,
    link_domain.check,
    unreachable.check,
    sent_too_early.check,
    asked_too_soon.check,
    run_value_too_early.check,
    draw_empty.check,
    enroll_target.check,
    asked_elsewhere.check,
    circle.check,
    goal_journey.check,
    trigger_journey.check,
    trigger_unbounded.check,
    trigger_everybody.check,
    trigger_farewell.check,
    unused_entry.check,
    unused_fragment.check,
    always_true.check,
    always_false.check,
    gone_before.check,
    branch_covered.check,
    else_unreachable.check,
    within_cap.check,
    window_in_quiet_hours.check,
    wait_in_quiet_hours.check,
)

PROVEN: tuple[Callable[[Project, Prover], Iterable[Problem]], ...] = (
    always_true.proven,
    always_false.proven,
    gone_before.proven,
    branch_covered.proven,
    else_unreachable.proven,
)
"""Those of the rules that find more where more is proven."""
