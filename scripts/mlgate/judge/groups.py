"""Slices and fairness of every evaluation set, settled together: with many groups some look bad by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlgate.config import Config
from mlgate.judge import discovery, fairness, group_controls, listing, slices
from mlgate.judge.bias import Bias, Table
from mlgate.judge.discovery import Claim
from mlgate.judge.evaluation import Compared
from mlgate.judge.grouped import Setting
from mlgate.model import Check


@dataclass(frozen=True)
class Judged:
    """The checks as evidence shows them, and what the bias report is made of."""

    checks: tuple[Check, ...]
    claims: tuple[Claim, ...]
    settled: tuple[Check, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]

    def report(self, config: Config, *, commit: str, champion: str) -> Bias:
        return Bias(
            model=config.model,
            commit=commit,
            champion=champion,
            confidence=float(config.compare.confidence),
            tables=self.tables,
            checks=listing.verdicts(self.settled),
            slices=listing.slices(self.claims, self.settled),
            notes=self.notes,
        )


def controls(config: Config, sets: Sequence[Compared]) -> Iterator[bool]:
    """Whether each challenger that was made to be stopped, or to be let through, was judged rightly."""
    for one in sets:
        if one.measured.compared is None:
            continue
        rows = one.measured.compared.rows
        setting = Setting(confidence=float(config.compare.confidence), absent=one.absent)
        if config.compare.slices is not None:
            yield from group_controls.of_slices(rows, config.compare.slices, setting)
        if config.compare.fairness is not None:
            yield from group_controls.of_fairness(rows, config.compare.fairness, setting)


def judge(config: Config, sets: Sequence[Compared], *, prefix: str = "", suffix: str = "") -> Judged:
    """Every slice and fairness rule of one version. A set whose rows could not be had is named in `notes`."""
    confidence = float(config.compare.confidence)
    claims: list[Claim] = []
    tables: list[Table] = []
    notes = []
    for one in sets:
        if one.measured.compared is None:
            notes.append(f"{one.name}: its predictions or labels could not be read, so no group was judged.")
            continue
        rows = one.measured.compared.rows
        for section in ("slices", "fairness"):
            asked = getattr(config.compare, section)
            if asked is None:
                continue
            setting = Setting(
                confidence=confidence,
                set=one.name if len(config.evaluate) > 1 else "",
                prefix=prefix,
                suffix=suffix,
                locate=lambda key, at=section: config.location(f"compare.{at}.rules.{key}"),  # type: ignore[misc]
                absent=one.absent,
            )
            if section == "slices":
                claims += slices.check(rows, asked, setting)
            else:
                found, of_set = fairness.check(rows, asked, setting)
                claims, tables = claims + found, tables + of_set
    settled = discovery.settle(claims, 1 - confidence)
    return Judged(tuple(listing.fold(claims, settled)), tuple(claims), tuple(settled), tuple(tables), tuple(notes))
