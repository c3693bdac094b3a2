"""`mlgate audit`: read and verify the ledger."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from mlgate.commands import _images, _options
from mlgate.commands._images import Both
from mlgate.commands._ledger import open_ledger, spool, who
from mlgate.commands._records import Checked
from mlgate.commands._reset import reset_anchor
from mlgate.commands._run import Run, say
from mlgate.commands._signing import sign
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger import chain, kinds, query
from mlgate.ledger.branch import Ledger, Receipt
from mlgate.ledger.chain import CHAINS, EVENTS, READINGS, Head, Record
from mlgate.ledger.verify import Report
from mlgate.ledger.words import told

_HEAD = re.compile(r"mlgate1\.[0-9a-f]+\.[a-z]+\.[0-9]+\.[0-9a-f]+")


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (_options.debug, _options.working_directory, _options.config):
        function = option(function)
    return function


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group("audit", invoke_without_command=True)
@click.option(
    "--run",
    "several",
    envvar="MLGATE_RUN",
    default="",
    metavar="COMMANDS",
    help="Instead of one command: several, one per line, each with its options. All are run, and the worst counts.",
)
@click.pass_context
def command(ctx: click.Context, several: str) -> int:
    """The ledger: what was decided and done with each model, in a hash-chained log on a git branch of its own.

    Every subcommand takes --config and --working-directory; `ledger:` in mlgate.yaml says where the ledger is.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    wanted = [shlex.split(line) for line in _options.lines(several)]
    if not wanted:
        click.echo(ctx.get_help())
        return 2
    return max((_part(ctx, args) for args in wanted), key=[0, 3, 1, 2].index)


def _part(ctx: click.Context, args: Sequence[str]) -> int:
    """One of several commands; what goes wrong in it is said, and keeps none of the others from being run."""
    try:
        name, found, rest = command.resolve_command(ctx, list(args))
        assert found is not None  # noqa: S101 -- a command that is not there was raised
        done = found.main(rest, prog_name=f"mlgate audit {name}", standalone_mode=False)
    except MlgateError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    return done if isinstance(done, int) else 0


@command.command("log")
@_common
@click.option("--model", default="", metavar="NAME", help="Only of this model.")
@click.option("--environment", default="", metavar="NAME", help="Only of this environment, such as production.")
@click.option(
    "--kind",
    "wanted",
    multiple=True,
    type=click.Choice(list(kinds.CLASSES)),
    help="Only this kind; can be repeated. Readings are shown only when asked for.",
)
@click.option("--since", default="", metavar="DATE", help="Only from this day or moment on (2026-10-01, UTC).")
@click.option("--until", default="", metavar="DATE", help="Only up to this day or moment, inclusive.")
@click.option("--limit", default=0, type=click.IntRange(min=0), metavar="N", help="Only the last N; 0 is all.")
@as_json
def log(
    *,
    config: str,
    working_directory: str,
    model: str,
    environment: str,
    wanted: tuple[str, ...],
    since: str,
    until: str,
    limit: int,
    as_json: bool,
    debug: bool,
) -> int:
    """Show what happened, oldest first.

    A ledger that is damaged is shown as far as it can be read, with exit code 2.
    """
    for name, value in (("--since", since), ("--until", until)):
        _day(name, value)
    run = Run.start(config, working_directory)
    chains = [EVENTS] if READINGS not in {chain.chain_of(kind) for kind in wanted} else list(CHAINS)
    report = _ledger(run).examine(chains=chains)
    records = query.history(
        report.records, model=model, environment=environment, kinds=wanted, since=since, until=until
    )
    records = records[-limit:] if limit else records
    if as_json:
        _print(run, json.dumps([_plain(record) for record in records], indent=2, ensure_ascii=False))
    else:
        _print(run, _table(records) if records else "No entry fits.")
    if report.damages:
        click.echo(f"error: {_damaged(report)}", err=True)
        return 2
    return 0


@command.command("verify")
@_common
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="TOKEN",
    help="A head that was kept outside the branch (output `ledger-head` of a run); can be repeated.",
)
@click.option(
    "--head-file",
    "head_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with such heads, one or many, anywhere in its text; can be repeated.",
)
@_options.decisions
@_options.image_statements
@click.option(
    "--image",
    "pushed",
    multiple=True,
    metavar="DIGEST",
    help="An image in its registry, by digest: its statement is taken from the ledger. Can be repeated.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Public key in PEM form: every record and statement in a file has to be signed with it.",
)
@click.option("--registry", is_flag=True, help="Ask the registry too, by cosign: images signed with --key.")
@click.option(
    "--attested-by",
    default="",
    metavar="REPOSITORY",
    help="Ask GitHub too, by gh: attestations of owner/name, or of owner/name/.github/workflows/file.yml.",
)
@click.option(
    "--attested-on", default="", metavar="BRANCH", help="The branch they have to be from. Default: the default branch."
)
@click.option(
    "--model-files",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="The model's file or folder: the one of the image, and signed with --key by model-signing.",
)
@click.option("--transparency-log", is_flag=True, help="Signatures have to be in the public transparency log.")
@click.option("--plain-http", is_flag=True, help="The registry has no TLS.")
@as_json
def verify(
    *,
    config: str,
    working_directory: str,
    heads: tuple[str, ...],
    head_files: tuple[Path, ...],
    decisions: tuple[Path, ...],
    images: tuple[Path, ...],
    pushed: tuple[str, ...],
    key: Path | None,
    registry: bool,
    attested_by: str,
    attested_on: str,
    model_files: Path | None,
    transparency_log: bool,
    plain_http: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Check every entry, the chains, both statements (of decisions and of images), and heads that were kept elsewhere.

    Exit code 2 if anything fails. The chain shows what was changed, dropped, put in or moved. Whoever may rewrite the
    branch can make a whole new chain: only a head that was kept elsewhere shows that, so give one.
    """
    run = Run.start(config, working_directory)
    against = [Head.parse(token) for token in heads]
    for path in head_files:
        against += _heads_of(path)
    report = _ledger(run).examine(against)
    branch = attested_on or run.forge.event.default_branch or run.git.default_branch()
    asked = _images.Asked(
        decisions, images, pushed, key, registry, attested_by, branch, model_files, transparency_log, plain_http
    )
    checked = _images.both(run, report, asked)
    whole = report.whole and not checked.wrong
    verdict = "pass" if whole else "error"
    run.forge.set_outputs({"verdict": verdict, "ledger-head": _tokens(report.heads)})
    if as_json:
        _print(run, json.dumps(_verified(report, against, checked), indent=2, ensure_ascii=False))
    else:
        _print(run, "\n".join(_said(report, against, checked)))
    return 0 if whole else 2


@command.command("show")
@_common
@click.argument("entry")
def show(config: str, working_directory: str, entry: str, *, debug: bool) -> int:
    """Show one entry whole.

    ENTRY is its number (17, readings:4) or the beginning of its id.
    """
    run = Run.start(config, working_directory)
    report = _ledger(run).examine(chains=_chains_of(entry))
    found = [record for record in report.records if _is(record, entry)]
    if len(found) != 1:
        many = f"{len(found)} entries begin with {entry!r}" if found else f"the ledger has no entry {entry!r}"
        raise MlgateError(f"{many}.", fix="`mlgate audit log` shows the numbers, `--json` the ids.")
    _print(run, json.dumps(_plain(found[0]), indent=2, ensure_ascii=False))
    if report.damages:
        click.echo(f"error: {_damaged(report)}", err=True)
        return 2
    return 0


@command.command("push")
@_common
@click.option(
    "--from",
    "folder",
    default="",
    metavar="DIR",
    help="Take the entries of this spool folder too, whoever wrote them: give only one whose contents you know.",
)
def push(config: str, working_directory: str, folder: str, *, debug: bool) -> int:
    """Write the entries that wait in .mlgate/spool because the ledger could not be reached."""
    run = Run.start(config, working_directory)
    ledger = _ledger(run, write=True)
    if folder and not (run.cwd / folder).is_dir():
        raise MlgateError(f"there is no folder {folder!r}.", fix="Check --from.")
    receipt = ledger.take(run.cwd / folder) if folder else ledger.flush()
    return _done(run, receipt, f"Nothing waits in {spool(run)} any more.")


@command.command("adopt")
@_common
def adopt(config: str, working_directory: str, *, debug: bool) -> int:
    """Write down that this repository was renamed or moved, so that its ledger goes on here.

    A fork has a copy of the ledger of the repository it is from. Do not adopt that: delete the branch in the fork.
    """
    run = Run.start(config, working_directory)
    ledger = _ledger(run, write=True)
    before = ledger.examine().repository
    if before == ledger.address:
        _print(run, f"The ledger is that of {before} already.")
        return 0
    entry = kinds.Moved(**{**who(run), "repository": kinds.clean(ledger.address)}, before=kinds.clean(before))
    return _done(run, ledger.append(entry), f"The ledger of {before} is now that of {ledger.address}.")


command.add_command(reset_anchor)


@command.command("papers")
@_options.common
@click.option(
    "--explain",
    envvar="MLGATE_EXPLAIN",
    type=click.Choice(["auto", "always", "never", "only"]),
    default="auto",
    show_default=True,
    help="When the model is asked which columns it goes by, which runs project code. `only`: that, and nothing else.",
)
@_options.pull
@_options.python
def papers(
    *, config: str, working_directory: str, explain: str, python: str, pull: bool, summary: bool, debug: bool
) -> int:
    """Write model card, data sheet, explainability and bias report, SLA, rollback and retirement of each model.

    Numbers come from evidence, words from the files that `governance` names. The papers are left in .mlgate/papers.
    """
    from mlgate.commands._papers import Writer  # noqa: PLC0415 -- most calls of `audit` need none of it

    run = Run.start(config, working_directory, summary=summary)
    python = str(run.cwd / python) if "/" in python else python
    return Writer(run, explain=explain, python=python, pull=pull).papers()


@command.command("checklist")
@_options.common
def checklist(*, config: str, working_directory: str, summary: bool, debug: bool) -> int:
    """Check provenance, explainability, bias, security, licences and documentation, each with its evidence.

    What `governance.require` names has to hold before a model becomes champion in a registry or reaches production.
    """
    from mlgate.commands._papers import standing  # noqa: PLC0415 -- as above

    return standing(Run.start(config, working_directory, summary=summary))


command.add_command(sign)


def _ledger(run: Run, *, write: bool = False) -> Ledger:
    """Where the configurations say. Raises MlgateError where they cannot be read, or name more than one ledger."""
    found = {}
    for loaded in map(run.load, run.config_files()):
        if not isinstance(loaded, Config):
            raise loaded.error
        found[loaded.ledger.model_dump_json()] = loaded.ledger
    if len(found) > 1:
        raise MlgateError("these models have more than one ledger.", fix="Name one of them with --config.")
    return open_ledger(run, next(iter(found.values()), None), write=write)


def _done(run: Run, receipt: Receipt, said: str) -> int:
    for line in receipt.said:
        click.echo(line, err=True)
    if not receipt.pushed:
        return 2
    if receipt.head:
        run.forge.set_outputs({"ledger-head": receipt.head.token})
    _print(run, said)
    return 0


def _day(name: str, value: str) -> None:
    try:
        if value:
            (date if len(value) == 10 else datetime).fromisoformat(value)
    except ValueError:
        raise MlgateError(
            f"{name} {value!r} is no day.", fix="Write it as 2026-10-01 or 2026-10-01T12:00:00Z."
        ) from None


def _heads_of(path: Path) -> list[Head]:
    """Raises MlgateError for a file without any: nothing would be checked by it."""
    found = _HEAD.findall(path.read_text("utf-8", errors="replace"))
    if not found:
        raise MlgateError("holds no head of a ledger.", file=str(path), fix="A head begins with mlgate1.")
    return [Head.parse(token) for token in dict.fromkeys(found)]


def _chains_of(entry: str) -> list[str]:
    name, _, number = entry.rpartition(":")
    return [EVENTS] if number.isdecimal() and len(number) < 8 and name in ("", EVENTS) else list(CHAINS)


def _is(record: Record, entry: str) -> bool:
    name, _, number = entry.rpartition(":")
    if number.isdecimal() and len(number) < 8:
        return record.seq == int(number) and record.chain == (name or EVENTS)
    return len(entry) >= 4 and record.entry.id.startswith(entry)


# -- what is shown ---------------------------------------------------------------------------------------------------


def _print(run: Run, text: str) -> None:
    say(run.forge, text + "\n")


def _plain(record: Record) -> dict[str, Any]:
    more: dict[str, Any] = {"waited": record.waited} if record.waited else {}
    return {
        "chain": record.chain,
        "seq": record.seq,
        "hash": record.hash,
        "previous": record.previous,
        "file": record.file,
        "line": record.line,
        **more,
        "entry": record.entry.to_dict(),
    }


def _table(records: Sequence[Record]) -> str:
    rows = [("entry", "at (UTC)", "kind", "model", "environment", "what", "by")]
    for record in records:
        entry = record.entry
        number = f"{record.seq}" if record.chain == EVENTS else f"{record.chain}:{record.seq}"
        at = entry.at.replace("T", " ").rstrip("Z")
        rows.append((number, at, entry.kind, entry.model or "-", entry.environment or "-", told(entry), entry.actor))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _damaged(report: Report) -> str:
    count = "1 thing is" if len(report.damages) == 1 else f"{len(report.damages)} things are"
    return f"{count} wrong with this ledger: {report.damages[0]} `mlgate audit verify` names all."


def _tokens(heads: Iterable[Head]) -> str:
    return " ".join(head.token for head in heads)


def _said(report: Report, against: Sequence[Head], checked: Both) -> list[str]:
    lines = [f"Ledger {report.ledger} of {report.repository}"] if report.ledger else []
    for head in report.heads:
        lines.append(f"{head.chain}: {head.seq:,} {'entry' if head.seq == 1 else 'entries'}, head {head.token}")
    lines += [str(damage) for damage in report.damages]
    lines += [*checked.wrong, *report.notes, *checked.records.said, *checked.images.said]
    if against:
        lines.append(f"Held against {len(against)} {'head' if len(against) == 1 else 'heads'} kept elsewhere.")
    else:
        lines.append("No head was given, so a new ledger in the place of this one would not be noticed. See --head.")
    count = len(report.damages) + len(checked.wrong)
    lines.append("pass: every entry is as it was written, and in its place." if not count else f"error: {count} found.")
    return lines


def _verified(report: Report, against: Sequence[Head], checked: Both) -> dict[str, Any]:
    return {
        "verdict": "pass" if report.whole and not checked.wrong else "error",
        "ledger": report.ledger,
        "repository": report.repository,
        "entries": len(report.records),
        "segments": report.segments,
        "heads": [head.token for head in report.heads],
        "against": [head.token for head in against],
        "damages": [
            {"kind": each.kind, "file": each.file, "line": each.line, "said": each.said} for each in report.damages
        ],
        "decisions": _records_of("records", checked.records),
        "images": _records_of("statements", checked.images),
        "notes": list(report.notes),
    }


def _records_of(what: str, checked: Checked) -> dict[str, Any]:
    return {what: checked.count, "wrong": list(checked.wrong), "said": list(checked.said)}


@command.command("bundle")
@_options.common
@click.option(
    "--out",
    envvar="MLGATE_OUT",
    default=".mlgate/audit-bundle.zip",
    show_default=True,
    metavar="FILE",
    help="Where to write it. The same contents give the same bytes.",
)
def bundle(*, config: str, working_directory: str, out: str, summary: bool, debug: bool) -> int:
    """Put all evidence about each model into one file, with a page to read first.

    Evidence and papers of this commit, decision record, image statement, SBOM, the ledger's chain, and a program that
    checks all of it.
    """
    from mlgate.commands._bundling import Bundler  # noqa: PLC0415 -- as above

    run = Run.start(config, working_directory, summary=summary)
    return Bundler(run).write(run.cwd / out)
