"""How a journey is launched, and who is held out of it."""

from __future__ import annotations

from dataclasses import dataclass

from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.builder.policies import WHOLE, share_of
from runner.journey.model import Delivery, RampStep
from runner.journey.yaml import Fields, Value


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What the journey says; a share is in hundredths of a percent."""

    holdout: int | None
    delivery: Delivery
    seeds: tuple[str, ...]
    ramp: tuple[RampStep, ...]


def build_launch(notes: Notes, root: Fields) -> Launch:
    """``holdout``, ``delivery``, ``seeds`` and ``ramp`` of a journey file."""
    said = text_of(root.get("delivery"))
    delivery = Delivery(said) if said in set(Delivery) else Delivery.LIVE
    seeds = tuple(text for item in items_of(root.get("seeds")) if (text := text_of(item)))
    if delivery is Delivery.SEED and not seeds:
        message = "`delivery: seed` sends to the addresses of `seeds` alone, and there are none."
        notes.note("journey/seeds", message, root.key_span("delivery"), "Add `seeds: [you@shop.example]`.")
    return Launch(
        holdout=share_of(notes, root.get("holdout")),
        delivery=delivery,
        seeds=seeds,
        ramp=_ramp(notes, root.get("ramp")),
    )


def _ramp(notes: Notes, value: Value | None) -> tuple[RampStep, ...]:
    made: list[RampStep] = []
    items = [fields for item in items_of(value) if (fields := fields_of(item))]
    for place, fields in enumerate(items):
        share = share_of(notes, fields.get("percent"))
        lasts = notes.duration(fields.get("for"))
        if share is None:
            return ()
        if made and share < made[-1].share:
            message = "A ramp goes up: who was let in would not be any more."
            notes.note("journey/ramp", message, fields.key_span("percent"))
        if lasts is None and "for" not in fields and place + 1 < len(items):
            message = "This step of the ramp never ends, so those below it are never reached."
            notes.note("journey/ramp", message, fields.span, "Add `for: 2d`.")
        made.append(RampStep(share=share, lasts=lasts))
    if made and made[-1].lasts is not None:
        message = "The last step of the ramp has no end."
        notes.note(
            "journey/ramp",
            message,
            items[-1].key_span("for"),
            f"Leave out `for:`, or add a step of {WHOLE // 100} %.",
        )
    return tuple(made)
