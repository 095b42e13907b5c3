"""The text of an HTML body, for readers and channels that show text. Pure; imports nothing of the runner."""

from __future__ import annotations

import html as html_entities
import re

_INVISIBLE = re.compile(
    r"<!--.*?-->|<(head|style|script|title)\b.*?</\1\s*>|<div\b[^>]*display:\s*none[^>]*>[^<]*</div\s*>",
    re.DOTALL | re.IGNORECASE,
)
_LINK = re.compile(
    r"<a\b[^>]*?\bhref\s*=\s*(\"[^\"]*\"|'[^']*')[^>]*>(.*?)</a\s*>", re.DOTALL | re.IGNORECASE
)
_ITEM = re.compile(r"<li\b[^>]*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^>]*>|</(?:tr|li|div)\s*>", re.IGNORECASE)
_PARAGRAPH = re.compile(r"</?(?:p|h[1-6]|ul|ol|table|blockquote|section|article|hr)\b[^>]*>", re.IGNORECASE)
_CELL = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\u00a0]+")
_AROUND_BREAK = re.compile(r" ?\n ?")
_TAG = re.compile(r"<[^>]*>")


def plain_text(html: str) -> str:
    """The text of an HTML body: its paragraphs, line breaks, list items, and links with their address."""

    def link(match: re.Match[str]) -> str:
        target, label = match[1][1:-1], match[2]
        shown = _TAG.sub("", label).strip()
        return label if not target or shown == target or target.startswith("#") else f"{label} ({target})"

    text = re.sub(r"\s+", " ", _INVISIBLE.sub(" ", html))
    text = _ITEM.sub("\n- ", _LINK.sub(link, text))
    text = _CELL.sub(" ", _PARAGRAPH.sub("\n\n", _BREAK.sub("\n", text)))
    text = html_entities.unescape(_TAG.sub("", text))
    text = _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
