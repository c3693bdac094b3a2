"""The skew test: rows of the evaluation data through the image have to come back as the committed predictions say.

    sample = sampled.read(con, asked, data, count=500, inputs=settings.inputs)
    checks = skew.checks(service, spoken, sample, tolerance=1e-6, wanted=500)

In batches and one by one: a server that answers otherwise when rows come together is found, too. Nothing is averaged,
a class has to be the same, and NaN is never within a tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.image.protocol import AnswerError, Answers, Protocol, Record
from mlgate.image.service import Service, UnreachableError
from mlgate.model import Check, Example, Verdict

LEAST = 20  # rows below which nothing is decided, unless fewer were asked for
BATCH = 100  # rows of one request
SINGLE = 25  # rows that are sent once more, each by itself
_SHOWN = 5
_HIDDEN = "(private)"


@dataclass(frozen=True)
class Committed:
    """What was judged, row by row: what a model that is not skewed answers."""

    task: str  # binary, multiclass, regression, ranking
    ids: Sequence[str]
    classes: Sequence[str] = ()  # binary: (negative, positive)
    decided: Sequence[str] | None = None  # a class for each row
    score: Sequence[Any] | None = None  # a number for each row; of several classes: one for each, in their order

    def take(self, places: Sequence[int]) -> Committed:
        def part(values: Sequence[Any] | None) -> list[Any] | None:
            return None if values is None else [values[place] for place in places]

        return Committed(self.task, [self.ids[p] for p in places], self.classes, part(self.decided), part(self.score))


@dataclass(frozen=True)
class Sample:
    """Rows of the evaluation data, and what is committed for them."""

    records: Sequence[Record]
    committed: Committed
    available: int  # rows that there are
    id: str = "id"  # the column
    hidden: bool = False  # its values are private
    left: int = 0  # rows that JSON cannot say, such as an infinity


@dataclass(frozen=True)
class Difference:
    """One row that is answered otherwise; `place` counts in the sample."""

    place: int
    what: str  # class, score, nothing
    committed: str
    image: str


@dataclass
class Compared:
    """`classes` and `scores`: how many of each could be held against each other."""

    classes: int = 0
    scores: int = 0
    largest: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: Compared, at: Sequence[int]) -> None:
        """`at`: where the rows of the other one are in this one."""
        self.classes += other.classes
        self.scores += other.scores
        self.largest = max(self.largest, other.largest)
        self.differences += [Difference(at[d.place], d.what, d.committed, d.image) for d in other.differences]


# -- one answer against what is committed ------------------------------------------------------------------------------


def compare(committed: Committed, answers: Answers, tolerance: float) -> Compared:
    """Every row. A number counts as a score where the model gives no class, and as a class where it is one of them."""
    found = Compared()
    scores = _scores(committed, answers)
    for place in range(len(committed.ids)):
        answer = answers.prediction[place]
        if _nothing(answer) or (scores is not None and _nothing(scores[place])):
            found.differences.append(Difference(place, "nothing", _said(committed, place), _short(answer)))
            continue
        if scores is not None and committed.score is not None:
            _score(found, place, committed.score[place], scores[place], tolerance)
        if committed.decided is not None and not _is_score(committed, answers):
            found.classes += 1
            if not same_class(answer, committed.decided[place], committed.classes):
                found.differences.append(Difference(place, "class", committed.decided[place], _short(answer)))
    return found


def _scores(committed: Committed, answers: Answers) -> list[Any] | None:
    """The image's score of each row, in the form of the committed one; None where it gives none."""
    if committed.task in {"regression", "ranking"}:
        return list(answers.prediction)
    if answers.probability is None:
        return list(answers.prediction) if _is_score(committed, answers) else None
    order = [str(one) for one in answers.classes] if answers.classes else ordered(committed.classes)
    return [_arranged(one, order, committed) for one in answers.probability]


def _arranged(value: Any, order: Sequence[str], committed: Committed) -> Any:
    """The probability of the positive class, or those of all classes in the committed order; None where it is not
    there."""
    if isinstance(value, list):
        if len(value) != len(order):
            return value[0] if len(value) == 1 and committed.task == "binary" else None
        value = dict(zip(order, value, strict=True))
    if not isinstance(value, dict):
        return value if committed.task == "binary" else None
    named = {_class(name, committed.classes): one for name, one in value.items()}
    if committed.task == "binary":
        return named.get(committed.classes[1]) if len(committed.classes) > 1 else None
    return [named.get(name) for name in committed.classes]


def _is_score(committed: Committed, answers: Answers) -> bool:
    """Whether `prediction` holds scores and no classes: numbers of which some are none of the classes."""
    if committed.task not in {"binary", "multiclass"} or answers.probability is not None:
        return False
    numbers = [one for one in answers.prediction if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) != len(answers.prediction):
        return all(isinstance(one, list) for one in answers.prediction) and committed.task == "multiclass"
    return any(_class(one, committed.classes) not in committed.classes for one in numbers)


def _score(found: Compared, place: int, committed: Any, image: Any, tolerance: float) -> None:
    several = committed if isinstance(committed, list | tuple) else [committed]
    given = image if isinstance(image, list | tuple) else [image]
    found.scores += 1
    apart = _apart(several, given)
    if apart is not None and math.isfinite(apart):
        found.largest = max(found.largest, apart)
    if apart is None or not apart <= tolerance:
        found.differences.append(Difference(place, "score", _short(committed), _short(image)))


def _apart(a: Sequence[Any], b: Sequence[Any]) -> float | None:
    """The largest distance of two rows of numbers; None where they are none."""
    if len(a) != len(b):
        return None
    try:
        distances = [abs(float(x) - float(y)) for x, y in zip(a, b, strict=True)]
    except (TypeError, ValueError):
        return None
    return math.nan if any(math.isnan(one) for one in distances) else max(distances)


def same_class(answer: Any, committed: str, classes: Sequence[str]) -> bool:
    """Whether an answer means the committed class: 1, 1.0, true and "1" are the same where the classes are numbers."""
    return isinstance(answer, str | int | float) and _class(answer, classes) == committed


def _class(value: Any, classes: Sequence[str]) -> str:
    from mlgate.data.aligned.classes import meant  # noqa: PLC0415 -- numpy is behind it

    return meant(value, _kind(classes), classes)


def _kind(classes: Sequence[str]) -> Any:
    """What the label's column holds, by the names of its classes."""
    if {*classes} <= {"true", "false"}:
        return "boolean"
    return "number" if all(_number(name) is not None for name in classes) else "text"


def ordered(classes: Sequence[str]) -> list[str]:
    """The order in which scikit-learn and its like give probabilities: sorted, numbers by their size."""
    numbers = {name: _number(name) for name in classes}
    if all(value is not None for value in numbers.values()):
        return sorted(classes, key=lambda name: numbers[name] or 0.0)
    return sorted(classes)


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None


def _nothing(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return not value or any(_nothing(one) for one in value)
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _said(committed: Committed, place: int) -> str:
    return (
        committed.decided[place] if committed.decided else _short(committed.score[place] if committed.score else None)
    )


def _short(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    text = ", ".join(map(_short, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- all of them -------------------------------------------------------------------------------------------------------


def checks(
    service: Service, spoken: Protocol, sample: Sample, *, tolerance: float, wanted: int, most: int = 10_000
) -> list[Check]:
    """`wanted`: rows that were asked for; `most`: rows that the server takes in one request.

    A server that does not answer a row is a `fail` as much as one that answers it otherwise.
    """
    count = len(sample.records)
    if few := too_few(sample, wanted):
        return [few]
    whole, alone = Compared(), Compared()
    size = max(1, min(BATCH, most))

    def through(places: Sequence[int], into: Compared) -> None:
        answers = spoken.ask(service, [sample.records[place] for place in places])
        into.add(compare(sample.committed.take(places), answers, tolerance), places)

    try:
        for start in range(0, count, size):
            through(range(start, min(start + size, count)), whole)
        for place in evenly(count, SINGLE):
            through([place], alone)
    except (AnswerError, UnreachableError) as error:
        reason = f"Rows of the evaluation data were not answered: {error}."
        return [_check("rows", Verdict.FAIL, reason, count)]
    return list(decide(sample, whole, alone, tolerance))


def evenly(count: int, wanted: int) -> list[int]:
    """That many places of so many, the first and the last among them, as far apart as can be."""
    if wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return sorted({round(step * (count - 1) / (wanted - 1)) for step in range(wanted)})


def too_few(sample: Sample, wanted: int) -> Check | None:
    """Why there is nothing to decide on; None where there is."""
    count = len(sample.records)
    if not count:
        reason = (
            "The evaluation data have no row that could be sent, so nothing says that the image predicts as judged."
        )
        return _check("rows", Verdict.ERROR, reason, 0)
    if sample.committed.decided is None and sample.committed.score is None:
        reason = "The committed predictions have neither a class nor a score to hold the answers against."
        return _check("rows", Verdict.ERROR, reason, count)
    least = min(LEAST, max(1, wanted))
    if count < least:
        reason = f"{count} rows are too few to say that the image predicts as judged: {least} are needed."
        return _check("rows", Verdict.INCONCLUSIVE, reason, count)
    return None


def decide(sample: Sample, whole: Compared, alone: Compared, tolerance: float) -> Iterator[Check]:
    """What the comparison comes to: of classes, of scores, and of rows by themselves."""
    count = len(sample.records)
    if not whole.classes and not whole.scores and not whole.differences:
        has = "scores" if sample.committed.score is not None else "classes"
        reason = f"The image answers nothing that can be held against the committed {has}, so nothing is known of skew."
        yield _check("rows", Verdict.INCONCLUSIVE, reason, count)
        return
    for what, seen in (("class", whole.classes), ("score", whole.scores)):
        if seen or any(d.what == what for d in whole.differences):
            yield _compared(sample, whole, what, tolerance)
    if nothing := [d for d in whole.differences if d.what == "nothing"]:
        reason = f"{len(nothing):,} of {count:,} rows are answered with null, NaN or an infinity."
        yield _check("nothing", Verdict.FAIL, reason, count, unexpected=len(nothing), examples=_shown(sample, nothing))
    singles = len(evenly(count, SINGLE))
    lost = [d for d in alone.differences if d.place not in {one.place for one in whole.differences}]
    reason = f"{len(lost):,} of {singles:,} rows are answered otherwise alone than in a batch." if lost else ""
    yield _check(
        "single", Verdict.FAIL if lost else Verdict.PASS, reason, singles, title="answers rows alone as in a batch",
        unexpected=len(lost) if lost else None, examples=_shown(sample, lost),
    )  # fmt: skip
    if sample.left:
        reason = f"{sample.left:,} rows hold an infinity, which JSON cannot say: they were not sent."
        yield _check("left", Verdict.WARN, reason, sample.left, title="rows that cannot be sent")


def _compared(sample: Sample, whole: Compared, what: str, tolerance: float) -> Check:
    count = len(sample.records)
    wrong = [one for one in whole.differences if one.what == what]
    if what == "class":
        title, expected, observed = "predicts the committed classes", "the same class in every row", None
        said = f"{len(wrong):,} of {count:,} rows get another class than the committed one"
    else:
        title, expected, observed = "predicts the committed scores", f"within {tolerance:g} of each", whole.largest
        said = f"{len(wrong):,} of {count:,} rows get another score, by up to {whole.largest:.6g}"
    reason = f"{said}: the image does not predict what was judged." if wrong else ""
    return _check(
        what, Verdict.FAIL if wrong else Verdict.PASS, reason, count, title=title, expected=expected, observed=observed,
        unexpected=len(wrong) if wrong else None, examples=_shown(sample, wrong),
    )  # fmt: skip


def _shown(sample: Sample, differences: Sequence[Difference]) -> tuple[Example, ...]:
    def one(found: Difference) -> Mapping[str, str]:
        id_ = _HIDDEN if sample.hidden else sample.committed.ids[found.place]
        return {sample.id: id_[:80], "committed": found.committed, "image": found.image}

    return tuple(Example(values=dict(one(found))) for found in differences[:_SHOWN])


def _check(
    word: str, verdict: Verdict, reason: str, rows: int, *, title: str = "predicts what was judged", **more: Any
) -> Check:
    return Check(id=f"image.skew.{word}", title=title, group="image", verdict=verdict, reason=reason, rows=rows, **more)
