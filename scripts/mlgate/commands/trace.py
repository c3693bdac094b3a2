"""`mlgate trace`: from a version, an image, a deployment or one logged prediction to where it is from, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from mlgate.commands import _options, _prediction
from mlgate.commands._differing import between
from mlgate.commands._ledger import open_ledger
from mlgate.commands._run import Run, say
from mlgate.commands._tracing import Plain, Story, Tracer
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger import lineage
from mlgate.ledger.chain import EVENTS, Record
from mlgate.ledger.lineage import Target
from mlgate.render import lineage as shown


@click.command("trace")
@_options.debug
@_options.working_directory
@_options.config
@click.option("--model", envvar="MLGATE_MODEL", default="", metavar="NAME", help="Only of this model.")
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="FILE",
    help="WHAT is a request id: look for it in this prediction log; can be repeated. - is standard input.",
)
@click.option(
    "--diff", "other", default="", metavar="OTHER", help="Say what lies between OTHER and WHAT: from OTHER to WHAT."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("what")
def command(
    *,
    config: str,
    working_directory: str,
    model: str,
    logs: tuple[str, ...],
    other: str,
    as_json: bool,
    what: str,
    debug: bool,
) -> int:
    """Follow a model back to commit, data, parameters, metrics, decision and approver, and forth to where it runs.

    WHAT is a version (visits@v1.4.0), what an environment has (visits@production), an image (by its digest, with or
    without its name), an entry of the ledger such as a deployment (its number or id), a model's or a record's digest,
    a commit, branch or tag; or with --log the id of a request. Digests and ids may be cut to six characters or more.

    Exit code 2 where nothing or more than one model is meant, or the ledger is damaged.
    """
    run = Run.start(config, working_directory)
    records, trouble = _records(run)
    tracer = Tracer(run, records)
    logged = _logged(records, logs, what, model) if logs else None
    target = logged.target() if logged else _target(tracer, what, model, trouble)
    told = _told(tracer, tracer.story(target), logged)
    if other:
        before = tracer.story(_target(tracer, other, model or target.model, trouble))
        told = between(before, tracer.story(target))
    if as_json:
        say(run.forge, json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        say(run.forge, shown.difference(told) if other else shown.story(told))
    if trouble:
        click.echo(f"error: {trouble}", err=True)
        return 2
    return 0


def _told(tracer: Tracer, story: Story, logged: _prediction.Logged | None) -> Plain:
    told = story.plain()
    if logged is not None:
        claims = _prediction.agreement(logged, tracer.records, story.known)
        told["prediction"] = {
            "request_id": logged.request_id,
            "file": logged.file,
            "rows": list(logged.rows),
            "agreement": [{"holds": holds, "said": said} for holds, said in claims],
        }
    return told


def _records(run: Run) -> tuple[Sequence[Record], str]:
    """The events of the ledger, and what is wrong with it or keeps it from being read."""
    configs = [loaded for loaded in map(run.load, run.config_files()) if isinstance(loaded, Config)]
    ledgers = {loaded.ledger.model_dump_json(): loaded.ledger for loaded in configs}
    if len(ledgers) > 1:
        raise MlgateError("these models have more than one ledger.", fix="Name one of them with --config.")
    try:
        ledger = open_ledger(run, next(iter(ledgers.values()), None), write=False)
    except MlgateError as error:
        return (), str(error)
    try:
        return ledger.records(), ""
    except MlgateError as error:
        first = str(error)
    try:
        report = ledger.examine(chains=[EVENTS])
    except MlgateError:
        return (), first
    return report.records, first


def _logged(records: Sequence[Record], logs: Sequence[str], request_id: str, model: str) -> _prediction.Logged:
    """The request in the logs. Raises MlgateError where several models answered it, or the ledger knows none."""
    found = [one for one in _prediction.find(logs, request_id) if model in ("", one.told("model"))]
    if len(found) != 1:
        answered = ", ".join(f"{one.told('model')} {one.told('digest')[:19]}" for one in found) or "no model"
        raise MlgateError(
            f"request {request_id!r} was answered by {answered}.",
            fix="Name one with --model, or trace the digest of one of them.",
        )
    logged = found[0]
    digest = logged.target().subject["sha256"]
    if not digest:
        raise MlgateError(
            "the line of that request names no model by digest, so nothing can be said of it.", file=logged.file
        )
    if not any(each.entry.subject.get("sha256") == digest for each in records):
        raise MlgateError(
            f"the ledger knows nothing of the model that answered the request: {logged.told('model') or 'no name'} "
            f"sha256:{digest}.",
            fix="Is this the repository of that model? `ledger.remote` and --config say where its ledger is.",
        )
    return logged


def _target(tracer: Tracer, word: str, model: str, trouble: str) -> Target:
    """What a word means. Raises MlgateError where it means nothing, or more than one model."""
    found = [one for one in lineage.named(tracer.records, word) if model in ("", one.model)]
    if not found:
        commit = tracer.run.git.resolve(word)
        found = [one for one in tracer.at_commit(commit) if model in ("", one.model)] if commit else []
    if len(found) == 1:
        return found[0]
    if found:
        several = "; ".join(f"{one.model} ({_first(one)}), as {one.said}" for one in found[:10])
        raise MlgateError(
            f"{word!r} can mean {len(found)} models: {several}.", fix="Give more of it, or name one with --model."
        )
    if trouble:
        raise MlgateError(f"nothing is known of {word!r}: {trouble}")
    there = _there(tracer.records, model)
    raise MlgateError(f"nothing is known of {word!r}.{there}", fix="`mlgate audit log` shows what there is.")


def _first(target: Target) -> str:
    name = "sha256" if "sha256" in target.subject else next(iter(target.subject), "")
    return f"{name}:{target.subject[name][:12]}" if name else "no digest"


def _there(records: Sequence[Record], model: str) -> str:
    """What could have been asked about."""
    versions = dict.fromkeys(
        f"{each.entry.model}@{told}"
        for each in records
        if model in ("", each.entry.model) and (told := getattr(each.entry, "version", ""))
    )
    models = dict.fromkeys(each.entry.model for each in records if each.entry.model)
    last = list(versions)[-5:]
    if last:
        return f" The last versions in the ledger: {', '.join(last)}."
    return f" The ledger has entries of {', '.join(list(models)[:10])}." if models else " The ledger has no entry yet."
