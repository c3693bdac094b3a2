"""`mlgate audit reset-anchor`: move the commit that small losses are added up from, with somebody's approval."""

from __future__ import annotations

import click

from mlgate.commands import _options
from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._run import Run, say
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import anchor
from mlgate.ledger.kinds import Reset, clean


@click.command("reset-anchor")
@_options.config
@_options.working_directory
@click.option("--model", required=True, metavar="NAME", help="Whose anchor is moved.")
@click.option("--to", "ref", required=True, metavar="REF", help="The tag or commit that it is at from now on.")
@click.option("--reason", required=True, metavar="TEXT", help="Why losses up to there are accepted.")
@click.option(
    "--approved-by",
    "approved",
    required=True,
    multiple=True,
    metavar="NAME",
    help="Who approved it, and did not start this run; can be repeated.",
)
@_options.debug
def reset_anchor(
    *, config: str, working_directory: str, model: str, ref: str, reason: str, approved: tuple[str, ...], debug: bool
) -> int:
    """Move a model's anchor, and write down who approved that.

    `max_anchor_regression` is measured from there, once compare.anchor in mlgate.yaml names that commit too.
    """
    run = Run.start(config, working_directory)
    own = _model(run, model)
    names = tuple(dict.fromkeys(filter(None, (clean(name) for name in approved))))
    text, by = clean(reason), who(run)
    if not names or not text:
        raise MlgateError(
            f"{'--reason' if names else '--approved-by'} is empty.", fix="The ledger keeps who approved it, and why."
        )
    alone = own.compare.policy.unapproved == "warn"
    if not alone and all(name.casefold() == str(by["actor"]).casefold() for name in names):
        raise MlgateError(
            f"{by['actor']} runs this, and cannot approve it too.",
            fix="Name with --approved-by who did. Where one person works alone, `policy: {unapproved: warn}` says so.",
        )
    commit = run.git.ensure(ref)
    _measured(run, own, commit, ref)
    ledger = open_ledger(run, own.ledger, write=True)
    before = anchor.known(ledger.records(), model)
    if before is not None and before.commit == commit:
        say(run.forge, f"The anchor of {model} is {commit[:12]} already, {before.how}.\n")
        return 0
    moved = {"anchor": commit, "before": before.commit if before else "", "approved_by": names, "reason": text}
    receipt = ledger.append(Reset(**by, **moved, model=model))
    for line in receipt.said:
        click.echo(line, err=True)
    if not receipt.pushed:
        return 2
    if receipt.head:
        run.forge.set_outputs({"ledger-head": receipt.head.token})
    say(run.forge, f"The anchor of {model} is {commit[:12]} now.{_next(run, own, commit)}\n")
    return 0


def _model(run: Run, name: str) -> Config:
    found = [loaded for loaded in map(run.load, run.config_files()) if isinstance(loaded, Config)]
    own = next((config for config in found if config.model == name), None)
    if own is None:
        known = ", ".join(sorted(config.model for config in found)) or "none that can be read"
        raise MlgateError(f"there is no model {name!r} here ({known}).", fix="Check --model and --config.")
    return own


def _measured(run: Run, own: Config, commit: str, ref: str) -> None:
    """Raises MlgateError for a commit without metrics of this model: nothing could be measured from it."""
    snapshot = run.git.at(commit)
    there = [run.load_at(snapshot, file) for file in run.config_files_at(snapshot)]
    then = next((one for one in there if isinstance(one, Config) and one.model == own.model), own)
    files = [then.path(path) for one in then.evaluate.values() for path in one.metrics]
    if not any(path in snapshot.files for path in files):
        raise MlgateError(
            f"{ref} ({commit[:7]}) has no metrics of {own.model} ({', '.join(files)}), so nothing is measured from it.",
            fix="Name a commit that was judged.",
        )


def _next(run: Run, own: Config, commit: str) -> str:
    """What is left to do, where mlgate.yaml names another commit."""
    named = own.compare.anchor
    if named and run.git.resolve(named) == commit:
        return ""
    return f" Let compare.anchor in {own.file} name it, too."
