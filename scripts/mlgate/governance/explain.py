"""The explainability report: which columns the model goes by, in all and in single rows. Made here, or the user's own.

A report of ours is about one model and one evaluation file, by digest; one of the user's own is about the model that
its stage in dvc.lock depends on, or names the model's digest itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mlgate.errors import MlgateError
from mlgate.ledger.query import same_model

EXPLAIN_SCHEMA = 1
MASKED = "•••"
_MOST = 10_000  # features or examples of a report that is read
_LONGEST = 20_000_000  # octets


@dataclass(frozen=True)
class Feature:
    """How much one column matters. `importance`: of permutation the loss in the metric, of SHAP the mean |value|."""

    name: str
    importance: float
    lowest: float | None = None  # over the repeats
    highest: float | None = None
    moved: float | None = None  # mean absolute change of the score when the column is shuffled


@dataclass(frozen=True)
class Contribution:
    feature: str
    value: str  # of the row; masked where the contract calls the column private
    contribution: float  # to the score, against the baseline


@dataclass(frozen=True)
class Local:
    """One row explained. `baseline` and `score` in the units of the score."""

    row: str  # its id, or its place
    score: float
    baseline: float | None
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Explanation:
    model: str
    commit: str
    subject: dict[str, str]  # digests of the model
    data: str  # path of the evaluation data
    data_digest: dict[str, str]
    evaluation: str  # name of the set
    method: str  # permutation | shap | own
    score: str  # what is explained: "probability of 1", "predicted value"
    metric: str  # what importance is measured in; empty for SHAP
    metric_value: float | None
    rows: int
    of: int
    repeats: int
    features: tuple[Feature, ...]
    examples: tuple[Local, ...]
    notes: tuple[str, ...] = ()
    made_with: dict[str, str] = field(default_factory=dict)  # the project's packages

    def to_json(self) -> str:
        """Canonical: the same model, rows and settings give the same bytes."""
        data: dict[str, Any] = {"schema": EXPLAIN_SCHEMA, "kind": "explainability"} | asdict(self)
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse(data: bytes, file: str) -> Explanation:
    """One that was made here. Raises MlgateError for anything else."""
    plain = _plain(data, file)
    if plain.pop("schema", None) != EXPLAIN_SCHEMA or plain.pop("kind", None) != "explainability":
        raise MlgateError("is no explainability report of mlgate.", file=file)
    try:
        plain["features"] = tuple(Feature(**one) for one in plain["features"])
        plain["examples"] = tuple(
            Local(**{**one, "contributions": tuple(Contribution(**each) for each in one["contributions"])})
            for one in plain["examples"]
        )
        plain["notes"] = tuple(plain["notes"])
        return Explanation(**plain)
    except (TypeError, KeyError) as error:
        raise MlgateError(f"is no explainability report of mlgate ({error}).", file=file) from None


def _plain(data: bytes, file: str) -> dict[str, Any]:
    if len(data) > _LONGEST:
        raise MlgateError(f"has {len(data):,} octets, more than are read.", file=file)
    try:
        plain = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MlgateError(f"is no JSON that can be read ({str(error)[:100]}).", file=file) from None
    if not isinstance(plain, dict):
        raise MlgateError("holds no mapping.", file=file, fix=_FORMS)
    return plain


def _refuse(word: str) -> float:
    raise ValueError(f"it holds {word}, which is no number")


# -- a report of the user's own --------------------------------------------------------------------------------------

_FORMS = (
    'Write {"global": {"column": 0.12, ...}, "local": [{"row": "17", "score": 0.8, "contributions": {"column": 0.1}}]}.'
)
_GLOBAL = ("global", "feature_importance", "feature_importances", "importances", "features")
_LOCAL = ("local", "examples", "local_explanations")


def own(data: bytes, file: str, about: Mapping[str, Any]) -> Explanation:
    """A report of the user's own. `about`: the other fields of an Explanation. Raises MlgateError.

    A digest of the model in it (`model_digest`) has to be this model's.
    """
    plain = _plain(data, file)
    features = _features(next((plain[key] for key in _GLOBAL if plain.get(key)), None), file)
    examples = _locals(next((plain[key] for key in _LOCAL if plain.get(key)), None), file)
    if (named := _digest(plain.get("model_digest"))) and not same_model(named, dict(about["subject"])):
        raise MlgateError("is about another model: its `model_digest` is not this one's.", file=file)
    method, notes = plain.get("method", ""), plain.get("notes") or []
    said = [f"Method, as the report has it: {method}"] if isinstance(method, str) and method else []
    said += [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return Explanation(
        **{**about, "method": "own", "features": features, "examples": examples, "notes": tuple(said[:100])}
    )


def says_model(data: bytes, file: str, subject: Mapping[str, str]) -> bool:
    """Whether a report names this very model by digest."""
    named = _digest(_plain(data, file).get("model_digest"))
    return bool(named) and same_model(named, dict(subject))


def _digest(value: Any) -> dict[str, str]:
    """`sha256:...`, `dvc-md5:...`, or a mapping of such."""
    if isinstance(value, str) and ":" in value:
        algorithm, _, digits = value.partition(":")
        return {algorithm: digits}
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _features(value: Any, file: str) -> tuple[Feature, ...]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        for one in value:
            name = one.get("name") or one.get("feature") or one.get("column") if isinstance(one, dict) else None
            pairs.append((name, one.get("importance", one.get("value")) if isinstance(one, dict) else None))
    if not pairs or len(pairs) > _MOST:
        raise MlgateError("says of no column how much it matters.", file=file, fix=_FORMS)
    found = [Feature(_name(name, file), _number(number, f"the importance of {name}", file)) for name, number in pairs]
    return tuple(sorted(found, key=lambda one: (-abs(one.importance), one.name)))


def _locals(value: Any, file: str) -> tuple[Local, ...]:
    found: list[Local] = []
    for number, one in enumerate(value[:_MOST] if isinstance(value, list) else []):
        said = one.get("contributions") if isinstance(one, dict) else None
        if not isinstance(said, dict) or not said:
            raise MlgateError(f"explains row {number + 1} without `contributions`.", file=file, fix=_FORMS)
        contributions = [
            Contribution(_name(name, file), "", _number(each, f"the contribution of {name}", file))
            for name, each in said.items()
        ]
        found.append(
            Local(
                row=str(one.get("row", one.get("id", number + 1)))[:100],
                score=_number(one.get("score", one.get("prediction")), f"the score of row {number + 1}", file),
                baseline=_number(one["baseline"], "the baseline", file) if "baseline" in one else None,
                contributions=tuple(sorted(contributions, key=lambda c: (-abs(c.contribution), c.feature))),
            )
        )
    return tuple(found)


def _name(value: Any, file: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise MlgateError("names a column that is no text.", file=file, fix=_FORMS)
    return value[:200]


def _number(value: Any, what: str, file: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MlgateError(f"{what} is no number in {file}.", fix=_FORMS)
    return float(value)


# -- whether it holds ------------------------------------------------------------------------------------------------


def problems(
    found: Explanation, subject: Mapping[str, str], commits: Sequence[str], evaluations: Sequence[Mapping[str, str]]
) -> Iterator[str]:
    """Why a report does not explain this very model. `evaluations`: digests of the evaluation data of the commit;
    `commits`: those that have this model."""
    if not same_model(dict(found.subject), dict(subject)):
        yield "it is about another model: its digest differs"
    if found.commit not in commits:
        yield f"it was made at commit {found.commit[:7] or 'unknown'}, and this is {commits[0][:7]}"
    if found.method != "own" and not any(same_model(dict(found.data_digest), dict(one)) for one in evaluations):
        yield f"its rows ({found.data}) are not the evaluation data of this commit"
    if not found.features:
        yield "it says of no column how much it matters"
    numbers = [one.importance for one in found.features]
    numbers += [c.contribution for one in found.examples for c in one.contributions]
    numbers += [one.score for one in found.examples]
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
        yield "it holds something that is no number"
    elif numbers and not any(numbers):
        yield "every number in it is 0: the model goes by nothing, or was not asked"
    if not found.examples:
        yield "it explains no single row"
