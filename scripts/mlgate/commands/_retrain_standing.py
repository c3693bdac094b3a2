"""Whether a rule of the monitor fires, by the ledger alone: what evidence says of it comes from another job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.config.watching import AlarmRule
from mlgate.errors import MlgateError
from mlgate.watch.nouns import Window

if TYPE_CHECKING:
    from mlgate.ledger.branch import Ledger
    from mlgate.ledger.kinds import Reading
    from mlgate.watch.history import History


_Fires = Callable[["Reading", Window], bool]


@dataclass(frozen=True)
class Stood:
    """One rule in one window. `id` and `said`: of its reading; `over`: why it asks for nothing any more."""

    id: str
    said: str
    over: str = ""


def of(
    ledger: Ledger, config: Config, rules: Sequence[str], window: Window, *, environment: str, file: Path
) -> dict[str, Stood]:
    """Each rule, as it stands by the ledger. Raises MlgateError where that has no such reading, or one by which the
    rule does not fire: `file` then says what is not so."""
    from mlgate.ledger.chain import READINGS  # noqa: PLC0415 -- pydantic's models of every kind of entry
    from mlgate.watch.history import History  # noqa: PLC0415

    asked = [config.monitor.rules.get(name) or AlarmRule() for name in rules]
    back = max((rule.for_.n for rule in asked), default=1)
    # A window of the last day of a month may have been read in the next one, never the other way round.
    records = ledger.records((READINGS,), since=f"{window.earlier(back).since:%Y-%m}")
    history = History(records)

    def fires(reading: Reading, at: Window) -> bool:
        return _fires(history, config, reading, at)

    found = {}
    for name in rules:
        windows = history.windows(config.model, environment, name, monitor="rule")
        found[name] = _one(windows, name, window, file, fires)
    return found


def _one(windows: Mapping[str, Sequence[Reading]], name: str, window: Window, file: Path, fires: _Fires) -> Stood:
    reading = _counted(windows.get(str(window), ()))
    if reading is None:
        raise MlgateError(
            f"says that {name[:100]!a} fires in {window}, and the ledger has no such reading, so nothing was started.",
            file=str(file), fix="Let the monitor write its readings (`contents: write`), and run it again.",
        )  # fmt: skip
    if not fires(reading, window):
        raise MlgateError(
            f"says that {name[:100]!a} fires in {window}, and by the ledger's readings it does not, so nothing was "
            "started.",
            file=str(file), fix="The first measurement of a window stands. Run the monitor again for the last window.",
        )  # fmt: skip
    said = reading.reason if reading.state == "breached" else ""
    for text in sorted((text for text in windows if text > str(window)), reverse=True):
        later, now = Window.parse(text), _counted(windows[text])
        if now is None or now.state == "unknown" or later.until - later.since != window.until - window.since:
            continue
        if not fires(now, later):
            over = f"The rule {name} fired in {window}, and by the ledger it does not any more in {text}."
            return Stood(reading.id, said, over)
        break
    return Stood(reading.id, said)


def _fires(history: History, config: Config, reading: Reading, window: Window) -> bool:
    from mlgate.watch import persistence  # noqa: PLC0415

    of_it = {"monitor": "rule", "subject": dict(reading.subject)}
    before = history.states(config.model, reading.environment, reading.name, window, **of_it)  # type: ignore[arg-type]
    rule = config.monitor.rules.get(reading.name) or AlarmRule()
    return persistence.stand(reading.state, before, rule.for_).state == "firing"


def _counted(readings: Sequence[Reading]) -> Reading | None:
    """The reading of a window that counts: the first that came to something, else the first."""
    return next((one for one in readings if one.state != "unknown"), next(iter(readings), None))
