"""Markdown cut to a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.forges import VOLATILE, cut
from mlgate.forges.cutting import characters, octets

LINES = ["text", "", "| a | b |", "|---|:-:|", "| 1 | 2 |", "```", "```python", "~~~~", "<details>", "</details>",
         "<summary>x</summary>", "<details open><summary>y</summary>", "# head", "✅ 😀", "x" * 50]  # fmt: skip


def test_what_fits_is_untouched() -> None:
    assert cut("a\nb\n", 4) == "a\nb\n"


def test_the_last_line_counts_what_is_missing_and_says_where_it_is() -> None:
    body = "\n".join(f"line {n}" for n in range(1000))
    shown = cut(body, 500, full="https://ci.test/1")
    kept, last = shown.rstrip("\n").rsplit("\n\n", 1)
    left = 1000 - len(kept.split("\n"))
    assert last == f"{left} more lines do not fit here. [The whole report](https://ci.test/1). {VOLATILE}"
    assert kept == "\n".join(f"line {n}" for n in range(1000 - left))


def test_without_an_address_the_artifacts_are_named() -> None:
    assert "The whole report is among the artifacts of this run." in cut("x\n" * 1000, 400)


@given(st.lists(st.sampled_from(LINES), max_size=200), st.integers(300, 900), st.booleans())
def test_never_longer_than_allowed_and_nothing_left_open(lines: list[str], limit: int, in_octets: bool) -> None:
    size = octets if in_octets else characters
    body = "\n".join(lines)
    shown = cut(body, limit, size=size)
    assert size(shown) <= limit
    if shown == body:
        return
    fence, depth = "", 0
    for line in shown.split("\n"):
        mark = line[:3]
        if mark in ("```", "~~~"):
            if not fence:
                fence = line.rstrip("python")
            elif line.startswith(fence) and not line.strip(mark[0]):
                fence = ""
        elif not fence:
            depth = max(0, depth + line.count("<details") - line.count("</details>"))
    assert fence == ""
    assert depth == 0


@pytest.mark.parametrize("rows", range(1, 30))
def test_a_table_keeps_its_head_or_goes_whole(rows: int) -> None:
    body = "text\n" * rows + "# T\n\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 100
    lines = cut(body, 400).split("\n")
    heads, rules = lines.count("| a | b |"), lines.count("|---|---|")
    assert heads == rules
    if not heads:
        assert "# T" not in lines
        assert "| 1 | 2 |" not in lines
    else:
        assert "| 1 | 2 |" in lines


def test_open_folds_are_closed_inside_out() -> None:
    body = "<details><summary>a</summary>\n\n<details><summary>b</summary>\n\n```\n" + "x\n" * 500
    shown = cut(body, 400)
    assert "```\n</details>\n</details>\n\n" in shown


def test_a_tag_inside_a_code_block_opens_nothing() -> None:
    assert "</details>" not in cut("```\n<details>\n```\n" + "text\n" * 500, 400)


def test_a_line_longer_than_the_limit_is_left_out_whole() -> None:
    assert cut("head\n\n" + "x" * 1000 + "\ntail", 300).startswith("head\n\n")
    assert "xxx" not in cut("head\n\n" + "x" * 1000 + "\ntail", 300)
    assert "tail" not in cut("head\n\n" + "x" * 1000 + "\ntail", 300)
