"""`mlgate audit bundle`: everything about each model in one file, with a page to read first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlgate import __version__
from mlgate.commands import _model
from mlgate.commands._held import PAPERS, Gatherer, plain_file
from mlgate.commands._papers import CHECKLIST, configs, listed
from mlgate.commands._records import SIGNED
from mlgate.commands._run import STATE, Run, Unloadable, relative, say
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.governance import bundle, card, checklist, explain, service, sheet
from mlgate.governance.bundle import FIRST, Part
from mlgate.governance.nouns import CARD, EXPLAINED, SHEET, Held
from mlgate.judge import integrity
from mlgate.ledger import query
from mlgate.ledger.chain import EVENTS, Record
from mlgate.ledger.kinds import Deployment, Promotion, Registration
from mlgate.ledger.words import told
from mlgate.model import Evidence
from mlgate.render import bundle as pages
from mlgate.render import html
from mlgate.render.bundle import Entry, Told

_SBOMS = ("cdx.json", "spdx.json")
_MOST = 64_000_000  # octets of one file
_T = TypeVar("_T")
OUT = f"{STATE}/audit-bundle.zip"


@dataclass(eq=False)
class Bundler:
    """For all models of a run."""

    run: Run
    gatherer: Gatherer = field(init=False)
    parts: list[Part] = field(default_factory=list)
    _ledgers: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gatherer = Gatherer(self.run)

    def write(self, out: Path) -> int:
        """The exit code. Raises MlgateError for a configuration that cannot be read, and for credentials."""
        models: list[Told] = []
        for config in configs(self.run):
            if isinstance(config, Unloadable):
                raise config.error
            models.append(self._model(config))
        head = self._chains()
        found = list(bundle.credentials(self.parts, os.environ))
        if found:
            path, what = found[0]
            more = f" And {len(found) - 1} more." if len(found) > 1 else ""
            raise MlgateError(
                f"{path} holds {what}, so no bundle was written.{more}",
                fix="Change that credential, since others may have seen it, and take it out of the file.",
            )
        page = pages.page(models, [*self.parts, bundle.verifier()], head=head, tool=f"mlgate {__version__}")
        self.parts.append(Part(FIRST, page.encode(), "read this first"))
        _save(out, self.parts)
        self._say(out, models)
        return 0

    def _say(self, out: Path, models: Sequence[Told]) -> None:
        size = out.stat().st_size
        lines = [f"{relative(out)}: {len(self.parts):,} files, {size / 1000:,.0f} kB. Read {FIRST} first."]
        for one in models:
            lines += [f"{one.held.model}: {missing}" for missing in one.missing]
        say(self.run.forge, "\n".join(lines) + "\n")
        self.run.forge.set_outputs({"bundle": relative(out), "passed": "true", "exit-code": "0"})

    # -- one model ---------------------------------------------------------------------------------------------------

    def _model(self, config: Config) -> Told:
        held = self.gatherer.held(config)
        missing: list[str] = []
        counted, foreign = self._evidence(held)
        missing += foreign
        self._add(
            f"checklist/{held.model}.json", listed(held).to_json().encode(), "the six checks before production", held
        )
        self._papers(held, missing)
        self._statements(held, missing)
        self._files(held)
        self._sources(held)
        if counted:
            page = html.page(counted)
            self._add(f"report/{held.model}.html", page.encode(), "what the gate found, as its report shows it", held)
        records = self._records(config, missing)
        history = [record for record in query.in_order(records) if record.entry.model == held.model]
        return Told(
            held=held,
            items=checklist.items(held),
            card=_try(lambda: card.make(held)) if f"{CARD}.json" in held.papers else None,
            sheet=_try(lambda: sheet.make(held)) if f"{SHEET}.json" in held.papers else None,
            service=service.make(held) if config.governance.model_fields_set else None,
            explanation=_try(lambda: explain.parse(held.papers[f"{EXPLAINED}.json"], EXPLAINED))
            if f"{EXPLAINED}.json" in held.papers
            else None,
            history=[_entry(record) for record in history],
            identity=list(_identity(held, history)),
            missing=missing,
        )

    def _add(self, name: str, data: bytes, role: str, held: Held) -> None:
        self.parts.append(Part(name, data, role, held.model))

    def _evidence(self, held: Held) -> tuple[list[Evidence], list[str]]:
        """What is about this commit and model goes in; the rest is named."""
        counted, left = [], []
        for verb, evidence in sorted(held.evidence.items()):
            if verb == CHECKLIST:
                continue  # it is made anew
            why = held.foreign(evidence) if evidence.subject else held.other_commit(evidence.source.commit)
            if why:
                left.append(f"Evidence of `{verb}`: it {why if evidence.subject else f'is about {why}'}.")
                continue
            self._add(f"evidence/{held.model}/{verb}.json", evidence.to_json().encode(), f"evidence of {verb}", held)
            counted.append(evidence)
        for verb in ("validate-data", "train", "compare", "build-image"):
            if verb not in held.evidence:
                left.append(f"Evidence of `{verb}`: there is none here.")
        return counted, left

    def _papers(self, held: Held, missing: list[str]) -> None:
        for name, data in sorted(held.papers.items()):
            self._add(f"{PAPERS}/{held.model}/{name}", data, name.rpartition(".")[0].replace("_", " "), held)
        for name in (CARD, SHEET, EXPLAINED):
            if f"{name}.json" not in held.papers:
                missing.append(f"The {name.replace('_', ' ')}: `mlgate audit papers` did not write it.")

    def _statements(self, held: Held, missing: list[str]) -> None:
        """Decision and image statement, as bytes that a signature is over, and their signatures."""
        state = self.run.cwd / STATE
        if held.decision is not None:
            self._add(f"decisions/{held.model}.json", held.decision.to_bytes(), "the decision record (in-toto)", held)
            lying = plain_file(state / "decisions" / f"{held.model}.json")
            signed = plain_file(state / "decisions" / f"{held.model}.json{SIGNED}")
            if signed is not None and lying == held.decision.to_bytes():
                self._add(
                    f"decisions/{held.model}.json{SIGNED}", signed, "the signature of the decision record (DSSE)", held
                )
        else:
            why = (held.no_decision or "the ledger has none about this model").rstrip(".")
            missing.append(f"The decision: {why}.")
        if held.image is not None:
            self._add(
                f"images/{held.model}.json", held.image.to_bytes(), "image digest -> model digest (in-toto)", held
            )
            signed = plain_file(state / "images" / f"{held.model}.json{SIGNED}")
            if signed is not None:
                self._add(
                    f"images/{held.model}.json{SIGNED}", signed, "the signature of the image statement (DSSE)", held
                )
        else:
            missing.append("The statement about the image: none was built here.")

    def _files(self, held: Held) -> None:
        for ending in _SBOMS:
            data = plain_file(self.run.cwd / STATE / "sbom" / f"{held.model}.{ending}", _MOST)
            if data is not None:
                self._add(f"sbom/{held.model}.{ending}", data, "software that is in the image", held)

    def _sources(self, held: Held) -> None:
        """What of the commit says how it was judged and made: no code, no data."""
        config, now = held.config, self.gatherer.pipeline()
        said = config.governance
        names = {config.file, *([config.path(config.extends)] if config.extends else [])}
        names |= {config.path(entry.contract) for entry in config.data if entry.contract}
        names |= {config.path(path) for path in (said.card, said.data_sheet) if path}
        names |= {document.file for document in (held.rollback, held.retirement) if document.file}
        names |= {config.path(path) for one in config.evaluate.values() for path in one.metrics}
        for stage in now.upstream(held.subject.name):
            names |= {stage.lock, stage.lock.removesuffix("lock") + "yaml", *stage.params}
        for name in sorted(names):
            with suppress(MlgateError):
                data = now.snapshot.read(name)
                if data is not None and len(data) <= _MOST:
                    self._add(f"committed/{held.model}/{name}", data, f"as commit {held.head[:7]} has it", held)
        digests = [integrity.named(now, table.path, table.role) for table in held.tables]
        lines = [f"{one.name}\t{one.role}\t{kind}:{value}\n" for one in digests for kind, value in one.digest.items()]
        self._add(f"committed/{held.model}/data.tsv", "".join(lines).encode(), "data files by digest", held)

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _records(self, config: Config, missing: list[str]) -> tuple[Record, ...]:
        key = config.ledger.model_dump_json()
        if key not in self._ledgers:
            try:
                self._ledgers[key] = _model.records(self.run, config)
            except MlgateError as error:
                self._ledgers[key] = ()
                self.unread.append(str(error))
        if not self._ledgers[key]:
            missing.append(f"The ledger: {self.unread[0] if self.unread else 'there is none yet.'}")
        return self._ledgers[key]

    def _chains(self) -> str:
        """The events of each ledger; the head of the first."""
        heads: list[str] = []
        for records in (found for found in self._ledgers.values() if found):
            mine = [record for record in records if record.chain == EVENTS]
            folder = "ledger" if not heads else f"ledger-{mine[0].ledger[:12]}"
            self.parts.append(Part(f"{folder}/events.jsonl", bundle.events(mine), "the ledger's chain of events"))
            heads.append(max(mine, key=lambda record: record.seq).head.token)
        return heads[0] if heads else ""


def _entry(record: Record) -> Entry:
    one = record.entry
    at = one.at.replace("T", " ").rstrip("Z")
    return Entry(record.seq, at, one.kind, one.environment, told(one), one.actor, one.run_url)


def _identity(held: Held, history: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """What somebody wants to know first. Names and digests as code."""
    subject = dict(held.subject.digest)
    mine = [record.entry for record in history if query.same_model(dict(record.entry.subject), subject)]
    versions = [one for one in mine if isinstance(one, Registration)]
    yield "Model", f"`{held.model}`, at `{held.subject.name}`"
    for one in versions[-1:]:
        yield "Version", f"`{one.name}` {one.version}"
    yield "Commit", f"`{held.commit}`" + (f" of {held.committed_at[:10]}" if held.committed_at else "")
    for kind, value in sorted(held.subject.digest.items(), reverse=True):
        yield f"Digest ({kind})", f"`{value}`"
    decided = held.decided
    if held.decision is not None:
        verdict = held.decision.predicate.decision.verdict
        by = f", in a run that {decided['by']} started" if decided.get("by") else ""
        yield "Decision", f"{verdict}, {decided.get('at', '')[:10]}{by}: `{held.decision.digest}`"
        approved = held.decision.predicate.decision.approved_by
        if approved:
            yield "Change of the rules", f"approved by {approved}"
        against = held.decision.predicate.decision.champion_commit
        yield "Held against", f"the champion of commit `{against}`" if against else "nobody: the first of its name"
    else:
        yield "Decision", "none"
    if held.image is not None:
        yield "Image", f"`{held.image.reference}`"
    for there in [each for each in mine if isinstance(each, Promotion | Deployment)][-3:]:
        yield f"In {there.environment}", f"{told(there)} ({there.at[:10]})"
    if held.config.governance.owners:
        yield "Owners", ", ".join(held.config.governance.owners)
    for key, value in sorted(held.config.governance.tags.items()):
        yield key, value


def _try(make: Callable[[], _T]) -> _T | None:
    try:
        return make()
    except MlgateError:
        return None


def _save(out: Path, parts: Sequence[Part]) -> None:
    """The whole file or nothing."""
    temporary = ""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        with os.fdopen(handle, "wb") as file:
            bundle.pack(parts, file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, out)
    except OSError as error:
        raise MlgateError(
            f"cannot write {relative(out)} ({error.strerror or error}).", fix="Make room, or name another --out."
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)
