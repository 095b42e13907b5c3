"""A message rendered for one contact, in a journey of one step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runner.engine.render import Content, Recipient, render
from runner.journey.project import load_project
from tests.shop import FILES

ANA = Recipient(
    key="ana",
    email="ana@x.example",
    phone=None,
    timezone="Asia/Tbilisi",
    locale=None,
    attributes={"first_name": "Ana", "points": 1_234_500_000, "born": "1990-02-28", "vip": True},
    tags=["speaker", "vip"],
)

TRIGGER = {"plan": "pro", "seats": 3_000_000, "items": [{"sku": "a"}, {"sku": "b"}]}

ENTERED = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)


def content(
    body: str = "",
    *,
    front: str = "subject: Hi",
    recipient: Recipient = ANA,
    trigger: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
) -> Content:
    """What the template hello.html (or ``files``) of the greeting journey makes for ``recipient``."""
    templates = files or {"hello.html": f"---\n{front}\n---\n{body}"}
    base = {name: text for name, text in FILES.items() if not name.startswith("journeys/greet/hello")}
    project = load_project({**base, **{f"journeys/greet/{name}": text for name, text in templates.items()}})
    assert not project.problems, project.problems
    return render(
        project.journeys["greet"],
        project.catalog,
        project.templates["greet"],
        "hello",
        recipient=recipient,
        trigger=TRIGGER if trigger is None else trigger,
        data={},
        entered_at=ENTERED,
    )


def html(body: str, **options: Any) -> str:
    rendered = content(body, **options).html
    assert rendered is not None
    return rendered
