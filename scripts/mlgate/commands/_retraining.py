"""One call of `mlgate retrain`: what asks, whether it may start, what is started, and what is said of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mlgate.commands import _retrain_ends as ends
from mlgate.commands import _retrain_inputs as inputs
from mlgate.commands import _retrain_orders as handed
from mlgate.commands import _retrain_reasons as reasons
from mlgate.commands import _retrain_starting as starting
from mlgate.commands import _retrain_why as why
from mlgate.commands._deciding import where
from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._retrain_nouns import VERB, Asked, Told, Wanted, asker, evidence
from mlgate.commands._retrain_reasons import Given
from mlgate.commands._run import Run, Unloadable, failed, file_name, off, unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.forges import ForgeError
from mlgate.forges.dispatching import Started
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Entry, Trigger, clean
from mlgate.model import Evidence, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.watch import retraining
from mlgate.watch.retraining import Decision, Triggers

if TYPE_CHECKING:
    from mlgate.ledger.branch import Ledger


def every(run: Run, asked: Asked) -> int:
    """All models that --config names; the exit code."""
    run.forget(VERB)
    retrainer = Retrainer(run, asked)
    try:
        evidences = retrainer.all()
        if not asked.finish and not asked.plan:
            handed.leave(run, retrainer.handed())
    except MlgateError as error:
        # Of a model where there is one: what people are told of that is over as soon as the same model's ends well.
        first = next((config.model for config in retrainer.configs), "")
        evidences = [failed(VERB, first or file_name(run.patterns[0] if run.patterns else ""), error)]
        retrainer.orders.clear()
    return run.finish(VERB, evidences, retrainer.outputs())


class Retrainer:
    """One run over all configurations."""

    def __init__(self, run: Run, asked: Asked) -> None:
        self.run = run
        self.asked = asked
        self.now = datetime.now(UTC)
        self.writer = uuid.uuid4().hex
        self.orders: list[Wanted] = []
        self.taken: Trigger | None = None
        self.head = ""
        self.configs: list[Config] = []
        self._ledgers: dict[str, Ledger] = {}

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.run.git.at(self.run.head), lenient=True)

    def all(self) -> list[Evidence]:
        files = self.run.config_files()
        if not files:
            raise self.run.no_config()
        loaded = [self.run.load(file) for file in files]
        broken = [unloadable(VERB, one) for one in loaded if isinstance(one, Unloadable)]
        configs = [one for one in loaded if isinstance(one, Config)]
        self.configs = [config for config in configs if config.mode != "off"]
        told = {config.model: Told(config) for config in self.configs}
        done = [off(VERB, config) for config in configs if config.mode == "off"]
        if not self.asked.finish:
            self._right_place()
        if self.asked.finish:
            self._finish(told)
        elif self.asked.trigger:
            self._take_up(told)
        else:
            self._ask(told)
        return [*broken, *done, *(evidence(one) for one in told.values())]

    def _right_place(self) -> None:
        """Whose branch it is decides whose rules hold, and who may have models trained."""
        if not self.run.in_ci:
            return
        if place := where(self.run.forge.event, self.run.head):
            raise MlgateError(
                f"this run is for {place}, and models are retrained from the default branch only.",
                fix="Run `mlgate retrain` there: in a schedule, or by hand.",
            )

    def ledger(self, config: Config, *, write: bool) -> Ledger:
        """The ledger of a model; that of this repository is opened once."""
        key = f"{config.ledger!r}{write}"
        if key not in self._ledgers:
            self._ledgers[key] = open_ledger(self.run, config.ledger, write=write)
        return self._ledgers[key]

    # -- how one ended, and taking one up ----------------------------------------------------------------------------

    def _first(self, told: dict[str, Told]) -> Told:
        if not told:
            raise MlgateError("no configuration says where the ledger is.", fix="Give --config.")
        return next(iter(told.values()))

    def _finish(self, told: dict[str, Told]) -> None:
        if self.asked.finish not in ends.OUTCOMES:
            raise MlgateError(f"--finish {self.asked.finish!r} is none of {', '.join(ends.OUTCOMES)}.")
        if not self.asked.trigger:
            raise MlgateError("--finish needs --trigger: the retraining that ended.")
        one = self._first(told)
        ledger = self.ledger(one.config, write=not self.asked.plan)
        begun = ends.find(Triggers(ledger.records()), self.asked.trigger, set(told))
        if not begun.models & set(told):
            models = ", ".join(sorted(begun.models - {""}))
            raise MlgateError(
                f"the retraining {begun.entry.id} is of {models}, and --config names none of them.",
                fix="Give it the configurations that the retraining was started with.",
            )
        outcome: str = self.asked.finish
        if self.asked.plan:
            one.add("plan", "What would be done", Verdict.PASS, f"{begun.entry.id} would be ended as `{outcome}`.")
            return
        reason = self.asked.by_hand
        written = ends.end(self.run, ledger, begun.entry.id, outcome, url=self.asked.url, reason=reason)
        self.taken = begun.entry
        if written is None:
            now = ends.find(Triggers(ledger.records()), begun.entry.id, set())
            outcome = now.ended.outcome if now.ended else outcome
        for model in begun.models - {""}:
            if model in told:
                told[model].add("end", "How it ended", *ends.said(told[model].config, outcome, ledger, reason))
                if outcome == "proposed" and self.asked.url:
                    told[model].links[self.run.forge.request_word] = self.asked.url

    def _take_up(self, told: dict[str, Told]) -> None:
        one = self._first(told)
        ledger = self.ledger(one.config, write=False)
        timeout = one.config.retrain.timeout
        found = ends.taken_up(ledger, self.asked.trigger, set(told), timeout)
        self.taken = found
        for model in found.models:
            said = f"Taken up: {why.asked(found)}, started at {found.at.replace('T', ' ').rstrip('Z')} UTC."
            told[model].add("taken-up", "Retraining", Verdict.PASS, said)
            told[model].facts["trigger"] = found.id

    # -- what asks ---------------------------------------------------------------------------------------------------

    def _ask(self, told: dict[str, Told]) -> None:
        given = Given(self.asked.by_hand, self.asked.folder, self.asked.rule, self.now)
        for one in list(told.values()):
            if any(one.config.model in order.models for order in self.orders):
                continue
            try:
                ledger = self.ledger(one.config, write=not self.asked.plan)
                found = reasons.find(self.run, one.config, self.pipeline, ledger, given)
                if found.reason is None:
                    said = " ".join(found.said) or "No rule, no new data and no schedule asks for one."
                    one.add("asked", "Retraining", Verdict.PASS, f"Nothing is started. {said}")
                    continue
                order = Wanted(self._together(one.config), one.config, found.reason)
                self.orders.append(order)
                for config in order.configs:
                    told.setdefault(config.model, Told(config))
                self._one(order, told)
            except MlgateError as error:
                one.add("step", VERB, Verdict.ERROR, str(error))

    def _together(self, config: Config) -> list[Config]:
        """The models of its group, wherever in the repository they are configured."""
        if not config.retrain.group:
            return [config]
        files = self.run.git.listed(["**/mlgate.yaml"], untracked=not self.run.in_ci)
        found = {one.file: one for one in (config, *self.configs) if one.retrain.group == config.retrain.group}
        for file in files:
            if file not in found:
                loaded = self.run.load(file)
                if not isinstance(loaded, Config) or loaded.mode == "off":
                    continue
                if loaded.retrain.group == config.retrain.group:
                    found[file] = loaded
        return sorted(found.values(), key=lambda one: one.model)

    # -- whether it starts -------------------------------------------------------------------------------------------

    def _one(self, order: Wanted, told: dict[str, Told]) -> None:
        prepared = any(config.retrain.prepare for config in order.configs)
        if not prepared and not self.asked.force:
            order.unchanged = inputs.unchanged(self.run, order.configs, self.pipeline)
        waiting = self._waiting(order, told)
        ledger = self.ledger(order.by, write=not self.asked.plan)
        if self.asked.plan:
            self._decide(order, waiting, ledger.records())
        else:
            try:
                once = ledger.append_once(lambda records: self._decide(order, waiting, records))
            except MlgateError:
                order.decision = None  # what is not in the ledger is not started
                raise
            self.head = once.head.token if once.head else self.head
            if order.decision and order.decision.start and not once.written and not order.unchanged:
                order.decision = replace(order.decision, start=False, held="another run was first", known=True)
        decision = order.decision
        assert decision is not None  # noqa: S101 -- _decide was called
        started = decision.start and not order.unchanged
        for model in order.models:
            told[model].facts |= {"asked by": order.reason.rule}
            told[model].facts |= {"trigger": decision.id} if started else {}
        if started and not self.asked.plan:
            self._dispatch(order, decision, ledger)
        self._say(order, decision, told)

    def _decide(self, order: Wanted, waiting: dict[str, str], records: Sequence[Record]) -> tuple[Entry, ...]:
        """What is to be written; `order.decision` is what was decided on these records."""
        triggers = Triggers(records)
        told = order.reason
        asked = retraining.Asked(order.by.model, told.rule, told.cause, order.models, self.asked.force, waiting)
        order.decision = decision = retraining.decide(asked, order.by.retrain, triggers, self.now)
        if decision.known:
            return ()
        if decision.start and order.unchanged:
            same = retraining.held_id(f"unchanged {decision.id}")
            return () if same in triggers.ids else (self._entry(order, same, "unchanged", order.unchanged),)
        if not decision.start:
            return (self._entry(order, retraining.held_id(decision.id), "held back", decision.held),)
        return (self._entry(order, decision.id, "started", told.said or told.cause),)

    def _entry(self, order: Wanted, own: str, outcome: str, reason: str) -> Trigger:
        told = order.reason
        return Trigger(
            **who(self.run),
            id=own,
            writer=self.writer,
            model=order.by.model,
            environment=reasons.environment(order.by),
            rule=clean(told.rule),
            outcome=outcome,
            group=clean(order.group),
            models=order.models,
            values=tuple(clean(value) for value in told.values[:50]),
            report=told.report,
            reason=clean(reason),
            readings=told.readings[:200],
        )

    def _waiting(self, order: Wanted, told: dict[str, Told]) -> dict[str, str]:
        """The open request of a successor, by model. A forge that cannot be asked is said, and holds nothing back."""
        forge = self.run.forge
        if forge.name == "none" or self.asked.force:
            return {}
        base = self.run.git.branch() or forge.event.ref or forge.event.default_branch
        try:
            url = forge.open_request(why.branch_of(order.group or order.models[0]), base)
        except ForgeError as error:
            said = f"Whether a successor waits to be merged: {error.message.rstrip('.')}."
            for model in order.models:
                told[model].not_run.append(said)
            return {}
        return dict.fromkeys(order.models, url) if url else {}

    # -- starting it -------------------------------------------------------------------------------------------------

    def _dispatch(self, order: Wanted, decision: Decision, ledger: Ledger) -> None:
        """Raises MlgateError where it could not be started; the ledger says then that it failed."""
        try:
            order.started = starting.start(self.run, order, decision.id) if self.asked.dispatch else Started()
        except MlgateError as error:
            reason = f"could not be started: {error.message}"
            begun = next(run for run in Triggers(ledger.records()).runs if run.entry.id == decision.id)
            ledger.append(ends.ending(self.run, begun.entry, "failed", reason=reason))
            order.decision = replace(decision, start=False)
            raise

    # -- what is said ------------------------------------------------------------------------------------------------

    def _say(self, order: Wanted, decision: Decision, told: dict[str, Told]) -> None:
        together = f" with {', '.join(order.models)}" if len(order.models) > 1 else ""
        for model in order.models:
            one = told[model]
            for value in order.reason.values:
                one.facts.setdefault("measured", value)
            if order.unchanged and decision.start:
                reason = f"Nothing is started, because {order.unchanged}. Asked for {asker(order)}."
                one.add("decision", "Retraining", Verdict.PASS, reason)
            elif not decision.start:
                held = decision.held[:1].upper() + decision.held[1:]
                verdict = Verdict.PASS if decision.known else Verdict.WARN
                one.add("decision", "Retraining", verdict, f"Held back. {held}. Asked for {asker(order)}.")
            elif self.asked.plan:
                one.add(
                    "decision", "Retraining", Verdict.PASS, f"Would be started{together}, asked for {asker(order)}."
                )
            else:
                one.add("decision", "Retraining", Verdict.PASS, f"Started{together}, asked for {asker(order)}.")
            if order.started is not None and order.started.url:
                one.links["training"] = order.started.url
            one.not_run += order.started.said if order.started else ()

    def handed(self) -> dict[str, str]:
        """What nobody else was asked to train: configurations, by the id of the retraining."""
        if self.taken is not None:
            return {self.taken.id: self._taken_files()}
        here = [one for one in self._going() if not self.asked.dispatch or one.by.retrain.dispatch.by == "none"]
        return {one.decision.id: starting.files(self.run, one.configs) for one in here if one.decision}

    def _going(self) -> list[Wanted]:
        going = [one for one in self.orders if one.decision and one.decision.start and not one.unchanged]
        return [] if self.asked.plan else going

    def _taken_files(self) -> str:
        models = self.taken.models if self.taken else ()
        return starting.files(self.run, [config for config in self.configs if config.model in models])

    def outputs(self) -> dict[str, str]:
        """What later jobs want to know. Lists are JSON, ready for fromJson."""
        going = self._going()
        listed = [
            {
                "trigger": one.decision.id if one.decision else "",
                "models": list(one.models),
                "config": starting.files(self.run, one.configs),
            }
            for one in going
        ]
        if self.taken is not None and not self.asked.finish:
            listed = [{"trigger": self.taken.id, "models": list(self.taken.models), "config": self._taken_files()}]
        first = listed[0] if listed else {"trigger": "", "models": [], "config": ""}
        url = next((one.started.url for one in going if one.started and one.started.url), "")
        return {
            "start": str(bool(listed)).lower(),
            "trigger": str(first["trigger"]),
            "models": json.dumps(first["models"]),
            "config": str(first["config"]),
            "orders": json.dumps(listed),
            "url": url,
            "ledger-head": self.head,
        }
