"""What a run of `monitor` was asked for: which windows, and which ledgers it looks back on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlgate.commands import _ledger
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.ledger.chain import EVENTS, READINGS, Record
from mlgate.ledger.kinds import TIME
from mlgate.watch.history import History
from mlgate.watch.nouns import Window

if TYPE_CHECKING:
    from mlgate.ledger.branch import Ledger


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    environment: str = ""
    until: str = ""
    windows: int = 1
    ledger: bool = True
    tracking_uri: str = ""
    memory_limit: str = ""
    pull: bool = True
    python: str = ""


def window(config: Config, until: str, now: datetime) -> Window:
    """The last whole window that is over, or the one that ends at `until`. Raises MlgateError for no moment."""
    length, lag = (timedelta(seconds=float(each)) for each in (config.monitor.window, config.monitor.lag))
    if not until:
        return Window.before(now - lag, length)
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise MlgateError(f"--until {until!r} is no moment.", fix="Write 2026-11-20 or 2026-11-20T06:00:00Z.") from None
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    found = Window.before(moment, length)
    if found.until != moment:
        raise MlgateError(
            f"no window ends at {until}: the one before it ends at {found.until.strftime(TIME)}.",
            fix=f"Give --until {found.until.strftime(TIME)}.",
        )
    if moment > now:
        raise MlgateError(
            f"--until {until} is not over yet.", fix="Leave it out: the last window that is over is taken."
        )
    return found


class Memory:
    """The ledgers of a run: models that share one read it once."""

    def __init__(self, run: Run, asked: Asked) -> None:
        self.run, self.asked = run, asked
        self._read: dict[tuple[str, str], tuple[Ledger, tuple[Record, ...], str, History]] = {}

    def of(self, config: Config, began: datetime) -> tuple[Ledger | None, tuple[Record, ...], History]:
        """Its events, and its readings since then; the ledger is None where nothing is to be written.

        Raises MlgateError for one that is damaged or out of reach: without it, nobody knows which model is there and
        what was so before.
        """
        key, month = (config.ledger.remote or "", config.ledger.branch), f"{began:%Y-%m}"
        known = self._read.get(key)
        if known is None or month < known[2]:
            ledger = _ledger.open_ledger(self.run, config.ledger, write=self.asked.ledger)
            known = ledger, ledger.records((EVENTS,)), month, History(ledger.records((READINGS,), since=month))
            self._read[key] = known
        ledger, events, _, readings_of = known
        return ledger if self.asked.ledger else None, events, readings_of
