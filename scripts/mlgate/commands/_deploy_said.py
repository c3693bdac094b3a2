"""What one deployment has found out: its checks, how it ended, and the evidence of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State

VERB = "deploy"


@dataclass
class Said:
    """Grows while it goes on: whatever was found out is in the evidence, also where it ends early."""

    config: Config
    name: str = ""  # of the environment
    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    title: str = ""

    def say(self, name: str, verdict: Verdict, reason: str, *, observed: str | None = None) -> None:
        """One check of this room; its sentence is the title of the evidence."""
        self.checks.append(Check(
            id=f"deploy.{name}", group="deploy", title=f"{self.name}: {name}", verdict=verdict, reason=reason,
            observed=observed,
        ))  # fmt: skip
        self.title = reason

    def once(self, sentence: str) -> None:
        """What was not done, said no more than once."""
        if sentence and sentence not in self.not_run:
            self.not_run.append(sentence)

    def error(self, error: MlgateError) -> None:
        if error.key and not error.file:  # a target knows its key, and not in which file that stands
            line = self.config.line(error.key)
            error = MlgateError(error.message, file=self.config.file, line=line, key=error.key, fix=error.fix)
        where = self.config.location(error.key or "deploy") if error.file == self.config.file else None
        self.checks.append(Check(
            id="deploy.step", group="deploy", title=f"deploy to {self.name}" if self.name else VERB,
            verdict=Verdict.ERROR, reason=str(error), location=where,
        ))  # fmt: skip
        self.title = str(error)

    def stopped(self) -> bool:
        """Worse than a warning is not gone on with, whatever `fail_on` says."""
        bad = [check for check in self.checks if check.verdict.rank > Verdict.WARN.rank]
        if bad:
            self.title = max(bad, key=lambda check: check.verdict.rank).reason
        return bool(bad)

    def judged(self, checks: Sequence[Check], state: State) -> None:
        """What the last look said of each rule: of what goes on, that it is not decided yet is no verdict."""
        for check in checks:
            bad = check.verdict.rank > Verdict.WARN.rank
            if bad and state.outcome == "complete":
                continue  # of an `any:`, it stopped nothing
            open_ = check.verdict is Verdict.INCONCLUSIVE and not state.over and not state.held
            self.checks.append(check.model_copy(update={"verdict": Verdict.WARN}) if open_ else check)

    def outcome(self, state: State) -> None:
        """The one check that says how it ended, or how far it is."""
        what = f"{self.config.model} {state.candidate.version}".strip()
        words = {
            "complete": f"{what} is in {self.name}.",
            "judged": f"{what} was tried in {self.name}, which keeps the model that it had.",
            "aborted": f"{what} was turned back: {state.reason}",
            "failed": f"{what} did not come into {self.name}: {state.reason}",
        }
        if state.over:
            verdict = state.verdict or (Verdict.PASS if state.outcome in ("complete", "judged") else Verdict.ERROR)
            sentence = words[state.outcome or "failed"]
        elif state.held:
            verdict = Verdict.INCONCLUSIVE
            sentence = f"{what} stays at {state.weight:g} % of {self.name}: {state.held}"
        else:
            verdict = Verdict.PASS
            sentence = f"{what} is at {state.weight:g} % of {self.name}, and goes on with `--once`."
        self.say("outcome", verdict, sentence, observed=state.outcome or state.phase)
        self.facts |= {"rollout": state.rollout, "weight": state.weight, "strategy": state.strategy}
        if state.seconds is not None:
            self.facts["seconds_to_zero"] = round(state.seconds, 3)

    def evidence(self, release: Release | None, state: State | None) -> Evidence:
        settings = self.config.deploy.environments.get(self.name)
        self.facts |= {"environment": self.name} if self.name else {}
        if release is not None:
            self.facts |= {"image": release.image, **({"version": release.version} if release.version else {})}
        return Evidence(
            kind=VERB, model=self.config.model, title=self.title,
            verdict=worst(check.verdict for check in self.checks), mode="enforce",
            fail_on="warn" if self.config.fail_on == "warn" else "inconclusive",  # what is not there never ends well
            confidence=float(settings.confidence) if settings else None,
            subject=Named(name=release.image, digest=dict(release.subject), role="model") if release else None,
            checks=self.checks, not_run=self.not_run, facts=self.facts, artifacts=self.artifacts,
            timeline=list(state.looks) if state else [],
        )  # fmt: skip
