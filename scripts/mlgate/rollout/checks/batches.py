"""`strategy: batch`: one run over tracked data, and its output put where others find it."""

from __future__ import annotations

from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.rollout.checks import described, predicting
from mlgate.rollout.checks.nouns import Asked, Batch, Tried, check
from mlgate.rollout.checks.predicting import Wanted
from mlgate.rollout.checks.trial import Trial
from mlgate.rollout.targets import Target

TITLE = "every row is predicted"


def checks(trial: Trial) -> Tried:
    """Predicts, then publishes. Of a run that fails nothing is left, and the output before it stays as it was."""
    batch, settings = trial.asked.batch, trial.asked.settings.batch
    if batch is None or settings is None:
        return Tried(
            [check("batch", TITLE, Verdict.ERROR, "`strategy: batch` needs `batch: {data: ..., output: ...}`.")]
        )
    try:
        done = _run(trial, batch, rows=min(settings.rows, trial.asked.most), shown=settings.data)
    except MlgateError as error:
        return Tried([_failed("batch", TITLE, error)])
    found = Tried(
        [check("batch", TITLE, Verdict.PASS, rows=done.rows, expected="as many predictions as rows")],
        facts={
            "batch_rows": float(done.rows),
            "batch_seconds": round(done.seconds, 3),
            "batch_output": settings.output,
        },
    )
    trial.stop.look()
    try:
        published = batch.publish(batch.output)
    except MlgateError as error:
        found.checks.append(_failed("batch.published", "its output is published", error))
        return found
    found.checks.append(check("batch.published", "its output is published", Verdict.PASS, observed=published.digest))
    found.facts |= {"batch_digest": published.digest, "batch_mb": round(published.size / 1e6, 3)}
    found.artifacts.append(published.pointer)
    return found


def _run(trial: Trial, batch: Batch, *, rows: int, shown: str) -> predicting.Done:
    """By the target's own way where it has one, else by asking the server that runs there."""
    if type(trial.target).run is not Target.run:
        return _by_target(trial, batch, rows=rows, shown=shown)
    asked = trial.asked
    wanted = Wanted(
        batch.data, shown, batch.output, rows=rows, read=batch.read, id=batch.id, truth=batch.truth,
        inputs=asked.inputs or described.example(trial.service)[1], timeout=_patience(asked),
    )  # fmt: skip
    return predicting.predict(trial.url, wanted, trial.stop)


def _by_target(trial: Trial, batch: Batch, *, rows: int, shown: str) -> predicting.Done:
    beside = batch.output.with_name(f".mlgate-{batch.output.name}")
    batch.output.parent.mkdir(parents=True, exist_ok=True)
    beside.unlink(missing_ok=True)
    try:
        return predicting.checked(
            lambda: trial.target.run(trial.candidate, batch.data, beside, rows), batch.data, beside, batch.output,
            shown=shown, read=batch.read,
        )  # fmt: skip
    finally:
        beside.unlink(missing_ok=True)


def _patience(asked: Asked) -> float:
    """The server gives up on an answer by itself, and says so: that has to be heard."""
    return asked.timeout + 5.0


def _failed(word: str, title: str, error: MlgateError) -> Check:
    return check(word, title, Verdict.ERROR, str(error))
