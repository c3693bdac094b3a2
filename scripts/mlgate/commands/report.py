"""`mlgate report`: everything that the other verbs found, shown everywhere people look. It judges nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mlgate import __version__, forges
from mlgate.commands import _options
from mlgate.commands._collect import collect
from mlgate.commands._run import STATE, Run, exit_code, files, folder, links, outcome, relative, say, show, write_text
from mlgate.forges import Forge, When
from mlgate.forges.nouns import State
from mlgate.model import Check, Evidence, Mode, Source, Tool, Verdict
from mlgate.render import annotations as marks
from mlgate.render import escape, layout, markdown, sentences
from mlgate.render.layout import Links

ENDED = ("success", "failure", "cancelled", "skipped")


@dataclass(frozen=True)
class Wanted:
    """What to post, and where."""

    comment: When = "always"
    header: str = ""
    statuses: bool = True
    summary: bool = True
    from_fork: bool = False


@click.command("report")
@_options.common
@click.option(
    "--comment",
    envvar="MLGATE_COMMENT",
    type=click.Choice(["always", "on-change", "on-failure", "off"]),
    default="always",
    show_default=True,
    help="When to write the comment on the pull request.",
)
@click.option(
    "--comment-header",
    envvar="MLGATE_COMMENT_HEADER",
    default="",
    metavar="TEXT",
    help="Tells several comments and statuses on one pull request apart.",
)
@click.option(
    "--statuses",
    envvar="MLGATE_STATUSES",
    type=click.BOOL,
    default=True,
    show_default=True,
    metavar="BOOL",
    help="Set one commit status per verb.",
)
@click.option(
    "--run-result",
    envvar="MLGATE_RUN_RESULT",
    type=click.Choice(["", *ENDED]),
    default="",
    help="How the job ended that came before this one; anything but success is an error of its own.",
)
@click.option(
    "--from-fork",
    envvar="MLGATE_FROM_FORK",
    type=click.BOOL,
    default=False,
    metavar="BOOL",
    help="Show the evidence of the finished run of a pull request instead (for `on: workflow_run`).",
)
@click.option(
    "--dashboards",
    envvar="MLGATE_DASHBOARDS",
    default="",
    metavar="DIR",
    help="Instead, write a board for Grafana and alerting rules for Prometheus to this folder, from `monitor`.",
)
@click.option(
    "--overview",
    envvar="MLGATE_OVERVIEW",
    default="",
    metavar="FILE",
    help="Instead, write one page over all models in production to this file, from the ledger.",
)
def command(
    config: str,
    working_directory: str,
    comment: When,
    comment_header: str,
    run_result: str,
    *,
    dashboards: str,
    overview: str,
    statuses: bool,
    from_fork: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Show all evidence: job summary, comment, annotations, statuses, JUnit, OpenMetrics, HTML.

    Reads .mlgate/evidence and nothing else: no repository, no mlgate.yaml. Ends with the exit code of the worst of it.
    With --dashboards or --overview it writes these instead, from mlgate.yaml and the ledger.
    """
    cwd = folder(working_directory)
    if dashboards or overview:
        return _pages(Run.start(config, working_directory, summary=summary), dashboards, overview)
    forge = forges.detect(os.environ)
    wanted = Wanted(comment, comment_header.strip(), statuses, summary, from_fork)
    if from_fork:
        from mlgate.forges import received  # noqa: PLC0415 -- one workflow in a hundred needs it

        publish(received.fetch(forge, os.environ), forge, cwd, wanted)
        return 0  # this run only passes on what another one found; that one is red or green itself
    return publish(gather(cwd / STATE / "evidence", forge, run_result), forge, cwd, wanted)


def _pages(run: Run, dashboards: str, overview: str) -> int:
    """What is made of configurations and the ledger, and of no evidence. Raises MlgateError where it cannot be."""
    if dashboards:
        from mlgate.commands import _dashboards  # noqa: PLC0415 -- few runs want them

        _dashboards.write(run, run.cwd / dashboards)
    if overview:
        from mlgate.commands import _overview  # noqa: PLC0415

        _overview.write(run, run.cwd / overview)
    return 0


def gather(evidence: Path, forge: Forge, run_result: str = "") -> list[Evidence]:
    """What is on disk, and an error for what should be there and is not."""
    found = collect(evidence)
    if run_result not in ("", "success") and not _says_why(run_result, found):
        found.append(_ended(run_result, found, forge))
    return found or [_nothing(evidence, forge)]


def publish(evidences: Sequence[Evidence], forge: Forge, cwd: Path, wanted: Wanted) -> int:
    """Files first, then the forge; the comment is last, and nothing that could not be posted changes the exit code.

    Raises MlgateError when a report cannot be written.
    """
    state = cwd / STATE
    to = links(forge, state)
    code = exit_code(evidences)
    verdict = layout.overall(evidences)
    body = markdown.comment(evidences, links=to)
    summary = markdown.summary(evidences, links=to)
    outputs = {**outcome(evidences, state), "verdict": verdict.value}
    if wanted.summary:
        forge.add_summary(summary)
    forge.set_outputs(outputs)
    for name, text in (*files(evidences, to, outputs), ("report.md", body), ("summary.md", summary)):
        write_text(state / name, text)
    show(evidences, forge, outputs["report"])
    if wanted.summary and not wanted.from_fork:
        forge.annotate([forges.Annotation(*note) for note in marks.of(evidences)])
    problems = [] if wanted.from_fork or not wanted.statuses else _statuses(evidences, forge, wanted.header, to)
    posted = forge.comment(body, header=wanted.header, when=wanted.comment, verdict=verdict, full=to.report or to.run)
    forge.set_outputs({"comment-url": posted.url or ""})
    said = dict.fromkeys(text for text in [*problems, posted.said] if text)
    say(forge, "".join(f"note: {text}\n" for text in said))
    if wanted.summary and said:
        forge.add_summary("".join(f"- {escape.prose(text)}\n" for text in said))
    return code


def _statuses(evidences: Sequence[Evidence], forge: Forge, header: str, to: Links) -> list[str]:
    """One per verb, of its worst model. Returns why any of them could not be set."""
    said = []
    for verb in sorted({e.kind for e in evidences}):
        of_verb = [e for e in evidences if e.kind == verb]
        context = f"mlgate/{verb}" + (f" ({header})" if header else "")
        state, description = status(of_verb)
        said.append(forge.status(context, state, description, to.report or to.run).said)
    return said


def status(evidences: Sequence[Evidence]) -> tuple[State, str]:
    """What a commit status says about the evidence of one verb: its verdict in words, and whether it blocks."""
    verdict = layout.overall(evidences)
    blocks = exit_code(evidences) != 0
    words = sentences.overall(evidences) if len(evidences) > 1 else sentences.headline(evidences[0])
    free = "" if blocks or verdict in (Verdict.PASS, Verdict.WARN) else " (blocks nothing)"
    state: State = "success" if not blocks else "error" if verdict is Verdict.ERROR else "failure"
    return state, f"{verdict}{free}: {words}"


def _says_why(result: str, found: Sequence[Evidence]) -> bool:
    """Whether the job before failed because of what it found: then that is what there is to say, and it blocks."""
    steps = ("doctor", "validate-data", "train", "prepare")
    return result == "failure" and any(e.kind in steps and e.exit_code for e in found)


def _ended(result: str, found: Sequence[Evidence], forge: Forge) -> Evidence:
    """The job before ended badly: what it should have shown is missing. Blocks where the comparison would."""
    see = f" See {forge.event.run_url}" if forge.event.run_url else ""
    said = f"The run job ended as `{result}`: its evidence may be missing, so this is not a pass.{see}"
    compared = [e for e in found if e.kind == "compare"]
    blocks = not compared or any(e.mode == "enforce" for e in compared)
    model = compared[0].model if len(compared) == 1 else "run"
    return _error("run", model, said, forge, mode="enforce" if blocks else "report")


def _nothing(evidence: Path, forge: Forge) -> Evidence:
    said = (
        f"There is no evidence in {relative(evidence)}: nothing was judged, and nothing measured is never a pass. "
        "Run another verb first, in the same working directory."
    )
    return _error("report", "report", said, forge)


def _error(kind: str, model: str, said: str, forge: Forge, *, mode: Mode = "enforce") -> Evidence:
    event = forge.event
    return Evidence(
        kind=kind,
        model=model,
        title=said,
        verdict=Verdict.ERROR,
        mode=mode,
        source=Source(commit=event.head_sha, run_url=event.run_url, forge=event.forge, pull_request=event.pull_request),
        checks=[
            Check(id=f"{kind}.result", group="judge", title=f"{kind} ended well", verdict=Verdict.ERROR, reason=said)
        ],
        tool=Tool(version=__version__),
    )
