"""A model's card in the page: its Markdown as HTML.

Conventions: only what a card is made of is read: headings, paragraphs, lists, tables, emphasis. Links, pictures and
HTML stay the text they are, so nothing that a source or a licence is called can lead out of the page or run in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

__all__ = ["card_html"]

_HEADINGS = {"h1": "h3", "h2": "h4"}  # the section's own is h2


def card_html(markdown: str) -> Markup:
    """Return a card as HTML.

    Parameters
    ----------
    markdown : str
        Of `gunshot.models.card.model_card`.

    Returns
    -------
    Markup
        Elements to stand in a section; text is escaped.
    """
    tokens = _reader().parse(markdown)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    return Markup(_reader().renderer.render(tokens, _reader().options, {}))  # noqa: S704  (it escapes all text)


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("zero").enable(["heading", "list", "table", "emphasis", "backticks", "escape"])
    reader.add_render_rule("table_open", _table_open)
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return reader


def _table_open(_self: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    """A table in a box that scrolls, named by the heading above it."""
    head = next((token.children for token in tokens[index:] if token.type == "inline"), None) or []
    name = Markup.escape("".join(token.content for token in head))
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>\n'
