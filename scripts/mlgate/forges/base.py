"""What every forge can do. Each one adds how."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TextIO

from mlgate.errors import MlgateError
from mlgate.forges import approving, cutting, issues, proposing, sticky
from mlgate.forges.deploying import Approvers, Deployment, Planned
from mlgate.forges.dispatching import Order, Started
from mlgate.forges.http import Client, ForgeError, Token
from mlgate.forges.nouns import Annotation, ImageRegistry, Opened, Posted, Request, State, When
from mlgate.model import Approval, Event, Verdict
from mlgate.repo.push import Identity, PushError, Remote


class Forge(ABC):
    """A place where jobs run. `comment` and `status` never raise; the other methods say what they raise."""

    name: str  # "github", "gitlab", "none"
    request_word = "pull request"  # what people call it there
    project: str = ""  # as its API wants it: "owner/name", or GitLab's number
    job: str = ""  # the job's number, where its pages are found by that
    out: TextIO | None = None  # where commands to the runner go: standard output, unless set
    _token: Token = Token()
    _comment_limit: int
    _powerless: str
    _nobody: str
    _no_issues = ""  # why no issue can be written without a token, where `_nobody` does not say it

    @cached_property
    def event(self) -> Event:
        """What started this run. Raises MlgateError when the forge's description of it is missing or corrupt."""
        return self._read_event()

    @abstractmethod
    def api(self) -> Client:
        """The forge's API with this job's token. Raises ForgeError when there is no API to ask."""

    @abstractmethod
    def fetch_env(self) -> dict[str, str]:
        """Environment with which `git fetch` may read this repository, so for git only; empty without a token."""

    def artifact_url(self, path: Path) -> str:
        """Where a file or folder that this job leaves behind can be looked at; empty where that is not known yet."""
        del path
        return ""

    def image_registry(self) -> ImageRegistry | None:
        """The forge's own registry of images; None where it has none, or there is no forge."""
        return None

    @abstractmethod
    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        """Hands values to later steps, where the forge has a file for that. Raises MlgateError when it cannot."""

    @abstractmethod
    def add_summary(self, markdown: str) -> None:
        """Adds to the page of the job, where the forge has one. Raises MlgateError when it cannot be written."""

    @abstractmethod
    def annotate(self, notes: Sequence[Annotation]) -> None:
        """Marks lines of files, where the forge reads marks from the log."""

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Folds what is printed inside it, where the forge can."""
        yield

    def comment(
        self, body: str, *, header: str = "", when: When = "always", verdict: Verdict = Verdict.ERROR, full: str = ""
    ) -> Posted:
        """Writes or updates the one comment of this pull request that carries `header`. Never raises.

        always      create it, or update it when its text differs
        on-change   create it unless the verdict is `pass`; update it when a line differs that is not VOLATILE
        on-failure  create it when the verdict is worse than `warn`; one that is there is updated, so that it turns
                    green
        off         do nothing

        Outside pull requests nothing is done and nothing said. `full` is where the whole report is: a body that is too
        long is cut and names it.
        """
        if when == "off":
            return Posted()
        what = "The comment was not written"
        try:
            number = self._pull_request()
            if number is None:
                return Posted()
            if not self._token:
                return Posted(said=self._powerless)
            mark = sticky.marker(header)
            shown = cutting.cut(self._disarm(body), self._comment_limit - len(mark), full=full or self.event.run_url)
            return sticky.post(f"{mark}\n{shown}", when, verdict, self._comments(number, mark))
        except ForgeError as error:
            return Posted(said=self._explain(what, error, "comment"))
        except MlgateError as error:
            return Posted(said=f"{what}: {error}")

    def status(self, context: str, state: State, description: str, url: str = "") -> Posted:
        """Sets one named status on the commit under judgement. Never raises."""
        what = "The status was not set"
        try:
            if not self._token:
                return Posted(said=self._powerless)
            return self._status(context, state, description, url)
        except ForgeError as error:
            return Posted(said=self._explain(what, error, "status"))
        except MlgateError as error:
            return Posted(said=f"{what}: {error}")

    def approval(self, label: str) -> Approval:
        """Whether a maintainer has approved this pull request as it stands. Never raises: unknown is not approved."""
        what = f"Whether a maintainer has approved it could not be read from the {self.request_word}"
        number = self._pull_request()
        if number is None:
            return Approval(missing="There is no pull request that a maintainer could approve.")
        if not self._token:
            return Approval(missing=f"{what}: there is no token.")
        try:
            return approving.decide(self._approvals(number), label)
        except ForgeError as error:
            return Approval(missing=self._explain(what, error, "approval"))

    def approvers(self, environment: str, commit: str) -> Approvers:
        """Who has let this run into an environment with what `commit` made. Never raises: unknown is not approved."""
        what = f"Who has approved {environment} could not be read"
        if not self._token:
            return Approvers(missing=f"{what}: {self._nobody}")
        try:
            return self._approvers(environment, commit or self.event.sha)
        except ForgeError as error:
            return Approvers(missing=self._explain(what, error, "approvers"))
        except MlgateError as error:
            return Approvers(missing=f"{what}: {error}")

    def deployment(self, planned: Planned) -> Deployment:
        """The forge's record of a deployment: made, or found where an earlier job of the rollout made it. Never raises.

        Where the job has an `environment:` of its own, the forge makes that record itself, and nothing is added to it.
        """
        what = "The deployment is not shown on the forge"
        try:
            return self._deployment(planned, lambda error: self._explain(what, error, "deployment"))
        except ForgeError as error:
            return Deployment(said=self._explain(what, error, "deployment"))
        except MlgateError as error:
            return Deployment(said=f"{what}: {error}")

    def issue(self, wanted: issues.Issue) -> issues.Filed:
        """Files the one issue about a matter, keeps it up to date, closes it or opens it again. Never raises."""
        what = "The issue was not written"

        def explain(error: ForgeError) -> str:
            return self._explain(what, error, "issue")

        try:
            if not self._token:
                return issues.Filed(ok=False, said=(f"{what}: {self._no_issues or self._nobody}",))
            body, comment = (self._disarm(text) for text in (wanted.body, wanted.comment))
            ours = issues.written(wanted, body, self._comment_limit)
            return issues.file(replace(wanted, comment=comment), ours, self._issues(), explain=explain)
        except ForgeError as error:
            return issues.Filed(ok=False, said=(explain(error),))
        except MlgateError as error:
            return issues.Filed(ok=False, said=(f"{what}: {error}",))

    def propose(self, request: Request) -> Opened:
        """Opens the one request of a branch, or brings it up to date. Raises MlgateError that says what is missing."""
        what = f"{request.head} is pushed, but its {self.request_word} could not be opened or updated"
        try:
            requests, body = self._requests(), self._disarm(request.body)
            ours = proposing.written(body, request.header, self._comment_limit, self.event.run_url)
            return proposing.propose(request, ours, requests, word=self.request_word)
        except ForgeError as error:
            by_hand = self._by_hand(request)
            said = self._explain(what, error, "request")
            raise MlgateError(said, fix=f"Or open it by hand: {by_hand}" if by_hand else "") from None

    def dispatch(self, order: Order) -> Started:
        """Starts a workflow or pipeline. Raises MlgateError that says what is missing; then it was not started, or
        nobody can tell."""
        try:
            return self._dispatch(order)
        except ForgeError as error:
            doing = "event" if order.by == "repository" else "dispatch"
            raise MlgateError(self._explain(f"{order.shown} could not be started", error, doing)) from None

    def start_gate(self, workflow: str, branch: str) -> Started | None:
        """Lets a gate judge a branch that was pushed with the job's own token, for which nothing starts by itself. None
        where that is not needed, or where there is no such way. Raises MlgateError like `dispatch`."""
        del workflow, branch
        return None

    def auto_merge(self, opened: Opened, request: Request, commit: str) -> str:
        """Lets the forge merge a request once all that is required has passed. One sentence of what came of it; never
        raises."""
        what = "It will not be merged by itself"
        try:
            return self._auto_merge(opened, request, commit)
        except ForgeError as error:
            return self._explain(what, error, "merge")
        except MlgateError as error:
            return f"{what}: {error}"

    def open_request(self, head: str, base: str) -> str:
        """Address of the open request of a branch; "" where there is none. Raises ForgeError where nobody can ask."""
        existing = self._requests().find(head, base)
        return (existing.url or str(existing.number)) if existing else ""

    def held_back(self, *, request: bool) -> str:
        """Why no gate will run by itself on what was just pushed (with a `request` or without); "" when one will."""
        del request
        return ""

    # -- what each forge adds

    @abstractmethod
    def push_to(self) -> Remote:
        """Where this job may push to, with its credentials. Raises MlgateError when it has none."""

    @abstractmethod
    def identity(self) -> Identity:
        """Who commits here. Never raises."""

    @abstractmethod
    def push_refused(self, error: PushError, branch: str) -> MlgateError:
        """The refusal of a push as a sentence that says what to change on this forge."""

    @abstractmethod
    def _approvals(self, number: int) -> approving.Approvals: ...

    @abstractmethod
    def _approvers(self, environment: str, commit: str) -> Approvers: ...

    @abstractmethod
    def _deployment(self, planned: Planned, explain: Callable[[ForgeError], str]) -> Deployment: ...

    @abstractmethod
    def _requests(self) -> proposing.Requests: ...

    @abstractmethod
    def _issues(self) -> issues.Issues: ...

    @abstractmethod
    def _dispatch(self, order: Order) -> Started: ...

    def _auto_merge(self, opened: Opened, request: Request, commit: str) -> str:
        del opened, request, commit
        self.api()
        raise AssertionError("unreachable")  # pragma: no cover

    def _by_hand(self, request: Request) -> str:
        del request
        return ""

    @abstractmethod
    def _read_event(self) -> Event: ...

    @abstractmethod
    def _comments(self, number: int, mark: str) -> sticky.Comments: ...

    @abstractmethod
    def _status(self, context: str, state: State, description: str, url: str) -> Posted: ...

    @abstractmethod
    def _explain(self, what: str, error: ForgeError, doing: str) -> str: ...

    def _pull_request(self) -> int | None:
        return self.event.pull_request

    def _disarm(self, body: str) -> str:
        return body

    def _print(self, text: str) -> None:
        stream = self.out or sys.stdout
        stream.write(text + "\n")
        stream.flush()
