"""How a model comes into each environment: where it runs, by which steps, under which rules, with whose approval."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mlgate.config.base import Closed, as_list, one_or_more, section
from mlgate.config.conditions import Rule
from mlgate.config.values import (
    Amount,
    Boolean,
    Confidence,
    Count,
    Duration,
    EnvName,
    Number,
    Percent,
    RepoPath,
    Share,
    Span,
    Text,
)  # fmt: skip

TARGETS = ("local", "docker", "kubernetes", "command")
STRATEGIES = ("replace", "rolling", "blue-green", "canary", "shadow", "batch")


def _kind_alone(value: Any) -> Any:
    """`target: local` means `target: {kind: local}`."""
    return {"kind": value} if isinstance(value, str) else section(value)


def _rules(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else as_list(value)


class Commands(Closed):
    """The user's own commands, for `kind: command`. Each gets what it needs as MLGATE_* variables; docs/targets.md."""

    start: Text = Field(description="Brings up MLGATE_IMAGE as MLGATE_SLOT, without traffic. It may be called twice.")
    ready: Text = Field(description="Ends with 0 when MLGATE_SLOT is ready, with 75 when not yet, else with why not.")
    weigh: Text = Field(description="Splits the traffic as MLGATE_WEIGHTS says: JSON of slot -> percent.")
    stop: Text = Field(description="Takes MLGATE_SLOT away. It may be called twice.")
    status: Text = Field(description="Prints what is really there: JSON list of slot, image, ready and weight.")
    observe: Text | None = Field(
        default=None,
        description="Prints what happened from MLGATE_SINCE to MLGATE_UNTIL: JSON of slot -> requests, errors, times.",
    )
    state: RepoPath | None = Field(
        default=None, description="Folder in which the state of a rollout is kept between jobs, such as a mounted one."
    )


class Target(Closed):
    """Where the model runs."""

    kind: Text = Field(
        description="`local`: processes on this machine; `docker`: an engine with HAProxy in front; `kubernetes`; "
        "`command`: your own commands; or the name of an entry point in the group `mlgate.targets`."
    )
    host: Text | None = Field(
        default=None,
        description="`docker`: the engine, such as `ssh://deploy@models-1`. Without it: DOCKER_HOST, else this "
        "machine's. `kubernetes`: the context of kubectl.",
    )
    bind: Text = Field(default="127.0.0.1", description="`local` and `docker`: the address that callers connect to.")
    port: Count = Field(default=8080, description="`local` and `docker`: the port that callers connect to.")
    proxy: Text | None = Field(
        default=None, description="`docker`: the image of HAProxy, pinned by digest: `haproxy:3.2@sha256:...`."
    )
    network: Text | None = Field(default=None, description="`docker`: a network of your own that the service joins.")
    namespace: Text = Field(default="default", description="`kubernetes`: the namespace.")
    routing: Literal["gateway", "replicas"] = Field(
        default="replicas",
        description="`kubernetes`: `gateway`: weights of the Gateway API, exact; `replicas`: by the number of "
        "replicas, and the share that comes of it is said.",
    )
    gateway: Text | None = Field(default=None, description="`kubernetes`: the Gateway that routes attach to.")
    gitops: RepoPath | None = Field(
        default=None,
        description="`kubernetes`: nothing is applied; manifests are committed to this folder, for Argo CD or Flux.",
    )
    max_replicas: Count | None = Field(default=None, description="`kubernetes`: up to how many it scales by itself.")
    memory: Text = Field(default="1Gi", description="The memory limit of one replica.")
    cpu: Text = Field(default="1", description="The processors of one replica.")
    environment: dict[EnvName, Text] = Field(default_factory=dict, description="Variables of the model's server.")
    secrets: dict[EnvName, Text] = Field(
        default_factory=dict,
        description="Variables of the server that hold secrets: name -> the job's variable, or, on Kubernetes, "
        "`secret/key`.",
    )
    commands: Commands | None = Field(default=None, description="`command`: what is run.")
    options: dict[str, Text] = Field(default_factory=dict, description="What a target of an entry point wants to know.")


class Pace(Closed):
    """How long one step of a canary takes: until it is decided, within these bounds."""

    requests: Count | None = Field(
        default=None,
        description="How many requests the canary has to answer in each step. Without it: what `deploy --plan` works "
        "out from the rules.",
    )
    at_least: Span = Field(default=Decimal(60), description="The shortest time of a step.")
    at_most: Duration = Field(
        default=Decimal(6 * 3600), description="A step that is not decided by then is rolled back, as undecided."
    )
    period: Span = Field(default=Decimal(10), description="How often it is looked at; the unit of `for 3 periods`.")
    warm_up: Span = Field(default=Decimal(10), description="The time after a change of weights that does not count.")


class Expected(Closed):
    """What stable traffic is like, for `deploy --plan`. Without it: what was measured there before."""

    error_rate: Share | None = Field(default=None, description="The share of requests that fail: `0.5%`.")
    requests_per_second: Amount | None = Field(default=None, description="Requests of the environment in a second.")


class Metric(Closed):
    """A number that rules may name. Words such as `{slot}` in it are put in: see docs/canary.md."""

    query: Text | None = Field(default=None, description="A query to Prometheus that gives one number.")
    prometheus: Text | None = Field(
        default=None,
        description="Its address. Without it: MLGATE_PROMETHEUS_URL; MLGATE_PROMETHEUS_TOKEN is its token.",
    )
    run: Text | None = Field(default=None, description="A command that prints one number.")


# Requests under load, below which a percentile is little more than the slowest of them.
FEWEST = {"latency_p50": 20, "latency_p95": 60, "latency_p99": 300}


class LoadTest(Closed):
    """Load before the traffic comes."""

    rate: Amount | None = Field(default=None, description="Requests per second. Or `connections`.")
    connections: Count | None = Field(default=None, description="How many requests are under way at once.")
    duration: Duration = Field(default=Decimal(30), description="How long.")
    latency_p50: Span | None = Field(default=None, description="The slowest median allowed: `20 ms`.")
    latency_p95: Span | None = Field(default=None, description="The slowest 95th percentile allowed.")
    latency_p99: Span | None = Field(default=None, description="The slowest 99th percentile allowed.")
    throughput_rps: Amount | None = Field(default=None, description="The fewest answers per second allowed.")
    error_rate: Share = Field(default=Decimal(0), description="The largest share of errors allowed.")


class Replayed(Closed):
    """How a shadow is judged: the log of the stable model's requests, answered again by the challenger."""

    requests: Count = Field(default=1000, description="How many requests are replayed, the latest ones.")
    agreement: Share | None = Field(default=None, description="The smallest share of equal decisions: `98%`.")
    score_difference: Number | None = Field(
        default=None, description="The largest 95th percentile of the difference of scores."
    )
    latency_p95: Span | None = Field(default=None, description="The slowest 95th percentile allowed.")
    error_rate: Share = Field(default=Decimal(0), description="The largest share of errors allowed.")


class Batch(Closed):
    """One run of the model over tracked data."""

    data: RepoPath = Field(description="The input: a file that DVC tracks.")
    output: RepoPath = Field(description="Where the predictions go; a DVC pointer is written beside it, and pushed.")
    rows: Count = Field(default=10_000, description="How many rows are predicted at a time.")


class Checks(Closed):
    """What is tried of the new model before it gets traffic, at its own address."""

    smoke: Boolean = Field(default=True, description="Whether the example and malformed requests are sent.")
    skew: Boolean = Field(
        default=False, description="Whether rows of the evaluation data have to be predicted as judged."
    )
    api: Boolean = Field(
        default=True, description="Whether its OpenAPI description has to keep what callers of the champion rely on."
    )
    load: LoadTest | None = Field(default=None, description="Load, and what has to hold under it.")
    shadow: Replayed | None = Field(default=None, description="The stable model's requests, answered again.")
    run: Annotated[list[Text], BeforeValidator(one_or_more)] = Field(
        default_factory=list,
        description="Commands of your own, at MLGATE_URL; any that does not end with 0 stops the deployment.",
    )


class Environment(Closed):
    """One place that models are deployed to, after those before it."""

    target: Annotated[Target, BeforeValidator(_kind_alone)] = Field(description="Where the model runs.")
    strategy: Literal[STRATEGIES] = Field(  # type: ignore[valid-type]
        default="blue-green",
        description="`replace`, `rolling`, `blue-green`, `canary`, `shadow` or `batch`.",
    )
    replicas: Count = Field(default=1, description="How many servers answer.")
    steps: Annotated[list[Percent], BeforeValidator(as_list)] = Field(
        default_factory=list, description="`canary`: its share of the requests, step by step: `[5, 25, 50]`; then all."
    )
    step: Annotated[Pace, BeforeValidator(section)] = Field(
        default_factory=Pace, description="How long one step takes."
    )
    sticky: Text | None = Field(
        default=None, description="A request header by which callers stay with one model: they are what is counted."
    )
    rules: Annotated[list[Rule], BeforeValidator(_rules)] = Field(
        default_factory=list,
        description="What has to hold while both models answer: `error_rate <= 1%`, `error_rate <= 1.5x stable`, "
        "`latency_p99 <= 2 s for 3 periods`, `prediction_shift <= 0.1`, `{any: [...]}`.",
    )
    metrics: dict[str, Metric] = Field(default_factory=dict, description="More numbers that rules may name.")
    confidence: Confidence = Field(
        default=Decimal("0.95"), description="Of all rules together, however often looked at."
    )
    expected: Annotated[Expected, BeforeValidator(section)] = Field(
        default_factory=Expected, description="What stable traffic is like, for `deploy --plan`."
    )
    checks: Annotated[Checks, BeforeValidator(section)] = Field(
        default_factory=Checks, description="What is tried of the new model before it gets traffic."
    )
    batch: Batch | None = Field(default=None, description="`batch`: what is predicted.")
    keep: Span = Field(
        default=Decimal(0),
        description="How long the model before stays ready after the last step, for a quick way back.",
    )
    approval: Literal["required", "none"] | None = Field(
        default=None,
        description="Whether somebody has to approve. Without it: `deploy.criticality` decides, for `production`.",
    )
    self_approval: Boolean = Field(
        default=True, description="Whether who started the run, or wrote the commit, may approve it."
    )
    tier: Literal["production", "staging", "testing", "development", "other"] | None = Field(
        default=None, description="What kind of environment it is, for the forge. Without it: by its name."
    )
    url: Text | None = Field(default=None, description="The address that people use, for the forge's page.")


class Verify(Closed):
    """By whom the two statements have to be signed."""

    key: RepoPath | None = Field(default=None, description="The public key (PEM), for `image.sign: cosign`.")
    attested_by: Text | None = Field(
        default=None,
        description="For `image.sign: attest`: owner/name, or the workflow owner/name/.github/workflows/file.yml.",
    )


class Deploy(Closed):
    """How a model that passed comes to those who call it."""

    environments: dict[str, Environment] = Field(
        default_factory=dict, description="The environments, in the order in which a model goes through them."
    )
    criticality: Literal["low", "medium", "high"] | None = Field(
        default=None,
        description="What a wrong prediction can do. `medium` and `high` need an approval for production, `high` of "
        "somebody else than who started it.",
    )
    trust: Literal["signed", "branch"] = Field(
        default="signed",
        description="`signed`: both statements carry a signature that holds. `branch`: the ledger's word is enough; "
        "every report says so.",
    )
    verify: Annotated[Verify, BeforeValidator(section)] = Field(
        default_factory=Verify, description="By whom the two statements have to be signed."
    )
    lease: Duration = Field(
        default=Decimal(60),
        description="How long a rollout is held by a job that says nothing any more, before another may go on.",
    )
