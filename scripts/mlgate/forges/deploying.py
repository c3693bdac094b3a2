"""What a forge shows of a deployment, and who has let a run into an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from mlgate.forges.http import ForgeError
from mlgate.forges.nouns import Posted

Progress = Literal["running", "success", "failure", "inactive"]
Tier = Literal["production", "staging", "testing", "development", "other"]


@dataclass(frozen=True)
class Planned:
    """A deployment as the forge is to show it."""

    environment: str
    commit: str
    tier: Tier | None = None  # None: what the forge makes of the name
    rollout: str = ""  # by which a later job of the same rollout finds it again
    url: str = ""  # that people use
    description: str = ""


@dataclass(frozen=True)
class Approvers:
    """Who has let this very run into an environment, by the forge's own record.

    `own` are those whose approval would be one of their own work: who started the run, and who wrote what it deploys.
    Where the forge does not tell them all, `own_missing` is one sentence that says so.
    """

    names: tuple[str, ...] = ()
    how: str = ""  # "reviewed the environment production"
    missing: str = ""  # why nobody is known to have, one sentence; empty where `names` is not
    own: tuple[str, ...] = ()
    own_missing: str = ""

    def others(self) -> tuple[str, ...]:
        """Those who approved what is not their own."""
        own = {name.casefold() for name in self.own}
        return tuple(name for name in self.names if name.casefold() not in own)


class Posting(Protocol):
    """How one forge says how far a deployment is."""

    def post(self, state: Progress, url: str, description: str) -> str:
        """The address of what people see, or "". Raises ForgeError."""


class Deployment:
    """The forge's record of one deployment. `status` never raises, and says the same trouble once.

    `theirs`: the job has an `environment:` of its own, so the forge keeps the record, and nothing is posted here.
    `said`: one sentence for people where the record could not be made; empty otherwise.
    """

    def __init__(
        self,
        posting: Posting | None = None,
        *,
        explain: Callable[[ForgeError], str] = str,
        theirs: bool = False,
        said: str = "",
    ) -> None:
        self.theirs = theirs
        self.said = said
        self._posting, self._explain = posting, explain

    def status(self, state: Progress, *, url: str = "", description: str = "") -> Posted:
        """Says how far it is; `url` is the address that people use."""
        if self._posting is None:
            return Posted()
        try:
            return Posted(url=self._posting.post(state, url, description) or None, did="updated")
        except ForgeError as error:
            if 400 <= error.status < 500 and not error.limited:  # it will not be different next time
                self._posting = None
            said = self._explain(error)
        if said == self.said:
            return Posted()
        self.said = said
        return Posted(said=said)


def names(found: Iterable[str]) -> tuple[str, ...]:
    """Each once, in the order of the forge, without what is empty."""
    return tuple(dict.fromkeys(name for name in found if name))
