"""What lies here about one model at one commit: evidence, papers, words, decision. For the checks of its papers."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.commands import _model
from mlgate.commands._collect import collect
from mlgate.commands._model import Decided
from mlgate.commands._run import STATE, Run
from mlgate.config import Config
from mlgate.data import contract
from mlgate.errors import MlgateError
from mlgate.governance import words
from mlgate.governance.nouns import Document, Held, Table
from mlgate.governance.words import CardWords, SheetWords
from mlgate.judge import integrity, record
from mlgate.ledger.kinds import Image
from mlgate.ledger.query import same_model
from mlgate.model import Evidence, Named
from mlgate.repo.dvc import Pipeline
from mlgate.signing import statement
from mlgate.signing.statement import Statement as ImageStatement

PAPERS = "papers"  # the folder in .mlgate, and the kind of the evidence
_DOCUMENT = re.compile(r"[\w./@-]+\.(md|markdown|txt|rst|adoc|html?|pdf|docx?)", re.IGNORECASE)
_LARGEST = 20_000_000  # octets of one paper


@dataclass(eq=False)
class Gatherer:
    """For all models of a run; what lies in .mlgate is read once."""

    run: Run
    _evidence: dict[str, dict[str, Evidence]] | None = None
    _pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def pipeline(self, commit: str = "") -> Pipeline:
        commit = commit or self.run.head
        if commit not in self._pipelines:
            self._pipelines[commit] = Pipeline(self.run.git.at(commit), lenient=True)
        return self._pipelines[commit]

    def evidence(self, model: str) -> dict[str, Evidence]:
        """By verb. Raises MlgateError where a file that should be evidence is none."""
        if self._evidence is None:
            self._evidence = {}
            for one in collect(self.run.cwd / STATE / "evidence"):
                self._evidence.setdefault(one.model, {})[one.kind] = one
        return self._evidence.get(model, {})

    def held(self, config: Config) -> Held:
        """Raises MlgateError where the commit names no model, and for a contract that cannot be read."""
        run, now = self.run, self.pipeline()
        subject = _model.named(config, now)
        decided, no_decision = self._decided(config, subject)
        if decided is not None:
            subject = _known(subject, record.digests(decided.statement))
        image = self._image(config.model)
        if image is not None:
            subject = _known(subject, image.predicate.digests)
        if "sha256" not in subject.digest and (sha256 := _model.sha256_here(run, subject, now)):
            subject = subject.model_copy(update={"digest": {**subject.digest, "sha256": sha256}})
        commit = decided.commit if decided is not None else run.head
        tables = list(self._tables(config, now))
        wrong: dict[str, str] = {}
        said = config.governance
        card = self._words(config, said.card, "card", wrong)
        sheet = self._words(config, said.data_sheet, "data_sheet", wrong)
        return Held(
            config=config,
            commit=commit,
            head=run.head,
            committed_at=self._committed_at(commit),
            subject=subject,
            evidence=self.evidence(config.model),
            papers=dict(_folder(run.cwd / STATE / PAPERS / config.model)),
            bias=plain_file(run.cwd / STATE / "bias" / config.model / "bias_report.json"),
            decision=decided.statement if decided else None,
            decided=_entry(decided),
            no_decision=no_decision,
            image=image,
            image_at=self._image_at(config, image, subject),
            card=card if isinstance(card, CardWords) else None,
            sheet=sheet if isinstance(sheet, SheetWords) else None,
            wrong_words=wrong,
            rollback=self._document(config, said.rollback, "governance.rollback"),
            retirement=self._document(config, said.retirement, "governance.retirement"),
            tables=tables,
            parameters=_parameters(now, subject.name),
            private=frozenset(column.casefold() for one in tables for column in one.private),
        )

    # -- parts -------------------------------------------------------------------------------------------------------

    def _decided(self, config: Config, subject: Named) -> tuple[Decided | None, str]:
        try:
            return _model.decision(self.run, config, subject), ""
        except MlgateError as error:
            return None, f"the ledger does not say: {error}"

    def _image(self, model: str) -> ImageStatement | None:
        data = plain_file(self.run.cwd / STATE / statement.FOLDER / f"{model}.json")
        if data is None:
            return None
        try:
            return ImageStatement.parse(json.loads(data))
        except (MlgateError, ValueError, RecursionError):
            return None

    def _image_at(self, config: Config, image: ImageStatement | None, subject: Named) -> str:
        if image is None or not same_model(image.predicate.digests, dict(subject.digest)):
            return ""
        try:
            records = _model.records(self.run, config)
        except MlgateError:
            return ""
        entries = [record.entry for record in records if isinstance(record.entry, Image)]
        return next((one.at for one in entries if one.statement == image.digest and one.model == config.model), "")

    def _committed_at(self, commit: str) -> str:
        try:
            return self.run.git.committed_at(commit)
        except MlgateError:  # of another branch, in a shallow clone
            return ""

    def _tables(self, config: Config, now: Pipeline) -> Iterator[Table]:
        roles = {config.path(entry.path): "data" for entry in config.data}
        roles |= {config.path(s.data): f"evaluation data of {name}" for name, s in config.evaluate.items() if s.data}
        if config.train.data:
            roles[config.path(config.train.data)] = "training data"
        elif config.artifact:
            made_by = [s for s in now.stages for out in s.outs if out.path == config.path(config.artifact)]
            fitted = [dep.path for stage in made_by for dep in stage.deps if dep.path in now.outs]
            roles |= {path: "training data" for path in fitted if roles.get(path, "data") == "data"}
        contracts = {config.path(entry.path): entry.contract for entry in config.data if entry.contract}
        for path, role in sorted(roles.items()):
            file = config.path(contracts[path]) if path in contracts else ""
            out = now.outs.get(path)
            yield Table(
                path=path,
                role=role,
                digest=integrity.named(now, path, role).digest,
                size=out.size if out else None,
                contract=file,
                private=tuple(sorted(self._private(file))),
            )

    def _private(self, file: str) -> frozenset[str]:
        text = self.run.read(file) if file else None
        return contract.load(text, file).private if text is not None else frozenset()

    def _words(
        self, config: Config, path: str | None, key: str, wrong: dict[str, str]
    ) -> CardWords | SheetWords | None:
        if path is None:
            return None
        file = config.path(path)
        try:
            text = self.run.read(file)
            if text is None:
                wrong[key] = f"{file} is not in this commit."
                return None
            return words.card(text, file) if key == "card" else words.sheet(text, file)
        except MlgateError as error:
            wrong[key] = str(error)
            return None

    def _document(self, config: Config, said: str | None, key: str) -> Document:
        if said is None:
            return Document(key=key)
        if _DOCUMENT.fullmatch(said) is None:
            return Document(said=said, key=key)
        file = config.path(said)
        try:
            data = self.run.read(file)
        except MlgateError:
            data = None
        if data is None:
            return Document(file=file, key=key, missing=True)
        sha256 = hashlib.sha256(data).hexdigest()
        text = data.decode(errors="replace") if b"\0" not in data else f"The document {file}."
        return Document(said=text[:20_000], file=file, key=key, sha256=sha256)


def _known(subject: Named, more: Mapping[str, str]) -> Named:
    """The same model, by more digests; others are of another one, and no concern of it."""
    if not same_model(dict(subject.digest), dict(more)):
        return subject
    return subject.model_copy(update={"digest": {**more, **subject.digest}})


def _entry(decided: Decided | None) -> dict[str, str]:
    if decided is None:
        return {}
    entry = decided.entry.entry
    found = {"at": entry.at, "by": entry.actor, "run": entry.run_url, "entry": entry.id}
    return {key: value for key, value in found.items() if value}


def _parameters(now: Pipeline, artifact: str) -> dict[str, Any]:
    """`params.yaml:train.model` -> value, of every stage behind the model, as the lock has it."""
    return {
        f"{file}:{key}": _plain(value)
        for stage in now.upstream(artifact)
        for file, values in stage.params.items()
        for key, value in values.items()
    }


def _plain(value: Any) -> Any:
    """YAML has values that JSON has not: days, and numbers that are none."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        data = plain_file(path)
        if data is not None:
            yield path.name, data


def plain_file(path: Path, most: int = _LARGEST) -> bytes | None:
    """A plain file that no link leads to; None for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode) or os.fstat(handle).st_size > most:
                return None
            return file.read()
    except OSError:
        return None
