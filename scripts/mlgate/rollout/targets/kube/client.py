"""kubectl, by its own command line: a person's contexts, logins and plugins are those it knows.

Objects go in by stdin. No secret is ever among the arguments.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.repo.credentials import redact
from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.kube.names import MANAGER

TIMEOUT = 30.0  # seconds for one answer
Object = dict[str, Any]
# What is written is small and of one shape: no description of the whole API has to be fetched to check it here, too.
_PLAIN = ("--filename=-", "--output=json", "--validate=false")
_NO_HEADER = re.compile(r"^(Error from server( \([A-Za-z]+\))?|error): *", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"was refused|Unable to connect|no such host|i/o timeout|connection refused|certificate|deadline exceeded"
    r"|couldn't get current server API group list|current-context is not set|context .* does not exist"
    r"|no configuration has been provided",
    re.IGNORECASE,
)


class ConflictError(TargetError):
    """What was to be replaced is not what was read any more, or what was to be made is there."""


class GoneError(TargetError):
    """What was to be changed is not there."""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """What it complained of, for a sentence of ours."""
        lines = [line.strip() for line in redact(self.err or self.out).splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith("Warning:")] or lines
        return _NO_HEADER.sub("", lines[-1])[:400].rstrip(".") if lines else f"exit code {self.code}"


@dataclass(frozen=True)
class Kubectl:
    """One namespace of one cluster."""

    namespace: str
    context: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)  # instead of this process's own
    command: str = "kubectl"

    def arguments(self, *args: str) -> list[str]:
        chosen = ["--context", self.context] if self.context else []
        return [self.command, *chosen, "--namespace", self.namespace, *args]

    @property
    def env(self) -> dict[str, str]:
        return dict(self.environ or os.environ)

    def ask(self, *args: str, given: bytes = b"", timeout: float = TIMEOUT) -> Said:
        """Raises TargetError where there is no kubectl, or no answer in time."""
        if shutil.which(self.command, path=self.env.get("PATH")) is None:
            raise TargetError("there is no `kubectl` on PATH.", fix="Install it in the job that deploys.")
        try:
            done = subprocess.run(
                self.arguments(f"--request-timeout={timeout:g}s", *args), input=given, capture_output=True,
                timeout=timeout + 10, check=False, env=self.env,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TargetError(
                f"the cluster did not answer `kubectl {args[0]}` within {timeout:g} seconds.",
                fix="See whether the cluster is well; run it again.",
            ) from None
        return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def run(self, *args: str, given: bytes = b"", timeout: float = TIMEOUT) -> str:
        """What it printed. Raises ConflictError, or TargetError in the cluster's own words."""
        said = self.ask(*args, given=given, timeout=timeout)
        if said.code == 0:
            return said.out
        if re.search(r"\((Conflict|AlreadyExists)\)", said.err):
            raise ConflictError(said.last + ".")
        if "(NotFound)" in said.err:
            raise GoneError(f"the cluster has no such thing: {said.last}.")
        if _UNREACHABLE.search(said.err):
            raise TargetError(
                f"the cluster cannot be reached: {said.last}.",
                fix="Give the job a kubeconfig (KUBECONFIG), and name its context in `target.host`.",
            )
        if "(Forbidden)" in said.err or "(Unauthorized)" in said.err or "must be logged in" in said.err:
            raise TargetError(
                f"the cluster refuses `kubectl {args[0]}`: {said.last}.",
                fix="Give the account that deploys the rights that docs/kubernetes.md lists.",
            )
        raise TargetError(f"`kubectl {args[0]}` failed: {said.last}.")

    # -- objects ------------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Object | None:
        """None where there is none."""
        out = self.run("get", kind, name, "--ignore-not-found", "--output=json")
        return _object(out) if out.strip() else None

    def list(self, kinds: str, selector: str) -> Sequence[Object]:
        """All of these kinds (`deployments,pods`) with these labels."""
        found = _object(self.run("get", kinds, f"--selector={selector}", "--output=json"))
        return [one for one in found.get("items") or [] if isinstance(one, dict)]

    def apply(self, objects: Sequence[Object]) -> None:
        """By server-side apply: fields that others own and we do not name stay theirs."""
        self.run(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--filename=-",
            given=_listed(objects),
        )  # fmt: skip

    def create(self, made: Object) -> Object:
        """Raises ConflictError where it is there already."""
        return _object(self.run("create", *_PLAIN, given=_listed([made])))

    def replace(self, made: Object) -> Object:
        """Raises ConflictError where `metadata.resourceVersion` is no longer the cluster's."""
        return _object(self.run("replace", *_PLAIN, given=_listed([made])))

    def delete(self, kinds: str, selector: str, *, timeout: float) -> None:
        """All of these kinds with these labels, and waits until they are gone, or the time is over."""
        said = self.ask(
            "delete", kinds, f"--selector={selector}", "--ignore-not-found", "--cascade=foreground", "--wait=true",
            f"--timeout={max(1, round(timeout))}s", timeout=timeout + 30,
        )  # fmt: skip
        if said.code != 0 and "timed out waiting" not in said.err:
            raise TargetError(f"`kubectl delete` failed: {said.last}.")

    def raw(self, path: str, timeout: float = TIMEOUT) -> str:
        """What the API server answers at a path; `.../pods/http:NAME:PORT/proxy/metrics` is what the pod answers."""
        return self.run("get", f"--raw={path}", timeout=timeout)


def _listed(objects: Sequence[Object]) -> bytes:
    if len(objects) == 1:
        return json.dumps(objects[0]).encode()
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def _object(text: str) -> Object:
    try:
        found: Object = json.loads(text)
    except ValueError as error:
        raise TargetError("kubectl printed no JSON.", fix="Use kubectl 1.30 or later.") from error
    return found
