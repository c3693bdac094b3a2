"""How long it takes to decide for 500 models from the readings that a ledger holds.

    python benchmarks/monitor_decisions.py            # 500 models, 7 windows of 36 readings each
    python benchmarks/monitor_decisions.py 500 30     # models and windows

Each model has 25 columns, 5 sections and 6 rules that look back over five windows. Timed, in a process of its own, are
the verification of the ledger's files (hashes, chain, schema), the index, the rules of every model on its present
window, and the decision about a retraining of each, with the triggers that were written in between. Processor time is
printed as well: on a busy machine the clock says more about the others. The claim is about what is decided from stored
readings: everything but the verification, which costs the same for any question to the ledger.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from mlgate.config.watching import AlarmRule, Retrain  # noqa: E402
from mlgate.ledger import building, verify  # noqa: E402
from mlgate.ledger.building import Ends  # noqa: E402
from mlgate.ledger.chain import Record  # noqa: E402
from mlgate.ledger.kinds import TIME, Entry, Trigger  # noqa: E402
from mlgate.watch import readings, retraining, rules  # noqa: E402
from mlgate.watch.history import History  # noqa: E402
from mlgate.watch.nouns import Measure, Section, Window, state_of  # noqa: E402
from mlgate.watch.retraining import Asked, Triggers  # noqa: E402

CLAIM = 5.0  # seconds
COLUMNS = 25
LAST = Window.before(datetime(2026, 11, 20, 12, tzinfo=UTC), timedelta(days=1))
RULES = {
    "drift": AlarmRule.model_validate({"for": "3 of 5", "retrain": True}),
    "data": AlarmRule(),
    "performance": AlarmRule(),
    "slo": AlarmRule.model_validate({"severity": "warn"}),
    "age": AlarmRule.model_validate({"when": "psi.c0 > 0.2", "for": "2 of 5"}),
    "both": AlarmRule.model_validate({"when": {"all": ["drift", "auc < 0.7"]}, "for": "3 of 5", "retrain": True}),
}
SETTINGS = Retrain.model_validate({"at_once": 3, "per_day": 20})


def digest(model: int) -> dict[str, str]:
    return {"sha256": f"{model:064x}"}


def sections(model: int, back: int) -> list[Section]:
    """Every fifth model drifts, on most days."""
    moved = model % 5 == 0 and (model + back) % 4 != 0
    psi = tuple(
        Measure(
            "drift", f"psi.c{n}", "breached" if moved and n < 3 else "ok", 0.3 if moved and n < 3 else 0.02, 0.2, 9000
        )
        for n in range(COLUMNS)
    )
    auc = (Measure("performance", "auc", "ok", 0.65 if moved else 0.81, 0.6, 4000),)
    slo = (Measure("slo", "latency_p95", "ok", 0.04, 0.1, 9000),)
    data = (Measure("data", "contract_failures", "ok", 0.0, 0.0, 9000),)
    return [Section(one[0].kind, state_of(one), one) for one in (psi, auc, slo, data)]


def stored(models: int, windows: int) -> dict[str, bytes]:
    """The files of a ledger that has watched them."""
    files: dict[str, bytes] = {}
    ends: Ends | None = None
    for back in range(windows, 0, -1):
        window = LAST.earlier(back)
        for model in range(models):
            found = sections(model, back)
            given = {"model": f"m{model}", "environment": "production"}
            judged = rules.judge(RULES, found, [], window, **given)
            entries: list[Entry] = list(readings.entries(found, judged, window, subject=digest(model), who={}, **given))
            built = building.build(ends, entries, repository="forge.example/models", now=window.until.timestamp())
            files |= built.files
            ends = built.ends
    return files


@contextmanager
def timed(what: str, into: dict[str, float]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into[what] = time.perf_counter() - wall
    print(f"  {what:<34} {into[what]:7.2f} s   processor {time.process_time() - cpu:7.2f} s", flush=True)


def main(models: int = 500, windows: int = 7) -> bool:
    files = stored(models, windows)
    took: dict[str, float] = {}
    size = sum(len(data) for data in files.values()) / 1e6
    measured = [sections(model, 0) for model in range(models)]
    with timed("verify the ledger's files", took):
        report = verify.examine(files)
    assert not report.damages
    count = len(report.records) - 1
    with timed("index them", took):
        history = History(report.records)
    with timed("judge the rules of each model", took):
        judged = [
            rules.judge(RULES, each, history, LAST, model=f"m{n}", environment="production", subject=digest(n))
            for n, each in enumerate(measured)
        ]
    begun: list[Trigger] = []
    now = LAST.until + timedelta(hours=1)
    with timed("decide on retraining, one by one", took):
        for n, each in enumerate(judged):
            for rule in each.retrain:
                known = [Record(one, "0" * 32, "events", at, "", "") for at, one in enumerate(begun)]
                found = retraining.decide(Asked(f"m{n}", rule, str(LAST)), SETTINGS, Triggers(known), now)
                if found.start:
                    begun.append(
                        Trigger(model=f"m{n}", rule=rule, outcome="started", id=found.id, at=now.strftime(TIME))
                    )
    firing = sum(bool(each.retrain) for each in judged)
    decided = sum(took.values()) - took["verify the ledger's files"]
    print(f"{count:,} readings of {models} models ({size:.0f} MB); {firing} ask for a successor, {len(begun)} start")
    held = decided < CLAIM
    print(f"{'ok  ' if held else 'MISS'}  decisions {decided:.2f} s, claim: under {CLAIM:g} s", flush=True)
    print(f"      with verification {sum(took.values()):.2f} s")
    return held


if __name__ == "__main__":
    raise SystemExit(not main(*(int(one) for one in sys.argv[1:])))
