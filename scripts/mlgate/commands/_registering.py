"""One model of one mlgate.yaml registered: the gate asked, the ledger first, then each registry."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mlgate.commands import _labelling, _model
from mlgate.commands._claiming import PRODUCTION, Claim
from mlgate.commands._images import handed
from mlgate.commands._labelling import described, shown
from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._model import Decided
from mlgate.commands._named import inside
from mlgate.commands._registries import GROUP, Asked, Registries, at_hand, is_model
from mlgate.commands._run import STATE, Run, relative
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger import query, registrations
from mlgate.ledger.branch import Once
from mlgate.ledger.kinds import clean
from mlgate.ledger.registrations import Bump, Known
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.repo.dvc import Pipeline
from mlgate.signing import statement as images
from mlgate.signing.statement import Statement
from mlgate.tracking.nouns import Training
from mlgate.tracking.registering import Alias, Wanted

VERB = "register"
_LARGEST = 10_000_000


@dataclass(frozen=True)
class Asks:
    """What the command line says."""

    version: str = ""
    bump: Bump | None = None
    alias: Alias = "challenger"
    name: str = ""
    image_statement: str = ""  # empty: where build-image leaves it
    model_path: str = ""
    inputs: Path = Path()
    run_name: str = ""
    image_to: str = ""  # another repository that gets the image, too
    registry_user: str = ""
    registries: Asked = field(default_factory=Asked)


@dataclass(frozen=True)
class Result:
    """The evidence of one model, and what the outputs say of it; nothing where it was not registered."""

    evidence: Evidence
    outputs: Mapping[str, Any] = field(default_factory=dict)
    head: str = ""  # of the ledger afterwards, as a token


class Registering:
    """One model. Nothing is written before everything that can be asked without writing was asked."""

    def __init__(self, run: Run, config: Config, asks: Asks) -> None:
        self.run = run
        self.config = config
        self.asks = asks
        self.name = asks.name or config.register_.name or config.model
        self.checks: list[Check] = []
        self.not_run: list[str] = []
        self.links: dict[str, str] = {}

    def result(self) -> Result:
        """Raises MlgateError for what stops it before anything is written."""
        with tempfile.TemporaryDirectory(prefix="mlgate-model-", ignore_cleanup_errors=True) as scratch:
            return self._result(Path(scratch))

    def _result(self, scratch: Path) -> Result:
        decided = self._decided()
        image = self._image(decided)
        if self.asks.image_to and image is None:
            raise MlgateError("there is no image to be copied.", fix="Run `mlgate build-image` first.")
        registries = Registries(self.run, self.config, self.name, self.asks.registries)
        tags = _labelling.tags(
            self.config, subject=self.subject, digests=self._digests(decided), decided=decided, image=image,
            run_url=self.run.forge.event.run_url,
        )  # fmt: skip
        if self.asks.alias == "champion" and not self._may_be_champion():
            return Result(self._evidence("", f"{self.config.model} is not promoted, and nothing was registered"))
        training = self._training(decided, self._bytes(scratch) if registries.servers else None, scratch)
        claim = self._claim(decided, image, registries, registries.taken(training))
        ledger = open_ledger(self.run, self.config.ledger, write=True)
        once = ledger.append_once(claim.entries)
        version, created = self._settled(once, claim)
        versions = registrations.known((*(r.entry for r in once.records), *once.written), self.name)
        alias = self._alias(versions, version, once)
        wanted = self._wanted(version, alias, tags, decided, training)
        told = self._registries(registries, wanted, version, decided)
        if image is not None and self.asks.image_to:
            self._copy(image, version.version)
        registered = {kind: clean(number) for kind, number in told.items() if number}
        head = ledger.append_once(claim.completion(version, registered)).head if registered else once.head
        title = (
            f"{self.config.model} is {version.version}{'' if self.name == self.config.model else f' of {self.name}'}"
        )
        return Result(
            self._evidence(version.version, title),
            self._outputs(version, registered, image, decided, created=created, alias=alias, stage=registries.stage),
            head.token if head else "",
        )

    # -- what is asked before ----------------------------------------------------------------------------------------

    @cached_property
    def _pipeline(self) -> Pipeline:
        return Pipeline(self.run.git.at(self.run.head), lenient=True)

    @cached_property
    def subject(self) -> Named:
        """The model that the commit names."""
        found = _model.named(self.config, self._pipeline)
        self._pipeline.require([found.name])
        return found

    def _decided(self) -> Decided:
        found = _model.decision(self.run, self.config, self.subject)
        if found is None:
            name, value = next(iter(self.subject.digest.items()))
            raise MlgateError(
                f"the ledger has no passing decision for {self.config.model} with {name} {value[:12]}…, so it was not "
                "registered.",
                fix="Decisions are made by `mlgate compare` on the default branch, in the mode enforce. If that calls "
                "the model unchanged, let the gate run there once with `champion` naming a commit before it.",
            )
        decision = found.statement.predicate.decision
        warned = f" ({len(decision.warns)} warned)" if decision.warns else ""
        self._add(
            "decision", "A passing decision for this very model", Verdict.PASS,
            f"The ledger has the decision {found.statement.digest[:12]} of {found.entry.entry.at[:10]}, made at "
            f"{found.commit[:7]}: {decision.verdict}{warned}.",
            observed=decision.verdict,
        )  # fmt: skip
        return found

    def _image(self, decided: Decided) -> Statement | None:
        """The image's statement, held against the decision. Raises MlgateError for one that is about another model."""
        given = self.asks.image_statement
        file = self.run.cwd / (given or f"{STATE}/{images.FOLDER}/{self.config.model}.json")
        name = relative(file)
        if not given and not file.exists():
            reason = f"It is registered without an image: there is no {name}."
            if self.config.image.model_fields_set:
                self._add("image", "The image of this model", Verdict.WARN, reason, fix="Run `mlgate build-image`.")
            else:
                self.not_run.append(reason)
            return None
        handed(self.run, file)
        try:
            if file.stat().st_size > _LARGEST:
                raise ValueError
            found = Statement.parse(json.loads(file.read_bytes().decode()))
        except (OSError, ValueError, RecursionError):
            raise MlgateError(
                "cannot be read as the statement about an image.", file=name,
                fix="`mlgate build-image` writes it; hand it to this job as an artifact.",
            ) from None  # fmt: skip
        except MlgateError as error:
            raise MlgateError(error.message, file=name) from None
        if wrong := [*images.problems(found), *images.joins(found, decided.statement)]:
            raise MlgateError(
                f"is not to be believed: {wrong[0]}.", file=name, fix="Build the image of this very model again."
            )
        self._add("image", "The image of this model", Verdict.PASS, f"{found.reference} has it.", observed=found.image)
        return found

    def _digests(self, decided: Decided) -> dict[str, str]:
        """Every digest of the model: what the commit says, and what the decision does."""
        return {**decided.entry.entry.subject, **self.subject.digest}

    def _may_be_champion(self) -> bool:
        """Whether its papers let it be the model of production; the checks say why not."""
        before = len(self.checks)
        status = _labelling.asked(self.config).get("approval_status", "approved")
        if status != "approved":
            self._add(
                "approval", "approval_status", Verdict.FAIL,
                f"approval_status is {status}, and only an approved model is promoted.",
                fix="Set `approval_status: approved` under governance.tags, in a change that a maintainer reviews.",
                observed=status,
            )  # fmt: skip
        if self.config.governance.required:
            from mlgate.commands._standing import standing  # noqa: PLC0415 -- few registrations are promotions

            self.checks += standing(self.run, self.config)
        new = self.checks[before:]
        return all(check.verdict in (Verdict.PASS, Verdict.WARN) for check in new)

    def _claim(self, decided: Decided, image: Statement | None, registries: Registries, taken: set[str]) -> Claim:
        seen, asked = registries.seen(), self.asks
        at = seen.at(decided.commit)
        subject = self._digests(decided)
        if image:
            subject |= {name: value for name, value in image.predicate.digests.items() if name not in subject}
        return Claim(
            who=who(self.run, commit=decided.commit),
            model=self.config.model,
            name=self.name,
            subject=subject,
            decided=decided,
            image=image,
            version=registrations.spelled(asked.version) if asked.version else "",
            bump=asked.bump or self.config.register_.bump,
            taken=frozenset({*seen.versions, *taken}),
            tagged=at,
            champion=asked.alias == "champion",
        )

    # -- what is done ------------------------------------------------------------------------------------------------

    def _settled(self, once: Once, claim: Claim) -> tuple[Known, bool]:
        """The version that the ledger gave the model, and whether this call wrote it."""
        before = registrations.of_model(
            registrations.known((record.entry for record in once.records), self.name), claim.subject
        )
        written = {entry.id for entry in once.written}
        versions = registrations.known((*(r.entry for r in once.records), *once.written), self.name)
        found = registrations.of_model(versions, claim.subject)
        assert found is not None  # noqa: S101 -- the claim writes one where there is none
        created = before is None or before.id in written
        first = found.first
        how = "Registered now" if created else f"Registered on {first.at[:10]}, at {first.commit[:7]}"
        self._add("version", f"A version of {self.name}", Verdict.PASS, f"{how}.", observed=found.version)
        for entry in once.written:
            if entry.kind == "promotion":
                self._add("promotion", "The model of production", Verdict.PASS, "The ledger has it in production now.")
        return found, created

    def _alias(self, versions: Sequence[Known], version: Known, once: Once) -> Alias:
        """The alias to set. One that is in production, or older than another, is no challenger."""
        if self.asks.alias != "challenger":
            return self.asks.alias
        now = query.current(once.records, self.config.model, PRODUCTION)
        if now is not None and query.same_model(now.entry.subject, dict(version.subject)):
            self.not_run.append(f"{version.version} is in production already, so it was not made the challenger.")
            return ""
        if versions[-1].version != version.version:
            later = versions[-1].version
            self.not_run.append(f"{later} was registered after {version.version}, which was not made the challenger.")
            return ""
        return "challenger"

    def _wanted(
        self, version: Known, alias: Alias, tags: Mapping[str, str], decided: Decided, training: Training
    ) -> Wanted:
        about = f"{self.config.model} {version.version}: {self.subject.name} of {decided.commit[:12]}"
        return Wanted(
            training=training,
            name=self.name,
            version=version.version,
            key=version.id,
            digests=tuple(dict.fromkeys(self._digests(decided).values())),
            tags={**tags, "mlgate.version": version.version, "mlgate.registration": version.id},
            description=f"{about}; {shown(self._digests(decided))}; decision {decided.statement.digest[:12]}",
            alias=alias,
        )

    def _registries(self, registries: Registries, wanted: Wanted, version: Known, decided: Decided) -> dict[str, str]:
        """Registry -> its own name for the version."""
        if not registries.names:
            self.not_run.append(
                "mlgate.yaml names no registry (`register.to`): the version stands in the ledger alone."
            )
        found: dict[str, str] = {}
        for kind in registries.names:
            told = registries.register(kind, wanted, commit=decided.commit, at=version.first.at)
            self.checks.append(told.check)
            found[kind] = told.number
            if told.link:
                self.links[kind] = told.link
            registries.stage = told.tag or registries.stage
        return found

    def _training(self, decided: Decided, path: Path | None, scratch: Path) -> Training:
        """What a registry is told about the run that it may have to make, with the model's files at `path`."""
        training = Training(
            model=self.config.model,
            folder=self.run.git.root,
            experiment=self.config.train.experiment or "",
            run_name=self.asks.run_name,
            commit=decided.commit,
            model_digest=next(iter(self.subject.digest.values())),
            ci_job=self.run.forge.job,
        )
        return at_hand(training, path, scratch, Path(self.subject.name).name)

    def _bytes(self, scratch: Path) -> Path | None:
        """The model's files, hashed. Raises MlgateError where --model-path is not this model."""
        if not self.asks.model_path:
            return _model.find(self.run, self.subject, self._pipeline, scratch, folder=self.asks.inputs)
        path = self.run.git.root / inside(self.run, self.asks.model_path)
        if path.exists() and is_model(path, self.subject):
            return path
        raise MlgateError(
            f"--model-path {self.asks.model_path} is not the model that {self.subject.name} of the commit is.",
            fix="Leave it out, or name the file or folder with the committed digest.",
        )

    # -- what is told ------------------------------------------------------------------------------------------------

    def _copy(self, image: Statement, version: str) -> None:
        """The same digest in another repository, which is what an environment there may name. Nothing is built."""
        from mlgate.commands._signing_login import logged_in  # noqa: PLC0415 -- only where it is asked for
        from mlgate.image import promote  # noqa: PLC0415
        from mlgate.image.engine import Engine  # noqa: PLC0415
        from mlgate.image.reference import Reference, tag_from  # noqa: PLC0415

        title = "The image in another repository"
        try:
            source = Reference.parse(image.reference)
            target = Reference.parse(self.asks.image_to).tagged(tag_from(version))
            names, own = (source.name, target.name), self.run.forge.image_registry()
            with logged_in(names, own, self.asks.registry_user, os.environ) as environ:
                digest = promote.promote(Engine("docker", environ), source, target)
        except MlgateError as error:
            self._add("copied", title, Verdict.ERROR, str(error))
        else:
            self._add("copied", title, Verdict.PASS, "", observed=f"{target.name}@{digest}")

    def _add(self, what: str, title: str, verdict: Verdict, reason: str, *, fix: str = "", observed: str = "") -> None:
        self.checks.append(
            Check(
                id=f"register.{what}", group=GROUP, title=title, verdict=verdict, reason=reason, fix=fix,
                observed=observed or None,
            )
        )  # fmt: skip

    def _evidence(self, version: str, title: str) -> Evidence:
        verdict = worst(check.verdict for check in self.checks)
        wrong = next((c for c in sorted(self.checks, key=lambda c: -c.verdict.rank) if c.verdict is verdict), None)
        bad = verdict.rank > Verdict.WARN.rank and wrong is not None
        return Evidence(
            kind=VERB,
            model=self.config.model,
            title=f"{title}: {wrong.reason}" if bad and wrong else f"{title}.",
            verdict=verdict,
            subject=self.subject,
            checks=self.checks,
            not_run=self.not_run,
            links=self.links,
            facts={"version": version} if version else {},
        )

    def _outputs(
        self, version: Known, registered: Mapping[str, str], image: Statement | None, decided: Decided,
        *, created: bool, alias: Alias, stage: str,
    ) -> dict[str, Any]:  # fmt: skip
        """As gto-action names them, and all of it as `registered` has it."""
        about = described(self._pipeline, self.name, self.subject.name)
        return {
            "event": "assignment" if alias == "champion" else "registration",
            "name": self.name,
            "version": version.version,
            "stage": "production" if alias == "champion" else "",
            "type": str(about.get("type", "model")),
            "path": self.subject.name,
            "description": str(about.get("desc", "")),
            "model": self.config.model,
            "created": created,
            "alias": alias,
            "commit": decided.commit,
            "digest": shown(self._digests(decided)),
            "image": image.reference if image else "",
            "registries": dict(registered),
            "tags": [tag for tag in (registered.get("git", ""), stage) if tag],
        }
