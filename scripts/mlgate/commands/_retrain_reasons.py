"""What asks for a retraining: somebody by hand, a rule of `mlgate monitor`, new data, or the schedule.

Evidence of the monitor comes from another job. It says where to look, and is not believed: a rule fires if the ledger's
readings make it fire, now as then, and it asks for a successor if mlgate.yaml says so.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.commands import _retrain_inputs as inputs
from mlgate.commands import _retrain_standing as standing
from mlgate.commands._run import STATE, Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Evidence
from mlgate.repo.dvc import Pipeline
from mlgate.watch.nouns import Window
from mlgate.watch.retraining import MANUAL, NEW_DATA, SCHEDULE, due
from mlgate.watch.rules import all_rules

if TYPE_CHECKING:
    from mlgate.ledger.branch import Ledger

LIMIT = 50_000_000  # octets of one evidence


@dataclass(frozen=True)
class Reason:
    """One thing that asks for a new model. `values`: what was measured, in words; `report`: sha256 of the evidence."""

    rule: str
    cause: str
    said: str = ""  # why, in a sentence; empty where the rule and the values say it
    values: tuple[str, ...] = ()
    report: str = ""
    readings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """`reason`: None where nothing asks; `said` tells what was looked at, a sentence each."""

    reason: Reason | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """The options that say why. `folder`: evidence named with --from, None for that of this folder."""

    by_hand: str = ""
    folder: Path | None = None
    rule: str = ""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def find(run: Run, config: Config, pipeline: Pipeline, ledger: Ledger, given: Given) -> Found:
    """The first that asks, in this order: by hand, a rule, new data, the schedule. Raises MlgateError for evidence that
    is none, is another model's, or speaks of what the ledger does not have."""
    if given.by_hand:
        url = run.forge.event.run_url
        return Found(Reason(MANUAL, url or given.now.isoformat(timespec="microseconds"), given.by_hand))
    said: list[str] = []
    watched = _watched(run, config, ledger, given)
    if watched.reason or given.rule:
        return watched
    said += watched.said
    settings = config.retrain
    if settings.new_data:
        changed = inputs.new_data(pipeline, inputs.chain(config, pipeline))
        if changed:
            cause = hashlib.sha256("\0".join(f"{path} {md5}" for path, md5 in changed.items()).encode()).hexdigest()
            values = tuple(f"{path} is {md5[:12]} now" for path, md5 in list(changed.items())[:20])
            return Found(Reason(NEW_DATA, cause[:32], values=values))
        said.append("No pointer to data changed since the model was made.")
    if settings.every is not None:
        last = inputs.last_trained(run, config, pipeline, ledger.records())
        if due(settings.every, last, given.now):
            when = f"the last training was on {last:%Y-%m-%d}" if last else "nothing says when it was trained last"
            return Found(Reason(SCHEDULE, f"{given.now:%Y-%m-%d}", values=(when,)))
        said.append(f"It was trained last on {last:%Y-%m-%d}, which is not long enough ago.")
    return Found(None, tuple(said))


def environment(config: Config) -> str:
    """The environment whose readings count; empty where mlgate.yaml has none."""
    return config.monitor.environment or next(reversed(config.deploy.environments), "")


# -- what the monitor saw --------------------------------------------------------------------------------------------


def _watched(run: Run, config: Config, ledger: Ledger, given: Given) -> Found:
    file = _place(run, config, given.folder)
    if file is None:
        if given.rule:
            raise MlgateError(f"--rule {given.rule} needs evidence of the monitor.", fix="Run `mlgate monitor` first.")
        return Found()
    data = _bytes(file)
    evidence = _evidence(data, file, config)
    watched = evidence.watched
    if watched is None:
        return Found(None, (f"The monitor measured nothing ({evidence.verdict}): {evidence.title}",))
    if given.rule and given.rule not in {alert.rule for alert in watched.alerts}:
        raise MlgateError(f"has no rule {given.rule!r}.", file=str(file), fix="Look at `monitor.rules`.")
    firing = [
        alert
        for alert in watched.alerts
        if alert.state == "firing" and (alert.rule == given.rule if given.rule else alert.retrain)
        if given.rule or _asks(config, alert.rule, file)
    ]
    window = Window(_moment(watched.since, file), _moment(watched.until, file))
    if not firing:
        what = f"The rule {given.rule} does not fire" if given.rule else "No rule that asks for a retraining fires"
        return Found(None, (f"{what} in the window until {window.until:%Y-%m-%d %H:%M} UTC.",))
    order = {"critical": 0, "warn": 1, "info": 2}
    firing.sort(key=lambda alert: order[alert.severity])
    stood = standing.of(
        ledger, config, [alert.rule for alert in firing], window, environment=watched.environment, file=file
    )
    if over := [one for one in stood.values() if one.over]:
        return Found(None, (over[0].over,))
    said = {alert.rule: stood[alert.rule].said or alert.said for alert in firing}
    values = tuple(f"{rule}: {told}" if len(firing) > 1 else told for rule, told in said.items() if told)
    held = tuple(alert.held for alert in firing[:1] if alert.held)
    report = hashlib.sha256(data).hexdigest()
    ids = tuple(one.id for one in stood.values())
    return Found(Reason(firing[0].rule, str(window), "", (*values, *held), report, ids))


def _asks(config: Config, name: str, file: Path) -> bool:
    """Whether mlgate.yaml wants a successor when this rule fires. Raises MlgateError where it has no such rule."""
    rule = all_rules(config.monitor).get(name)
    if rule is None:
        raise MlgateError(
            f"says that {name[:100]!a} fires, and {config.file} has no such rule.", file=str(file),
            fix="Run the monitor again.",
        )  # fmt: skip
    return rule.retrain


def _place(run: Run, config: Config, given: Path | None) -> Path | None:
    """The file with the evidence; None where none was named and none is there."""
    if given is None:
        file = run.cwd / STATE / "evidence" / config.model / "monitor.json"
        return file if file.is_file() and not file.is_symlink() else None
    if given.is_dir():
        places = [given / config.model / "monitor.json", given / "evidence" / config.model / "monitor.json"]
        found = next((file for file in places if file.is_file()), None)
        if found is None:
            raise MlgateError(f"holds no evidence of the monitor about {config.model}.", file=str(given))
        return found
    return given


def _bytes(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise MlgateError(f"cannot be read ({error.strerror}).", file=str(file), fix="Look at --from.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MlgateError("is no file.", file=str(file), fix="Look at --from.")
    with os.fdopen(handle, "rb") as opened:
        data = opened.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise MlgateError(f"has more than {LIMIT:,} octets, so it is no evidence of ours.", file=str(file))
    return data


def _evidence(data: bytes, file: Path, config: Config) -> Evidence:
    try:
        found = Evidence.from_json(data)
    except (ValueError, RecursionError):
        raise MlgateError(
            "cannot be read as evidence.", file=str(file), fix="Run `mlgate monitor` again; nothing was started."
        ) from None
    if found.kind != "monitor":
        raise MlgateError(
            f"is evidence of {found.kind[:40]!a}, and retraining asks the monitor's.", file=str(file),
            fix="Name .mlgate/evidence/<model>/monitor.json.",
        )  # fmt: skip
    if found.model != config.model:
        raise MlgateError(
            f"is about {found.model[:100]!a}, and {config.file} is about {config.model}.", file=str(file),
            fix="Name the evidence of this model.",
        )  # fmt: skip
    wanted = environment(config)
    if found.watched is not None and wanted and found.watched.environment != wanted:
        raise MlgateError(
            f"is about the environment {found.watched.environment[:100]!a}, and {wanted} is the one that is watched.",
            file=str(file), fix="Look at `monitor.environment`.",
        )  # fmt: skip
    return found


def _moment(text: str, file: Path) -> datetime:
    moment: datetime | None = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.tzinfo is None:
        raise MlgateError(f"has a window that is none ({text[:40]!a}).", file=str(file), fix="Run the monitor again.")
    return moment.astimezone(UTC)
