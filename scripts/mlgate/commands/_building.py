"""One image per model: the decision, the bytes, the build, the proof, the push, and the statement about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import __version__
from mlgate.commands import _build_plan, _build_proof, _build_supply, _model
from mlgate.commands._binding import unique
from mlgate.commands._build_inputs import Source, scratch
from mlgate.commands._deciding import FOLDER, where
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, relative, say, unloadable, write_text
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.image import engine as engines
from mlgate.image import login, registry
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference, tag_from
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.repo.dvc import Pipeline

if TYPE_CHECKING:
    from mlgate.commands._build_plan import Planned
    from mlgate.commands._model import Decided
    from mlgate.ledger.kinds import Image
    from mlgate.signing.statement import Statement

VERB = "build-image"


@dataclass(frozen=True)
class Asked:
    """The options of the verb. `inputs` is the folder that another job handed over."""

    image: str
    tags: tuple[str, ...]
    base: str
    push: bool
    preview: bool
    cache: str
    user: str
    password: str = field(repr=False)
    inputs: Path
    python: str = ""
    pull: bool = True


@dataclass
class Built:
    """What came of one model."""

    evidence: Evidence
    config: Config | None = None
    name: str = ""  # the repository it was pushed to
    digest: str = ""  # of the pushed image, `sha256:...`
    megabytes: float | None = None


def every(run: Run, asked: Asked) -> int:
    """All models of the run; the exit code."""
    run.forget(VERB)
    _forget(run)
    try:
        found = _all(run, asked)
    except MlgateError as error:
        found = [Built(failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error))]
    code = run.finish(VERB, [one.evidence for one in found], _outputs(found))
    for one in found:
        if one.digest:
            say(run.forge, f"image: {one.name}@{one.digest}\n")
    return code


def _forget(run: Run) -> None:
    """A statement, a record or an SBOM that an earlier run left here must not be taken for this one's."""
    for name in ("images", "sbom", FOLDER):
        folder = run.cwd / STATE / name
        if not folder.is_symlink() and not folder.parent.is_symlink():
            for file in folder.glob("*.json"):
                file.unlink(missing_ok=True)


def _all(run: Run, asked: Asked) -> list[Built]:
    files = run.config_files()
    if not files:
        raise run.no_config()
    pipeline = Pipeline(run.git.at(run.head), lenient=True)
    loaded = [run.load(file) for file in files]
    unique([own.model for own in loaded])
    found = []
    with ExitStack() as stack:
        yard = _Yard(run, asked, several=len(loaded) > 1, stack=stack)
        for own in loaded:
            if isinstance(own, Unloadable):
                found.append(Built(unloadable(VERB, own)))
            elif own.mode == "off":
                found.append(Built(off(VERB, own)))
            else:
                with scratch() as place:
                    source = Source(run, own, pipeline, place, asked.inputs, asked.python, asked.pull)
                    found.append(Building(yard, source).build())
    return found


class _Yard:
    """What all models of a run share: the engine, and the logins."""

    def __init__(self, run: Run, asked: Asked, *, several: bool, stack: ExitStack) -> None:
        self.run = run
        self.asked = asked
        self.several = several
        self._stack = stack

    @cached_property
    def engine(self) -> Engine:
        """Logged in where there is something to push. Raises MlgateError."""
        return self._stack.enter_context(login.session(engines.find(), self._logins()))

    def _logins(self) -> Iterator[tuple[str, str, str]]:
        """One for each registry that images go to: the password that was given, else this job's own at its forge."""
        if not self.asked.push:
            return
        own = self.run.forge.image_registry()
        loaded = [self.run.load(file) for file in self.run.config_files()]
        found = [self.repository(one) for one in loaded if isinstance(one, Config) and one.mode != "off"]
        for host in dict.fromkeys(one.registry for one in found if one is not None):
            if self.asked.user or self.asked.password:
                yield host, self.asked.user, self.asked.password
            elif own is not None and own.password and Reference.parse(own.repository).registry == host:
                yield host, own.user, own.password

    def repository(self, config: Config) -> Reference | None:
        """Where a model's image goes; None where nothing says it and nothing is pushed. Raises MlgateError."""
        told = self.asked.image
        if told:
            return Reference.parse(f"{told.rstrip('/')}/{config.model}" if self.several else told)
        if config.image.name:
            return Reference.parse(config.image.name)
        own = self.run.forge.image_registry()
        if own is not None:
            return Reference.parse(f"{own.repository}/{config.model}")
        if self.asked.push:
            raise MlgateError(
                "there is no registry to push the image to.", file=config.file, line=config.line("image"),
                key="image.name", fix="Add `image: {name: ghcr.io/acme/visits}`, or build with `--push false`.",
            )  # fmt: skip
        return None


class Building:
    """One model. Each step adds its checks; the first that stops ends the build."""

    def __init__(self, yard: _Yard, source: Source) -> None:
        self.yard = yard
        self.asked = yard.asked
        self.run = yard.run
        self.source = source
        self.config = source.config
        self.checks: list[Check] = []
        self.inputs: list[Named] = []
        self.not_run: list[str] = []
        self.facts: dict[str, str | float] = {}
        self.artifacts: list[str] = []
        self.subject: Named | None = None
        self.result = Built(self._evidence(), self.config)

    def build(self) -> Built:
        try:
            self._build()
        except MlgateError as error:
            where = error.file or ""
            self.checks.append(Check(
                id="image.step", group="image", title="image", verdict=Verdict.ERROR, reason=str(error),
                location=None if not where else self.config.location(error.key or "image").model_copy(
                    update={"file": where, "line": error.line}
                ),
            ))  # fmt: skip
        self.result.evidence = self._evidence()
        return self.result

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        reference = self.yard.repository(self.config)
        subject, model = self.source.model()
        self.subject = subject
        decided = self._decision(subject)
        if self._stopped():
            return
        self.checks += _build_supply.model(self.config, model)
        if self._stopped():
            return  # before anything loads it
        planned = _build_plan.plan(
            self.source, model, subject, decided, base=self.asked.base, preview=self.asked.preview,
            engine=self.yard.engine,
        )  # fmt: skip
        self.checks += planned.checks
        self.inputs += planned.inputs
        self.facts["inputs"] = planned.digest
        if self._stopped():
            return
        if reference is not None and (before := self._before(reference, planned)) is not None:
            self._again(reference, *before)
            return
        image = self._image(reference, planned)
        proof = _build_proof.prove(self.yard.engine, image, self.source, planned)
        self._take(proof)
        supply = _build_supply.image(self.yard.engine, image, self.source, planned, self.run.cwd / STATE / "sbom")
        self._take(supply)
        if self._stopped():
            return
        self._push(reference, image, planned, decided)

    def _take(self, found: _build_proof.Found) -> None:
        self.checks += found.checks
        self.not_run += found.not_run
        self.facts |= found.facts
        self.artifacts += [relative(path) for path in found.artifacts]
        self.result.megabytes = found.megabytes if found.megabytes is not None else self.result.megabytes

    def _decision(self, subject: Named) -> Decided | None:
        """The decision that lets this be built. A preview needs none, and names none: it stays what it is."""
        if self.asked.preview:
            reason = "This is a preview: no deployment takes it, whatever is decided about the model."
            self._check("decision", "decision", Verdict.WARN, reason)
            return None
        if self.run.in_ci and (place := where(self.run.forge.event, self.run.head)):
            reason = f"This run is for {place}: images are built from the default branch. To look at one: --preview."
            self._check("decision", "decision", Verdict.FAIL, reason)
            return None
        found = _model.decision(self.run, self.config, subject)
        if found is None:
            digest = subject.digest["sha256"][:12]
            reason = (
                f"The ledger has no passing decision about this model (sha256 {digest}). Decisions are made on the "
                "default branch, by `mlgate compare` in `mode: enforce`. If that calls the model unchanged, it is "
                "older than the ledger: let the gate run there once with `champion` naming a commit before it. To look "
                "at the image before: --preview."
            )
            self._check("decision", "decision", Verdict.FAIL, reason)
            return None
        if later := _model.failed_since(self.run, self.config, found):
            reason = (
                f"This model was judged again on {later[-1].entry.at[:10]}, after its decision, and failed. Judge it "
                "again on the default branch (`mlgate compare`), or build another model."
            )
            self._check("decision", "decision", Verdict.FAIL, reason)
            return None
        decision = found.statement.predicate.decision
        when = f"decided {found.entry.entry.at[:10]} at commit {decision.commit[:7]}: {decision.verdict}"
        self._check("decision", "decision", Verdict.PASS, "", observed=when)
        self._write(FOLDER, f"{self.config.model}.json", found.statement.to_bytes())
        return found

    def _before(self, reference: Reference, planned: Planned) -> tuple[registry.Found, Image] | None:
        """What was built and proven of the same inputs, if the registry still has it and the ledger knows it."""
        if self.asked.preview or not self.asked.push:
            return None
        known = self._known(planned.digest)
        if known is None:
            return None
        found = registry.exists(self.yard.engine, reference.at(f"sha256:{known.image['sha256']}"))
        from mlgate.signing import statement  # noqa: PLC0415

        stated = statement.Statement.parse(known.record)
        if found is None or known.name != reference.name or any(statement.labelled(stated, found.labels)):
            return None
        return found, known

    def _known(self, inputs: str) -> Image | None:
        from mlgate.ledger.kinds import Image  # noqa: PLC0415 -- pydantic's models of every kind of entry

        for found in reversed(_model.records(self.run, self.config)):
            entry = found.entry
            if isinstance(entry, Image) and entry.model == self.config.model:
                predicate = entry.record.get("predicate")
                if isinstance(predicate, dict) and predicate.get("inputs") == inputs:
                    return entry
        return None

    def _again(self, reference: Reference, found: registry.Found, known: Image) -> None:
        """Nothing is done twice: the statement is the one that was made then."""
        from mlgate.signing.statement import Statement  # noqa: PLC0415

        reason = f"The same inputs were built and proven on {known.at[:10]}: {found.digest[:19]}."
        self._check("built", "built once", Verdict.PASS, reason)
        self._state(Statement.parse(known.record))
        self.result.name, self.result.digest = reference.name, found.digest

    def _image(self, reference: Reference | None, planned: Planned) -> str:
        """The image of these inputs in the engine: from the registry where it has it, else built."""
        name = reference or Reference.parse(f"mlgate/{self.config.model.lower()}")
        tag = f"mlgate-{planned.digest[:16]}"
        built = planned.build(self.yard.engine, str(name.tagged(tag)), cache=self.asked.cache)
        self.facts |= {"builder": built.builder, "build_seconds": round(built.seconds, 1)}
        what = "every layer was there already" if built.cached else f"in {built.seconds:.0f} s"
        self._check("built", "built once", Verdict.PASS, "", observed=f"{what}, {built.builder}")
        return built.image_id

    def _push(self, reference: Reference | None, image: str, planned: Planned, decided: Decided | None) -> None:
        if reference is None or not self.asked.push:
            self.not_run.append("The image was not pushed: it has no digest that a deployment could name.")
            return
        tags = [f"mlgate-{planned.digest[:16]}"]
        if self.asked.preview:
            tags.append(f"preview-{self.run.head[:12]}")
        else:
            tags += [f"sha-{planned.commit[:12]}", *map(tag_from, self.asked.tags)]
        digest = registry.push(self.yard.engine, image, reference, tags)
        self.result.name, self.result.digest = reference.name, digest
        self.facts["image"] = reference.at(digest).pinned
        self._check("pushed", "pushed", Verdict.PASS, "", observed=f"{reference.name}@{digest[:19]}")
        if decided is not None:
            self._state(self._stated(reference, digest, planned, decided))

    def _stated(self, reference: Reference, digest: str, planned: Planned, decided: Decided) -> Statement:
        from mlgate.signing import statement  # noqa: PLC0415

        assert self.subject is not None  # noqa: S101 -- it was built
        facts = statement.Facts(
            name=reference.name, image=digest, subject=self.subject, commit=planned.commit,
            decision=decided.statement.digest, inputs=planned.digest, base=planned.base, platform=planned.platform,
            source=self.run.source(), tool=f"mlgate {__version__}",
        )  # fmt: skip
        return statement.state(self._evidence(), facts)

    def _state(self, stated: Statement) -> None:
        """The statement, and its predicate alone for `actions/attest`."""
        self._write("images", f"{self.config.model}.json", stated.to_bytes())
        self._write("images", f"{self.config.model}.predicate.json", stated.predicate_bytes())

    def _write(self, folder: str, name: str, data: bytes) -> None:
        file = self.run.cwd / STATE / folder / name
        write_text(file, data.decode())
        self.artifacts.append(relative(file))

    # -- what is said ------------------------------------------------------------------------------------------------

    def _check(self, name: str, title: str, verdict: Verdict, reason: str, *, observed: str | None = None) -> None:
        self.checks.append(Check(
            id=f"image.{name}", group="image", title=title, verdict=verdict, reason=reason, observed=observed
        ))  # fmt: skip

    def _stopped(self) -> bool:
        """Worse than a warning is not gone on with: nothing unproven is pushed, whatever `fail_on` says."""
        return any(check.verdict.rank > Verdict.WARN.rank for check in self.checks)

    def _evidence(self) -> Evidence:
        bad = [check for check in self.checks if check.verdict is not Verdict.PASS]
        first = max(bad, key=lambda check: check.verdict.rank, default=None)
        title = first.reason if first else "The image predicts what was judged, and was built once."
        return Evidence(
            kind=VERB, model=self.config.model, title=title, verdict=worst(c.verdict for c in self.checks),
            mode=self.config.mode, fail_on=self.config.fail_on, subject=self.subject, inputs=self.inputs,
            checks=self.checks, not_run=self.not_run, facts=self.facts, artifacts=self.artifacts,
            promotable=not self.asked.preview,
        )  # fmt: skip


def _outputs(found: Sequence[Built]) -> dict[str, str]:
    from mlgate.signing.statement import PREDICATE  # noqa: PLC0415

    pushed = [one for one in found if one.digest and one.config is not None]
    images = [
        {
            "model": one.config.model, "config": one.config.file, "name": one.name, "digest": one.digest,
            "sign": one.config.image.sign, "predicate-type": PREDICATE,
        }
        for one in pushed if one.config is not None
    ]  # fmt: skip
    only = pushed[0] if len(pushed) == 1 else None
    return {
        "image": f"{only.name}@{only.digest}" if only else "",
        "digest": only.digest if only else "",
        "size-mb": f"{only.megabytes:.0f}" if only and only.megabytes is not None else "",
        "images": json.dumps(images),
    }
