"""From value trees that fit their schema (or nearly so) to catalog and journeys, and all that is wrong with
them.

A builder never raises for what a file says. It is silent about what the schema has reported, so that each
mistake is told once, and goes on past it, so that all the others are told too.
"""

from runner.journey.builder.catalog import build_catalog
from runner.journey.builder.journey import build_journey

__all__ = ["build_catalog", "build_journey"]
