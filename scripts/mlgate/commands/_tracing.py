"""The story of one model, put together from the ledger and from git: plain JSON values that `mlgate trace` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mlgate.commands._rollouts import approvals, rollouts
from mlgate.commands._run import Run, Unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity, record
from mlgate.ledger import lineage, query
from mlgate.ledger.chain import EVENTS, Record
from mlgate.ledger.kinds import Decision, Image, Registration
from mlgate.ledger.lineage import Known, Target
from mlgate.repo import origin
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot
from mlgate.repo.origin import Origin, Wanted

Plain = dict[str, Any]


@dataclass
class Tracer:
    """Answers for one run: the records of the ledger, and the repository."""

    run: Run
    records: Sequence[Record]
    _pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def story(self, target: Target) -> Story:
        return Story(self, target, lineage.about(self.records, target))

    def pipeline(self, commit: str) -> Pipeline:
        """What DVC's files of a commit say. Raises MlgateError where the commit cannot be had."""
        self.run.git.ensure(commit)
        if commit not in self._pipelines:
            self._pipelines[commit] = Pipeline(self.run.git.at(commit), lenient=True)
        return self._pipelines[commit]

    def config(self, snapshot: Snapshot, model: str, named: Iterable[str] = ()) -> Config | None:
        """The model's mlgate.yaml of a commit: where its decision has it from, else wherever it is."""
        files = dict.fromkeys([*named, *self.run.config_files_at(snapshot), *_scattered(snapshot)])
        for file in files:
            loaded = self.run.load_at(snapshot, file)
            if isinstance(loaded, Config) and loaded.model == model:
                return loaded
        return None

    def at_commit(self, commit: str) -> list[Target]:
        """The models that a commit has, by its configurations and DVC's files."""
        pipeline = self.pipeline(commit)
        found = []
        for file in dict.fromkeys([*self.run.config_files_at(pipeline.snapshot), *_scattered(pipeline.snapshot)]):
            loaded = self.run.load_at(pipeline.snapshot, file)
            if loaded is None or isinstance(loaded, Unloadable) or loaded.artifact is None:
                continue
            named = integrity.named(pipeline, loaded.path(loaded.artifact), "model")
            if named.digest:
                found.append(Target("commit", loaded.model, named.digest, f"commit {commit[:12]}", commit))
        return found


def _scattered(snapshot: Snapshot) -> list[str]:
    return sorted(path for path in snapshot.files if path == "mlgate.yaml" or path.endswith("/mlgate.yaml"))


@dataclass
class Story:
    """One model's way: lazily, since a difference needs only parts of it."""

    tracer: Tracer
    target: Target
    known: Known

    @cached_property
    def decided(self) -> Record | None:
        """The last decision for this model."""
        return query.decision(self.tracer.records, self.target.model, dict(self.known.subject))

    @cached_property
    def commit(self) -> str:
        """The commit that the model is known by: where it was judged, built, or looked for."""
        if self.decided is not None and self.decided.entry.commit:
            return self.decided.entry.commit
        built = self.known.of("image", "comparison", "registration")
        return next((each.entry.commit for each in built if each.entry.commit), self.target.commit)

    @cached_property
    def config(self) -> Config | None:
        try:
            snapshot = self.tracer.pipeline(self.commit).snapshot if self.commit else None
        except MlgateError:
            return None
        rules = self.statement.predicate.configuration[0].name if self.statement else ""
        return self.tracer.config(snapshot, self.target.model, [rules] if rules else []) if snapshot else None

    @cached_property
    def statement(self) -> record.Statement | None:
        entry = self.decided.entry if self.decided else None
        try:
            return record.Statement.parse(entry.record) if isinstance(entry, Decision) else None
        except MlgateError:
            return None

    @cached_property
    def wanted(self) -> Wanted:
        """Which files of the commit are this model's."""
        config = self.config
        if config is None:
            name = self.statement.subject[0].name if self.statement else ""
            return Wanted(artifact=name)
        data: dict[str, str] = {}
        if config.train.data:
            data[config.path(config.train.data)] = "training"
        for name, evaluation in config.evaluate.items():
            if evaluation.data:
                data.setdefault(config.path(evaluation.data), f"evaluation {name}")
        for one in config.data:
            data.setdefault(config.path(one.path), "data")
        files = [config.path(file) for evaluation in config.evaluate.values() for file in evaluation.metrics]
        artifact = config.path(config.artifact) if config.artifact else ""
        return Wanted(artifact, data, tuple(dict.fromkeys(files)))

    @cached_property
    def origin(self) -> Origin | None:
        """None where no commit is known, or it cannot be had."""
        if not self.commit:
            return None
        try:
            pipeline = self.tracer.pipeline(self.commit)
            return origin.read(pipeline, self.wanted, origin.commit_of(self.tracer.run.git, self.commit))
        except MlgateError:
            return None

    def unknown(self) -> list[str]:
        """What could not be read, one sentence each."""
        told: list[str] = []
        if self.decided is None:
            told.append("The ledger has no decision for this model.")
        elif self.statement is None:
            told.append("The record of the decision cannot be read: `mlgate audit verify` says more.")
        if not self.commit:
            told.append("No entry names a commit, so data, parameters and metrics are not known.")
        elif self.origin is None:
            told.append(f"Commit {self.commit[:12]} is not in this clone and could not be fetched.")
        else:
            told += self.origin.unread
            if self.config is None:
                told.append(f"Commit {self.commit[:12]} has no mlgate.yaml of {self.target.model}.")
        if not self.known.of("image"):
            told.append("The ledger has no image of this model.")
        return told

    def plain(self) -> Plain:
        """All of it, as JSON values."""
        return {
            "asked": self.target.said,
            "kind": self.target.kind,
            "model": self.target.model,
            "digests": dict(sorted(self.known.subject.items())),
            "commit": self._commit(),
            "data": [vars(one) for one in self.origin.data] if self.origin else [],
            "code": [vars(one) for one in self.origin.code] if self.origin else [],
            "stages": dict(self.origin.stages) if self.origin else {},
            "parameters": dict(self.origin.parameters) if self.origin else {},
            "metrics": _finite(self.origin.metrics) if self.origin else {},
            "decision": self._decision(),
            "approvals": self._approvals(),
            "images": [_image(each) for each in self.known.of("image")],
            "registrations": _registrations(self.known.of("registration")),
            "environments": [
                {"environment": span.environment, "since": span.since, "until": span.until, "entry": span.by.seq}
                for span in lineage.spans(self.tracer.records, self.target.model, self.known.subject)
            ],
            "rollouts": rollouts(self.known.of("deployment", "rollback"), self.known.subject),
            "history": [_event(each, self.known) for each in self.known.of(*_HISTORY)],
            "unknown": self.unknown(),
        }

    def _commit(self) -> Plain | None:
        if not self.commit:
            return None
        url = self.tracer.run.forge.event.commit_url
        known = vars(self.origin.commit) if self.origin else {"id": self.commit}
        return {**known, **({"url": f"{url}{self.commit}"} if url else {})}

    def _decision(self) -> Plain | None:
        if self.decided is None:
            return None
        entry = self.decided.entry
        assert isinstance(entry, Decision)  # noqa: S101 -- query looks for no other kind
        made = self.statement.predicate.decision if self.statement else None
        return {
            **_who(self.decided),
            "verdict": entry.verdict,
            "warns": [{"name": one.name, "reason": one.reason} for one in made.warns]
            if made
            else [{"name": name, "reason": ""} for name in entry.warns],
            "rules": {
                "digest": entry.rules,
                "file": self.statement.predicate.configuration[0].name if self.statement else "",
                "commit": self.statement.predicate.configuration[0].annotations.get("commit", "")
                if self.statement
                else "",
            },
            "evaluation": dict(entry.evaluation),
            "champion": dict(entry.champion),
            "champion_commit": entry.champion_commit,
            "anchor": entry.anchor,
            "statistics": entry.statistics,
            "controls": made.controls if made else "",
            "approved_by": made.approved_by if made else "",
            "record": entry.statement,
        }

    def _approvals(self) -> list[Plain]:
        found: list[Plain] = []
        made = self.statement.predicate.decision if self.statement else None
        if made and made.approved_by and self.decided:
            found.append({**_when(self.decided), "by": [made.approved_by], "what": "a change of the judge's inputs"})
        for each, by, what in approvals(self.known.of("promotion", "deployment", "rollback")):
            found.append({**_when(each), "by": by, "what": what})
        return found


_HISTORY = ("comparison", "decision", "image", "registration", "deployment", "promotion", "rollback")


def _when(each: Record) -> Plain:
    place = each.seq if each.chain == EVENTS else f"{each.chain}:{each.seq}"
    return {"at": each.entry.at, "entry": place, "id": each.entry.id}


def _who(each: Record) -> Plain:
    entry = each.entry
    return {**_when(each), "actor": entry.actor, "run_url": entry.run_url, "commit": entry.commit}


def _image(each: Record) -> Plain:
    entry = each.entry
    assert isinstance(entry, Image)  # noqa: S101 -- the caller asked for images
    told: Mapping[str, Any] = entry.record.get("predicate", {}) if isinstance(entry.record, dict) else {}
    return {
        **_who(each),
        "name": entry.name,
        "digest": f"sha256:{entry.image.get('sha256', '')}",
        "decision": entry.decision,
        "statement": entry.statement,
        **{key: told.get(key) for key in ("base", "inputs", "platform", "verdict", "warned") if told.get(key)},
    }


def _registrations(records: Iterable[Record]) -> list[Plain]:
    """One for each version: later entries of it add what was not known then."""
    found: dict[tuple[str, str], Plain] = {}
    for each in records:
        entry = each.entry
        assert isinstance(entry, Registration)  # noqa: S101 -- the caller asked for registrations
        one = found.setdefault(
            (entry.name, entry.version),
            {**_who(each), "name": entry.name, "version": entry.version, "registries": {}, "image": ""},
        )
        one["registries"] |= dict(entry.registries)
        one["image"] = f"sha256:{entry.image['sha256']}" if "sha256" in entry.image else one["image"]
    return list(found.values())


def _event(each: Record, known: Known) -> Plain:
    entry = each.entry
    told = {
        name: value
        for name in ("state", "strategy", "weight", "version", "reason", "verdict", "name", "seconds")
        if (value := getattr(entry, name, None)) not in (None, "")
    }
    taken = entry.kind == "rollback" and not query.same_model(entry.subject, dict(known.subject))
    image = getattr(entry, "image", {})
    return {
        **_who(each),
        "kind": entry.kind,
        "environment": entry.environment,
        **told,
        **({"image": f"sha256:{image['sha256']}"} if "sha256" in image else {}),
        **({"taken_away": True} if taken else {}),
    }


def _finite(values: Mapping[str, Any]) -> Plain:
    """Metrics as JSON has them: what is no finite number is its word."""
    return {
        key: str(value) if isinstance(value, float) and not -1.8e308 < value < 1.8e308 else value
        for key, value in values.items()
    }
