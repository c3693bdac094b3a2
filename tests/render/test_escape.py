"""Text that others wrote cannot leave its place."""

from __future__ import annotations

import unicodedata
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.render import escape
from render.samples import HOSTILE
from render.shapes import MARKDOWN, REFERENCES, texts, words_outside_code


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("log_loss", "log_loss"),
        ("a|b", "a&#124;b"),
        ("<!-- x", "&lt;!-- x"),
        ("- item", "&#45; item"),
        ("1. one", "1&#46; one"),
        ("0.72", "0.72"),
        ("_x_", "&#95;x&#95;"),
        ("@user", "@\u200buser"),
        ("see #12", "see #\u200b12"),
        ("5 # of", "5 # of"),
        ("one\ntwo", "one two"),
        ("\x1b[31m", "␛&#91;\u200b31m"),
        ("\u202eabc", "⟨U+202E⟩abc"),
    ],
)
def test_text(text: str, shown: str) -> None:
    assert escape.text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("metrics/eval.json", "`metrics/eval.json`"),
        ("a|b", "<code>a&#124;b</code>"),
        ("a`b", "<code>a&#96;b</code>"),
        (" x", "<code> x</code>"),
        ("a\nb", "`a␊b`"),
        ("", ""),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert escape.code(text) == shown


def test_prose_keeps_names_as_code_and_addresses_without_links() -> None:
    made = escape.prose("`log_loss` of @sam: see https://forge.example/issues/1 | now")
    assert made == "`log_loss` of @\u200bsam: see `https://forge.example/issues/1` &#124; now"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("make", [escape.text, escape.code, escape.prose])
def test_hostile_text_is_one_cell(text: str, make: object) -> None:
    _one_cell(make(text))  # type: ignore[operator]


@given(texts)
def test_any_text_is_one_cell(text: str) -> None:
    for make in (escape.text, escape.code, escape.prose):
        _one_cell(make(text))


def _one_cell(made: str) -> None:
    table = f"| a | b |\n|---|---|\n| {made} | end |\n"
    types = [t.type for t in MARKDOWN.parse(table)]
    assert types.count("td_open") == 2
    assert types.count("tr_open") == 2
    assert "end" in MARKDOWN.render(table).rpartition("<td>")[2]
    assert "<!--" not in made
    assert not REFERENCES.search(words_outside_code(f"x {made} x"))


@given(st.text())
def test_text_shows_what_it_was(text: str) -> None:
    """Nothing is lost but spaces and what is longer than a line: a reader sees every visible character."""
    shown = unescape(escape.text(text, limit=10_000)).replace(escape.ZERO_WIDTH_SPACE, "")
    expected = escape.visible(text).strip().replace(escape.ZERO_WIDTH_SPACE, "")
    assert shown == expected


@given(st.text())
def test_a_terminal_gets_no_control_characters(text: str) -> None:
    assert not [c for c in escape.plain(text) if unicodedata.category(c) == "Cc"]
    assert not [c for line in escape.plain_lines(text) for c in line if unicodedata.category(c) == "Cc"]


def test_escape_sequences_vanish_whole() -> None:
    assert escape.plain("\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;https://x\x1b\\link\x9b2J") == "red link"


@pytest.mark.parametrize("text", ["javascript:alert(1)", "data:text/html,x", "//evil", "http:///x", "https://a\nb", ""])
def test_only_web_addresses_become_links(text: str) -> None:
    assert escape.url(text) == ""
    assert escape.link("label", text) == "label"


def test_an_address_cannot_close_its_link() -> None:
    assert escape.link("run", "https://x/a)b [c] <d> \"e'") == "[run](https://x/a%29b%20%5Bc%5D%20%3Cd%3E%20%22e%27)"


def test_a_fence_cannot_be_closed_from_inside() -> None:
    made = escape.fence("one\n```\n/merge\n<!-- x -->")
    assert [t.type for t in MARKDOWN.parse(made)] == ["fence"]
    assert made.startswith("```text\n")
    assert made.endswith("\n```")


@given(st.text())
def test_xml_gets_only_what_xml_allows(text: str) -> None:
    element = ET.Element("x")
    element.text = escape.xml(text)
    assert ET.fromstring(ET.tostring(element)).text in (element.text, None)  # noqa: S314 -- made here
