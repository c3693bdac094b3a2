"""The evidence of the run job, read for the judge."""

from __future__ import annotations

from pathlib import Path

from mlgate.commands._binding import Bound
from mlgate.commands._collect import collect
from mlgate.commands._entries import Entry, entries
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.judge import handed, integrity
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

    def checks(self, own: Config, bound: Bound, now: Pipeline) -> tuple[Check, ...]:
        """What it fails to show of one model. Raises MlgateError for a contract that cannot be read."""
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
        )
        return tuple(handed.checks(want, self.by_model.get(own.model, {})))


def _contracted(entry: Entry) -> Contracted:
    binding = [rules for rules in entry.checks if not rules.version]
    return Contracted(
        entry.path,
        {one.name: one.digest["sha256"] for one in entry.contracts},
        [expectation.id for rules in binding for expectation in rules.expectations],
        {one.path: one.digest for one in (entry.committed, *entry.others)},
    )
