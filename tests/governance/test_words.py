"""What people write: closed files, template text found, and numbers of the model that are not those of the evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.regulated import CARD, SHEET
from mlgate.errors import MlgateError
from mlgate.governance import claims, placeholders, words

NOTHING = [
    "", "   ", "TODO", "Todo: write this", "tbd", "To be defined.", "to be done", "lorem ipsum dolor sit amet",
    "<describe the use here>", "Used by <team> for budgets of next year", "{{ intended_use }}", "${purpose}",
    "Describe the intended use of the model.", "Please describe what the model is for", "List the limitations here",
    "n/a", "N/A.", "none", "unknown", "-", "...", "???", "xxx", "FIXME later", "[More information needed]",
    "[insert text]", "Your text here", "foo", "good", "12345", "1. 2. 3.", "Coming soon", "%PURPOSE%",
]  # fmt: skip
SOMETHING = [
    "Planning the budget of a clinic, by those who plan it.",
    "It is wrong for people older than 61, because none were asked.",
    "Ages < 5 and > 60 are not in the data.",
    "Ask <data-team@example.org> about it, or see <https://example.org/card>.",
    "Todos los pacientes del hospital son contados una vez.",  # a word that begins like a mark
    "State clinics of Ohio sent their lists of visits every week.",
    "Describe is a word that the text of every row begins with; the model reads it as any other word.",
    "Список больных ведёт сама клиника, по закону.",
    "患者の来院を予測し、予算を立てるために使う。",
    "Numbers of visits are rounded to 10, which is 5 % of the mean at most.",
]


@pytest.mark.parametrize("text", NOTHING)
def test_text_that_says_nothing_is_found(text: str) -> None:
    assert placeholders.problem(text)


@pytest.mark.parametrize("text", SOMETHING)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert placeholders.problem(text) == ""


@given(st.text(max_size=200))
def test_any_text_gets_an_answer_at_once(text: str) -> None:
    assert isinstance(placeholders.problem(text), str)


@given(st.sampled_from(SOMETHING), st.sampled_from(["TODO", "TBD", "<name of the team>", "lorem ipsum", "???"]))
def test_a_mark_is_found_in_the_middle_of_a_good_text(text: str, mark: str) -> None:
    half = len(text) // 2
    assert mark.split(maxsplit=1)[0].strip("<>") in placeholders.problem(f"{text[:half]} {mark} {text[half:]}")


def test_a_card_is_read() -> None:
    card = words.card(CARD.encode(), "card.yaml")
    assert card.limitations.startswith("- The rows are invented")
    assert list(words.problems(card)) == []
    assert dict(words.texts(card))["more.Who was asked"].startswith("The people who plan")
    sheet = words.sheet(SHEET.encode(), "data_sheet.yaml")
    assert sheet.deidentified.state == "not needed"
    assert list(words.problems(sheet)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CARD.replace("limitations:", "known_limitations:"), "Did you mean `limitations`?"),
        (CARD.replace("intended_use: ", "intended_use: 7 #"), "must be text"),
        (CARD.replace("intended_use:", "intended_uses:"), "card.yaml:3: intended_uses is not a key."),
        ("schema: 1\n", "intended_use is missing"),
        ("", "is empty"),
        ("schema: 2\nintended_use: x\n", "schema"),
        (CARD + "performance: {accuracy: 0.92}\n", "performance is not a key"),
    ],
)
def test_a_card_with_a_mistake_says_where(text: str, said: str) -> None:
    with pytest.raises(MlgateError) as caught:
        words.card(text.encode(), "card.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHEET.replace("personal_data: false", "personal_data: perhaps"), "personal_data"),
        (SHEET.replace("state: not needed", "state: maybe"), "deidentified.state must be"),
        (SHEET.replace("licence:", "license:"), "Did you mean `licence`?"),
        (SHEET.replace("use_rights", "rights"), "Did you mean `use_rights`?"),
    ],
)
def test_a_sheet_with_a_mistake_says_where(text: str, said: str) -> None:
    with pytest.raises(MlgateError) as caught:
        words.sheet(text.encode(), "data_sheet.yaml")
    assert said in str(caught.value)


def test_every_begun_key_is_asked_for() -> None:
    card = words.card((CARD + "contact: ''\nsummary: TBD\n").encode(), "card.yaml")
    assert {key for key, _ in words.problems(card)} == {"contact", "summary"}


MEASURED = {"accuracy": (0.73249139,), "auc": (0.7448, 0.7102), "log_loss": (0.538,)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It has an accuracy of 0.92.", ["0.92"]),
        ("Accuracy: 92%", ["92%"]),
        ("accuracy (0.9) on the test", ["0.9"]),
        ("With 0.91 accuracy it is used.", ["0.91"]),
        ("log loss is about 0.4", ["0.4"]),
        ("The log-loss of 0.53 is low.", ["0.53"]),  # 0.538 is 0.54
        ("AUC 0.75", ["0.75"]),
        ("accuracy \u2248 0,9", ["0,9"]),
    ],
)
def test_a_number_that_was_not_measured_is_found(text: str, said: list[str]) -> None:
    found = list(claims.find([("limitations", text)], MEASURED))
    assert [claim.said for claim in found if not claim.holds] == said


@pytest.mark.parametrize(
    "text",
    [
        "It has an accuracy of 0.73, or 73 %, or 0.7325.",
        "An AUC of 0.71 for the one half and AUC 0.745 for the other.",
        "Accuracy matters. 5,912 people were asked in 1974.",
        "Inaccuracy 0.9 is no metric here.",
        "log_loss = 0.54",
    ],
)
def test_a_number_that_was_measured_may_be_said(text: str) -> None:
    assert [claim for claim in claims.find([("limitations", text)], MEASURED) if not claim.holds] == []


@given(st.floats(min_value=0.001, max_value=0.999), st.integers(min_value=2, max_value=6))
def test_a_number_holds_as_precisely_as_it_is_written(value: float, places: int) -> None:
    said = f"the accuracy of {value:.{places}f}"
    (claim,) = claims.find([("x", said)], {"accuracy": (value,)})
    assert claim.holds
    (other,) = claims.find([("x", said)], {"accuracy": (value + 1.1 * 10**-places,)})
    assert not other.holds
