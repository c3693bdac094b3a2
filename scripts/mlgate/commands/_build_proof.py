"""The proof of an image: started as it will run, and held against what was judged, before anybody else can have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.commands._build_inputs import Rows, Source
from mlgate.commands._build_plan import Planned, contract
from mlgate.commands._pull import NoCredentialsError
from mlgate.config.settings import Read
from mlgate.config.shipping import Limit
from mlgate.errors import MlgateError
from mlgate.image import contents, context, costs, hardened, load, protocol, ready, sampled, skew, smoke
from mlgate.image.costs import Costs
from mlgate.image.engine import Engine
from mlgate.image.protocol import Example, Protocol
from mlgate.image.service import Service
from mlgate.image.skew import Sample
from mlgate.model import Check, Verdict
from mlgate.repo import artifact
from mlgate.serving.settings import Input, Settings

_TIMED = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rps")
_HEALTH = 1.0  # seconds between two calls of the HEALTHCHECK: a build does not wait for the image's own interval


@dataclass
class Found:
    """What a part of the build has found out."""

    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    artifacts: list[Path] = field(default_factory=list)
    megabytes: float | None = None


def prove(engine: Engine, image: str, source: Source, planned: Planned) -> Found:
    """Everything that is checked on the image itself."""
    found = Found()
    found.checks.append(labelled(engine.inspect(image) or {}, planned.plan.labels))
    found.checks += contents.checks(engine, image, _contents(engine, source, planned))
    samples = _samples(source, planned, found)
    port, environ = source.config.serve.port, {"MLGATE_ENVIRONMENT": "production"}  # nothing in it may tell a test
    with hardened.start(engine, image, port=port, environ=environ, health=_HEALTH) as service:
        waited = ready.wait(service)
        found.checks.append(waited.check)
        if not waited.ok:
            return found
        _ask(service, source, planned, samples, found)
        found.checks += hardened.checks(service)
        found.checks += ready.healthy(service)
        found.checks += hardened.stopped(service, float(source.config.serve.drain_seconds) + 10)
    # Once more, without a HEALTHCHECK each second: it would be a part of what is measured.
    with hardened.start(engine, image, port=port, environ=environ, health=None) as service:
        waited = ready.wait(service)
        if waited.ok:
            measured = _load(service, source, samples, found)
            found.megabytes = costs.size(engine.inspect(image) or {})
            whole = Costs(found.megabytes, waited.seconds, costs.memory(service), measured, _missing(measured))
            _facts(whole, found)
            found.checks += costs.checks(whole, limits(source))
        else:
            found.checks.append(waited.check)
    return found


def labelled(inspected: Mapping[str, Any], labels: Mapping[str, str]) -> Check:
    """That an image says of itself what it was built as. A base, or a Dockerfile, can bring labels of another one."""
    has = (inspected.get("Config") or {}).get("Labels") or {}
    wrong = sorted(name for name, value in labels.items() if has.get(name) != value)
    wrong += sorted(name for name in has if name.startswith("io.mlgate.") and name not in labels)
    reason = f"Its label {wrong[0]} is {has.get(wrong[0]) or 'missing'}, which this build did not say." if wrong else ""
    return Check(
        id="image.contents.labels", group="image", title="says what it was built as", reason=reason,
        verdict=Verdict.FAIL if wrong else Verdict.PASS, unexpected=len(wrong) or None,
    )  # fmt: skip


def limits(source: Source) -> dict[str, Limit]:
    """The rules for costs; what `governance.sla` promises is one, where `image.rules` says nothing of it."""
    promised = source.config.governance.sla
    found = {
        name: Limit(threshold=value)
        for name in ("latency_p95_ms", "latency_p99_ms", "throughput_rps")
        if (value := getattr(promised, name)) is not None
    }
    return {**found, **source.config.image.rules}


def _own(source: Source) -> bool:
    return source.config.image.builder == "template"


def _contents(engine: Engine, source: Source, planned: Planned) -> contents.Asked:
    """What the image has to have, and what it must not."""
    plan = planned.plan
    files = artifact.sha256s(plan.model)
    return contents.Asked(
        digest=planned.settings.identity.digest,
        files=files if plan.model.is_dir() else {"": files[plan.model.name]},
        locks={name: context.without(text, plan.without) for name, text in planned.locks.items()},
        base=contents.base_layers(engine, plan.base),
        secrets={name: _bytes(value) for name, value in plan.secrets.items() if name != "ca.crt"},  # which is none
        data=_data(source),
        allowed=tuple(name for _, name in plan.include),
        own=_own(source),
    )


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _data(source: Source) -> dict[str, str]:
    """Data files of the project by digest: none of them belongs into an image."""
    config, outs = source.config, source.pipeline.outs
    paths = [entry.path for entry in config.data]
    paths += [path for one in config.evaluate.values() for path in (one.data, one.labels) if path]
    paths += [one.predictions.path for one in config.evaluate.values() if one.predictions]
    found = {path: outs[path].md5 for path in map(config.path, paths) if path in outs and outs[path].md5}
    return {path: md5 for path, md5 in found.items() if not md5.endswith(".dir")}


# -- asking ----------------------------------------------------------------------------------------------------------


def _ask(service: Service, source: Source, planned: Planned, samples: list[tuple[Rows, Sample]], found: Found) -> None:
    config = source.config
    asked = smoke.Asked(
        digest=planned.settings.identity.digest, inputs=planned.settings.inputs, own=_own(source),
        commit=planned.commit,
    )  # fmt: skip
    seen = smoke.checks(service, _example(planned, samples), asked)
    found.checks += seen.checks
    if seen.protocol is None:
        return
    for rows, sample in samples:
        more = skew.checks(
            service, seen.protocol, sample, tolerance=float(config.image.skew.tolerance),
            wanted=config.image.skew.rows, most=config.serve.max_rows,
        )  # fmt: skip
        found.checks += [_of(check, rows.name, several=len(samples) > 1) for check in more]


def _of(check: Check, name: str, *, several: bool) -> Check:
    if not several:
        return check
    return check.model_copy(update={"id": f"{check.id}.{name}", "title": f"{name}: {check.title}"})


def _example(planned: Planned, samples: list[tuple[Rows, Sample]]) -> Example | None:
    """The model's own, else the first rows of the evaluation data."""
    found = protocol.example(planned.plan.model)
    if found is None and samples and samples[0][1].records:
        return Example(list(samples[0][1].records[:2]))
    return found


def _load(service: Service, source: Source, samples: list[tuple[Rows, Sample]], found: Found) -> load.Measured | None:
    """Latency and throughput, where a rule or a promise is about them."""
    if not any(name in _TIMED for name in limits(source)):
        return None
    records = [record for _, sample in samples for record in sample.records]
    spoken: Protocol | None = None
    if records:
        spoken, _ = protocol.find(service, Example(records[:1]))
    if spoken is None:
        return None
    asked = source.config.image.load
    measured = load.measure(service, spoken, records, connections=asked.connections, requests=asked.requests)
    found.checks += load.checks(measured)
    return measured


def _missing(measured: load.Measured | None) -> dict[str, str]:
    if measured is not None:
        return {}
    return dict.fromkeys(_TIMED, "there are no rows of evaluation data with committed predictions to send")


def _facts(whole: Costs, found: Found) -> None:
    for name, value in whole.values().items():
        if value is not None:
            found.facts[name] = round(value, 3)


# -- the rows of the skew test ---------------------------------------------------------------------------------------


def _samples(source: Source, planned: Planned, found: Found) -> list[tuple[Rows, Sample]]:
    """Of each evaluation set. What cannot be had is an `error`, or `inconclusive` where this job has no credentials."""
    sets = source.rows()
    if not sets:
        reason = (
            "No evaluation set names `data`, `predictions` and `columns.id`, so nothing shows that the image predicts "
            "what was judged. Add them to mlgate.yaml."
        )
        found.checks.append(_skew(Verdict.WARN, reason))
        found.not_run.append(reason)
        return []
    made = []
    for rows in sets:
        try:
            made.append((rows, sample(source, rows, columns(planned.plan.model, planned.settings), planned.seed)))
        except NoCredentialsError as error:
            found.checks.append(_skew(Verdict.INCONCLUSIVE, f"The rows of {rows.name} could not be had: {error}"))
        except MlgateError as error:
            found.checks.append(_skew(Verdict.ERROR, f"The rows of {rows.name} cannot be used: {error}"))
    return made


def _skew(verdict: Verdict, reason: str) -> Check:
    return Check(id="image.skew.rows", group="image", title="predicts what was judged", verdict=verdict, reason=reason)


def sample(source: Source, rows: Rows, inputs: Sequence[Input], seed: str) -> Sample:
    """Rows of one evaluation set as a server takes them. Raises MlgateError, NoCredentialsError."""
    extras.use("data")
    from mlgate.data import aligned, reading  # noqa: PLC0415 -- DuckDB and numpy

    entry, rules = contract(source, rows.data.name)
    read = entry.read if entry else Read()
    data = aligned.File(source.have(rows.data), rows.data.name, read)
    columns, predictions = rows.settings.columns, rows.settings.predictions
    assert predictions is not None  # noqa: S101 -- `Source.rows` looked
    if columns.label is None:
        raise MlgateError("has no `columns.label`, by which its rows are read.", key=f"evaluate.{rows.name}.columns")
    file = aligned.File(source.have(rows.predictions), rows.predictions.name)
    score, cut_off = predictions.score, predictions.cut_off
    asked = aligned.Asked(
        labels=data,
        predictions={"challenger": file},
        id=columns.id or "",
        label=columns.label,
        task=rows.settings.task,
        positive=columns.positive,
        score=dict(score) if isinstance(score, dict) else score,
        decided=predictions.class_,
        cut_off=None if cut_off is None else float(cut_off),
        query=columns.query,
    )
    con = reading.connect()
    try:
        return sampled.read(
            con, asked, data, count=source.config.image.skew.rows, inputs=inputs,
            seed=seed, private=rules.private if rules else (),
        )  # fmt: skip
    finally:
        con.close()


def columns(model: Path, settings: Settings) -> Sequence[Input]:
    """What a signature asks for; of a model without one, only its server knows, and every column is sent."""
    signed = model.is_dir() and (model / "MLmodel").is_file()
    return settings.inputs if signed else ()
