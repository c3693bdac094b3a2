"""`mlgate report --overview`: one page over all models, from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import __version__
from mlgate.commands._dashboards import loaded, watching
from mlgate.commands._ledger import open_ledger
from mlgate.commands._run import Run, say, write_text
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from mlgate.config.settings import Ledger
    from mlgate.ledger.chain import Record


def write(run: Run, file: Path) -> int:
    """Every model that a ledger of these configurations has readings of, and those that are to be watched and have
    none. Raises MlgateError where there is neither, or a ledger cannot be read."""
    from mlgate.ledger.chain import EVENTS, READINGS  # noqa: PLC0415
    from mlgate.render import overview  # noqa: PLC0415

    now = datetime.now(UTC)
    configs = loaded(run)
    ledgers: dict[str, Ledger | None] = {one.ledger.model_dump_json(): one.ledger for one in configs}
    expected = {(one.model, one.environment): one.monitor for one in watching(configs)}
    longest = max((float(one.history) for one in expected.values()), default=90 * 86_400.0)
    since = f"{now - timedelta(seconds=longest):%Y-%m}"
    records: list[Record] = []
    for settings in ledgers.values() or [None]:
        ledger = open_ledger(run, settings, write=False)
        # What is where is asked of all events; readings may be many, and charts go back only so far.
        records += [*ledger.records((EVENTS,)), *ledger.records((READINGS,), since=since)]
    found = overview.lines(records, now, expected)
    if not found:
        raise MlgateError(
            "no model is watched: the ledger has no readings, and no mlgate.yaml here has `monitor.logs`.",
            fix="Run `mlgate monitor` first, or name the configurations with --config.",
        )
    write_text(file, overview.page(found, now=now, tool=f"mlgate {__version__}"))
    say(run.forge, f"{len(found):,} {'model' if len(found) == 1 else 'models'}: {file}\n")
    return 0
