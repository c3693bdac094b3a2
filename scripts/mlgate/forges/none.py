"""No forge: a terminal, or a CI system that mlgate does not know. Everything is printed, nothing is posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from mlgate.errors import MlgateError
from mlgate.forges.base import Forge
from mlgate.forges.deploying import Approvers, Deployment, Planned
from mlgate.forges.dispatching import Order, Started
from mlgate.forges.http import ForgeError
from mlgate.forges.nouns import Annotation, Posted, State
from mlgate.model import Event
from mlgate.repo.push import Identity, PushError, Remote


class NoForge(Forge):
    """Says nothing about what it does not do: nobody asked for a comment in a terminal."""

    name = "none"
    _nobody = "there is no forge here."

    def api(self) -> NoReturn:
        """Raises ForgeError: there is nothing to ask."""
        raise ForgeError(0, "This is not a job of GitHub or GitLab, so there is no forge to ask.")

    def fetch_env(self) -> dict[str, str]:
        return {}

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        pass

    def add_summary(self, markdown: str) -> None:
        pass

    def annotate(self, notes: Sequence[Annotation]) -> None:
        pass

    def status(self, context: str, state: State, description: str, url: str = "") -> Posted:
        return Posted()

    def push_to(self) -> Remote:
        """`origin`, with the credentials that git finds by itself."""
        return Remote("origin")

    def identity(self) -> Identity:
        return Identity("mlgate-bot", "mlgate-bot@localhost")

    def push_refused(self, error: PushError, branch: str) -> MlgateError:
        return MlgateError(f"{branch} was not pushed: {error.said}.")

    def approvers(self, environment: str, commit: str) -> Approvers:
        del environment, commit
        return Approvers(missing="There is no forge here to ask.")

    def deployment(self, planned: Planned) -> Deployment:
        del planned
        return Deployment()

    def _approvers(self, environment: str, commit: str) -> NoReturn:
        del environment, commit
        self.api()

    def _deployment(self, planned: Planned, explain: Callable[[ForgeError], str]) -> NoReturn:
        del planned, explain
        self.api()

    def _approvals(self, number: int) -> NoReturn:
        del number
        raise ForgeError(0, "there is no forge")

    def _requests(self) -> NoReturn:
        self.api()

    def _issues(self) -> NoReturn:
        self.api()

    def _dispatch(self, order: Order) -> Started:
        del order
        self.api()

    def _read_event(self) -> Event:
        return Event(forge="none", kind="terminal")

    def _comments(self, number: int, mark: str) -> NoReturn:
        self.api()

    def _status(self, context: str, state: State, description: str, url: str) -> NoReturn:
        self.api()

    def _explain(self, what: str, error: ForgeError, doing: str) -> str:
        return f"{what}: {error.message}"
