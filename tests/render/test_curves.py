"""Figures of both models in the page: drawn from the evidence's own numbers, said in words, nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.model import Evidence, Figure, Series
from mlgate.render import curves, html
from render import samples
from render.test_html import page, parsed

KINDS: dict[str, Figure] = {figure.kind: figure for figure in samples.figures()}


def draw(kind: str) -> curves.Drawn:
    drawn = curves.draw(KINDS[kind])
    assert drawn is not None
    return drawn


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in path.split())]


def test_a_curve_runs_from_corner_to_corner_of_the_field() -> None:
    drawn = draw("roc")
    assert [line.kind for line in drawn.lines] == ["champion", "challenger"]
    assert points(drawn.lines[1].points) == [(44.0, 206.0), (121.0, 59.0), (352.0, 10.0)]
    assert drawn.diagonal == (44.0, 206.0, 352.0, 10.0)
    assert [tick.text for tick in drawn.across] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert drawn.said == (
        "holdout: ROC; share of positives found at a tenth of false alarms: champion 0, this change 0"
    )


def test_calibration_shows_where_the_rows_are() -> None:
    line = draw("calibration").lines[0]
    assert [at[:2] for at in line.dots] == points(line.points)
    radii = [at[2] for at in line.dots]
    assert radii[1] == max(radii) == 7.0
    assert min(radii) > 1.5


def test_errors_have_a_band_and_a_line_at_zero() -> None:
    drawn = draw("residuals")
    assert len(points(drawn.lines[0].area)) == 4
    assert drawn.diagonal is not None
    zero = drawn.diagonal[1]
    assert drawn.diagonal == (44.0, zero, 352.0, zero)
    assert [y for _, y in points(drawn.lines[0].points)] == [pytest.approx(zero + 39.2), pytest.approx(zero - 26.2)]


def test_a_matrix_has_a_cell_for_each_pair_and_its_share_of_the_row() -> None:
    drawn = draw("confusion")
    assert [cell.text for cell in drawn.cells] == [
        "90 · 90\u202f%", "10 · 10\u202f%", "5 · 5.0\u202f%", "95 · 95\u202f%",
    ]  # fmt: skip
    assert [cell.right for cell in drawn.cells] == [True, False, False, True]
    assert drawn.cells[3].strength > drawn.cells[0].strength > drawn.cells[1].strength
    assert max(cell.strength for cell in drawn.cells) <= 0.5  # a count is read on it
    assert max(cell.y + cell.high for cell in drawn.cells) < drawn.high
    assert drawn.said.endswith("92\u202f% of 200 rows are decided rightly")


@pytest.mark.parametrize(
    "figure",
    [
        Figure(kind="roc", title="empty"),
        Figure(kind="roc", title="of nobody", series=(Series(name="third", x=(0.0,), y=(0.0,)),)),
        Figure(kind="confusion", title="none"),
        Figure(kind="confusion", title="ragged", classes=("a", "b"), series=(Series(name="a", x=(0.0,), y=(1.0,)),)),
    ],
)
def test_what_shows_nothing_is_not_drawn(figure: Figure) -> None:
    assert curves.draw(figure) is None


numbers = st.floats(-1e12, 1e12) | st.sampled_from([0.0, 1e300, -1e300, 5e-324])


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5))
def test_any_numbers_stay_inside_the_drawing(values: list[tuple[float, float]]) -> None:
    series = Series(name="challenger", x=tuple(x for x, _ in values), y=tuple(y for _, y in values))
    drawn = curves.draw(Figure(kind="residuals", title="errors", series=(series,)))
    assert drawn is not None
    for x, y in points(drawn.lines[0].points):
        assert 0 <= x <= curves.WIDE
        assert 0 <= y <= curves.HIGH
    assert len(drawn.across) <= 8
    assert len({tick.text for tick in drawn.across}) == len(drawn.across)


def test_every_drawing_of_the_page_has_a_name_and_nothing_is_fetched() -> None:
    text = page(samples.with_figures())
    found = parsed(text)
    drawings = re.findall(r"<svg [^>]*>", text)
    assert len(drawings) == 3 + 5
    assert all('role="img"' in one and re.search(r'aria-label="[^"]+"', one) for one in drawings)
    assert not {"script", "image", "use", "foreignobject", "a"} & set(re.findall(r"<(\w+)", "".join(
        re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    )))  # fmt: skip
    assert "Both models on the same rows" in found.words


def test_a_rule_with_an_interval_is_a_sentence_below_its_drawing() -> None:
    text = page(samples.with_figures())
    assert "<code>auc</code> is 0.002 better than the champion; the interval reaches down to −0.003" in text
    assert text.count('<line class="interval') == 3
    assert text.count('<line class="end') == 6
    assert '<span class="muted">(joint cells)</span>' in text
    assert "Difference, 90\u202f% interval" in text


def test_ids_stand_in_the_page_alone_and_folded() -> None:
    text = page(samples.with_figures())
    before = text[: text.index("<code>p-99</code>")]
    assert before.count("<details") == before.count("</details>") + 1
    assert "31 were right in the champion and are wrong now" in text


def test_groups_that_hold_are_folded_the_closest_first() -> None:
    text = page(samples.with_figures())
    assert "2 groups of rows within the limits" in text
    assert text.index("auc, health = poor") < text.index("auc, health = good")


def test_a_page_of_a_threshold_draws_its_own_interval() -> None:
    floor = samples.AUC_FLOOR.model_copy(update={"interval": (0.712, 0.731), "champion": None})
    drawn = html.chart(floor)
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.interval[0] < drawn.observed.x < drawn.interval[1]


def test_evidence_with_figures_comes_back_as_it_was() -> None:
    evidence = samples.with_figures()
    assert Evidence.from_json(evidence.to_json()) == evidence
