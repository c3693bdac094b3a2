"""Whether a release may come into an environment: who let it through, in which order, and with which papers.

    config = binding(run, config)
    for check in checks(run, config, "production", chosen): ...

What must not be deployed at all is a MlgateError (exit code 2). What was judged anew, or has no papers, is a check: a
deployment goes on only where none is worse than `warn`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlgate.commands import _again, _model, _order, _release, _signatures
from mlgate.commands._deciding import where
from mlgate.commands._order import is_production, tier
from mlgate.commands._release import GROUP, Chosen
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.ledger.kinds import Decision
from mlgate.model import Check, Verdict
from mlgate.repo.dvc import Pipeline

__all__ = ["binding", "checks", "environment", "is_production", "tier"]


def environment(config: Config, name: str) -> Environment:
    """Raises MlgateError for one that mlgate.yaml does not have."""
    found = config.deploy.environments.get(name)
    if found is None:
        there = ", ".join(config.deploy.environments)
        raise MlgateError(
            f"has no environment {name!r}.", file=config.file, line=config.line("deploy"), key="deploy.environments",
            fix=f"It has {there}." if there else "Add it there, with its target.",
        )  # fmt: skip
    return found


def binding(run: Run, config: Config) -> Config:
    """Whose settings bind: for a tag those of the default branch, since a tag can be put on an old commit.

    Raises MlgateError where a job is for something else than the default branch or a merged commit.
    """
    event = run.forge.event
    if not run.in_ci:
        return config
    if event.kind != "tag":
        if place := where(event, run.head):
            raise MlgateError(
                f"this run is for {place}, and models are deployed from the default branch only.",
                fix="Run `mlgate deploy` after the merge.",
            )
        return config
    tip = run.git.ensure(event.default_branch or run.git.default_branch(), fresh=True)
    if run.git.merge_base(run.head, tip) != run.head:
        raise MlgateError(
            f"the tag {event.ref} is on {run.head[:7]}, which is not merged into the default branch.",
            fix="Put the tag on a commit of the default branch.",
        )
    found = run.load_at(run.git.at(tip), config.file)
    if not isinstance(found, Config):
        raise found.error if found else MlgateError("is not in the default branch any more.", file=config.file)
    return found


def checks(
    run: Run,
    config: Config,
    name: str,
    chosen: Chosen,
    *,
    rollback: bool = False,
    going_on: bool = False,
    running: bool = False,
    user: str = "",
    inputs: Path | None = None,
) -> list[Check]:
    """Everything that a release needs before it comes into the environment `name`.

    `rollback`: to an older one, which was there before. `going_on`: the rollout has begun, by a run that was asked all
    of it; only what can change since is asked again. `running`: just this image runs there already, so that nothing
    is fetched, and no registry has to be had for the way back. `inputs`: files by digest, for a comparison. Raises
    MlgateError for what is refused.
    """
    settings = environment(config, name)
    found = [_decided(chosen)]
    if running:
        found.append(_let_through(config, chosen))
    else:
        found.append(_signatures.check(run, config, chosen, user=user))
        found.append(_image(run, settings, chosen, user))
    if rollback:
        return found
    found.append(_still(chosen))  # also of what has begun: it must not take everything after it has failed
    if going_on:
        return found
    found += _earlier(config, name, chosen)
    found.append(_newer(config, name, chosen))
    found += _compared(run, config, name, chosen, inputs or run.cwd / ".mlgate/inputs")
    if is_production(config, name):
        found += _papers(run, config, chosen)
    return found


def _named(chosen: Chosen) -> str:
    return f"The {'image' if chosen.image else 'model'} {chosen.release.digest[:19]}…"


def _check(what: str, title: str, verdict: Verdict, reason: str, *, fix: str = "", observed: str = "") -> Check:
    return Check(
        id=f"deploy.{what}",
        group=GROUP,
        title=title,
        verdict=verdict,
        reason=reason,
        fix=fix,
        observed=observed or None,
    )


# -- the two statements ----------------------------------------------------------------------------------------------


def _decided(chosen: Chosen) -> Check:
    decision = chosen.decision.statement.predicate.decision
    warned = f" ({len(decision.warns)} warned)" if decision.warns else ""
    reason = (
        f"{_named(chosen)} holds the model that was decided on at {chosen.release.commit[:7]}, "
        f"on {chosen.decision.entry.entry.at[:10]}: {decision.verdict}{warned}."
    )
    return _check("decided", "Both statements hold", Verdict.PASS, reason, observed=decision.verdict)


def _let_through(config: Config, chosen: Chosen) -> Check:
    """Of what runs already. Without signatures that is said here, too."""
    if config.deploy.trust == "branch":
        return _signatures.unasked(config)
    reason = f"{_named(chosen)} runs there since it was let in: signatures and registry were not asked again."
    return _check("signed", "Both statements are signed", Verdict.PASS, reason)


def _image(run: Run, settings: Environment, chosen: Chosen, user: str) -> Check:
    """Raises MlgateError where the registry does not have it, or a target needs one and there is none."""
    title = "The image is in its registry"
    if settings.target.kind != "local":
        if chosen.image is None:
            raise MlgateError(
                f"there is no image of this {chosen.release.model}.", fix="Run `mlgate build-image` first."
            )
        return _release.in_registry(run, chosen, user=user)
    if chosen.image is None:
        reason = "No image: the model's files are served by processes of this machine."
        return _check("image", title, Verdict.WARN, reason, observed=chosen.release.image)
    reason = "A local target runs the model's own files, which are held against their digest: no registry was asked."
    return _check("image", title, Verdict.PASS, reason, observed=chosen.release.image)


def _still(chosen: Chosen) -> Check:
    """Raises MlgateError where the model was judged again after its decision, and failed."""
    last = query.decision(chosen.records, chosen.release.model, dict(chosen.subject)) or chosen.decision.entry
    later = query.failed_since(chosen.records, last)
    if later:
        raise MlgateError(
            f"this {chosen.release.model} was judged again on {later[-1].entry.at[:10]} and failed.",
            fix="Judge it again on the default branch (`mlgate compare`), or deploy another model.",
        )
    return _check("standing", "The decision is the last word", Verdict.PASS, "It has not failed since.")


# -- the order -------------------------------------------------------------------------------------------------------


def _earlier(config: Config, name: str, chosen: Chosen) -> Iterator[Check]:
    """Raises MlgateError where the environment before has not had this very image."""
    first = _order.before(config, name)
    if not first:
        return
    digest = chosen.release.digest if chosen.image else ""
    good, said = _order.been(chosen.records, config.model, first, digest, chosen.subject)
    image = _named(chosen)
    if not good:
        raise MlgateError(
            f"{image} {said}, and {first} comes before {name}.", file=config.file,
            line=config.line("deploy"), key="deploy.environments",
            fix=f"Deploy it there first: `mlgate deploy --environment {first} --image {chosen.release.image}`.",
        )  # fmt: skip
    yield _check("order", f"It was in {first} before", Verdict.PASS, f"{image} {said}.")


def _newer(config: Config, name: str, chosen: Chosen) -> Check:
    """Raises MlgateError for a release that is older than what is there."""
    now = query.current(chosen.records, config.model, name)
    title = "Not older than what is there"
    if now is None:
        return _check("newer", title, Verdict.PASS, f"The ledger has no {config.model} in {name} yet.")
    called = config.register_.name or config.model
    older = _order.older(chosen.records, name=called, image=chosen.image, decision=chosen.decision.entry, now=now)
    if older:
        raise MlgateError(
            f"this {config.model} is older than what is in {name}: {older}.",
            fix="Put an older model back with `mlgate rollback`, which says why in the ledger.",
        )
    there = getattr(now.entry, "version", "") or now.entry.at[:10]
    same = query.same_model(now.entry.subject, dict(chosen.subject))
    reason = f"{name} has this very model ({there})." if same else f"{name} has {there}, which came before."
    return _check("newer", title, Verdict.PASS, reason)


# -- the champion ----------------------------------------------------------------------------------------------------


def _compared(run: Run, config: Config, name: str, chosen: Chosen, inputs: Path) -> list[Check]:
    """Whether the decision was made against what is there; where it was not, what a comparison with that says."""
    title = f"Decided against the model of {name}"
    now = query.current(chosen.records, config.model, name)
    if now is None:
        return [_check("champion", title, Verdict.PASS, f"There is no model in {name} that it could be compared with.")]
    there = dict(now.entry.subject)
    if query.same_model(there, dict(chosen.subject)):
        return [_check("champion", title, Verdict.PASS, "It is the same model.")]
    decided = chosen.decision.entry.entry
    assert isinstance(decided, Decision)  # noqa: S101 -- found by kind
    if query.same_model(there, dict(decided.champion)):
        return [_check("champion", title, Verdict.PASS, f"The decision was made against it ({decided.at[:10]}).")]
    return _again.compared(run, config, name, chosen, inputs)


# -- the papers ------------------------------------------------------------------------------------------------------


def _papers(run: Run, config: Config, chosen: Chosen) -> list[Check]:
    """What `governance` asks of a model in production. Raises MlgateError where that can only be told elsewhere."""
    from mlgate.commands import _labelling, _standing  # noqa: PLC0415 -- few environments are in production

    found = []
    status = _labelling.asked(config).get("approval_status", "approved")
    if status != "approved":
        found.append(
            _check(
                "approval", "approval_status", Verdict.FAIL,
                f"approval_status is {status}, and only an approved model comes into production.",
                fix="Set `approval_status: approved` under governance.tags, in a change that a maintainer reviews.",
                observed=status,
            )
        )  # fmt: skip
    if not config.governance.required:
        return found
    here = _model.named(config, Pipeline(run.git.at(run.head), lenient=True))
    if not query.same_model(here.digest, dict(chosen.subject)):
        raise MlgateError(
            f"the papers that `governance.require` asks for are those of the commit {run.head[:7]}, which has another "
            f"{config.model} than the one to be deployed.",
            fix=f"Check out the model's own commit ({chosen.release.commit[:12]}) and deploy from there.",
        )
    return [*found, *_standing.standing(run, config)]
