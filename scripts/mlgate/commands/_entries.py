"""Data files and what they are held to: by the version of mlgate.yaml that binds, and by the change's own."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mlgate.commands._binding import Bound
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.settings import DataFile
from mlgate.data.nouns import Contract, Expectation
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Change, Check, Location, Named, Verdict
from mlgate.repo.dvc import Pipeline

_Reader = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Rules:
    """What one version of a contract says of one data file. `version` is `proposed` for the change's own."""

    expectations: tuple[Expectation, ...]
    file: str  # the contract
    config: str  # the mlgate.yaml that names it
    private: frozenset[str] = frozenset()
    version: str = ""


@dataclass(frozen=True)
class Entry:
    """One data file, what it is held to, and what the commit says that it is."""

    path: str  # repository-relative
    written: str  # as mlgate.yaml has it
    settings: DataFile
    checks: tuple[Rules, ...]
    committed: Named  # name and the digest of the commit; no digest where nothing knows the file
    legacy: bool = False
    python: str = ""
    no_credentials: Verdict = Verdict.WARN
    contracts: tuple[Named, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[Check, ...] = ()


def entries(run: Run, own: Config, rules: Bound, now: Pipeline) -> list[Entry]:
    """Every data file of a model: of the version that binds as long as the file is there, and of the change's own.

    Raises MlgateError for a contract that is missing or says nothing.
    """
    binding = {rules.binding.path(entry.path): entry for entry in rules.binding.data}
    mine = {own.path(entry.path): entry for entry in own.data}
    found = []
    for path in dict.fromkeys([*binding, *mine]):
        bound, change = binding.get(path), mine.get(path)
        if change is None and rules.base is not None and not _known(run, now, path):
            if bound is not None and (bound.contract or bound.apart_from):
                found.append(_gone(path, bound, rules.binding))
            continue
        found.append(_entry(run, now, path, _Versions(own, change, rules, bound)))
    return found


@dataclass(frozen=True)
class _Versions:
    """One data file as the change's mlgate.yaml has it and as the binding one does."""

    own: Config
    change: DataFile | None
    rules: Bound
    bound: DataFile | None


def _entry(run: Run, now: Pipeline, path: str, versions: _Versions) -> Entry:
    base = versions.rules.base
    checks: list[Rules] = []
    contracts: list[Named] = []
    changes: list[Change] = []
    notes: list[Check] = []
    if versions.bound is not None:
        read = run.read if base is None else base.read
        checks.append(_rules(versions.rules.binding, versions.bound, read, contracts))
    if versions.change is not None and base is not None:
        own: list[Named] = []
        proposed = _rules(versions.own, versions.change, run.read, own)
        if versions.bound is None:
            checks.append(proposed)
            contracts += own
        elif set(map(_means, proposed.expectations)) != set(map(_means, checks[0].expectations)):
            checks.append(_only_new(proposed, checks[0]))
            changes.append(_edited(contracts, own, path))
            notes.append(_edit(changes[-1], proposed.file))
    settings = versions.change or versions.bound
    assert settings is not None  # noqa: S101 -- one of the two named the path
    out = now.outs.get(path)
    return Entry(
        path=path,
        written=settings.path,
        settings=settings,
        checks=tuple(one for one in checks if one.expectations),
        committed=integrity.named(now, path, "data"),
        legacy=out.legacy if out else False,
        python=versions.own.interpreter,
        no_credentials=Verdict(versions.rules.binding.compare.policy.no_credentials),
        contracts=tuple(contracts),
        changes=tuple(changes),
        notes=tuple(notes),
    )


def _rules(config: Config, entry: DataFile, read: _Reader, contracts: list[Named]) -> Rules:
    """One version's expectations for a file. What it was read from is added to `contracts`."""
    said: list[Expectation] = []
    private: frozenset[str] = frozenset()
    file = config.file
    if entry.contract:
        file = config.path(entry.contract)
        contract = _contract(file, read, config, entry)
        said, private = list(contract.expectations), contract.private
        contracts.append(Named(name=file, digest={"sha256": contract.digest}, role="contract"))
    place = next((n for n, one in enumerate(config.data) if one is entry), 0)
    said = [_with_reference(one, config, entry) for one in said]
    said += [_apart(config, entry, place, number, other) for number, other in enumerate(entry.apart_from)]
    return Rules(tuple(said), file, config.file, private)


def _contract(file: str, read: _Reader, config: Config, entry: DataFile) -> Contract:
    from mlgate.data import contract  # noqa: PLC0415

    text = read(file)
    if text is None:
        place = next((n for n, one in enumerate(config.data) if one is entry), 0)
        key = f"data[{place}].contract"
        raise MlgateError(
            f"{key} names {file}, which is not there.", file=config.file, line=config.line(key), key=key,
            fix="Write it, or propose one: `mlgate validate-data --profile FILE`.",
        )  # fmt: skip
    return contract.load(text, file)


def _with_reference(expectation: Expectation, config: Config, entry: DataFile) -> Expectation:
    """Drift is measured from the file that mlgate.yaml names, which the contract does not know."""
    if expectation.type != "expect_column_drift_to_be_at_most":
        return expectation
    reference = config.path(entry.reference) if entry.reference else ""
    return replace(expectation, kwargs={**expectation.kwargs, "reference": reference})


def _apart(config: Config, entry: DataFile, place: int, number: int, other: str) -> Expectation:
    by = entry.apart_by or entry.id or []
    key = f"data[{place}].apart_from"
    path = config.path(other)
    return Expectation(
        type="expect_rows_to_be_apart_from",
        kwargs={"by": list(by), "other": path},
        key=f"{key}[{number}]",
        line=config.line(f"{key}[{number}]") or config.line(key),
        id=f"apart_from.{path}",
        title=f"apart from {path}",
        expected=f"no {', '.join(by)} of {path}",
    )


def _means(expectation: Expectation) -> tuple[str, str, str]:
    """What it asks for, whatever its wording and place."""
    return expectation.type, repr(sorted(expectation.kwargs.items())), expectation.severity


def _only_new(proposed: Rules, binding: Rules) -> Rules:
    """What only the change's version asks for; the rest is judged already."""
    known = set(map(_means, binding.expectations))
    new = [one for one in proposed.expectations if _means(one) not in known]
    return replace(proposed, expectations=tuple(new), private=proposed.private | binding.private, version="proposed")


def _edited(before: Sequence[Named], after: Sequence[Named], path: str) -> Change:
    def shown(contracts: Sequence[Named]) -> str | None:
        return f"{contracts[0].name} {contracts[0].digest['sha256']}" if contracts else None

    names = [one.name for one in (*after, *before)]
    return Change(kind="rule", what=names[0] if names else f"data: {path}", before=shown(before), after=shown(after))


def _edit(change: Change, file: str) -> Check:
    reason = (
        f"This change edits what its data are held to ({change.what}). The contract of the base decides; "
        "look at the edit before you approve."
    )
    return Check(
        id=f"judge.contract.{change.what}", group="judge", title="the contract itself", verdict=Verdict.WARN,
        reason=reason, location=Location(file=file),
    )  # fmt: skip


def _gone(path: str, entry: DataFile, config: Config) -> Entry:
    reason = f"{path} is no longer there, nor in mlgate.yaml: its contract was not checked."
    note = Check(
        id=f"judge.data.{path}", group="judge", title=path, verdict=Verdict.WARN, reason=reason,
        location=Location(file=config.file),
    )  # fmt: skip
    return Entry(path, entry.path, entry, (), Named(name=path, role="data"), notes=(note,))


def _known(run: Run, now: Pipeline, path: str) -> bool:
    return bool(integrity.named(now, path, "data").digest) or (not run.in_ci and (run.git.root / path).exists())


def loose(run: Run, contract_file: str, data: Sequence[str]) -> list[Entry]:
    """The files of --data, held to --contract. Raises MlgateError without any."""
    if not data:
        raise MlgateError("--contract needs --data: the files to hold to it.")
    from mlgate.data import contract  # noqa: PLC0415

    paths = [inside(run, path) for path in (contract_file, *data)]
    file = run.git.root / paths[0]
    if not file.is_file():
        raise MlgateError(f"--contract names {contract_file}, which is not there.")
    said = contract.load(file.read_bytes(), paths[0])
    rules = Rules(said.expectations, paths[0], paths[0], said.private)
    named = Named(name=paths[0], digest={"sha256": said.digest}, role="contract")
    now = Pipeline(run.git.at(run.head), lenient=True)
    return [
        Entry(
            path=path,
            written=written,
            settings=DataFile(path=path),
            checks=(rules,),
            committed=integrity.named(now, path, "data"),
            contracts=(named,),
        )
        for path, written in zip(paths[1:], data, strict=True)
    ]


def inside(run: Run, path: str) -> str:
    there = posixpath.normpath(posixpath.join(run.prefix, path))
    if posixpath.isabs(path) or there.startswith("../"):
        raise MlgateError(f"{path} is outside the repository.", fix="Give a path below its root.")
    return there
