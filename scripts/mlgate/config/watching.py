"""How a model in production is watched, who is told, and when its successor is proposed."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mlgate.config.alarms import For, Persistence, Sentence
from mlgate.config.base import Closed, as_list, one_or_more, section
from mlgate.config.deploying import Metric
from mlgate.config.limits import Fairness, Rule
from mlgate.config.values import (
    Amount,
    Boolean,
    Count,
    Duration,
    EnvName,
    Label,
    Names,
    RepoPath,
    Share,
    Span,
    Text,
)

SEVERITIES = ("info", "warn", "critical")
Severity = Literal["info", "warn", "critical"]


def _where(value: Any) -> Any:
    """`logs: folder` means `logs: {path: [folder]}`."""
    return {"path": [value]} if isinstance(value, str) else section(value)


def _named(value: Any) -> Any:
    """`channels: {alerts: SLACK_URL}` means `channels: {alerts: {to: SLACK_URL}}`."""
    return {"to": value} if isinstance(value, str) else section(value)


class Fields(Closed):
    """What the columns of a log are called. The names are those of the log that the model's image writes."""

    time: Text = Field(default="time", description="When the request came: ISO 8601, or seconds since 1970.")
    request_id: Text = Field(default="request_id", description="What truth is joined by, together with `row`.")
    row: Text | None = Field(default="row", description="The row of the request; null where each has one row.")
    model: Text | None = Field(default="model", description="Whose prediction it is; null where the log does not say.")
    version: Text | None = Field(default="version", description="The version of the model.")
    digest: Text | None = Field(default="digest", description="The sha256 of the model.")
    environment: Text | None = Field(default="environment", description="Where it answered.")
    prediction: Text = Field(default="prediction", description="What was predicted.")
    score: Text | None = Field(default="score", description="The probability, or another score.")
    latency_ms: Text | None = Field(default="latency_ms", description="How long the answer took.")
    status: Text | None = Field(
        default=None, description="The answer's HTTP status, where failed requests are logged: 500 and more are errors."
    )
    features: Text = Field(
        default="features", description="The object that holds the features; `.` where they are columns of their own."
    )


class Source(Closed):
    """Where rows are: files, folders and globs of the repository or of a storage, or a query to a database."""

    path: Annotated[list[Text], BeforeValidator(one_or_more)] = Field(
        default_factory=list,
        description="Files, folders or globs, also `s3://`, `gs://` and `az://`. `{date}`, `{year}`, `{month}`, "
        "`{day}` and `{hour}` stand for those of the window.",
    )
    query: Text | None = Field(
        default=None, description="SQL that gives the rows; `:since` and `:until` are the window's ends, UTC."
    )
    database: EnvName | None = Field(
        default=None,
        description="The variable that holds the database's address, as SQLAlchemy or DuckDB writes it.",
    )
    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        default=None, description="The format, where the files' names do not tell."
    )


class Logs(Source):
    """What production logged: one row for each prediction."""

    fields: Annotated[Fields, BeforeValidator(section)] = Field(
        default_factory=Fields, description="What the columns are called."
    )
    max_corrupt: Share = Field(
        default=Decimal("0.01"), description="The share of lines that may be unreadable; more is an `error`."
    )
    max_skew: Span = Field(
        default=Decimal(300), description="How far in the future a row may be before clocks are said to differ."
    )


class Truth(Source):
    """What turned out to be true, when it is known."""

    request_id: Text = Field(default="request_id", description="The column that names the request.")
    row: Text | None = Field(default=None, description="The column with the row of the request, if it has several.")
    label: Text = Field(description="The column with the truth.")
    positive: Label | None = Field(default=None, description="The label that counts as positive, such as 1 or `yes`.")
    time: Text | None = Field(default=None, description="The column with the time at which it became known.")
    within: Duration = Field(
        default=Decimal(7 * 86400), description="How long truth may take; later than that it is missing for good."
    )


class Limits(Closed):
    """How far one column may move before it counts as drifted. No limit has a default."""

    psi: Amount | None = Field(default=None, description="Population stability index, above its noise floor.")
    ks: Amount | None = Field(default=None, description="Kolmogorov-Smirnov distance; numbers.")
    js: Amount | None = Field(default=None, description="Jensen-Shannon distance, base 2: 0 to 1.")
    kl: Amount | None = Field(default=None, description="Kullback-Leibler divergence from the reference, in nats.")
    wasserstein: Amount | None = Field(
        default=None, description="Wasserstein distance in interquartile ranges of the reference; numbers."
    )
    cramers_v: Amount | None = Field(default=None, description="Cramer's V of a chi-square test; categories.")
    nulls: Share | None = Field(default=None, description="By how much the share of missing values may grow.")
    unseen: Share | None = Field(default=None, description="The share of values that the reference does not know.")
    out_of_range: Share | None = Field(
        default=None, description="The share of values outside of the range of the reference; numbers."
    )


MEASURES = tuple(Limits.model_fields)


class Drift(Limits):
    """How far predictions and features may move. The limits here hold for every feature."""

    alpha: Share = Field(
        default=Decimal("0.01"), description="The chance of any false alarm in one run, over all columns together."
    )
    prediction: Annotated[Limits, BeforeValidator(section)] = Field(
        default_factory=Limits, description="Limits of prediction and score, which are looked at first."
    )
    columns: Annotated[dict[str, Limits], BeforeValidator(section)] = Field(
        default_factory=dict, description="Limits of single features, instead of those for all."
    )
    ignore: Names | None = Field(default=None, description="Features that are not looked at.")
    share: Share | None = Field(default=None, description="The share of features that may have drifted.")
    classifier: Amount | None = Field(
        default=None,
        description="Also train a classifier to tell now from the reference data: the AUC that it may reach.",
    )
    reference: RepoPath | None = Field(
        default=None, description="The reference data, for `classifier`. Without it: `train.data`."
    )
    by: Names | None = Field(
        default=None, description="Features whose values are the slices in which it is said where a drift sits."
    )


class Quality(Closed):
    """The training contract, held against what production got."""

    contract: RepoPath | None = Field(
        default=None, description="The contract. Without it: that of `train.data`, for the features that are logged."
    )


class Performance(Closed):
    """How good the predictions turned out to be."""

    evaluation: Text | None = Field(
        default=None,
        description="The evaluation set whose metrics the model is held against. Without it: the only one.",
    )
    min_rows: Count = Field(default=200, description="Fewer rows with truth are `unknown`.")
    rules: dict[str, Rule] = Field(
        min_length=1,
        description="Rules by metric. `max_absolute_regression` and the like are measured from the committed metrics.",
    )
    estimated: Boolean = Field(
        default=True, description="Also show what is expected without labels, from the scores. It never blocks."
    )


class AlarmRule(Closed):
    """When somebody is told, and what happens then."""

    when: Sentence | None = Field(
        default=None,
        description="What has to be so: `drift_share > 30%`, `psi.age > 0.2`, `drift`, or `any:`/`all:` of them. "
        "Without it: the section that the rule is named after.",
    )
    for_: For = Field(
        default=Persistence(), alias="for", description="In how many of the last windows: `3 of 5`. Default: this one."
    )
    severity: Severity = Field(
        default="critical", description="`critical` fails the run, `warn` warns, `info` only says so."
    )
    retrain: Boolean = Field(default=False, description="Whether a successor is proposed.")
    message: Text | None = Field(default=None, description="What people are to do; it is sent with the alert.")


class Monitor(Closed):
    """What is read of production, and what is said of it."""

    environment: Text | None = Field(
        default=None, description="The environment that is watched. Without it: the last of `deploy.environments`."
    )
    profile: RepoPath = Field(
        default="metrics/profile.json", description="The reference profile that `train` and `mlgate profile` write."
    )
    logs: Annotated[Logs, BeforeValidator(_where)] | None = Field(
        default=None, description="Where production's predictions are logged."
    )
    window: Duration = Field(default=Decimal(86400), description="How much is read at once; windows do not overlap.")
    lag: Span = Field(default=Decimal(0), description="How long ago a window has to have ended: logs arrive late.")
    min_rows: Count = Field(default=500, description="Fewer rows in a window are `unknown`.")
    drift: Annotated[Drift, BeforeValidator(section)] | None = Field(
        default=None, description="How far predictions and features may move."
    )
    data: Annotated[Quality, BeforeValidator(section)] | None = Field(
        default=None, description="The training contract, held against what production got."
    )
    truth: Truth | None = Field(default=None, description="What turned out to be true.")
    performance: Performance | None = Field(default=None, description="How good the predictions turned out to be.")
    fairness: Fairness | None = Field(default=None, description="How differently groups of people were treated.")
    slo: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="What has to hold: `latency_p95 <= 100 ms`, `error_rate <= 1%`, `auc >= 0.7`, `conversion >= 2%`.",
    )
    metrics: Annotated[dict[str, Metric], BeforeValidator(section)] = Field(
        default_factory=dict, description="Numbers of your own, such as revenue: a query to Prometheus, or a command."
    )
    rules: Annotated[dict[str, AlarmRule], BeforeValidator(section)] = Field(
        default_factory=dict,
        description="When somebody is told. Each section that is there has a rule of its name already; write it to "
        "change it.",
    )
    history: Duration = Field(
        default=Decimal(90 * 86400), description="How far back charts go, and dates since when something is so."
    )


class Channel(Closed):
    """Where messages go."""

    to: EnvName | None = Field(
        default=None, description="The variable that holds the channel's address, as apprise writes it: `slack://...`."
    )
    issue: Boolean = Field(
        default=False, description="An issue on the forge: one for each alert, kept up to date and closed in the end."
    )
    labels: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Labels of that issue."
    )
    assignees: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Whom that issue is given to."
    )


class Quiet(Closed):
    """When only what is urgent is sent. What was held is sent by the first run after."""

    since: Text = Field(description="The time of day at which it begins, `22:00`.")
    until: Text = Field(description="The time of day at which it ends, `07:00`.")
    zone: Text = Field(default="UTC", description="The time zone, such as `Europe/Berlin`.")
    weekends: Boolean = Field(default=False, description="Whether Saturdays and Sundays are quiet as well.")
    above: Severity = Field(default="critical", description="From this severity on it is sent all the same.")


class Notify(Closed):
    """Who is told what."""

    channels: dict[str, Annotated[Channel, BeforeValidator(_named)]] = Field(
        default_factory=dict, description="Channels by a name of your choice: name -> the variable with its address."
    )
    routes: dict[Severity, Annotated[list[Text], BeforeValidator(one_or_more)]] = Field(
        default_factory=dict, description="Severity -> channels. A severity that is not named goes to all channels."
    )
    repeat: Duration = Field(
        default=Decimal(86400), description="An alert that goes on is sent again after this time, and not before."
    )
    recovered: Boolean = Field(default=True, description="Whether it is said when an alert is over.")
    quiet: Quiet | None = Field(default=None, description="When only what is urgent is sent.")


class Dispatch(Closed):
    """What is started to train the model."""

    by: Literal["workflow", "repository", "pipeline", "command", "none"] = Field(
        default="workflow",
        description="`workflow`: a workflow of this repository by its file; `repository`: `repository_dispatch`; "
        "`pipeline`: a GitLab pipeline; `command`: your own; `none`: the jobs after this one do it.",
    )
    workflow: Text = Field(default="model-retrain.yml", description="`workflow`: the file in .github/workflows.")
    event: Text = Field(default="mlgate-retrain", description="`repository`: the type of the event.")
    ref: Text | None = Field(default=None, description="The branch it runs on. Without it: the default branch.")
    run: Text | None = Field(
        default=None, description="`command`: what is run; MLGATE_TRIGGER and MLGATE_CAUSE tell why."
    )


class Retrain(Closed):
    """When a successor is proposed, and how often at most."""

    dispatch: Annotated[Dispatch, BeforeValidator(section)] = Field(
        default_factory=Dispatch, description="What is started to train the model."
    )
    cooldown: Duration = Field(default=Decimal(86400), description="The time from one retraining to the next.")
    timeout: Duration = Field(
        default=Decimal(12 * 3600),
        description="A retraining that has not said by then how it ended has failed.",
    )
    at_once: Count = Field(default=1, description="How many models of this ledger may be retrained at the same time.")
    per_day: Count = Field(default=4, description="How many retrainings of all models of this ledger start in a day.")
    every: Duration | None = Field(default=None, description="Also when the last training is older than this.")
    new_data: Boolean = Field(default=False, description="Also when a pointer to data changed since the last training.")
    group: Text | None = Field(
        default=None, description="Models of one group are retrained together, in one pull request."
    )
    prepare: Text | None = Field(
        default=None, description="A command that brings new data before training, such as `dvc update data/train.dvc`."
    )
    launcher: Text | None = Field(
        default=None,
        description="A command that runs `{command}` where the training is to happen, such as on a machine with a GPU.",
    )
    auto_merge: Boolean = Field(
        default=False, description="Whether the forge merges the pull request once every required check has passed."
    )
    labels: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Labels of the pull request."
    )
