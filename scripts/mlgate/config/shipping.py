"""What happens to a model that has passed: its image, how it serves, where it is registered, and its papers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mlgate.config.base import Closed, as_list, one_or_more, section
from mlgate.config.values import Amount, Boolean, Count, EntryPoint, EnvName, Number, RepoPath, Share, Text

# What an image can cost, measured before it is pushed; of `throughput_rps` more is better, of the others less.
IMAGE_COSTS = (
    "image_mb", "start_seconds", "memory_mb", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rps",
)  # fmt: skip


class Limit(Closed):
    """What a measured cost must keep to. A boundary value passes."""

    threshold: Number | None = Field(default=None, description="The worst value allowed.")
    warn_threshold: Number | None = Field(
        default=None, description="Beyond this value the verdict is `warn`. Stricter than `threshold`."
    )


class Skew(Closed):
    """The proof that the image predicts what was judged: rows of the evaluation data through it."""

    rows: Count = Field(default=500, description="How many rows of the evaluation data are sent through the image.")
    tolerance: Amount = Field(
        default=Decimal("0.000001"), description="How far a score may be from the committed one. Classes must be equal."
    )


class Load(Closed):
    """How latency and throughput are measured for `image.rules`."""

    connections: Count = Field(default=8, description="How many requests are under way at once.")
    requests: Count = Field(default=2000, description="How many single-row requests are sent.")


class Scan(Closed):
    """What is looked for in the model, its environment and its image before it is pushed."""

    trusted: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="Names that a pickled model may load although mlgate does not know them, such as "
        "`features.Encoder`.",
    )
    ignore: RepoPath | None = Field(
        default=None,
        description="A file of vulnerabilities that are accepted until a day: `- {id: PYSEC-1, until: "
        "2027-01-31, reason: ...}`.",
    )
    environment: Boolean = Field(
        default=True, description="Whether the installed packages are looked up in a database of vulnerabilities."
    )
    scanner: Literal["trivy", "grype", "none"] | None = Field(
        default=None,
        description="The scanner for the packages of the image's system. One that is named has to be there.",
    )
    severity: Literal["low", "medium", "high", "critical"] = Field(
        default="high", description="The mildest finding of `scanner` that fails; milder ones are warnings."
    )
    allow_licences: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Licences (SPDX ids) that installed packages may have. Empty: any known one."
    )
    deny_licences: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Licences (SPDX ids) that no installed package may have."
    )
    licences: dict[str, Text] = Field(
        default_factory=dict, description="The licence of a package that does not name one, as you have looked it up."
    )


class Image(Closed):
    """The image that serves the model."""

    name: Text | None = Field(
        default=None,
        description="Repository to push to, such as `ghcr.io/acme/visits`. Without it: the forge's own registry.",
    )
    builder: Literal["template", "dockerfile", "mlflow"] = Field(
        default="template", description="`template`: mlgate's own Dockerfile; `dockerfile`: yours; `mlflow`: MLflow's."
    )
    base: Text | None = Field(
        default=None,
        description="The image to build on, with Python, pinned by digest: `python:3.13-slim@sha256:...`.",
    )
    dockerfile: RepoPath | None = Field(
        default=None,
        description="Your Dockerfile. The model is in its context as `model/`, mlgate's server as `mlgate/`.",
    )
    requirements: Annotated[list[RepoPath], BeforeValidator(one_or_more)] = Field(
        default_factory=list,
        description="The locked dependencies of the model. Without it: those in its MLflow folder, else "
        "`train.requirements`.",
    )
    packages: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Packages of the image's system that the model needs, such as `libgomp1`."
    )
    include: Annotated[list[RepoPath], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Files and folders of code that loading the model needs; they are importable."
    )
    secrets: dict[str, EnvName] = Field(
        default_factory=dict,
        description="Secrets of the build: id -> the variable that holds it. `netrc`, `pip.conf` and `ca.crt` "
        "are used by the template.",
    )
    labels: dict[str, Text] = Field(default_factory=dict, description="More labels of the image.")
    platform: Text | None = Field(default=None, description="Platform to build for, such as `linux/arm64`.")
    skew: Annotated[Skew, BeforeValidator(section)] = Field(
        default_factory=Skew, description="The proof that the image predicts what was judged."
    )
    load: Annotated[Load, BeforeValidator(section)] = Field(
        default_factory=Load, description="How latency and throughput are measured for `rules`."
    )
    rules: dict[Literal[IMAGE_COSTS], Limit] = Field(  # type: ignore[valid-type]
        default_factory=dict,
        description="Limits by what is measured: `image_mb`, `start_seconds`, `memory_mb`, `latency_p50_ms`, "
        "`latency_p95_ms`, `latency_p99_ms`, `throughput_rps`.",
    )
    scan: Annotated[Scan, BeforeValidator(section)] = Field(
        default_factory=Scan, description="What is looked for in the model, its environment and its image."
    )
    sign: Literal["attest", "cosign", "none"] = Field(
        default="none",
        description="`attest`: by the workflow's identity, on GitHub; `cosign`: by a key that only a protected "
        "environment holds. `none` is said in every report.",
    )


class Log(Closed):
    """One JSON line per prediction: what monitoring reads. Values are logged only where they are named here."""

    to: Literal["stdout", "file", "none"] = Field(default="stdout", description="Where the lines go.")
    path: Text = Field(default="/var/log/mlgate/predictions.jsonl", description="The file, for `to: file`.")
    max_mb: Count = Field(default=100, description="A file of this size is put aside, and a new one begun.")
    keep: Count = Field(default=5, description="How many files are kept.")
    features: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Columns whose values are logged as they are."
    )
    hashed: Annotated[list[Text], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="Columns of which a keyed hash is logged: the same value gives the same hash. The key is in "
        "MLGATE_LOG_KEY.",
    )
    queue: Count = Field(
        default=10_000, description="How many lines may wait; what does not fit is dropped and counted."
    )


class Replay(Closed):
    """Whole requests of a sample, kept for a short time, so that a shadow can answer them again. Off without it."""

    sample: Share = Field(description="The share of the requests that is kept: `1%` or 0.01.")
    path: Text = Field(default="/var/log/mlgate/requests.jsonl", description="The file.")
    hours: Count = Field(default=24, description="After how many hours a request is deleted.")
    max_mb: Count = Field(default=100, description="The largest size of all files together; the oldest go first.")


class Serve(Closed):
    """How the model answers requests."""

    port: Count = Field(default=8080, description="The port inside the image.")
    workers: Count = Field(default=1, description="How many processes answer. MLGATE_WORKERS overrides it.")
    timeout_seconds: Amount = Field(default=Decimal(10), description="The longest time for one answer.")
    drain_seconds: Amount = Field(
        default=Decimal(20), description="How long requests under way may take after the order to stop."
    )
    max_body_mb: Amount = Field(default=Decimal(4), description="The largest body of a request.")
    max_rows: Count = Field(default=10_000, description="The most rows of one request.")
    log: Annotated[Log, BeforeValidator(section)] = Field(
        default_factory=Log, description="One line per prediction, for monitoring."
    )
    replay: Replay | None = Field(default=None, description="Whole requests of a sample, for shadow replay.")


class Register(Closed):
    """Where a version of the model is registered, after the gate. The ledger always has it."""

    to: Annotated[list[Literal["mlflow", "gitlab", "git"]], BeforeValidator(as_list)] = Field(
        default_factory=list,
        description="`mlflow`: its model registry; `gitlab`: GitLab's; `git`: tags in GTO's grammar, without a server.",
    )
    name: Text | None = Field(default=None, description="The name there. Without it: the model's.")
    bump: Literal["major", "minor", "patch"] = Field(
        default="minor", description="Which part of the version grows: `visits@v1.2.0`."
    )
    tags: dict[str, Text] = Field(default_factory=dict, description="More tags of the version.")


class Sla(Closed):
    """What the model in production promises to those who call it."""

    latency_p95_ms: Amount | None = Field(default=None, description="The 95th percentile of the time to answer.")
    latency_p99_ms: Amount | None = Field(default=None, description="The 99th percentile of the time to answer.")
    throughput_rps: Amount | None = Field(default=None, description="Requests per second that it can take.")
    availability: Share | None = Field(default=None, description="The share of requests that are answered: `99.9%`.")


class Explain(Closed):
    """How the explainability report is made."""

    by: Literal["permutation", "shap"] = Field(
        default="permutation",
        description="`permutation`: importance by shuffling a column; `shap`: needs shap installed.",
    )
    rows: Count = Field(default=1000, description="How many rows of the evaluation data are used.")
    repeats: Count = Field(default=5, description="How often each column is shuffled.")
    examples: Count = Field(default=3, description="For how many rows one prediction is explained.")
    predict: EntryPoint | None = Field(
        default=None,
        description="Python function `module:name` that takes the model's path and gives a function of a data frame. "
        "Without it the model is loaded as its own library does it.",
    )
    report: RepoPath | None = Field(
        default=None, description="A report of your own (JSON), made by a stage, instead of one made here."
    )


PAPERS = ("provenance", "explainability", "bias", "security", "licences", "documentation")


class Governance(Closed):
    """The papers of a model. Words come from people, numbers only from evidence."""

    owners: Annotated[list[Text], BeforeValidator(one_or_more)] = Field(
        default_factory=list, description="Who answers for the model: names, teams or addresses."
    )
    card: RepoPath | None = Field(
        default=None, description="The words of the model card (YAML): intended use, limitations and the like."
    )
    data_sheet: RepoPath | None = Field(
        default=None, description="The data sheet (YAML): origin, use rights, de-identification, licence."
    )
    sla: Annotated[Sla, BeforeValidator(section)] = Field(
        default_factory=Sla, description="What the model in production promises."
    )
    rollback: Text | None = Field(
        default=None, description="How the model is taken back, and who may do it: a sentence, or a document's path."
    )
    retirement: Text | None = Field(
        default=None, description="When and how the model is taken out of service: a sentence, or a document's path."
    )
    explain: Annotated[Explain, BeforeValidator(section)] = Field(
        default_factory=Explain, description="How the explainability report is made."
    )
    tags: dict[str, Text] = Field(
        default_factory=dict, description='Tags of the registered version: `pii_processed: "true"` and the like.'
    )
    require: Annotated[list[Literal[PAPERS]], BeforeValidator(as_list)] = Field(  # type: ignore[valid-type]
        default_factory=list,
        description="What has to hold before a model is promoted to production: `provenance`, `explainability`, "
        "`bias`, "
        "`security`, `licences`, `documentation`. Without it: all of them, once `governance` says anything.",
    )

    @property
    def required(self) -> tuple[str, ...]:
        """What has to hold; nothing where the file has no papers at all."""
        return tuple(self.require) or (PAPERS if self.model_fields_set else ())
