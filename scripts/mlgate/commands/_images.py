"""Whether image statements hold: those in the ledger, and those that lie in files, with their signatures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.commands import _records
from mlgate.commands._records import SIGNED, Checked, count, envelope, found_in, place, read
from mlgate.commands._run import STATE, Run, relative
from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.ledger.chain import Record, canonical
from mlgate.ledger.kinds import Decision, Image, Registration
from mlgate.ledger.query import same_model
from mlgate.ledger.verify import Report
from mlgate.signing import statement
from mlgate.signing.statement import FOLDER, PREDICATE, Statement

if TYPE_CHECKING:
    from mlgate.signing.attestations import By, GitHub

PREDICATE_FILE = ".predicate.json"


@dataclass(frozen=True)
class Asked:
    """What is to be verified beside the ledger and the bytes."""

    decisions: Sequence[Path] = ()  # decision records; without any, those of .mlgate/decisions
    files: Sequence[Path] = ()  # image statements; without any, those of .mlgate/images
    images: Sequence[str] = ()  # pushed images, by digest, whose statements are taken from the ledger
    key: Path | None = None  # public, PEM: each file has to be signed with it
    registry: bool = False  # ask the registry, by cosign and the same key
    attested_by: str = ""  # ask GitHub: owner/name, or its workflow
    branch: str = ""  # that the attestation has to be from
    model: Path | None = None  # the model's files, by model-signing and the same key
    log: bool = False
    plain: bool = False


@dataclass(frozen=True)
class Both:
    """What was found about decision records, and about image statements."""

    records: Checked
    images: Checked

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.records.wrong, *self.images.wrong)


def both(run: Run, report: Report, asked: Asked) -> Both:
    """Both statements. Raises MlgateError like `check`."""
    records = _records.check(run, report, asked.decisions, asked.key)
    images = check(run, report, asked)
    wrong, said = attested(run, report, asked)
    looked = asked.decisions or asked.files or found_in(run) or (asked.images and asked.registry) or found(run)
    if asked.key and not looked:
        wrong.append("--key was given, and there is no record in a file to verify with it.")
    return Both(replace(records, wrong=(*records.wrong, *wrong), said=(*records.said, *said)), images)


def found(run: Run) -> list[Path]:
    """The image statements that lie in .mlgate. Raises MlgateError like `handed`."""
    files = sorted((run.cwd / STATE / FOLDER).glob("*.json"))
    return [handed(run, path) for path in files if not path.name.endswith((SIGNED, PREDICATE_FILE))]


def handed(run: Run, path: Path) -> Path:
    """A statement in .mlgate, where jobs leave what they find. Raises MlgateError where a commit has put it there."""
    state = Path(os.path.abspath(run.cwd / STATE))
    whole = Path(os.path.abspath(path))
    if not whole.is_relative_to(state):
        return path
    parts = [whole, *(one for one in whole.parents if one.is_relative_to(state))]
    name = whole.relative_to(os.path.abspath(run.git.root)).as_posix() if whole.is_relative_to(run.git.root) else ""
    carried = any(one.is_symlink() for one in parts) or (name and run.git.at(run.head).read(name) is not None)
    if carried:
        raise MlgateError(
            "was not left by a job: it is a link, or the commit carries it.", file=relative(path),
            fix=f"git rm -r --cached {STATE}",
        )  # fmt: skip
    return path


def check(run: Run, report: Report, asked: Asked) -> Checked:
    """Every image and registration of the ledger, and the statements in files.

    Raises MlgateError where what is asked for cannot be verified at all: no cosign, no `gh`, no public key.
    """
    decisions = {each.entry.statement: each for each in report.records if isinstance(each.entry, Decision)}
    images = [each for each in report.records if isinstance(each.entry, Image)]
    wrong: list[str] = []
    for each in images:
        wrong += [f"{place(each)}: {told}." for told in _in_ledger(each, decisions)]
    said = [f"{count(len(images), 'image')}: every statement follows its schema and is what the ledger names."]
    said = said if images and not wrong else []
    for each in report.records:
        if isinstance(each.entry, Registration):
            wrong += [f"{place(each)}: {told}." for told in _registered(each.entry, decisions, images)]
    files = list(asked.files) or ([] if asked.images else found(run))
    made: list[tuple[Path, Statement]] = []
    for name in asked.images:
        named = of_ledger(report, name)
        wrong += [] if named else [f"the ledger has no image {name}."]
        made += [(run.cwd / STATE / FOLDER / f"{one.predicate.model}.json", one) for one in named]
    for path in files:
        problems, signed, parsed = _file(path, images, decisions, asked.key)
        wrong += [f"{relative(path)}: {each}" for each in problems]
        said.append(f"{relative(path)}: {signed}")
        if parsed is not None:
            made.append((path, parsed))
    elsewhere, more = _elsewhere(made, asked)
    return Checked(len(images), (*wrong, *elsewhere), (*said, *more))


def of_ledger(report: Report, name: str) -> list[Statement]:
    """The statements of the ledger about an image, named by its digest with or without its repository: each once."""
    repository, _, digest = name.rpartition("@")
    told: dict[str, Statement] = {}
    for each in report.records:
        entry = each.entry
        if isinstance(entry, Image) and digest.removeprefix("sha256:") == entry.image.get("sha256"):
            with suppress(MlgateError):  # what is wrong with it is said where all images are looked at
                made = Statement.parse(entry.record)
                if repository in ("", made.name):
                    told[made.digest] = made
    return list(told.values())


# -- in the ledger ---------------------------------------------------------------------------------------------------


def _in_ledger(found: Record, decisions: Mapping[str, Record]) -> Iterator[str]:
    entry = found.entry
    assert isinstance(entry, Image)  # noqa: S101 -- the caller's choice
    try:
        made = Statement.parse(entry.record)
    except MlgateError as error:
        yield f"its statement {error.message.rstrip('.')}"
        return
    yield from statement.problems(made)
    yield from statement.agrees(made, entry)
    yield from _joined(made, decisions.get(made.predicate.decision), found)


def _joined(made: Statement, decision: Record | None, image: Record | None = None) -> Iterator[str]:
    """Whether the decision that a statement names was made, before, and for that model."""
    if decision is None:
        yield f"the ledger has no decision with the record {made.predicate.decision[:12]}, which it names"
        return
    if image is not None and image.seq < decision.seq:
        yield f"it stands before the decision that it names (entry {decision.seq})"
    entry = decision.entry
    assert isinstance(entry, Decision)  # noqa: S101 -- they are collected by kind
    try:
        yield from statement.joins(made, record.Statement.parse(entry.record))
    except MlgateError as error:
        yield f"the decision that it names {error.message.rstrip('.')}"


def _registered(entry: Registration, decisions: Mapping[str, Record], images: Sequence[Record]) -> Iterator[str]:
    decision = decisions.get(entry.decision)
    if decision is None:
        yield f"{entry.name}@{entry.version} names the decision {entry.decision[:12]}, which the ledger does not have"
    elif not same_model(decision.entry.subject, entry.subject):
        yield f"{entry.name}@{entry.version} names a decision for another model"
    known = [each.entry for each in images if isinstance(each.entry, Image)]
    if not entry.image:
        return
    named = [image for image in known if same_model(image.image, entry.image)]
    if not named:
        yield f"{entry.name}@{entry.version} names an image that the ledger does not have"
    elif not any(same_model(image.subject, entry.subject) for image in named):
        yield f"{entry.name}@{entry.version} names an image of another model"


# -- in files --------------------------------------------------------------------------------------------------------


def _file(
    path: Path, images: Sequence[Record], decisions: Mapping[str, Record], key: Path | None
) -> tuple[list[str], str, Statement | None]:
    """What is wrong with a statement in a file, what is to be said of its signature, and the statement."""
    try:
        data, value = read(path, "a statement about an image")
        made = Statement.parse(value)
    except MlgateError as error:
        return [error.message], "not signed, as far as can be told.", None
    wrong = [f"{each}." for each in statement.problems(made)]
    if data != made.to_bytes():
        wrong.append("its bytes are not as mlgate writes them.")
    entries = [each.entry for each in images if isinstance(each.entry, Image)]
    entry = next((entry for entry in entries if entry.statement == made.digest), None)
    if entry is None:
        wrong.append(
            f"the ledger has no image with this statement ({made.digest[:12]}). `mlgate register` writes it there."
        )
    else:
        wrong += [f"{each}." for each in statement.agrees(made, entry)]
    wrong += [f"{each}." for each in _joined(made, decisions.get(made.predicate.decision))]
    more, signed = envelope(path, data, key)
    return [*wrong, *more], signed, made


# -- elsewhere -------------------------------------------------------------------------------------------------------


def _elsewhere(made: Sequence[tuple[Path, Statement]], asked: Asked) -> tuple[list[str], list[str]]:
    """What the registry, GitHub and model-signing say: what is wrong, and what holds."""
    wanted = [
        name
        for name, on in (
            ("--registry", asked.registry), ("--attested-by", asked.attested_by), ("--model-files", asked.model)
        )
        if on
    ]  # fmt: skip
    if wanted and not made:
        return [f"{wanted[0]} asks about an image, and there is no image statement to hold it against."], []
    wrong: list[str] = []
    said: list[str] = []
    for path, one in made:
        for why, holds in (*_registry(one, asked), *_github(one, asked), *_model(path, one, asked)):
            (wrong if why else said).append(f"{one.reference}: {why or holds}")
    return wrong, said


def _registry(made: Statement, asked: Asked) -> Iterator[tuple[str, str]]:
    if not asked.registry:
        return
    from mlgate.signing import cosign  # noqa: PLC0415

    key = _key(asked, "--registry")
    tool = cosign.find(os.environ, log=asked.log, plain=asked.plain)
    yield tool.unsigned(made.reference, key), f"signed in its registry with {key.name}."
    found, why = tool.attested(made.reference, key, PREDICATE)
    wanted = made.to_dict()["predicate"]
    if not why and not any(_about(each, made) and each.get("predicate") == wanted for each in found):
        why = "the statements beside it in the registry say something else."
    yield why, f"its statement lies beside it in its registry, signed with {key.name}."


def _about(value: Mapping[str, object], made: Statement) -> bool:
    subject = value.get("subject")
    named = [each.get("digest") for each in subject if isinstance(each, dict)] if isinstance(subject, list) else []
    return dict(made.subject[0].digest) in named


def attested(run: Run, report: Report, asked: Asked) -> tuple[list[str], list[str]]:
    """What GitHub's attestations say of decision records: those in files, or those that the images are built on."""
    if not asked.attested_by:
        return [], []
    from mlgate.signing import attestations  # noqa: PLC0415

    by = attestations.By.parse(asked.attested_by, asked.branch)
    with tempfile.TemporaryDirectory(prefix="mlgate-records-") as folder:
        files = list(asked.decisions) or ([] if asked.images else found_in(run))
        if asked.images and not asked.decisions:
            files = _written(report, asked, Path(folder))
        return _attested_files(files, by, attestations.find(os.environ))


def _written(report: Report, asked: Asked, folder: Path) -> list[Path]:
    """The records of the decisions that images are built on, as files with the very bytes that were attested."""
    wanted = {one.predicate.decision for name in asked.images for one in of_ledger(report, name)}
    files = []
    for each in report.records:
        entry = each.entry
        if isinstance(entry, Decision) and entry.statement in wanted:
            files.append(folder / f"{entry.model}-{entry.statement[:12]}.json")
            files[-1].write_bytes(canonical(entry.record))
    return files


def _attested_files(files: Sequence[Path], by: By, tool: GitHub) -> tuple[list[str], list[str]]:
    if not files:
        return ["--attested-by asks about a decision record, and there is none in a file."], []
    told = [(path, tool.record(path, by)) for path in files]
    wrong = [f"{relative(path)}: {why}" for path, why in told if why]
    return wrong, [f"{relative(path)}: {_attested(by)}" for path, why in told if not why]


def _attested(by: By) -> str:
    return f"attested by {by.workflow or by.repository}{f' on {by.branch}' if by.branch else ''}."


def _github(made: Statement, asked: Asked) -> Iterator[tuple[str, str]]:
    if not asked.attested_by:
        return
    from mlgate.signing import attestations  # noqa: PLC0415

    by = attestations.By.parse(asked.attested_by, asked.branch)
    yield attestations.find(os.environ).image(made, by), _attested(by)


def _model(path: Path, made: Statement, asked: Asked) -> Iterator[tuple[str, str]]:
    if asked.model is None:
        return
    from mlgate.commands._model import sha256  # noqa: PLC0415
    from mlgate.signing import models  # noqa: PLC0415

    key = _key(asked, "--model-files")
    if sha256(asked.model) != made.predicate.artifact.digest.get("sha256"):
        yield f"{asked.model.name} is not the model that is in it.", ""
        return
    yield models.unsigned(asked.model, path.with_suffix(models.SUFFIX), key), f"its model is signed with {key.name}."


def _key(asked: Asked, option: str) -> Path:
    if asked.key is None:
        raise MlgateError(f"{option} needs --key, the public key in PEM form.")
    return asked.key
