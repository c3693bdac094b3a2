"""The shorter spelling of a contract: its keys, typed and closed.

The descriptions are what editors show beside each key, by way of the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mlgate.config.values import Boolean, SchemaVersion, Text
from mlgate.config.vocabulary import Path, Vocabulary, Where
from mlgate.data.contract.written import (
    Bound,
    Counts,
    Deviations,
    Duration,
    Flag,
    Fraction,
    Keys,
    Limits,
    Mostly,
    Nulls,
    Numbers,
    Pattern,
    Positive,
    Quantiles,
    Required,
    Said,
    Values,
    relation,
)

Word = Literal["error", "warn"]
Kind = Literal["integer", "number", "text", "boolean", "date", "timestamp"]


def _section(value: Any) -> Any:
    return {} if value is None else value


def _list(value: Any) -> Any:
    return [] if value is None else value


# --- keys


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Drift(_Closed):
    """How far the column's distribution may be from that of the reference data."""

    psi: Positive | None = Field(default=None, description="The largest population stability index allowed.")
    ks: Fraction | None = Field(default=None, description="The largest Kolmogorov-Smirnov distance allowed, 0 to 1.")
    alpha: Fraction | None = Field(
        default=None, description="How likely a false alarm may be, over all columns of the run together."
    )


class Column(_Closed):
    """What the values of one column must be. Missing values are limited by `nulls` alone."""

    type: Kind | None = Field(default=None, description="What the values are.")
    required: Required | None = Field(
        default=None, description="A check of its own that the column is there, beside the one over all columns."
    )
    nulls: Nulls | None = Field(
        default=None, description="How many rows may lack a value, or which share: `0`, `5`, `10%`. Without it: any."
    )
    min: Bound | None = Field(default=None, description="The smallest value allowed: a number, a date or a time.")
    max: Bound | None = Field(default=None, description="The largest value allowed: a number, a date or a time.")
    in_: Values | None = Field(default=None, alias="in", description="The values allowed.")
    not_in: Values | None = Field(default=None, description="Values that must not occur.")
    matches: Pattern | None = Field(
        default=None, description="A regular expression to be found in each value; `^` and `$` bind it to its ends."
    )
    not_matches: Pattern | None = Field(default=None, description="A regular expression to be found in no value.")
    length: Counts | None = Field(default=None, description="Characters of each text: `[1, 20]`, or one number.")
    unique: Flag | None = Field(default=None, description="No value occurs twice.")
    increasing: Flag | None = Field(default=None, description="No value is below the one in the row before.")
    distinct: Counts | None = Field(default=None, description="How many different values there are: `[low, high]`.")
    mean: Numbers | None = Field(default=None, description="`[low, high]` of the mean.")
    median: Limits | None = Field(default=None, description="`[low, high]` of the median.")
    std: Deviations | None = Field(default=None, description="`[low, high]` of the sample standard deviation.")
    sum: Numbers | None = Field(default=None, description="`[low, high]` of the sum.")
    quantiles: Quantiles | None = Field(
        default=None, description="`[low, high]` of each quantile: `{0.05: [0, 10], 0.95: [80, 100]}`."
    )
    newest: Duration | None = Field(
        default=None, description="How old the newest date or time may be: `2 days`, `12 hours`."
    )
    drift: Drift | None = Field(
        default=None, description="How far it may be from the `reference` data of mlgate.yaml. No limit has a default."
    )
    mostly: Mostly | None = Field(
        default=None,
        description="The share of rows that must hold to `type`, `min`, `max`, `in`, `matches` and the like: `99%`.",
    )
    severity: Word | None = Field(default=None, description="`error` fails the build, `warn` does not.")
    critical: Flag | None = Field(
        default=None, description="Every check that names the column is an `error`, whatever is said elsewhere."
    )
    private: Boolean = Field(default=False, description="Its values are never shown.")


class Table(_Closed):
    """What must hold for the data as a whole."""

    columns: Literal["superset", "exact"] = Field(
        default="superset", description="`exact`: no columns but those listed. `superset`: others may be there."
    )
    order: Flag | None = Field(default=None, description="The columns are in the order of the contract. With `exact`.")
    rows: Counts | None = Field(default=None, description="How many rows: `[1000, null]`, or one number.")
    unique: Keys | None = Field(
        default=None, description="Columns whose values together are never the same twice: `[[person, year]]`."
    )


class Relation(_Closed):
    """What must hold between columns, in each row that has all of them."""

    is_: Said = Field(alias="is", description="`start <= end`, `a != b`, `net + tax == 100`.")
    severity: Word | None = Field(default=None, description="`error` fails the build, `warn` does not.")
    mostly: Mostly | None = Field(default=None, description="The share of rows that must hold: `99%`.")


class Short(_Closed):
    """A contract in the shorter spelling."""

    schema_version: SchemaVersion = Field(alias="schema", description="The version of this format.")
    name: Text | None = Field(default=None, description="A name for reports.")
    severity: Word = Field(default="error", description="What a broken check is, where it does not say itself.")
    table: Annotated[Table, BeforeValidator(_section)] = Field(
        default_factory=Table, description="What must hold for the data as a whole."
    )
    columns: Annotated[dict[str, Annotated[Column, BeforeValidator(_section)]], BeforeValidator(_section)] = Field(
        default_factory=dict, description="What each column must be. Each column listed must be there."
    )
    relations: Annotated[list[Annotated[Relation, BeforeValidator(relation)]], BeforeValidator(_list)] = Field(
        default_factory=list, description="What must hold between columns: `start <= end`."
    )
    expectations: Annotated[list[Any], BeforeValidator(_list)] = Field(
        default_factory=list, description="Expectations of Great Expectations, for what has no shorter spelling."
    )


_MEANT: dict[type[BaseModel], dict[str, str]] = {
    Column: {
        "dtype": "type",
        "minimum": "min",
        "ge": "min",
        "min_value": "min",
        "maximum": "max",
        "le": "max",
        "max_value": "max",
        "enum": "in",
        "allowed": "in",
        "values": "in",
        "isin": "in",
        "in_set": "in",
        "value_set": "in",
        "categories": "in",
        "forbidden": "not_in",
        "regex": "matches",
        "pattern": "matches",
        "str_matches": "matches",
        "nullable": "nulls",
        "not_null": "nulls",
        "null": "nulls",
        "missing": "nulls",
        "stdev": "std",
        "stddev": "std",
        "unique_count": "distinct",
        "cardinality": "distinct",
        "freshness": "newest",
        "max_age": "newest",
        "pii": "private",
        "sensitive": "private",
    },
    Table: {"row_count": "rows", "primary_key": "unique", "keys": "unique"},
    Short: {"version": "schema", "checks": "expectations", "fields": "columns", "dataset": "table"},
}
_KINDS = {
    **dict.fromkeys(("int", "int32", "int64", "bigint", "long"), "integer"),
    **dict.fromkeys(("float", "float32", "float64", "double", "decimal", "numeric", "real"), "number"),
    **dict.fromkeys(("str", "string", "object", "varchar", "category", "char"), "text"),
    **dict.fromkeys(("bool", "bit"), "boolean"),
    **dict.fromkeys(("datetime", "datetime64", "datetime64[ns]", "time"), "timestamp"),
}
_SEVERITIES = {
    **dict.fromkeys(("critical", "fail", "failure", "high", "fatal", "block"), "error"),
    **dict.fromkeys(("warning", "info", "low", "medium", "notice"), "warn"),
}


def _mapping(path: Path, where: Where) -> str:
    if where == ("columns",):
        return "Write one key per column: `age: {type: integer, min: 0}`."
    if where == ("columns", "*"):
        return "Write what must hold: `{type: integer, min: 0}`."
    if where == ("columns", "*", "drift"):
        return "Write `{psi: <limit>}` or `{ks: <limit>}`."
    if where == ("relations", "*"):
        return "Write `- start <= end`."
    return ""


VOCABULARY = Vocabulary(
    root=Short,
    sections={
        (): Short,
        ("table",): Table,
        ("columns", "*"): Column,
        ("columns", "*", "drift"): Drift,
        ("relations", "*"): Relation,
    },
    names=frozenset({("columns",), ("relations",), ("expectations",)}),
    meant_keys=_MEANT,
    meant_values={
        ("columns", "*", "type"): _KINDS,
        ("columns", "*", "severity"): _SEVERITIES,
        ("relations", "*", "severity"): _SEVERITIES,
        ("severity",): _SEVERITIES,
        ("table", "columns"): {"strict": "exact", "equal": "exact", "open": "superset", "subset": "superset"},
    },
    missing={("schema",): "Add `schema: 1` as the first line."},
    mapping=_mapping,
)
