"""Experiments: newcomers are moved to the arm of a split that reaches the goal most often.

Each arm is given the share of newcomers that it has of being the best (Thompson sampling, W. R. Thompson, 1933), by
how many of those who got it reached the goal, nothing being known before: Beta(1, 1). Who has an arm keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from math import exp, lgamma, log, prod, sqrt

from runner.engine.versions import Versions
from runner.journey.bucket import PARTS
from runner.journey.model import Split
from runner.store.database import Database
from runner.store.watching.experiments import ArmCount, ArmShare, arm_counts, keep_shares, last_looked

EVERY = timedelta(hours=1)
"""How often the shares are computed anew."""
ENOUGH = 100
"""Contacts that each arm of a group must have got before the group's shares move."""
CERTAIN = 0.95
"""An arm that is worse than the first with this probability, in what guards the experiment, gets nobody any more."""
_POINTS = 2_000


def move_traffic(database: Database, versions: Versions, now: datetime) -> int:
    """Compute the shares anew of each experiment of the journeys in force whose turn it is at ``now``.

    Answers of how many. Several processes may do so: they come to the same.
    """
    moved = 0
    for version in versions.current.values():
        for node in version.program.nodes:
            verb = node.verb
            if not isinstance(verb, Split) or verb.experiment is None:
                continue
            journey, step = version.journey.name, node.step.id
            with database.read() as connection:
                looked = last_looked(connection, journey, step)
                if looked is not None and looked + EVERY > now:
                    continue
                counts = arm_counts(connection, journey, step)
            shares = new_shares([arm.name for arm in verb.arms], counts, guarded=verb.experiment.guarded)
            with database.begin() as connection:
                keep_shares(connection, journey, step, shares, now)
            moved += 1
    return moved


def new_shares(arms: Sequence[str], counts: Sequence[ArmCount], *, guarded: bool) -> tuple[ArmShare, ...]:
    """The shares of each group for whose arms enough is known; the others keep those of the file.

    ``arms`` are in the order of the file, in which shares add up.
    """
    by_cell: dict[str, dict[str, ArmCount]] = {}
    for count in counts:
        by_cell.setdefault(count.cell, {})[count.arm] = count
    found: list[ArmShare] = []
    for cell in sorted(by_cell):
        of = by_cell[cell]
        if any(arm not in of or of[arm].contacts < ENOUGH for arm in arms):
            continue
        allowed = [arm for arm in arms if arm == arms[0] or not (guarded and _drives_away(of, arms[0], arm))]
        chances = chances_of_being_best([(of[arm].reached, of[arm].contacts) for arm in allowed])
        best = dict(zip(allowed, chances, strict=True))
        ends = [round(total * PARTS) for total in accumulate(best.get(arm, 0.0) for arm in arms)]
        found += [
            ArmShare(count=of[arm], begins=begins, ends=end)
            for arm, begins, end in zip(arms, (0, *ends), ends, strict=False)
        ]
    return tuple(found)


def _drives_away(of: Mapping[str, ArmCount], first: str, arm: str) -> bool:
    unsubscribed = [(of[name].unsubscribed, of[name].contacts) for name in (first, arm)]
    return chances_of_being_best(unsubscribed)[1] > CERTAIN


def chances_of_being_best(results: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    """For each (successes, trials) the probability that its rate is the highest; they add up to 1.

    The integral of the density of one times the distributions of the others, over ``_POINTS`` points of the range in
    which any of the rates may lie.
    """
    shapes = [(1 + successes, 1 + trials - successes) for successes, trials in results]
    low, high = _range(shapes)
    points = [low + (high - low) * (point + 0.5) / _POINTS for point in range(_POINTS)]
    densities, distributions = [], []
    for a, b in shapes:
        weights = _beta(a, b, points)
        whole = sum(weights)
        density = [weight / whole for weight in weights]
        densities.append(density)
        # In the middle of each step, so that equals share what neither is better in.
        distributions.append([end - part / 2 for end, part in zip(accumulate(density), density, strict=True)])
    chances = [
        sum(
            part
            * prod(distribution[point] for other, distribution in enumerate(distributions) if other != index)
            for point, part in enumerate(density)
        )
        for index, density in enumerate(densities)
    ]
    whole = sum(chances)
    return tuple(chance / whole for chance in chances)


def _range(shapes: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Ten standard deviations around each mean, within 0 to 1."""
    ends = []
    for a, b in shapes:
        mean = a / (a + b)
        deviation = sqrt(a * b / (a + b + 1)) / (a + b)
        ends += [mean - 10 * deviation, mean + 10 * deviation]
    return max(0.0, min(ends)), min(1.0, max(ends))


def _beta(a: int, b: int, points: Sequence[float]) -> list[float]:
    """The density of Beta(a, b) at each of ``points``."""
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    return [exp(scale + (a - 1) * log(x) + (b - 1) * log(1 - x)) for x in points]
