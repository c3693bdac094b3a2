"""What the job that runs project code hands over, held against what the commit and the base say. Pure.

Project code can write anything in its own job. Evidence from there counts only for what the judge can see itself: the
commit, the digests of the data in its lock and pointers, the contract of the base, and that its verdict follows from
its checks. Anything else makes it an `error`: what should have been checked was not shown to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlgate.model import Check, Digests, Evidence, FailOn, Location, Mode, Verdict, worst

VALIDATE, TRAIN, PREPARE = "validate-data", "train", "prepare"
_LEVELS = ("lock", "score", "reproduce")


@dataclass(frozen=True)
class Contracted:
    """A data file that the binding version has rules for: its contracts by digest, and the checks they make."""

    path: str
    contracts: Mapping[str, str]  # path -> sha256
    expectations: Sequence[str]  # ids of the checks that have to be there
    committed: Mapping[str, Digests]  # it, and the files that it is compared with, by path; none where nothing says


@dataclass(frozen=True)
class Handed:
    """What one model's evidence of the run job has to show."""

    commit: str
    file: str  # mlgate.yaml
    data: Sequence[Contracted] = ()
    mode: Mode = "enforce"
    fail_on: FailOn = "inconclusive"
    no_credentials: Verdict = Verdict.WARN
    verify: str = "lock"
    trains: bool = False  # whether there is anything that `train` could attest
    prepares: bool = False  # whether there is anything that the judge is to get from `compare --prepare`
    champion: str = ""  # the commit that it is compared with
    unchanged: bool = False  # whether model, metrics and evaluation data are the champion's
    makes: Sequence[str] = ()  # what project code has to make: checks of `prepare` without that word


def checks(want: Handed, evidence: Mapping[str, Evidence | None]) -> Iterator[Check]:
    """One check per step that had to be handed over. `evidence` is by verb; None for a file that is no evidence."""
    if want.data:
        yield _check(VALIDATE, want, list(_data(want, evidence.get(VALIDATE))))
    if want.trains:
        data = evidence.get(VALIDATE)
        stopped = data is not None and data.exit_code != 0  # then no project code is run on them
        yield _check(TRAIN, want, list(_training(want, evidence.get(TRAIN), stopped=stopped)))
    if want.prepares:
        data = evidence.get(VALIDATE)
        stopped = data is not None and data.exit_code != 0
        yield _check(PREPARE, want, list(_preparing(want, evidence.get(PREPARE), stopped=stopped)))


def _check(verb: str, want: Handed, wrong: list[str]) -> Check:
    if not wrong:
        return Check(
            id=f"integrity.handed.{verb}", group="integrity", verdict=Verdict.PASS,
            title=f"{verb} looked at this commit",
        )  # fmt: skip
    more = f" And {len(wrong) - 1} more." if len(wrong) > 1 else ""
    reason = f"What the run job handed over of {verb} does not show that it was done: {wrong[0]}{more}"
    return Check(
        id=f"integrity.handed.{verb}", group="integrity", verdict=Verdict.ERROR, title=verb, reason=reason,
        location=Location(file=want.file),
    )  # fmt: skip


def _either(want: Handed, evidence: Evidence | None) -> Iterator[str]:
    if evidence is None:
        yield "there is none for this model."
        return
    if evidence.source.commit != want.commit:
        at = evidence.source.commit[:7] or "no commit"
        yield f"it speaks of {at}, and {want.commit[:7]} is judged."
    if (evidence.mode, evidence.fail_on) != (want.mode, want.fail_on):
        yield f"it would block by {evidence.mode} and {evidence.fail_on}, and {want.file} of the base says otherwise."
    seen = worst(check.verdict for check in evidence.checks)
    if evidence.verdict is not seen:
        yield f"it says {evidence.verdict}, and its checks say {seen}."


def _data(want: Handed, evidence: Evidence | None) -> Iterator[str]:
    yield from _either(want, evidence)
    if evidence is None:
        return
    inputs = {one.name: one.digest for one in evidence.inputs}
    made = {check.id: check.verdict for check in evidence.checks}
    for entry in want.data:
        for contract, digest in entry.contracts.items():
            if inputs.get(contract, {}).get("sha256") != digest:
                yield f"{contract} is not the version that binds."
        if _unread(want, entry.path, entry.committed.get(entry.path, {}), made):
            continue  # said there, and its verdict carries it
        for path, committed in entry.committed.items():
            if committed and inputs.get(path) != committed and not _unread(want, path, committed, made):
                yield f"it read another {path} than the commit names."
        lost = [name for name in entry.expectations if f"data.{entry.path}.{name}" not in made]
        if lost:
            yield f"{len(lost)} of {len(entry.expectations)} expectations for {entry.path} are not in it ({lost[0]})."


def _unread(want: Handed, path: str, committed: Digests, made: Mapping[str, Verdict]) -> bool:
    """Whether it says that a file could not be read: as an error, or for want of credentials as the policy has it."""
    if made.get(f"data.{path}.read") is Verdict.ERROR:
        return True
    lacking = made.get(f"data.{path}.unread")
    in_git = committed.keys() == {"sha256"}  # nobody needs credentials for that
    return lacking is not None and not in_git and lacking.rank >= want.no_credentials.rank


def _training(want: Handed, evidence: Evidence | None, *, stopped: bool) -> Iterator[str]:
    yield from _either(want, evidence)
    if evidence is None:
        return
    if not evidence.promotable:
        yield "it is of a model trained on a sample, which proves nothing about this one."
    done = str(evidence.facts.get("verify", ""))
    # What it could not do it must say, and in a check that is no better than the policy for missing credentials.
    told = any(
        check.id.startswith(("proofs.score", "proofs.reproduce")) and check.verdict.rank >= want.no_credentials.rank
        for check in evidence.checks
    )
    asked = "lock" if stopped or told else want.verify
    if done not in _LEVELS or _LEVELS.index(done) < _LEVELS.index(asked):
        yield f"`train.verify` asks for {want.verify}, and it did {done or 'nothing'}."


def _preparing(want: Handed, evidence: Evidence | None, *, stopped: bool) -> Iterator[str]:
    yield from _either(want, evidence)
    if evidence is None:
        return
    against = evidence.champion.commit if evidence.champion else ""
    if against != want.champion:
        meant = want.champion[:7] or "no commit"
        yield f"it speaks of {against[:7] or 'no commit'} as the champion, and {meant} is the one."
    said = {check.id.removeprefix(f"{PREPARE}.") for check in evidence.checks}
    # Nothing new is made of an unchanged model; and no code is run on data that break their contract.
    if "unchanged" in said and not want.unchanged:
        yield "it says that nothing has changed, and the commits say otherwise."
    if "held-back" in said and not stopped:
        yield "it says that no project code was run because of the data, and nothing is wrong with them."
    if said & {"unchanged", "held-back"}:
        return
    lost = [one for one in want.makes if not any(have == one or have.startswith(f"{one}.") for have in said)]
    if lost:
        yield f"{len(lost)} of {len(want.makes)} things that project code is to make are not in it ({lost[0]})."
