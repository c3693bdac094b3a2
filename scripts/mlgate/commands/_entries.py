"""Data files and what they are held to: by the version of mlgate.yaml that binds, and by the change's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mlgate.commands._binding import Bound
from mlgate.commands._named import inside, read_of
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.settings import DataFile, Read
from mlgate.data.nouns import Contract, Expectation
from mlgate.errors import MlgateError
from mlgate.judge import committed
from mlgate.judge.committed import Committed
from mlgate.model import Change, Check, Location, Named, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot

_Reader = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Rules:
    """What one version of a contract says of one data file, and how it reads it.

    `version` is `proposed` for the change's own.
    """

    expectations: tuple[Expectation, ...]
    file: str  # the contract
    config: str  # the mlgate.yaml that names it
    private: frozenset[str] = frozenset()
    version: str = ""
    read: Read = field(default_factory=Read)
    reads: Mapping[str, Read] = field(default_factory=dict)  # of the other files that it speaks of, where it says so


@dataclass(frozen=True)
class Entry:
    """One data file, what it is held to, and what the commit says that it is."""

    path: str  # repository-relative
    written: str  # as mlgate.yaml has it
    checks: tuple[Rules, ...]
    committed: Committed
    others: tuple[Committed, ...] = ()  # files that the checks compare it with
    python: str = ""
    no_credentials: Verdict = Verdict.WARN
    contracts: tuple[Named, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[Check, ...] = ()


def entries(run: Run, own: Config | None, rules: Bound, now: Pipeline) -> list[Entry]:
    """Every data file of a model: of the version that binds as long as the file is there, and of the change's own.

    What takes the place of a file that is gone is held to what that one was. `own` is None for a model that the change
    removes. Raises MlgateError for a contract that is missing or says nothing.
    """
    binding = {rules.binding.path(entry.path): entry for entry in rules.binding.data}
    mine = {own.path(entry.path): entry for entry in own.data} if own else {}
    gone = [path for path in binding if rules.base and path not in mine and not _known(run, now, path)]
    moved = _moved(rules.binding, own, gone, [path for path in mine if path not in binding]) if own else {}
    found = []
    for path in dict.fromkeys([*binding, *mine]):
        bound = binding.get(moved.get(path, path))
        if path not in gone:
            found.append(_entry(run, now, path, _Versions(own, mine.get(path), rules, bound, moved)))
        elif path not in moved.values() and bound is not None and (bound.contract or bound.apart_from):
            found.append(_gone(path, bound, rules.binding))
    return found


def _moved(binding: Config, own: Config, gone: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """New data files that took the place of one that is gone: as training data, as an evaluation set, or as the only
    one. New path -> old path.
    """
    pairs = [(own.train.data, binding.train.data)]
    pairs += [(one.data, binding.evaluate[name].data) for name, one in own.evaluate.items() if name in binding.evaluate]
    places = [(own.path(now), binding.path(then)) for now, then in pairs if now and then]
    found = {now: then for now, then in places if now in new and then in gone}
    left = [path for path in gone if path not in found.values()], [path for path in new if path not in found]
    if len(left[0]) == len(left[1]) == 1:
        found[left[1][0]] = left[0][0]
    return found


@dataclass(frozen=True)
class _Versions:
    """One data file as the change's mlgate.yaml has it and as the binding one does; `moved` is new path -> old path."""

    own: Config | None
    change: DataFile | None
    rules: Bound
    bound: DataFile | None
    moved: Mapping[str, str]


def _entry(run: Run, now: Pipeline, path: str, versions: _Versions) -> Entry:
    base = versions.rules.base
    contracts: list[Named] = []
    changes: list[Change] = []
    notes: list[Check] = []
    proposed, named = None, list[Named]()
    if versions.change is not None and versions.own is not None and base is not None:
        proposed = _rules(versions.own, versions.change, run.read, named)
    binding = _binding(run, versions, contracts, notes, proposed)
    checks = [binding]
    if proposed is not None:
        edited = _edited(path, (binding, contracts), (proposed, named))
        if edited:
            checks.append(_only_new(proposed, binding))
            changes += edited
            notes.append(_edit(edited, proposed.file))
    if path in versions.moved:
        changes.append(Change(kind="data", what=path, before=versions.moved[path], after=path))
    settings = versions.change or versions.bound
    assert settings is not None  # noqa: S101 -- one of the two named the path
    if base is not None:
        notes += _references(Pipeline(base, lenient=True), now, binding)
    checks = [one for one in checks if one.expectations]
    return Entry(
        path=path,
        written=settings.path,
        checks=tuple(checks),
        committed=committed.of(now, path),
        others=tuple(committed.of(now, other) for other in dict.fromkeys(o for c in checks for o in others(c))),
        python=(versions.own or versions.rules.binding).interpreter,
        no_credentials=Verdict(versions.rules.binding.compare.policy.no_credentials),
        contracts=tuple(contracts or named),
        changes=tuple(changes),
        notes=tuple(notes),
    )


def _binding(
    run: Run, versions: _Versions, contracts: list[Named], notes: list[Check], proposed: Rules | None
) -> Rules:
    """The rules that bind: the base's. Of a new data file its own, by the base's version of a contract it has."""
    base, bound = versions.rules.base, versions.bound
    config, read = versions.rules.binding, run.read if base is None else base.read
    if bound is None:
        assert versions.own is not None  # noqa: S101 -- somebody named the file
        config, bound, read = versions.own, versions.change, partial(_either, base, run)
    assert bound is not None  # noqa: S101
    try:
        return _rules(config, bound, read, contracts, {old: new for new, old in versions.moved.items()})
    except MlgateError as error:
        if proposed is None:
            raise
        said = f"The base's contract: {error} Until it is mended there, this change is judged by its own."
        notes.append(_note("judge.base-contract", "the contract", said, Location(file=proposed.file)))
        return proposed


def _either(base: Snapshot | None, run: Run, file: str) -> bytes | None:
    before = base.read(file) if base is not None else None
    return run.read(file) if before is None else before


def others(rules: Rules) -> list[str]:
    """The other data files that expectations speak of."""
    return list(dict.fromkeys(other for one in rules.expectations for other in other_files(one)))


def other_files(expectation: Expectation) -> list[str]:
    return [str(expectation.kwargs[key]) for key in ("other", "reference") if expectation.kwargs.get(key)]


def _references(then: Pipeline, now: Pipeline, binding: Rules) -> Iterator[Check]:
    """Drift is nothing when what it is measured from moves along."""
    for path in dict.fromkeys(
        str(one.kwargs["reference"]) for one in binding.expectations if "reference" in one.kwargs
    ):
        before = committed.of(then, path).digest if path else {}
        if before and before != committed.of(now, path).digest:
            reason = f"This change edits {path}, which drift is measured from. Look at it before you approve."
            yield _note(f"judge.reference.{path}", path, reason, Location(file=path))


def _rules(
    config: Config, entry: DataFile, read: _Reader, contracts: list[Named], moved: Mapping[str, str] | None = None
) -> Rules:
    """One version's expectations for a file. What it was read from is added to `contracts`.

    `moved` is old path -> new path, of files that this version knows by another name.
    """
    said: list[Expectation] = []
    private: frozenset[str] = frozenset()
    file = config.file
    if entry.contract:
        file = config.path(entry.contract)
        contract = _contract(file, read, config, entry)
        said, private = list(contract.expectations), contract.private
        contracts.append(Named(name=file, digest={"sha256": contract.digest}, role="contract"))
    place = next((n for n, one in enumerate(config.data) if one is entry), 0)
    said = [_with_reference(one, config, entry, place, moved or {}) for one in said]
    said += [_apart(config, entry, place, number, moved or {}) for number in range(len(entry.apart_from))]
    reads = {config.path(one.path): one.read for one in config.data}
    reads |= {new: reads[old] for old, new in (moved or {}).items() if old in reads}
    return Rules(tuple(said), file, config.file, private, read=entry.read, reads=reads)


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


def _with_reference(
    expectation: Expectation, config: Config, entry: DataFile, place: int, moved: Mapping[str, str]
) -> Expectation:
    """Drift is measured from the file that mlgate.yaml names, which the contract does not know."""
    if expectation.type != "expect_column_drift_to_be_at_most":
        return expectation
    path = config.path(entry.reference) if entry.reference else ""
    if path == config.path(entry.path):
        key = f"data[{place}].reference"
        raise MlgateError(
            f"{key} is the data file itself, from which it never drifts.", file=config.file, line=config.line(key),
            key=key, fix="Name earlier data.",
        )  # fmt: skip
    return replace(expectation, kwargs={**expectation.kwargs, "reference": moved.get(path, path)})


def _apart(config: Config, entry: DataFile, place: int, number: int, moved: Mapping[str, str]) -> Expectation:
    by = entry.apart_by or entry.id or []
    key = f"data[{place}].apart_from"
    path = config.path(entry.apart_from[number])
    path = moved.get(path, path)
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
    """What only the change's version asks for; the rest is judged already, unless other rows may be read."""
    known = set(map(_means, binding.expectations)) if proposed.read == binding.read else set()
    new = [one for one in proposed.expectations if _means(one) not in known]
    return replace(proposed, expectations=tuple(new), private=proposed.private | binding.private, version="proposed")


_Version = tuple[Rules, Sequence[Named]]


def _edited(path: str, before: _Version, after: _Version) -> list[Change]:
    """How the change's version differs: in what is asked for, in what is hidden, in how the file is read."""
    (old, contracts), (new, proposed) = before, after
    found = []
    if set(map(_means, old.expectations)) != set(map(_means, new.expectations)) or old.private != new.private:
        names = [one.name for one in (*proposed, *contracts)]
        what = names[0] if names else f"data: {path}"
        found.append(Change(kind="rule", what=what, before=_shown(contracts, what), after=_shown(proposed, what)))
    if old.read != new.read:
        texts = [one.read.model_dump_json(exclude_defaults=True) for one in (old, new)]
        found.append(Change(kind="rule", what=f"{path}: read", before=texts[0], after=texts[1]))
    return found


def _shown(contracts: Sequence[Named], what: str) -> str | None:
    """Its digest, after its name where that is not what the change is called."""
    if not contracts:
        return None
    name, digest = contracts[0].name, contracts[0].digest["sha256"]
    return digest if name == what else f"{name} {digest}"


def _edit(changes: Sequence[Change], file: str) -> Check:
    what = ", ".join(change.what for change in changes)
    reason = (
        f"This change edits what its data are held to ({what}). The contract of the base decides; "
        "look at the edit before you approve."
    )
    return _note(f"judge.contract.{changes[0].what}", "the contract itself", reason, Location(file=file))


def _note(check_id: str, title: str, reason: str, location: Location) -> Check:
    return Check(id=check_id, group="judge", title=title, verdict=Verdict.WARN, reason=reason, location=location)


def _gone(path: str, entry: DataFile, config: Config) -> Entry:
    reason = f"{path} is no longer there, nor in mlgate.yaml: its contract was not checked."
    note = _note(f"judge.data.{path}", path, reason, Location(file=config.file))
    return Entry(path, entry.path, (), Committed(path, {}), notes=(note,))


def _known(run: Run, now: Pipeline, path: str) -> bool:
    return bool(committed.of(now, path).claims) or (not run.in_ci and (run.git.root / path).exists())


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
    named = Named(name=paths[0], digest={"sha256": said.digest}, role="contract")
    now = Pipeline(run.git.at(run.head), lenient=True)
    return [
        Entry(
            path=path,
            written=written,
            checks=(Rules(said.expectations, paths[0], paths[0], said.private, read=read_of(run, path)),),
            committed=committed.of(now, path),
            contracts=(named,),
        )
        for path, written in zip(paths[1:], data, strict=True)
    ]
