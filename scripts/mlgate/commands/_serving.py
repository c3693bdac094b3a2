"""What the server is told about a model: by mlgate.yaml, by the model's signature, and by the contract of its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlgate.serving import mlmodel
from mlgate.serving.settings import Decide, Identity, Input, Log, Replay, Settings

if TYPE_CHECKING:
    from mlgate.config.settings import Config
    from mlgate.data.nouns import Contract

_KINDS: Mapping[str, Literal["integer", "number", "string", "boolean", "datetime"]] = {
    "integer": "integer", "number": "number", "text": "string", "boolean": "boolean", "date": "datetime",
    "timestamp": "datetime",
}  # fmt: skip
_IN_SET = ("expect_column_values_to_be_in_set", "expect_column_distinct_values_to_be_in_set")


def settings(config: Config, *, model: Path, identity: Identity, contract: Contract | None) -> Settings:
    """`contract`: of the rows that the model is evaluated with. Raises MlgateError for an MLmodel file that is none."""
    serve = config.serve
    return Settings(
        identity=identity,
        inputs=tuple(_inputs(config, model, contract)),
        decide=decide(config),
        port=serve.port,
        workers=serve.workers,
        timeout=float(serve.timeout_seconds),
        drain=float(serve.drain_seconds),
        max_body=int(serve.max_body_mb * 1_000_000),
        max_rows=serve.max_rows,
        log=Log(
            to=serve.log.to, path=serve.log.path, max_bytes=serve.log.max_mb * 1_000_000, keep=serve.log.keep,
            features=tuple(serve.log.features), hashed=tuple(serve.log.hashed), queue=serve.log.queue,
        ),
        replay=None if serve.replay is None else Replay(
            sample=float(serve.replay.sample), path=serve.replay.path, seconds=serve.replay.hours * 3600.0,
            max_bytes=serve.replay.max_mb * 1_000_000,
        ),
        trusted=tuple(config.image.scan.trusted),
    )  # fmt: skip


def decide(config: Config) -> Decide:
    """How the gate made a class of a score: the first evaluation set that says it. Without one: the model's own way."""
    for one in config.evaluate.values():
        predictions = one.predictions
        if predictions is not None and predictions.cut_off is not None and predictions.class_ is None:
            return Decide(cut_off=float(predictions.cut_off), positive=_plain(one.columns.positive))
    positive = next(
        (one.columns.positive for one in config.evaluate.values() if one.columns.positive is not None), None
    )
    return Decide(positive=_plain(positive))


def _inputs(config: Config, model: Path, contract: Contract | None) -> Iterator[Input]:
    """The columns of the signature, each with what the contract says of it.

    A model without a signature: what the contract says of any column that is no label, id or weight; the server
    looks up there what its model takes.
    """
    rules = _Rules(contract)
    if model.is_dir() and (model / "MLmodel").is_file():
        for one in mlmodel.read(model).inputs:
            yield rules.narrowed(one)
        return
    others = {
        name
        for one in config.evaluate.values()
        for name in (one.columns.id, one.columns.label, one.columns.weight, one.columns.cluster, one.columns.query)
    }
    for name in rules.columns:
        if name not in others:
            yield rules.narrowed(Input(name=name))


class _Rules:
    """What each row of a column has to be, where breaking it is an error. Rules for whole columns say nothing here."""

    def __init__(self, contract: Contract | None) -> None:
        self.columns: dict[str, dict[str, Any]] = {}
        for one in contract.expectations if contract is not None else ():
            column, share = one.kwargs.get("column"), one.kwargs.get("mostly")
            if not isinstance(column, str) or one.severity != "error" or one.kwargs.get("row_condition"):
                continue
            known = self.columns.setdefault(column, {})
            if share not in (None, 1):
                continue
            if one.type == "expect_column_values_to_be_of_kind":
                known["type"] = _KINDS.get(str(one.kwargs.get("kind")))
            elif one.type == "expect_column_values_to_not_be_null":
                known["nullable"] = False
            elif one.type == "expect_column_values_to_be_between":
                known["minimum"] = _number(one.kwargs.get("min_value"), known.get("minimum"), max)
                known["maximum"] = _number(one.kwargs.get("max_value"), known.get("maximum"), min)
            elif one.type in _IN_SET:
                known["values"] = tuple(_plain(value) for value in one.kwargs.get("value_set") or ())

    def narrowed(self, one: Input) -> Input:
        """The input, with the contract's rules beside those of the signature; the signature's type stands."""
        known = self.columns.get(one.name)
        if known is None or one.shape is not None:
            return one
        type_: Any = (known.get("type") or "any") if one.type == "any" else one.type
        made = replace(one, type=type_, nullable=one.nullable and known.get("nullable", True))
        if type_ in ("integer", "number", "any"):
            made = replace(made, minimum=known.get("minimum"), maximum=known.get("maximum"))
        values = known.get("values")
        if values and all(_fits(value, type_) for value in values):
            made = replace(made, values=values)
        return made


def _number(value: Any, before: float | None, narrower: Any) -> float | None:
    """A limit that is a number; limits of times are left to the contract's own check of the data."""
    try:
        limit = None if value is None or isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        limit = None
    return before if limit is None else limit if before is None else narrower(before, limit)


def _fits(value: Any, type_: str) -> bool:
    """Whether a value that the contract allows can be one of this type, as JSON says it."""
    if isinstance(value, bool):
        return type_ == "any"
    if isinstance(value, str):
        return type_ in ("string", "any")
    return isinstance(value, int | float) and (
        type_ in ("number", "any") or (type_ == "integer" and value == int(value))
    )


def _plain(value: Any) -> Any:
    """Decimals and dates of YAML as JSON has them."""
    if value is None or isinstance(value, bool | int | str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return int(number) if number.is_integer() else number
