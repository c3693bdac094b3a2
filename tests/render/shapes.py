"""What a rendering is made of, apart from its words: hostile text may change the words only."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from render.samples import HOSTILE

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = {"<code>", "</code>", "<sub>", "</sub>", "<!-- mlgate:volatile -->"}
VOID = {"meta", "path", "rect", "line", "circle", "polyline", "polygon", "br"}

texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=12), min_size=1, max_size=3).map("".join)


def blocks(markdown: str) -> list[str]:
    """The blocks of a text in order: tables with their cells, lists, fences, raw HTML, quotes, headings."""
    return [f"{token.type}:{token.tag}:{token.level}" for token in MARKDOWN.parse(markdown)]


def inline_html(markdown: str) -> set[str]:
    tokens = [child for token in MARKDOWN.parse(markdown) for child in token.children or []]
    return {token.content for token in tokens if token.type == "html_inline"}


def links(markdown: str) -> list[str]:
    tokens = [child for token in MARKDOWN.parse(markdown) for child in token.children or []]
    assert not [t for t in tokens if t.type == "image"]
    return [str(t.attrs["href"]) for t in tokens if t.type == "link_open"]


def words_outside_code(markdown: str) -> str:
    """What a forge searches for @mentions and references: text that is neither code nor inside a link."""
    page = Page()
    page.feed(MARKDOWN.render(markdown))
    return page.words


class Page(HTMLParser):
    """Tags in order, without `code`, which a text may turn into; fails on what is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words = ""
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)
        if tag != "code":
            self.tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"code", "pre", "a", "style"} & set(self.open):
            self.words += data


REFERENCES = re.compile(r"@\w|#\d|!\d|(?i:\bgh-\d)|https?://|www\.")
