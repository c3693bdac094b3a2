"""Smoke and skew where the model will answer: the same questions that its image had to pass, at the slot's address."""

from __future__ import annotations

from collections.abc import Iterator

from mlgate.image import protocol, skew
from mlgate.image import smoke as asking
from mlgate.image.protocol import Protocol
from mlgate.image.service import UnreachableError
from mlgate.model import Check, Verdict
from mlgate.rollout.checks import described
from mlgate.rollout.checks.nouns import Rows, Tried, as_rollout, check
from mlgate.rollout.checks.trial import Trial


def checks(trial: Trial) -> Tried:
    """The model's example, malformed requests, its other addresses, and that it says that it is this model."""
    asked, release = trial.asked, trial.candidate
    example, inputs = asked.example, asked.inputs
    if example is None:
        example, found = described.example(trial.service)
        inputs = inputs or found
    seen = asking.checks(
        trial.service, example,
        asking.Asked(digest=release.subject.get("sha256", ""), inputs=inputs, own=asked.own, commit=release.commit),
    )  # fmt: skip
    return Tried(as_rollout(seen.checks))


def same_rows(trial: Trial) -> Tried:
    """Rows of the evaluation data have to come back as they were judged."""
    if not trial.asked.rows:
        reason = (
            "No evaluation set names `data`, `predictions` and `columns.id`, so nothing shows that it predicts what "
            "was judged. Add them to mlgate.yaml, or set `skew: false`."
        )
        return Tried([check("skew.rows", "predicts what was judged", Verdict.ERROR, reason)])
    return Tried(list(_each(trial)))


def _each(trial: Trial) -> Iterator[Check]:
    service, asked = trial.service, trial.asked
    spoken: Protocol | None = None
    for rows in asked.rows:
        trial.stop.look()
        if rows.sample is None:
            yield rows.missing or check(
                "skew.rows", "predicts what was judged", Verdict.ERROR, f"The rows of {rows.name} could not be had."
            )
            continue
        try:
            if spoken is None and rows.sample.records:
                spoken, said = protocol.find(service, protocol.Example(rows.sample.records[:1]))
                if spoken is None:
                    yield _lost(f"It has neither /predict nor /invocations: {said}.")
                    return
        except UnreachableError as error:
            yield _lost(f"Rows of the evaluation data were not answered: {error}.")
            return
        found = skew.checks(
            service, spoken or protocol.PREDICT, rows.sample, tolerance=asked.tolerance, wanted=asked.wanted,
            most=asked.most,
        )  # fmt: skip
        yield from (_of(one, rows, several=len(asked.rows) > 1) for one in as_rollout(found))


def _lost(reason: str) -> Check:
    return check("skew.rows", "predicts what was judged", Verdict.FAIL, reason)


def _of(one: Check, rows: Rows, *, several: bool) -> Check:
    if not several:
        return one
    return one.model_copy(update={"id": f"{one.id}.{rows.name}", "title": f"{rows.name}: {one.title}"})
