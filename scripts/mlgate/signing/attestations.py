"""Attestations on GitHub: statements that a workflow signed with its own identity, verified by `gh attestation verify`.

The image's is made by `actions/attest` with the predicate of the image statement; the decision's is a provenance of the
record's file. GitHub keeps them; which workflow of which repository and branch signed them is in their certificates.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.signing.statement import PREDICATE, Statement

PROVENANCE = "https://slsa.dev/provenance/v1"
TIMEOUT = 180.0  # seconds


@dataclass(frozen=True)
class By:
    """Whose attestations count: a repository, and where it is named the workflow and the branch."""

    repository: str  # owner/name
    workflow: str = ""  # owner/name/.github/workflows/file.yml, which may be another repository's
    branch: str = ""

    @classmethod
    def parse(cls, text: str, branch: str = "") -> By:
        """From `owner/name` or `owner/name/.github/workflows/file.yml`. Raises MlgateError for what is neither."""
        parts = text.strip().split("/")
        if len(parts) == 2 and all(parts):
            return cls("/".join(parts), "", branch)
        if len(parts) >= 5 and parts[2:4] == [".github", "workflows"] and all(parts):
            return cls("/".join(parts[:2]), "/".join(parts), branch)
        raise MlgateError(
            f"--attested-by {text.strip()[:120]!r} names no repository or workflow.",
            fix="Write owner/name or owner/name/.github/workflows/file.yml.",
        )


@dataclass(frozen=True)
class GitHub:
    """GitHub's command line tool. Its token is in the environment (GH_TOKEN)."""

    command: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def image(self, statement: Statement, by: By) -> str:
        """Why no attestation says of the image what its statement says, as a sentence; empty where one does."""
        found, why = self._verified(f"oci://{statement.reference}", PREDICATE, by)
        wanted = statement.to_dict()["predicate"]
        if why or any(each.get("predicate") == wanted for each in _on(found, by)):
            return why
        return _other(found, by) or "the attestations of this image say something else than its statement."

    def record(self, file: Path, by: By) -> str:
        """Why no attestation vouches for a decision record's file, as a sentence; empty where one does."""
        found, why = self._verified(str(file), PROVENANCE, by)
        if why or any(_on(found, by)):
            return why
        return _other(found, by)

    def _verified(self, subject: str, kind: str, by: By) -> tuple[list[dict[str, Any]], str]:
        """What `gh` has verified, and why there is nothing."""
        whose = ("--repo", by.repository, *(("--signer-workflow", by.workflow) if by.workflow else ()))
        args = ("attestation", "verify", subject, *whose, "--predicate-type", kind, "--format", "json")
        try:
            done = subprocess.run(
                [self.command, *args], env={**(self.environ or os.environ), "NO_COLOR": "1", "GH_PROMPT_DISABLED": "1"},
                capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return [], f"`gh attestation verify` did not end within {TIMEOUT:.0f} seconds."
        except OSError as error:
            return [], f"gh cannot be started ({error.strerror})."
        if done.returncode != 0:
            lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
            said = next((line for line in lines if line.startswith(("Error", "✗"))), lines[-1] if lines else "")
            said = said.removeprefix("✗").removeprefix("Error:").strip()[:300].rstrip(".")
            return [], f"`gh attestation verify` finds none: {said or f'exit code {done.returncode}'}."
        try:
            answer = json.loads(done.stdout)
            found = [each["verificationResult"] for each in answer]
            if not all(isinstance(each, dict) for each in found):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            return [], "the answer of `gh attestation verify` cannot be read."
        return found, "" if found else "`gh attestation verify` finds none."


def find(environ: Mapping[str, str] | None = None) -> GitHub:
    """Raises MlgateError without `gh`."""
    env = dict(environ or os.environ)
    command = shutil.which("gh", path=env.get("PATH"))
    if not command:
        raise MlgateError("there is no `gh` on PATH.", fix="Install GitHub's command line tool, 2.49 or later.")
    return GitHub(command, env)


def _on(found: list[dict[str, Any]], by: By) -> Iterator[dict[str, Any]]:
    """The statements whose certificates name the branch that is asked for."""
    for each in found:
        if not by.branch or _ref(each) == f"refs/heads/{by.branch}":
            statement = each.get("statement")
            if isinstance(statement, dict):
                yield statement


def _ref(verified: dict[str, Any]) -> str:
    try:
        return str(verified["signature"]["certificate"]["sourceRepositoryRef"])
    except (KeyError, TypeError):
        return ""


def _other(found: list[dict[str, Any]], by: By) -> str:
    """That all of them are from other branches; empty where one is from the right one."""
    if any(_on(found, by)):
        return ""
    refs = sorted({_ref(each) or "no branch" for each in found})
    return f"its attestations were signed on {', '.join(refs[:3])}, not on the branch {by.branch}."
