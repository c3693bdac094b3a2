"""The evidence of the run job, read for the judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlgate.commands._binding import Bound
from mlgate.commands._collect import collect
from mlgate.commands._entries import Entry, entries
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.judge import handed, integrity, wanted
from mlgate.judge.handed import Contracted, Handed
from mlgate.model import Check, Evidence, Verdict
from mlgate.repo.dvc import Pipeline


class Received:
    """All evidence in a folder, `<model>/<verb>.json`; read once, and only when a judge asks for it."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.by_model: dict[str, dict[str, Evidence | None]] = {}
        for one in collect(folder):
            self.by_model.setdefault(one.model, {})[one.kind] = one

    def checks(
        self, own: Config, bound: Bound, now: Pipeline, champion: str = "", *, unchanged: bool = False
    ) -> tuple[Check, ...]:
        """What it fails to show of one model. Raises MlgateError for a contract that cannot be read.

        `champion` is the commit that it is compared with, empty for none; `unchanged`: the commits say the same.
        """
        binding = bound.binding
        made = [path for path in integrity.sources(own) if path in now.outs]
        want = Handed(
            commit=self.run.head,
            file=binding.file,
            mode=binding.mode,
            fail_on=binding.fail_on,
            data=[_contracted(entry) for entry in entries(self.run, own, bound, now) if entry.checks],
            no_credentials=Verdict(binding.compare.policy.no_credentials),
            verify=binding.train.verify,
            trains=bool(made),
            prepares=_prepares(binding),
            champion=champion,
            unchanged=unchanged,
            makes=list(_makes(binding)),
        )
        return tuple(handed.checks(want, self.by_model.get(own.model, {})))


def _prepares(binding: Config) -> bool:
    """Whether the judge needs more than commits: rows, or what project code makes."""
    rows = any(wanted.by_rows(binding, name) for name in binding.evaluate)
    return rows or bool(binding.compare.costs) or any(_makes(binding))


def _makes(binding: Config) -> Iterator[str]:
    from mlgate.train.costs import timed  # noqa: PLC0415 -- with it comes all that runs project code
    from mlgate.train.entry import points  # noqa: PLC0415

    for name, key, _ in points(binding):
        yield f"entry.{name}.{key}.challenger"
    if timed(binding.compare.costs):
        yield "costs"


def _contracted(entry: Entry) -> Contracted:
    binding = [rules for rules in entry.checks if not rules.version]
    return Contracted(
        entry.path,
        {one.name: one.digest["sha256"] for one in entry.contracts},
        [expectation.id for rules in binding for expectation in rules.expectations],
        {one.path: one.digest for one in (entry.committed, *entry.others)},
    )
