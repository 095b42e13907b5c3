"""The text of an HTML body, for readers and channels that show text. Pure; imports nothing of the runner."""

from __future__ import annotations

import html as html_entities
import re

_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<name>/?[a-z][^ />]*+)(?P<rest>(?:= ?(?:\"[^\"]*+\"|'[^']*+')|[^>])*+)(?:>|\Z)",
    re.IGNORECASE,
)
"""Comments and tags, each up to its end or that of the text, so that nothing is read twice."""
_UNSEEN_END = re.compile(r"</(head|style|script|title) ?>", re.IGNORECASE)
_TO_END_OF_DIV = re.compile(r"[^<]*+</div ?>", re.IGNORECASE)
_NOT_SHOWN = re.compile(r"display: ?none", re.IGNORECASE)
_TARGET = re.compile(r"(?<![\w-])href ?= ?(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\u00a0]+")
_AROUND_BREAK = re.compile(r" ?\n ?")

_PARAGRAPHS = ("p", *(f"h{level}" for level in range(1, 7)), "ul", "ol")
_WRITTEN = {
    "li": "\n- ",
    **dict.fromkeys(("br", "/br", "/tr", "/li", "/div"), "\n"),
    **dict.fromkeys(("/td", "/th"), " "),
    **{
        f"{end}{name}": "\n\n"
        for name in (*_PARAGRAPHS, "table", "blockquote", "section", "article", "hr")
        for end in ("", "/")
    },
}
"""What a tag becomes; others become nothing."""


def plain_text(html: str) -> str:
    """The text of an HTML body: its paragraphs, line breaks, list items, and links with their address. Its time grows
    as the length of ``html``, whatever stands there."""
    written = html_entities.unescape("".join(_written(re.sub(r"\s+", " ", html))))
    text = _AROUND_BREAK.sub("\n", _SPACES.sub(" ", written))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _written(html: str) -> list[str]:
    """The stretches of the text, entities and all."""
    unseen_until = {match[1].lower(): match.start() for match in _UNSEEN_END.finditer(html)}
    written: list[str] = []
    target, label = "", 0
    at = 0
    while match := _MARKUP.search(html, at):
        written.append(html[at : match.start()])
        at = match.end()
        name = (match["name"] or "").lower()
        if not name:
            written.append(" ")
        elif unseen_until.get(name, 0) >= at:
            at = _after(name, html, at)
            written.append(" ")
        elif name == "div" and _NOT_SHOWN.search(match["rest"]):
            end = _TO_END_OF_DIV.match(html, at)
            at = end.end() if end else at
        elif name == "a" and not target:
            found = _TARGET.search(match["rest"])
            target, label = (found[1] or found[2] or "") if found else "", len(written)
        elif name == "/a" and target:
            shown = "".join(written[label:]).strip()
            if shown != target and not target.startswith("#"):
                written.append(f" ({target})")
            target = ""
        else:
            written.append(_WRITTEN.get(name, ""))
    written.append(html[at:])
    return written


def _after(name: str, html: str, at: int) -> int:
    """The offset behind the end of an element that shows nothing, of which there is one."""
    end = next((match for match in _UNSEEN_END.finditer(html, at) if match[1].lower() == name), None)
    return end.end() if end else at
