"""What the ledger knows of who was told what, and what it is told.

A run says that it is about to tell people before it does. Of two that look at the same evidence at once one tells, and
the other sees that. Where the ledger cannot be read or written people are told all the same, and the report says that
they may be told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._run import Run
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Entry, clean
from mlgate.model import Check, Verdict
from mlgate.watch import alerts

if TYPE_CHECKING:
    from mlgate.commands._notify_channels import Reached
    from mlgate.commands._notifying import Model


class Memory:
    """The ledgers of a run's models."""

    def __init__(self, run: Run, *, now: datetime) -> None:
        self._run = run
        self._now = now

    def groups(self, models: Sequence[Model]) -> list[list[Model]]:
        """The models of one ledger each."""
        found: dict[str, list[Model]] = {}
        for one in models:
            found.setdefault(one.config.ledger.model_dump_json(), []).append(one)
        return list(found.values())

    def decide(self, models: Sequence[Model], *, write: bool) -> None:
        """Plan each model's news by what its ledger knows, and lay claim to telling them."""
        if not any(one.matters or one.looked for one in models):
            return
        problem = ""
        if write:
            try:
                self._claim(models)
            except MlgateError as error:
                problem = str(error)
            else:
                return
        try:
            records = open_ledger(self._run, models[0].config.ledger, write=False).records()
        except MlgateError as error:
            records, problem = (), problem or str(error)
        for one in models:
            one.plan(records, self._now)
            if problem and (write or not records):
                self._note(one, f"What people were told before is not known, so they may be told again: {problem}")

    def _claim(self, models: Sequence[Model]) -> None:
        told = who(self._run)

        def decide(records: tuple[Record, ...]) -> Sequence[Entry]:
            for one in models:
                one.plan(records, self._now)
            return [
                alerts.claim(news, told, self._now)
                for one in models
                for news in one.news
                if news.remembered and news.channels and news.state != "held"
            ]

        open_ledger(self._run, models[0].config.ledger, write=True).append_once(decide)

    def remember(self, models: Sequence[Model], reached: Reached) -> None:
        """Who was told, for the next run."""
        told = who(self._run)
        entries: list[Entry] = []
        for one in models:
            for news in one.news:
                if not news.remembered:
                    continue
                ok, wrong = (map(clean, names) for names in reached.of(news))
                reason = clean(news.reason or news.matter.said)
                entries.append(
                    alerts.entry(
                        news, told, self._now, sent=ok, failed=wrong, issue=reached.number(news), reason=reason
                    )
                )  # fmt: skip
        if not entries:
            return
        try:
            receipt = open_ledger(self._run, models[0].config.ledger, write=True).append(*entries)
            problem = " ".join(receipt.said)
        except MlgateError as error:
            problem = str(error)
        if problem:
            for one in models:
                self._note(one, f"Who was told is not in the ledger yet: {problem}")

    def _note(self, model: Model, reason: str) -> None:
        if any(check.id == "notify.memory" for check in model.checks):
            return
        model.checks.append(
            Check(id="notify.memory", group="watch", title="the ledger", verdict=Verdict.WARN, reason=reason)
        )
