"""Rules: what is wrong with a project though every file of it can be read.

A rule is a module with a function ``check``: a project in, problems out. Its docstring says what it finds,
with an example that passes and one that fails; the tests run both. A rule takes part once it stands in
``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runner.journey.project import Project
from runner.problem import Problem
from runner.review.rules import (
    asked_elsewhere,
    asked_too_soon,
    circle,
    enroll_target,
    goal_journey,
    link_domain,
    missing_template,
    run_value_too_early,
    sent_too_early,
    subject,
    subject_default,
    template_markup,
    template_syntax,
    trigger_journey,
    unreachable,
    unused_entry,
    unused_fragment,
    unused_template,
)

Rule = Callable[[Project], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    missing_template.check,
    unused_template.check,
    subject.check,
    subject_default.check,
    template_syntax.check,
    template_markup.check,
    link_domain.check,
    unreachable.check,
    sent_too_early.check,
    asked_too_soon.check,
    run_value_too_early.check,
    enroll_target.check,
    asked_elsewhere.check,
    circle.check,
    goal_journey.check,
    trigger_journey.check,
    unused_entry.check,
    unused_fragment.check,
)
