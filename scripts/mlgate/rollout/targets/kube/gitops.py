"""Nothing is applied: the digest is committed, and Argo CD or Flux brings the cluster to what the commit says.

    <target.gitops>/<model>-<environment>.yaml     everything of the environment; one commit for each release
    branch mlgate-rollout/<model>-<environment>    the state of the rollout: one commit, replaced at each write

There is one Deployment, and Kubernetes itself replaces its pods without taking one away before another is ready. Both
branches are pushed only if they are where they were read (`--force-with-lease`): the git server is the fence.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from typing import Any, NoReturn

import yaml

from mlgate.errors import MlgateError
from mlgate.ledger.store import Store, Tip
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, PushError, Remote
from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot, Tally
from mlgate.rollout.targets import FencedError, Place, Target, TargetError
from mlgate.rollout.targets.kube import manifests, names
from mlgate.rollout.targets.kube.pods import digest

Object = dict[str, Any]

STRATEGIES = ("replace", "rolling", "blue-green")
BRANCH = "branch"  # of `target.options`: where the manifests are committed
_STATE, _STARTED = "state.json", "started.json"
_LOCAL = r"^(http\..*|credential\..*|url\..*|core\.sshcommand)$"  # how this clone gets in: checkouts write it there
_TRIES = 3


def for_commit(place: Place, release: Release) -> list[Object]:
    """All manifests of one release, under names that stay the same from release to release."""
    own = names.labels(place.model, place.environment)
    name = names.service(place.model, place.environment)
    objects = manifests.for_environment(place)
    for made in manifests.for_slot(place, release, replicas=place.settings.replicas):
        if made["kind"] == "Service":
            continue
        one = copy.deepcopy(made)
        one["metadata"]["name"] = name
        spec = one["spec"]
        if "selector" in spec:
            spec["selector"] = {"matchLabels": own}
        if one["kind"] == "HorizontalPodAutoscaler":
            spec["scaleTargetRef"]["name"] = name
        if one["kind"] == "Deployment":
            for spread in spec["template"]["spec"]["topologySpreadConstraints"]:
                spread["labelSelector"] = {"matchLabels": own}
            if place.settings.target.max_replicas is not None:
                del spec["replicas"]  # the autoscaler's
        objects.append(one)
    objects.append(manifests.front(place, own))
    return objects


class GitOps(Target):
    """One environment, as a file of a branch."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        _check(place)
        git = Git(place.folder)
        url = git.remote_url()
        if not url:
            raise MlgateError(
                "this clone has no remote named origin, so nothing can be committed to it.",
                fix="Add one: `git remote add origin ...`.",
            )
        self._name = names.service(place.model, place.environment)
        self._path = f"{str(place.settings.target.gitops).strip('/')}/{self._name}.yaml"
        branch = place.settings.target.options.get(BRANCH) or git.default_branch()
        if not branch:
            raise MlgateError(
                "it is not known which branch the cluster follows.",
                key=f"deploy.environments.{place.environment}.target.options.{BRANCH}", fix="Name it.",
            )  # fmt: skip
        form = git.try_run("rev-parse", "--show-object-format").stdout.decode().strip() or "sha1"
        local = git.try_run("config", "--local", "-z", "--get-regexp", _LOCAL).stdout.decode(errors="replace")
        settings = [(key, value) for key, _, value in (item.partition("\n") for item in local.split("\0") if item)]

        def store(name: str) -> Store:
            folder = place.state / "gitops" / f"{self._name}-{names.plain(name, 40)}.git"
            by = Identity("mlgate", "mlgate@localhost")
            return Store(folder, Remote(url), name, by=by, object_format=form, settings=settings)

        self._kept, self._manifests = store(f"mlgate-rollout/{self._name}"), store(branch)
        self._mark = ""
        self._started: dict[str, Release] = {}

    # -- the state of the rollout -------------------------------------------------------------------------------------

    def read(self) -> Kept | None:
        tip = _asked(self._kept.fetch)
        self._mark = tip.commit if tip else ""
        if tip is None:
            return None
        said = self._kept.read(tip, [_STATE, _STARTED])
        started = [Release(**one) for one in json.loads(said[_STARTED])]
        self._started = {**{one.slot: one for one in started}, **self._started}
        return Kept(said[_STATE].decode(), self._mark)

    def write(self, text: str, *, after: str) -> str:
        tip = _asked(self._kept.fetch)
        if (tip.commit if tip else "") != after:
            raise self._fenced()
        started = json.dumps([asdict(one) for one in self._started.values()]).encode()
        # The time of the commit makes the mark of the same text another one, so it may not stand still.
        now = max(int(time.time()), _time(tip) + 1)
        made = self._kept.commit(
            None, {_STATE: text.encode(), _STARTED: started}, title="Keep the state of a rollout [skip ci]", at=now
        )
        try:
            self._kept.push(made, tip)
        except PushError as error:
            if error.why == "moved":
                raise self._fenced() from None
            raise TargetError(f"the state of the rollout could not be kept: {error.said}.") from error
        self._mark = made
        return made

    def _fenced(self) -> FencedError:
        return FencedError(
            f"somebody else goes on with the rollout of {self.place.model} in {self.place.environment}.",
            fix="Let it; run `mlgate deploy --once` when it has ended.",
        )

    def _check(self) -> None:
        tip = _asked(self._kept.fetch)
        if (tip.commit if tip else "") != self._mark:
            raise self._fenced()

    # -- what runs ----------------------------------------------------------------------------------------------------

    def slots(self) -> Sequence[Slot]:
        """What is committed has all traffic; what was started waits for its commit."""
        replicas = self.place.settings.replicas
        found: list[Slot] = []
        committed = self._committed(_asked(self._manifests.fetch))
        if committed is not None:
            name, image = committed
            found.append(Slot(name, image, replicas, replicas, 100.0))
        there = {one.name for one in found}
        waiting = [one for slot, one in sorted(self._started.items()) if slot not in there]
        return [*found, *(Slot(one.slot, one.image, replicas, replicas, 0.0) for one in waiting)]

    def _committed(self, tip: Tip | None) -> tuple[str, str] | None:
        """Slot and image of the manifests on the branch."""
        if tip is None:
            raise TargetError(f"the branch {self._manifests.branch} is not there.", fix="Push it first.")
        if self._path not in tip.files:
            return None
        try:
            documents = list(yaml.safe_load_all(self._manifests.read(tip, [self._path])[self._path]))
            one = next(each for each in documents if each["kind"] == "Deployment")
            pod = one["spec"]["template"]
            image = next(each["image"] for each in pod["spec"]["containers"] if each["name"] == manifests.CONTAINER)
            return str(pod["metadata"]["labels"][names.SLOT]), str(image)
        except (yaml.YAMLError, StopIteration, KeyError, TypeError) as error:
            raise TargetError(
                f"{self._path} on {self._manifests.branch} holds no Deployment of ours.",
                fix="Restore it, or delete it: the next deployment writes it again.",
            ) from error

    def start(self, release: Release, *, replicas: int) -> None:
        self._check()
        self._started[release.slot] = release

    def ready(self, slot: str) -> Readiness:
        if slot not in {one.name for one in self.slots()}:
            return Readiness(False, ended=True, said=f"{slot} is not there.")
        return Readiness(True, said="With `gitops` no cluster is asked: whether pods are ready is not known here.")

    def weigh(self, weights: Mapping[str, float]) -> None:
        """One commit. Raises TargetError for anything but all traffic to one release, or for none at all."""
        given = [slot for slot, weight in weights.items() if weight > 0]
        if len(given) != 1:
            raise TargetError(
                "with `gitops` one release has all the traffic: it can be neither split nor taken away.",
                fix="Use `strategy: replace`; let Argo Rollouts or Flagger split the traffic in the cluster.",
            )
        for attempt in range(_TRIES):
            self._check()
            tip = _asked(self._manifests.fetch)
            committed = self._committed(tip)
            if committed is not None and committed[0] == given[0]:
                return
            release = self._started.get(given[0])
            if release is None:
                raise TargetError(f"{given[0]} is not there, so it can be given no traffic.")
            if self._commit(tip, release, last=attempt + 1 == _TRIES):
                return

    def _commit(self, tip: Tip | None, release: Release, *, last: bool) -> bool:
        """Whether it was pushed; another commit came first where it was not."""
        text = yaml.safe_dump_all(for_commit(self.place, release), sort_keys=False, explicit_start=True, width=120)
        what = release.version or digest(release.image)[:19]
        title = f"Deploy {release.model} {what} to {self.place.environment} [skip ci]"
        made = self._manifests.commit(tip, {self._path: text.encode()}, title=title, at=int(time.time()))
        try:
            self._manifests.push(made, tip)
        except PushError as error:
            if error.why == "moved" and not last:
                return False
            raise TargetError(
                f"the manifests could not be committed to {self._manifests.branch}: {error.said}.",
                fix="Let the job push to that branch, or name another in `target.options.branch`.",
            ) from error
        return True

    def stop(self, slot: str) -> None:
        self._check()
        if any(one.name == slot and one.weight for one in self.slots()):
            raise TargetError(f"{slot} still has all the traffic.", fix="Give it to another release first.")
        self._started.pop(slot, None)

    def open(self, slot: str) -> AbstractContextManager[str]:
        _no_cluster(f"{slot} cannot be reached")

    @property
    def url(self) -> str:
        return (self.place.settings.url or "").rstrip("/")

    # -- what it does -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return time.time()

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        return Observed(since, until, {slot: Tally() for slot in slots}, complete=False, why="no cluster is asked")


def _check(place: Place) -> None:
    where = f"deploy.environments.{place.environment}"
    settings = place.settings
    if settings.strategy not in STRATEGIES:
        raise MlgateError(
            f"is {settings.strategy}, and with `target.gitops` nothing is asked of a cluster that could decide it.",
            key=f"{where}.strategy", fix="Use `replace`; split traffic with Argo Rollouts or Flagger in the cluster.",
        )  # fmt: skip
    if settings.target.routing == "gateway":
        raise MlgateError(
            "is `gateway`, and with `target.gitops` there is no traffic to split.", key=f"{where}.target.routing",
            fix="Leave it out.",
        )  # fmt: skip
    checks = settings.checks
    asked = [name for name in ("smoke", "skew", "api", "load", "shadow", "run") if getattr(checks, name)]
    if asked:
        raise MlgateError(
            f"ask for {', '.join(asked)}, and with `target.gitops` nothing runs before the commit that could be asked.",
            key=f"{where}.checks", fix="Try it in the environment before; write `checks: {smoke: false, api: false}`.",
        )  # fmt: skip


def _asked(fetch: Any) -> Tip | None:
    try:
        found: Tip | None = fetch()
    except PushError as error:
        raise TargetError(f"the repository cannot be asked: {error.said}.", fix="Run it again.") from error
    return found


def _time(tip: Tip | None) -> int:
    """Seconds since 1970, when it was committed."""
    return 0 if tip is None else int(datetime.fromisoformat(tip.git.committed_at(tip.commit)).timestamp())


def _no_cluster(what: str) -> NoReturn:
    raise TargetError(f"{what}: with `gitops` no cluster is asked.", fix="Try it in the environment before.")
