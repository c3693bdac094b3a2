"""`mlgate init`: a first mlgate.yaml and the caller for this forge."""

from __future__ import annotations

import os

import click

from mlgate.commands import _options
from mlgate.commands._run import Run, write_text
from mlgate.errors import MlgateError
from mlgate.forges import quiet_commands
from mlgate.setup.start import Plan, Start


@click.command("init")
@_options.common
@click.option(
    "--forge",
    envvar="MLGATE_FORGE",
    type=click.Choice(["auto", "github", "gitlab"]),
    default="auto",
    show_default=True,
    help="Write the caller for this forge; auto looks at the repository's files and its remote.",
)
@click.option(
    "--force",
    envvar="MLGATE_FORCE",
    type=click.BOOL,
    is_flag=True,
    default=False,
    help="Write over files that exist, and add the include to an existing .gitlab-ci.yml.",
)
def command(config: str, working_directory: str, forge: str, *, force: bool, summary: bool, debug: bool) -> int:
    """Write mlgate.yaml and the caller for this forge.

    Rules are written as comments, with numbers that the history of each metric suggests: nothing is judged by a number
    that nobody accepted. Files that exist are left alone.
    """
    run = Run.start(config, working_directory, summary=summary)
    start = Start(run.git)
    patterns = run.repo_patterns()
    configs = start.configs(patterns)
    plan = start.plan(configs, forge, patterns=patterns, force=force)
    kept = _kept(run, plan, configs, force=force)
    for path in plan.files:
        _refuse_links(run, path)
    for path, text in plan.files.items():
        if path not in kept:
            write_text(run.git.root / path, text)
    said = _plain(_said(plan, kept))
    click.echo(quiet_commands(said) if run.in_ci else said, nl=False)
    if summary:
        run.forge.add_summary(f"### mlgate init\n\n````text\n{said.replace('````', '')}````\n")
    return 0


def _kept(run: Run, plan: Plan, configs: list[str], *, force: bool) -> list[str]:
    """Files that exist and are left alone. Raises MlgateError when there is nothing else to write or print."""
    if force:
        return []
    kept = [path for path in plan.files if os.path.lexists(run.git.root / path)]
    if configs and len(kept) == len(plan.files) and not plan.print_for:
        one = configs[0] if len(configs) == 1 else f"each of {', '.join(configs)}"
        raise MlgateError(f"{one} exists already; nothing was written.", fix="To write it anew: mlgate init --force")
    return kept


def _refuse_links(run: Run, path: str) -> None:
    """A link in the way would let a write land outside of the repository."""
    file = run.git.root / path
    if file.is_symlink() or not file.parent.resolve().is_relative_to(run.git.root.resolve()):
        raise MlgateError(
            "is a symbolic link, or below one that leaves the repository.", file=path, fix="Remove it first."
        )


def _plain(text: str) -> str:
    """File names are written by others: no control character of theirs reaches a terminal or a log."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _said(plan: Plan, kept: list[str]) -> str:
    written = [path for path in plan.files if path not in kept]
    lines = [f"wrote {path}" for path in written]
    lines += [f"kept  {path} (it exists; --force writes over it)" for path in kept]
    lines += [line for line in plan.said if not line.startswith(tuple(f"{path}: " for path in kept))]
    for path, text in plan.print_for.items():
        lines += ["", f"{path} exists and was not changed. Add to it:", "", text.rstrip(), ""]
        lines.append("Under an `include:` that is there already, add only the list item.")
    lines += [
        "",
        "Next:",
        "  1. Take the # away from each rule whose numbers you accept.",
        "  2. mlgate doctor    finds what is missing, with the lines to paste",
        f"  3. git add {' '.join(written) or '<the files>'}",
        "     Commit, and open a pull request: its first verdict is a warning: rules bind once they are merged.",
        "  4. Set `mode: enforce` and make the check required once the verdicts are right.",
    ]
    return "\n".join(lines) + "\n"
