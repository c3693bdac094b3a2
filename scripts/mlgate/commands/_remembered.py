"""What the ledger remembers, for a comparison: fetched at most once per run, and only where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.settings import Ledger as Settings
from mlgate.errors import MlgateError
from mlgate.judge import integrity, wanted
from mlgate.judge.case import Side
from mlgate.model import Check
from mlgate.repo import push
from mlgate.repo.push import PushError, Remote

if TYPE_CHECKING:
    from mlgate.judge.anchor import Named
    from mlgate.judge.looks import Looks
    from mlgate.ledger.chain import Record

_T = TypeVar("_T")


class Remembered:
    """The ledgers of a run's configurations. Nothing of the ledger is imported before there is one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._there: dict[str, bool | MlgateError] = {}
        self._records: dict[str, tuple[Record, ...] | MlgateError] = {}

    def there(self, settings: Settings) -> bool:
        """Whether there is a ledger, in one look: at the remote in CI, at what this clone knows of it elsewhere.

        Raises MlgateError where that cannot be told.
        """
        key = settings.model_dump_json()
        if key not in self._there:
            try:
                self._there[key] = self._look(settings)
            except MlgateError as error:
                self._there[key] = error
        return _given(self._there[key])

    def _look(self, settings: Settings) -> bool:
        git = self.run.git
        if not settings.remote and not git.remote_url():
            return False
        if not settings.remote and not self.run.in_ci:
            # A terminal may be offline, and does not wait: a clone of a repository with a ledger has its branch.
            common = git.try_run("rev-parse", "--git-common-dir").stdout.decode().strip() or ".git"
            seen = (git.root / common / "mlgate").glob("ledger-*/known.json")
            return bool(git.resolve(f"refs/remotes/origin/{settings.branch}")) or any(seen)
        try:
            return bool(push.tip(git, self._remote(settings), settings.branch))
        except PushError as error:
            raise MlgateError(
                f"whether there is a ledger cannot be told: {error.said}.",
                fix="Check the network, `ledger.remote` and the credentials of this job.",
            ) from None

    def _remote(self, settings: Settings) -> Remote:
        if not settings.remote:
            return Remote("origin", self.run.forge.fetch_env())
        from mlgate.commands._ledger import reach  # noqa: PLC0415 -- pydantic's models of every kind of entry

        return reach(self.run, settings.remote, write=False)

    def records(self, settings: Settings) -> tuple[Record, ...]:
        """All events, verified; none where there is no ledger. Raises MlgateError where it cannot be believed."""
        key = settings.model_dump_json()
        if key not in self._records:
            from mlgate.commands._ledger import open_ledger  # noqa: PLC0415 -- as above

            try:
                self._records[key] = open_ledger(self.run, settings, write=False).records()
            except MlgateError as error:
                self._records[key] = error
        return _given(self._records[key])

    # -- what a comparison asks --------------------------------------------------------------------------------------

    def anchor(self, binding: Config, own: Config) -> tuple[str, list[Check]]:
        """The commit that losses are measured from, empty for none, and what the ledger says of it.

        `own` is the change's own version of the rules. Raises MlgateError for a commit that cannot be had, and where
        there is an anchor and its ledger cannot be had.
        """
        refs = binding.compare.anchor, own.compare.anchor
        try:
            there = self.there(binding.ledger)
            records = self.records(binding.ledger) if there else ()
        except MlgateError:
            if any(refs):
                raise
            return "", []  # that it cannot be had is said with the looks
        commits = {ref: self.run.git.ensure(ref) for ref in refs if ref}
        if not records:
            return commits.get(refs[0] or refs[1] or "", ""), []
        from mlgate.judge import anchor  # noqa: PLC0415 -- as above

        def named(ref: str | None) -> Named | None:
            return anchor.Named(ref, commits[ref]) if ref else None

        return anchor.settle(binding.model, anchor.known(records, binding.model), *map(named, refs))

    def looks(self, binding: Config, challenger: Side) -> tuple[Looks | None, list[str]]:
        """How many models each evaluation set has judged, or why that is not known; neither without a ledger."""
        try:
            records = self.records(binding.ledger) if self.there(binding.ledger) else ()
        except MlgateError as error:
            return None, [f"How many models were judged on the same test set: {error}"]
        if not records:
            return None, []
        from mlgate.judge.looks import Looks  # noqa: PLC0415 -- as above
        from mlgate.ledger import query  # noqa: PLC0415

        own, pipeline = challenger.config or binding, challenger.pipeline
        subject = integrity.named(pipeline, own.path(own.artifact), "").digest if own.artifact else {}
        counts = {}
        for name in binding.evaluate:
            path = wanted.place(challenger, binding, name, lambda one: one.data)
            digest = integrity.named(pipeline, path, "").digest if path else {}
            for algorithm, value in digest.items():
                seen = query.challengers(records, f"{algorithm}:{value}")
                counts[name] = 1 + sum(not query.same_model(one, subject) for one in seen)
        return Looks(counts), []


def _given(value: _T | MlgateError) -> _T:
    if isinstance(value, MlgateError):
        raise value
    return value
