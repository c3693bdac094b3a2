"""One MLflow run for one window of production: its readings as metrics, its report as a file.

The run is called `monitor-<day>` and lies in the model's experiment, or in one that is named. A second run of the
monitor over the same window finds it again. Like every logging here it never decides, and never raises.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlgate.model import Evidence, Watched
from mlgate.tracking.nouns import Logged, Training
from mlgate.tracking.run import TIMEOUT
from mlgate.tracking.run import log as log_run
from mlgate.tracking.store import Store

_MEASURES = ("psi", "ks", "js", "kl", "wasserstein", "cramers_v", "unseen", "out_of_range")
_NO_FILES: Mapping[str, str] = {}


def log(
    evidence: Evidence,
    store: Store,
    *,
    folder: Path,
    files: Mapping[str, str] = _NO_FILES,
    experiment: str = "",
    timeout: float = TIMEOUT,
) -> Logged:
    """`folder`: the repository; `files`: name -> text of what is put beside the numbers, such as `report.html`.

    Evidence that has not looked at production is not logged, and `problem` says so.
    """
    seen = evidence.watched
    if seen is None:
        return Logged(problem="There is nothing to log: no window of production was read.")
    with tempfile.TemporaryDirectory(prefix="mlgate-watched-", ignore_cleanup_errors=True) as name:
        kept = []
        for file, text in {"monitor.json": evidence.to_json(), **files}.items():
            path = Path(name, Path(file).name)
            path.write_text(text, "utf-8")
            kept.append(path)
        return log_run(
            replace(training(evidence, seen, folder, experiment), artifacts=tuple(kept)), store, timeout=timeout
        )


def training(evidence: Evidence, seen: Watched, folder: Path, experiment: str = "") -> Training:
    """The run as it is to be, without its files."""
    source = evidence.source
    digest = evidence.subject.digest.get("sha256", "") if evidence.subject is not None else ""
    found = metrics(seen)
    return Training(
        model=evidence.model,
        folder=folder,
        experiment=experiment,
        run_name=title(seen),
        commit=source.commit,
        run_url=source.run_url,
        model_digest=digest,
        # A window that came to nothing stands in nobody's way when its logs can be read again.
        once=f"{seen.environment} {seen.since}/{seen.until}{'' if len(found) > 1 else ' nothing'}",
        params={"environment": seen.environment, "since": seen.since, "until": seen.until},
        metrics=found,
        tags={
            "mlgate.verb": "monitor",
            "mlgate.verdict": evidence.verdict.value,
            "mlgate.environment": seen.environment,
            **{f"mlgate.alert.{one.rule}": one.state for one in seen.alerts},
        },
    )


def title(seen: Watched) -> str:
    """`monitor-2026-11-20` of a whole day, else with the hour at which the window began."""
    start = seen.since.removesuffix("Z").removesuffix(":00")
    return "monitor-" + re.sub(r"T00:00$", "", start).replace("T", "-")


def metrics(seen: Watched) -> dict[str, float]:
    """Readings by name. What is unknown is left out: MLflow would show it as a value."""
    found: dict[str, float] = {"rows": float(seen.rows)}
    for past in seen.history:
        if past.at and past.at[-1] == seen.until and past.states[-1] != "unknown" and past.values[-1] is not None:
            found[past.name] = past.values[-1]
    for column in seen.columns:
        for measure in _MEASURES:
            value = getattr(column, measure)
            if value is not None:
                found[f"{measure}.{column.name}"] = value
        if column.nulls is not None:
            found[f"nulls.{column.name}"] = column.nulls[1]
    known = [one for one in seen.columns if one.state != "unknown"]
    if known:
        moved = sum(one.state == "breached" for one in known)
        found["number_of_drifted_columns"] = float(moved)
        found.setdefault("drift_share", moved / len(known))
    drift = next((one for one in seen.alerts if one.rule == "drift"), None)
    if drift is not None and drift.state != "unknown":
        found["dataset_drift_detected"] = float(drift.state in ("firing", "pending"))
    return found
