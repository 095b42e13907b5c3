"""Turns a version's templates and a contact's values into the content of one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import TemplateSyntaxError
from markupsafe import escape

from channels.base import Attachment
from channels.plain_text import plain_text
from runner.engine.budget import BUDGET, LARGEST_OUTPUT, Budget
from runner.engine.calendar import folded, method
from runner.engine.filters import LOCALE, ZONE
from runner.engine.mailbox import mailbox, marked
from runner.engine.sandbox import compiled
from runner.journey.catalog import CONTACT_FIELDS, Catalog
from runner.journey.derived_values import derived_contact
from runner.journey.fit import present
from runner.journey.header_text import NOT_IN_HEADERS
from runner.journey.locales import locales, same
from runner.journey.model import Journey
from runner.journey.run_values import run_values
from runner.journey.template import LINED, MARKUP, Template
from runner.journey.template_pieces import TemplateTrouble
from runner.journey.trigger_types import trigger_types as types_of_one
from runner.journey.values import ValueType


class RenderError(Exception):
    """A template cannot be rendered for this contact. The text names the template, the line, and what is wrong; it
    holds no value of the contact."""


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """What a contact's row says, in stored form."""

    key: str
    email: str | None
    phone: str | None
    timezone: str | None
    locale: str | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    account: str | None = None
    account_attributes: Mapping[str, Any] | None = None
    derived: Mapping[str, Any] = field(default_factory=dict)
    """What is computed of the contact, by the names of ``derived_read``."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """A rendered message. ``locale`` is the one of the template that was used; Where only HTML was written, ``text`` is
    made of it; ``sender_name`` and ``sender_address`` are None unless the template has a ``from``."""

    locale: str
    subject: str
    text: str
    html: str | None
    sender_name: str | None
    sender_address: str | None
    reply_to: str | None
    title: str = ""
    attachments: tuple[Attachment, ...] = ()


def render(
    journey: Journey,
    catalog: Catalog,
    templates: Sequence[Template],
    name: str,
    *,
    recipient: Recipient,
    trigger: Mapping[str, Any],
    data: Mapping[str, Any],
    entered_at: datetime,
    links: Mapping[str, str] | None = None,
) -> Content:
    """The message that the template ``name`` makes for one run of one contact.

    ``links`` are the addresses of the journey's links by name.

    ``trigger`` and ``data`` are the run's stored values. The locale is the contact's, then its language alone, then the
    catalog's, then the template without one. Raises RenderError.
    """
    variants = [template for template in templates if template.name == name]
    chosen, locale = _chosen(variants, recipient.locale, catalog)
    if not chosen:
        raise RenderError(
            f"{journey.name}: no template `{name}` for locale {recipient.locale or catalog.locale}"
        )
    values = {
        "contact": contact_values(catalog, recipient),
        "account": _declared(
            {name: each.type for name, each in catalog.accounts.items()}, recipient.account_attributes or {}
        ),
        "trigger": _declared(trigger_types(journey, catalog), trigger),
        "run": {**_declared(run_values(journey), data), "entered_at": entered_at},
        "links": {link.name: (links or {}).get(link.name, "") for link in journey.links},
        ZONE: _zone(recipient.timezone or catalog.timezone),
        LOCALE: (locale, recipient.locale),
    }
    html, text = chosen.get("mjml") or chosen.get("html"), chosen.get("txt")
    front = {**(text.front if text else {}), **(html.front if html else {})}
    source = html or text
    assert source is not None

    def header(key: str) -> str:
        return _header(source, key, front[key], values) if front.get(key) else ""

    sender_name, sender_address = _mailbox(source, "from", front.get("from", ""), values)
    _, reply_to = _mailbox(source, "reply_to", front.get("reply_to", ""), values)
    body = _body(html, values) if html else None
    return Content(
        locale=locale,
        subject=header("subject"),
        text=_body(text, values) if text else plain_text(body or ""),
        html=_with_preheader(body, header("preheader")) if body is not None else None,
        sender_name=sender_name,
        sender_address=sender_address,
        reply_to=reply_to,
        title=header("title"),
        attachments=tuple(_attached(each, values) for each in _attachments(html, text)),
    )


def _chosen(
    variants: Sequence[Template], wanted: str | None, catalog: Catalog
) -> tuple[dict[str, Template], str]:
    """The templates of the best locale by extension: one message is in one language throughout."""
    for locale in locales(wanted, catalog.locale):
        found = {template.extension: template for template in variants if same(template.locale, locale)}
        if found:
            return found, locale or catalog.locale
    return {}, catalog.locale


# Values ------------------------------------------------------------------------------------------------------------


def contact_values(catalog: Catalog, recipient: Recipient) -> dict[str, Any]:
    """``contact`` of a template: every declared attribute, None where the contact has none."""
    types = {
        name: attribute.type for name, attribute in catalog.attributes.items() if name not in CONTACT_FIELDS
    }
    return {
        **_declared(types, recipient.attributes),
        **derived_contact(catalog, recipient.derived),
        "id": recipient.key,
        "email": recipient.email,
        "phone": recipient.phone,
        "timezone": recipient.timezone or catalog.timezone,
        "locale": recipient.locale or catalog.locale,
        "account": recipient.account,
        "tags": list(recipient.tags),
    }


def trigger_types(journey: Journey, catalog: Catalog) -> dict[str, ValueType]:
    """The properties of the events that start the journey."""
    types: dict[str, ValueType] = {}
    for trigger in journey.triggers:
        types.update(types_of_one(trigger, catalog))
    return types


def _declared(types: Mapping[str, ValueType], stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if stored.get(name) is None else present(stored[name], type_)
        for name, type_ in types.items()
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


# Rendering ---------------------------------------------------------------------------------------------------------


def _body(template: Template, values: Mapping[str, Any]) -> str:
    try:
        source = template.compiled
    except TemplateTrouble as trouble:
        raise RenderError(f"{trouble.file}:{trouble.line}: {trouble}") from None
    try:
        return _rendered(
            source.text, values, html=template.extension in MARKUP, lined=template.extension in LINED
        )
    except _Trouble as trouble:
        file, line = source.place(trouble.line)
        raise RenderError(f"{file}:{line}: {trouble}") from None


def _attachments(*sources: Template | None) -> Iterable[Template]:
    """What goes along with a message by its HTML and its text, each file once."""
    found: dict[str, Template] = {}
    for source in sources:
        for attachment in source.attachments if source else ():
            found.setdefault(f"{attachment.name}.{attachment.extension}", attachment)
    return found.values()


_MEDIA_TYPES = {"ics": "text/calendar", "vcf": "text/vcard", "csv": "text/csv"}


def _attached(template: Template, values: Mapping[str, Any]) -> Attachment:
    text = _body(template, values)
    calendar = template.extension == "ics"
    return Attachment(
        name=f"{template.name}.{template.extension}",
        media_type=_MEDIA_TYPES[template.extension],
        text=folded(text) if template.extension in LINED else text,
        method=method(text) if calendar else None,
    )


def _header(template: Template, key: str, source: str, values: Mapping[str, Any]) -> str:
    """A value of the front matter: text, never HTML, on one line."""
    try:
        text = _rendered(source, values, html=False).strip()
    except _Trouble as trouble:
        raise RenderError(f"{_place(template, key)}: {trouble}") from None
    _check_one_line(template, key, text)
    return text


def _check_one_line(template: Template, key: str, text: str) -> None:
    if NOT_IN_HEADERS.search(text):
        raise RenderError(
            f"{_place(template, key)}: its {key} comes out with a line break or a control character"
        )


def _place(template: Template, key: str) -> str:
    """Where a value of the front matter stands."""
    place = template.places.get(key)
    return f"{template.path}:{place.line if place else 1}"


def _mailbox(
    template: Template, key: str, source: str, values: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """``Name <address>`` or an address alone; neither where nothing comes out."""
    if not source:
        return None, None
    try:
        source = marked(source)
        text = _rendered(source, values, html=False).strip()
    except (_Trouble, TemplateTrouble) as trouble:
        raise RenderError(f"{_place(template, key)}: {trouble}") from None
    if not text:
        return None, None
    found = mailbox(text, source)
    if found is None:
        raise RenderError(f"{_place(template, key)}: its {key} comes out as no address")
    _check_one_line(template, key, found[0] or "")
    return found


class _Trouble(Exception):
    """What went wrong in a template, at ``line`` of its source, counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _rendered(source: str, values: Mapping[str, Any], *, html: bool, lined: bool = False) -> str:
    """The rendered text. Raises _Trouble for whatever the template does wrong."""
    try:
        template = compiled(source, html=html, lined=lined)
        pieces: list[str] = []
        length = 0
        for piece in template.generate({**values, BUDGET: Budget()}):
            length += len(piece)
            if length > LARGEST_OUTPUT:
                raise _Trouble(f"the result is longer than {LARGEST_OUTPUT:,} characters", 1)
            pieces.append(piece)
        return "".join(pieces)
    except TemplateSyntaxError as error:
        raise _Trouble(error.message or "it cannot be read", error.lineno) from None
    except _Trouble:
        raise
    except RecursionError as error:
        raise _Trouble("its macros call one another without end", _line_of(error)) from None
    except Exception as error:
        # A template's mistakes surface as any exception at all (a comparison of a string with a number is a TypeError).
        raise _Trouble(_said(error), _line_of(error)) from None


def _line_of(error: BaseException) -> int:
    """The template's line in the innermost frame that belongs to it: Jinja rewrites its tracebacks to show them."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _said(error: Exception) -> str:
    """The error's first line, without the values that Python puts into some of its messages."""
    if type(error).__module__.startswith("jinja2"):
        return str(error).split("\n")[0][:200]
    if isinstance(error, TypeError):
        return f"values of different types do not go together ({str(error).split(chr(10))[0][:120]})"
    return f"it fails with {type(error).__name__}"


_BODY_TAG = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


def _with_preheader(html: str, preheader: str) -> str:
    """The line that mailboxes show beside the subject, hidden at the top of the body."""
    if not preheader:
        return html
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{escape(preheader)}</div>'
    match = _BODY_TAG.search(html)
    return html[: match.end()] + hidden + html[match.end() :] if match else hidden + html
