"""What people read, whatever others called their columns and rules."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgate.commands import _notify_letters
from mlgate.watch.alerts import Matter, News

HOSTILE = st.text(st.sampled_from("`*_<>[]()!@#|~\\&\n\r\t\u2028 ax:/.-"), max_size=40)


def news(said: str, advice: str, held: str) -> News:
    matter = Matter(
        "visits", "production", "drift", "critical", "on", said=said, held=held, since="2026-11-18", advice=advice,
        run="https://ci.example.org/runs/1",
    )  # fmt: skip
    return News(matter, "raised", ("chat",))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_leaves_its_line_or_becomes_markup(said: str, advice: str, held: str) -> None:
    letter = _notify_letters.letter([news(said, advice, held)])
    lines = 3 + bool(said) + bool(advice)
    for text in (letter.text, letter.markdown):
        assert len(text.splitlines()) <= lines
    tags = _Tags()
    tags.feed(MarkdownIt().render(letter.markdown))
    assert set(tags.found) <= {"p", "ul", "li", "strong", "code", "a"}
    assert tags.links == ["https://ci.example.org/runs/1"]
    assert tags.found.count("strong") == 1
    assert len(letter.incidents[0].text.splitlines()) == 1


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nor_in_an_issue(said: str, advice: str, held: str) -> None:
    title, body, comment = _notify_letters.issue(news(said, advice, held))
    assert title == "visits in production: drift"
    tags = _Tags()
    tags.feed(MarkdownIt().render(body))
    assert tags.links == ["https://ci.example.org/runs/1"]
    assert set(tags.found) <= {"p", "ul", "li", "strong", "code", "a"}
    assert len(comment.splitlines()) == 1


def test_several_matters_are_counted_and_the_worst_comes_first() -> None:
    matters = [
        Matter("visits", "production", "drift", "warn", "on"),
        Matter("loans", "production", "auc", "critical", "on"),
        Matter("loans", "", "step deploy", "critical", "over", said="deploy ends well"),
    ]
    told = [News(matter, "recovered" if matter.state == "over" else "raised") for matter in matters]
    letter = _notify_letters.letter(told)
    assert letter.title == "[critical] loans, visits: 2 alerts, 1 over"
    assert [line.split("**")[1] for line in letter.markdown.splitlines() if "**" in line] == [
        "critical",
        "warn",
        "over",
    ]
    assert [(one.key, one.mood) for one in letter.incidents] == [
        ("mlgate/loans/production/auc", "critical"),
        ("mlgate/visits/production/drift", "warn"),
        ("mlgate/loans//step deploy", "recovered"),
    ]
    assert _notify_letters.letter([told[2]]).mood == "recovered"
