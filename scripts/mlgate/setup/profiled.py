"""Which reference profile a commit should have, and whether the one it has is that. Digests only: no data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.config.settings import EvaluationSet
from mlgate.errors import MlgateError
from mlgate.judge import committed, integrity
from mlgate.model import Check, Digests, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.setup.finding import finding

if TYPE_CHECKING:
    from mlgate.data.profiles import Profile

Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Wanted:
    """What the profile of one model describes; paths repository-relative."""

    model: str
    file: str  # where it is committed
    data: str  # what the model is fitted to
    evaluation: str = ""  # the set whose predictions are described
    predictions: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)  # path -> digest, as the commit has it
    features: tuple[str, ...] | None = None  # None: all columns of the data that have no other part
    private: frozenset[str] = frozenset()
    times: tuple[str, ...] = ()  # what the column of time may be called, the likeliest first


def wanted(config: Config, pipeline: Pipeline, read: Read, *, data: str = "") -> Wanted:
    """Of a commit, or of what lies on the disk. `read` gives a file of it; `data`: instead of `train.data`.

    Raises MlgateError where no data are named, and for a contract that cannot be read.
    """
    path = data or (config.path(config.train.data) if config.train.data else "")
    if not path:
        raise MlgateError(
            "names no training data, so there is nothing to describe.", file=config.file, key="train.data",
            line=config.line("train"), fix="Add `train: {data: data/train.parquet}`.",
        )  # fmt: skip
    private, times = _of_contract(config, path, read)
    name, evaluation = _evaluation(config)
    predictions = config.path(evaluation.predictions.path) if evaluation and evaluation.predictions else ""
    made_of = {one: told for one in (path, predictions) if one and (told := digest(committed.of(pipeline, one).digest))}
    if config.artifact:
        artifact = config.path(config.artifact)
        made_of |= {artifact: told} if (told := digest(integrity.named(pipeline, artifact, "model").digest)) else {}
    logs = config.monitor.logs
    return Wanted(
        model=config.model,
        file=config.path(config.monitor.profile),
        data=path,
        evaluation=name,
        predictions=predictions,
        made_of=made_of,
        features=tuple(config.serve.log.features) or None,
        private=private,
        times=tuple(dict.fromkeys([*([logs.fields.time] if logs else []), *times])),
    )


def digest(digests: Digests) -> str:
    """As a profile writes it."""
    return next((f"{kind}:{value}" for kind, value in sorted(digests.items())), "")


def _evaluation(config: Config) -> tuple[str, EvaluationSet | None]:
    """The set that performance is held against, else the first one with predictions."""
    named = config.monitor.performance.evaluation if config.monitor.performance else None
    if named and named in config.evaluate:
        return named, config.evaluate[named]
    return next(((name, one) for name, one in config.evaluate.items() if one.predictions), ("", None))


def _of_contract(config: Config, path: str, read: Read) -> tuple[frozenset[str], list[str]]:
    """The private columns of a data file, and those of which its contract asks for new values: they are its time."""
    from mlgate.data import contract  # noqa: PLC0415

    entry = next((one for one in config.data if config.path(one.path) == path), None)
    if entry is None or not entry.contract:
        return frozenset(), []
    file = config.path(entry.contract)
    text = read(file)
    if text is None:
        raise MlgateError(
            "is not there, and says which columns of the training data are private.", file=file,
            fix="Write it, or propose one: `mlgate validate-data --profile FILE`.",
        )  # fmt: skip
    said = contract.load(text, file)
    return said.private, [e.columns[0] for e in said.expectations if e.type == "expect_column_newest_to_be_within"]


def why_stale(profile: Profile, want: Wanted) -> str:
    """Why a profile is not that of the commit, in one sentence; empty when it is."""
    for path, told in want.made_of.items():
        there = profile.data.get(path, "")
        if there != told:
            return f"{want.file} was made of another {path} ({_short(there)}) than the commit has ({_short(told)})."
    if more := [path for path in profile.data if path not in want.made_of and path in (want.data, want.predictions)]:
        return f"{want.file} was made of {more[0]}, of which the commit has no digest."
    if want.data not in profile.data:
        return f"{want.file} was not made of {want.data}."
    if want.features is not None and set(want.features) != set(profile.columns):
        apart = sorted(set(want.features) ^ set(profile.columns))[0]
        which = "does not describe" if apart in want.features else "describes"
        return f"{want.file} {which} {apart}, and `serve.log.features` says otherwise."
    private = {name.casefold() for name in want.private}
    if shown := [n for n, one in profile.columns.items() if n.casefold() in private and one.of != "private"]:
        return f"{want.file} shows values of {shown[0]}, which the contract calls private."
    return ""


def _short(told: str) -> str:
    return f"{told.partition(':')[2][:8]}…" if told else "nothing"


def check(config: Config, pipeline: Pipeline, read: Read) -> Check | None:
    """What doctor says of a model whose production is watched; None for another."""
    if config.monitor.logs is None:
        return None
    from mlgate.data.profiles import writing  # noqa: PLC0415

    title, fix = "reference profile", "mlgate profile\ngit add {}\ngit commit"
    try:
        want = wanted(config, pipeline, read)
        text = read(want.file)
        if text is None:
            reason = f"There is no {want.file}, so nothing of production can be told from what the model was made of."
            return finding("profile", title, Verdict.WARN, reason, fix=fix.format(want.file), file=config.file)
        stale = why_stale(writing.read(text, want.file, model=want.model), want)
    except MlgateError as error:
        return finding("profile", title, Verdict.ERROR, str(error), fix=error.fix, file=error.file or config.file)
    if stale:
        return finding("profile", title, Verdict.WARN, stale, fix=fix.format(want.file), file=want.file)
    return finding("profile", title, Verdict.PASS, f"{want.file} is that of the committed data.")
