"""What was shown of a model, claim by claim. `attested` is what a lock says and nobody ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlgate.model import Check, Example, Location, Named, Proof, StageRun, Verdict

Claim = Literal["lock", "metrics file", "remote", "predictions", "metrics", "model"]
State = Literal["proven", "attested", "refuted", "not run"]

TEXT: dict[Claim, str] = {
    "lock": "code, parameters and commands are those that the lock names",
    "metrics file": "the committed metrics are those that the lock names",
    "remote": "the model, its data and its predictions are in the DVC remote",
    "predictions": "the predictions follow from the model and the evaluation data",
    "metrics": "the metrics follow from the model and the evaluation data",
    "model": "the model follows from its data, code and parameters",
}
_WORST: tuple[State, ...] = ("refuted", "not run", "attested", "proven")


@dataclass
class Shown:
    """What one run of the verb has shown, gathered as it goes."""

    checks: list[Check] = field(default_factory=list)
    stages: list[StageRun] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    inputs: list[Named] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    _claims: dict[Claim, tuple[State, list[str]]] = field(default_factory=dict)

    def claim(self, claim: Claim, state: State, by: str) -> None:
        """Say it of a claim. Of several evaluation sets, the worst counts."""
        before, said = self._claims.get(claim, (state, []))
        worse = min(before, state, key=_WORST.index)
        said = (said if before == worse else []) + ([by] if state == worse and by not in said else [])
        self._claims[claim] = (worse, said)

    def reclaim(self, claim: Claim, state: State, by: str) -> None:
        """Say it anew: something stronger was done, or it fell."""
        self._claims.pop(claim, None)
        self.claim(claim, state, by)

    def renew(self, *claims: Claim) -> None:
        """Something stronger is about to be done: what was said so far of these counts no more."""
        for claim in claims:
            self._claims.pop(claim, None)

    def state(self, claim: Claim) -> State | None:
        found = self._claims.get(claim)
        return found[0] if found else None

    def proofs(self) -> Iterator[Proof]:
        for claim, text in TEXT.items():
            if claim in self._claims:
                state, said = self._claims[claim]
                yield Proof(claim=text, state=state, by="; ".join(dict.fromkeys(s for s in said if s)))

    def check(
        self,
        what: str,
        title: str,
        verdict: Verdict,
        reason: str = "",
        *,
        fix: str = "",
        file: str = "",
        rows: int | None = None,
        examples: Sequence[Example] = (),
    ) -> None:
        self.checks.append(
            Check(
                id=f"proofs.{what}",
                group="proofs",
                title=title,
                verdict=verdict,
                reason=reason,
                fix=fix,
                rows=rows,
                location=Location(file=file) if file else None,
                examples=tuple(examples),
            )
        )
