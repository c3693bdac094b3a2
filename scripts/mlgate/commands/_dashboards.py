"""`mlgate report --dashboards`: a board for Grafana, and alerting rules for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.commands._run import Run, Unloadable, relative, say, write_text
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from mlgate.config import Config
    from mlgate.render.dashboards.alerting import Watching

BOARD, RULES = "grafana-mlgate.json", "prometheus-mlgate.yaml"


def write(run: Run, folder: Path) -> int:
    """Both files. Raises MlgateError where no model is watched, or a configuration cannot be read."""
    from mlgate.render.dashboards import alerting, grafana  # noqa: PLC0415

    configs = loaded(run)
    if not configs:
        raise run.no_config()
    found = list(watching(configs))
    if not found:
        raise MlgateError(
            "no model is watched: `monitor` has no `logs`, so there is nothing to alert about.",
            file=", ".join(one.file for one in configs[:3]),
            fix="Name them under `monitor.logs`.",
        )
    rules = alerting.text(found)
    for name, text in ((BOARD, grafana.text()), (RULES, rules)):
        write_text(folder / name, text)
        say(run.forge, f"written: {relative(folder / name)}\n")
    return 0


def loaded(run: Run) -> list[Config]:
    """Every configuration. Raises MlgateError for one that cannot be read: its model would be missing unseen."""
    configs = []
    for file in run.config_files():
        found = run.load(file)
        if isinstance(found, Unloadable):
            raise found.error
        configs.append(found)
    return configs


def watching(configs: Iterable[Config]) -> Iterator[Watching]:
    """The models that are watched, and where. Raises MlgateError for an environment that there is not."""
    from mlgate.commands._watching_model import environment  # noqa: PLC0415
    from mlgate.render.dashboards.alerting import Watching  # noqa: PLC0415

    for one in configs:
        if one.monitor.logs is not None or one.monitor.metrics:
            yield Watching(one.model, environment(one, ""), one.monitor)
