"""What a registry says of a version beside its number: tags, and what `artifacts:` of a dvc.yaml calls the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlgate.commands._model import Decided
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Named
from mlgate.repo.dvc import Pipeline
from mlgate.signing.statement import Statement

_RESERVED = ("mlgate.", "gitlab.", "mlflow.")
_OWN = frozenset({"git_commit", "dvc_md5", "verdict_sha", "image", "image_digest"})


def tags(
    config: Config,
    *,
    subject: Named,
    digests: Mapping[str, str],
    decided: Decided,
    image: Statement | None,
    run_url: str,
) -> dict[str, str]:
    """What every registry says of the version. Raises MlgateError for tags of mlgate.yaml that are mlgate's own."""
    given = {"register.tags": config.register_.tags, "governance.tags": config.governance.tags}
    for section, key in ((section, key) for section, named in given.items() for key in named):
        if key in _OWN or key.startswith(_RESERVED):
            raise MlgateError(
                f"the tag {key} is mlgate's own to set.", file=config.file, line=config.line(section),
                key=f"{section}.{key}", fix="Give it another name.",
            )  # fmt: skip
    decision = decided.statement.predicate.decision
    found = {
        "mlgate.model": config.model,
        "mlgate.commit": decided.commit,
        # As a training's run has it: a version and its run have to name one model.
        "mlgate.model_digest": next(iter(subject.digest.values())),
        "mlgate.model_sha256": digests.get("sha256", ""),
        "mlgate.decision": decided.statement.digest,
        "mlgate.verdict": decision.verdict,
        "mlgate.warns": ", ".join(warned.name for warned in decision.warns),
        "mlgate.run_url": run_url,
        "git_commit": decided.commit,
        "dvc_md5": digests.get("dvc-md5", ""),
        "verdict_sha": decided.statement.digest,
        "image": image.reference if image else "",
        "image_digest": image.image if image else "",
        "owners": ", ".join(config.governance.owners),
    }
    for name, data in decision.evaluation.items():
        algorithm, value = next(iter(data.digest.items()))
        found[f"mlgate.dataset.{name}"] = f"{algorithm}:{value}"
    return {key: value for key, value in {**found, **asked(config)}.items() if value}


def asked(config: Config) -> dict[str, str]:
    """The tags that mlgate.yaml asks for."""
    return {**config.governance.tags, **config.register_.tags}


def described(pipeline: Pipeline, name: str, path: str) -> Mapping[str, Any]:
    """The entry of a dvc.yaml's `artifacts:` for this path, else for this name; empty where there is none."""
    by_name: Mapping[str, Any] = {}
    for file, said in pipeline.definitions():
        found = said.get("artifacts")
        for called, about in found.items() if isinstance(found, dict) else ():
            if not isinstance(about, dict):
                continue
            if (Path(file).parent / str(about.get("path", ""))).as_posix() == path:
                return about
            by_name = about if called == name else by_name
    return by_name


def shown(digests: Mapping[str, str]) -> str:
    """One digest, with its algorithm: sha256 where there is one."""
    name = "sha256" if "sha256" in digests else next(iter(digests))
    return f"{name}:{digests[name]}"
