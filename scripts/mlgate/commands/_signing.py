"""`mlgate audit sign`: sign both statements, with a key that only a protected environment holds."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from mlgate.commands import _images, _options, _records
from mlgate.commands._deciding import FOLDER
from mlgate.commands._ledger import open_ledger
from mlgate.commands._records import SIGNED
from mlgate.commands._run import STATE, Run, relative, say, write_text
from mlgate.commands._signing_login import logged_in
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.ledger import dsse
from mlgate.ledger.kinds import Decision
from mlgate.signing import cosign, keys, models, statement
from mlgate.signing.keys import Key
from mlgate.signing.statement import PREDICATE


@dataclass(frozen=True)
class _Paper:
    """A record in a file: its bytes, and the image it is about where it is about one."""

    path: Path
    data: bytes
    image: statement.Statement | None = None


@click.command("sign")
@_options.debug
@_options.working_directory
@_options.config
@click.option(
    "--key",
    "spec",
    envvar="MLGATE_KEY",
    default=keys.DEFAULT,
    show_default=True,
    metavar="ADDRESS",
    help="The private key: env://NAME, a file, or awskms://, gcpkms://, azurekms://, hashivault://, k8s://, gitlab://. "
    "Its password is in COSIGN_PASSWORD.",
)
@_options.decisions
@_options.image_statements
@click.option(
    "--registry",
    envvar="MLGATE_REGISTRY",
    type=click.BOOL,
    default=None,
    metavar="BOOL",
    help="Sign the images in their registry too, by cosign. Default: where mlgate.yaml says `image.sign: cosign`.",
)
@click.option(
    "--model-files",
    envvar="MLGATE_MODEL_FILES",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Sign the model's own file or folder too, by model-signing.",
)
@click.option(
    "--transparency-log",
    envvar="MLGATE_TRANSPARENCY_LOG",
    is_flag=True,
    help="Send what cosign signs to the public transparency log, which names the image for everybody.",
)
@click.option("--plain-http", envvar="MLGATE_PLAIN_HTTP", is_flag=True, help="The registry has no TLS.")
@_options.registry_user
@click.option(
    "--where-asked", is_flag=True, help="Sign only where mlgate.yaml says `image.sign: cosign`; else end well without."
)
def sign(
    *,
    config: str,
    working_directory: str,
    spec: str,
    decisions: tuple[Path, ...],
    images: tuple[Path, ...],
    registry: bool | None,
    model_files: Path | None,
    transparency_log: bool,
    plain_http: bool,
    registry_user: str,
    where_asked: bool,
    debug: bool,
) -> int:
    """Sign decision records and image statements with a key, each in a DSSE envelope beside it.

    The record of a decision that an image is built on is fetched from the ledger where it is not here. Nothing is
    signed that does not hold: the ledger has to have the decision, and the image's statement has to be about the model
    of that decision. What this key has signed already stays as it is.
    """
    run = Run.start(config, working_directory)
    if where_asked and not _asked(run, images):
        say(run.forge, "Nothing is signed by a key: no image of this run asks for it (`image.sign: cosign`).\n")
        return 0
    papers = _papers(run, decisions, images)
    about = [(paper, paper.image) for paper in papers if paper.image is not None]
    if registry is None:
        registry = any(_wants_cosign(run, made.predicate.model) for _, made in about)
    if (registry or model_files) and not about:
        raise MlgateError(
            "there is no image statement, and the registry or the model was to be signed.",
            fix="Run `mlgate build-image` first, or name one with --image-statement.",
        )
    names = [made.name for _, made in about] if registry else []
    with logged_in(names, run.forge.image_registry(), registry_user.strip(), os.environ) as environ:
        key = keys.load(spec, environ, lambda: cosign.find(environ, log=transparency_log, plain=plain_http))
        lines = _signed(papers, key, model_files, registry=bool(registry))
    run.forge.set_outputs({"verdict": "pass", "signed": str(len(papers)), "key-sha256": _fingerprint(key)})
    say(run.forge, "\n".join(lines) + "\n")
    return 0


def _signed(papers: Sequence[_Paper], key: Key, model_files: Path | None, *, registry: bool) -> list[str]:
    """Sign each, and say what came of it."""
    about = [(paper, paper.image) for paper in papers if paper.image is not None]
    lines = [f"Key {key.name}, sha256 of its public part {_fingerprint(key)}"]
    lines += [f"{relative(paper.path)}: {_envelope(paper, key)}" for paper in papers]
    for paper, made in about:
        if model_files:
            lines.append(f"{model_files.name}: {_model(paper, made, model_files, key)}")
        if registry:
            lines.append(f"{made.reference}: {_in_registry(made, key)}")
    return lines


def _asked(run: Run, chosen: Sequence[Path]) -> bool:
    """Whether an image is to be signed by a key. Raises MlgateError where its signature cannot be made here."""
    signs = {}
    for loaded in map(run.load, run.config_files()):
        if not isinstance(loaded, Config):
            raise loaded.error
        signs[loaded.model] = loaded
    found = set()
    for path in chosen or _images.found(run):
        own = signs.get(statement.Statement.parse(_read(path, "a statement about an image")[1]).predicate.model)
        if own is not None and own.image.sign == "attest" and run.forge.name not in ("github", "none"):
            raise MlgateError(
                "`attest` signs by the identity of a workflow on GitHub, and this job is elsewhere.",
                file=own.file, line=own.line("image"), key="image.sign", fix="Use `cosign` with a key, or `none`.",
            )  # fmt: skip
        found.add(own.image.sign if own else "none")
    return "cosign" in found


def _wants_cosign(run: Run, model: str) -> bool:
    for loaded in map(run.load, run.config_files()):
        if not isinstance(loaded, Config):
            raise loaded.error
        if loaded.model == model:
            return loaded.image.sign == "cosign"
    return False


# -- what is signed --------------------------------------------------------------------------------------------------


def _papers(run: Run, decisions: Sequence[Path], images: Sequence[Path]) -> list[_Paper]:
    """What is to be signed, each held against the ledger. Raises MlgateError for what does not hold, or for nothing."""
    chosen = bool(decisions or images)
    records = list(decisions) if chosen else _records.found_in(run)
    statements = list(images) if chosen else _images.found(run)
    if not records and not statements:
        raise MlgateError(
            "there is nothing to sign in .mlgate/decisions and .mlgate/images.",
            fix="Run this after `mlgate compare` or `mlgate build-image`, with what they wrote.",
        )
    made = {entry.statement: entry for entry in _decisions(run)}
    papers = [*(_decision(path, made) for path in records), *(_image(path, made) for path in statements)]
    return [*papers, *_brought(run, papers, made)]


def _brought(run: Run, papers: Sequence[_Paper], made: dict[str, Decision]) -> Iterator[_Paper]:
    """The decisions that images are built on, from the ledger: the job that decided had no key, so this one signs."""
    there = {hashlib.sha256(paper.data).hexdigest() for paper in papers}
    for paper in papers:
        if paper.image is None or paper.image.predicate.decision in there:
            continue
        there.add(paper.image.predicate.decision)
        entry = made[paper.image.predicate.decision]
        data = record.Statement.parse(entry.record).to_bytes()
        folder = run.cwd / STATE / FOLDER
        path = folder / f"{entry.model}.json"
        if path.exists():  # another decision for this model, which is not this image's
            path = folder / f"{entry.model}-{entry.statement[:12]}.json"
        write_text(path, data.decode())
        yield _decision(path, made)


def _decisions(run: Run) -> list[Decision]:
    found: dict[str, Config] = {}
    for loaded in map(run.load, run.config_files()):
        if not isinstance(loaded, Config):
            raise loaded.error
        found[loaded.ledger.model_dump_json()] = loaded
    if len(found) > 1:
        raise MlgateError("these models have more than one ledger.", fix="Name one of them with --config.")
    settings = next(iter(found.values())).ledger if found else None
    records = open_ledger(run, settings, write=False).records()
    return [each.entry for each in records if isinstance(each.entry, Decision)]


def _decision(path: Path, made: dict[str, Decision]) -> _Paper:
    data, value = _read(path, "a decision record")
    told = record.Statement.parse(value)
    wrong = list(record.problems(told))
    if data != told.to_bytes():
        wrong.append("its bytes are not as mlgate writes them")
    entry = made.get(told.digest)
    if entry is None:
        wrong.append(f"the ledger has no decision with this record ({told.digest[:12]})")
    else:
        wrong += record.agrees(told, entry)
    _refuse(path, wrong)
    return _Paper(path, data)


def _image(path: Path, made: dict[str, Decision]) -> _Paper:
    """The ledger need not have the image yet: it is signed first, then registered."""
    data, value = _read(path, "a statement about an image")
    told = statement.Statement.parse(value)
    wrong = list(statement.problems(told))
    if data != told.to_bytes():
        wrong.append("its bytes are not as mlgate writes them")
    decision = made.get(told.predicate.decision)
    if decision is None:
        wrong.append(f"the ledger has no decision with the record {told.predicate.decision[:12]}, which it names")
    else:
        wrong += statement.joins(told, record.Statement.parse(decision.record))
    _refuse(path, wrong)
    return _Paper(path, data, told)


def _read(path: Path, what: str) -> tuple[bytes, object]:
    try:
        return _records.read(path, what)
    except MlgateError as error:
        raise MlgateError(f"is not signed: {error.message}", file=relative(path)) from None


def _refuse(path: Path, wrong: Sequence[str]) -> None:
    if wrong:
        raise MlgateError(f"is not signed: {wrong[0]}.", file=relative(path), fix="`mlgate audit verify` says more.")


# -- by whom and where -----------------------------------------------------------------------------------------------


def _envelope(paper: _Paper, key: Key) -> str:
    """Sign a record, unless this key has done so, and say what came of it. Another key's envelope is replaced."""
    beside = paper.path.with_name(paper.path.name + SIGNED)
    if beside.is_file():
        there = beside.read_bytes()
        if not dsse.problem(there, paper.data) and dsse.is_signed(there, paper.data, key.public):
            return "signed with this key already."
    made = dsse.wrap(paper.data, [key.sign(dsse.signed(paper.data))])
    if not dsse.is_signed(made, paper.data, key.public):
        raise MlgateError("what was signed cannot be verified with the key's own public part, so it is not kept.")
    write_text(beside, made.decode())
    return f"signed, in {beside.name}."


def _model(paper: _Paper, made: statement.Statement, model: Path, key: Key) -> str:
    from mlgate.commands._model import sha256  # noqa: PLC0415

    if sha256(model) != made.predicate.artifact.digest.get("sha256"):
        raise MlgateError("is not signed: it is not the model of the image's statement.", file=model.name)
    signature = paper.path.with_suffix(models.SUFFIX)
    with _public(key) as public:
        if signature.is_file() and not models.unsigned(model, signature, public):
            return "signed with this key already."
    models.sign(model, signature, key)
    return f"signed by model-signing, in {signature.name}."


def _in_registry(made: statement.Statement, key: Key) -> str:
    with _public(key) as public, key.for_cosign() as (tool, named, env):
        done = []
        if tool.unsigned(made.reference, public):
            tool.sign(made.reference, named, env)
            done.append("the image")
        found, _ = tool.attested(made.reference, public, PREDICATE)
        if not any(each.get("predicate") == made.to_dict()["predicate"] for each in found):
            with tempfile.TemporaryDirectory(prefix="mlgate-sign-") as folder:
                predicate = Path(folder) / "predicate.json"
                predicate.write_bytes(made.predicate_bytes())
                tool.attest(made.reference, predicate, PREDICATE, named, env)
            done.append("its statement")
    return f"signed in its registry: {' and '.join(done)}." if done else "signed in its registry already."


@contextmanager
def _public(key: Key) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlgate-sign-") as folder:
        file = Path(folder) / "key.pub"
        file.write_bytes(key.public)
        yield file


def _fingerprint(key: Key) -> str:
    """sha256 of the public key in DER form, as `openssl pkey -pubin -outform DER | sha256sum` gives it."""
    body = "".join(line for line in key.public.decode().splitlines() if not line.startswith("-----"))
    return hashlib.sha256(base64.b64decode(body)).hexdigest()
