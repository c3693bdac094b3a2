"""One thing that a check of the list found."""

from __future__ import annotations

from dataclasses import dataclass

from mlgate.model import Named, Verdict


@dataclass(frozen=True)
class Finding:
    """`said` is a sentence for people; `evidence` the files it rests on, by digest."""

    verdict: Verdict
    said: str
    fix: str = ""
    evidence: tuple[Named, ...] = ()


def told(verdict: Verdict, said: str, fix: str = "", *evidence: Named | None) -> Finding:
    return Finding(verdict, said, fix, tuple(one for one in evidence if one is not None))


def fine(said: str, *evidence: Named | None) -> Finding:
    return told(Verdict.PASS, said, "", *evidence)


def broken(said: str, fix: str, *evidence: Named | None) -> Finding:
    return told(Verdict.FAIL, said, fix, *evidence)
