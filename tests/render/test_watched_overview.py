"""One page over all models, from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Alert, Deployment, Entry, Reading, Trigger
from mlgate.render import overview
from render import samples
from render.shapes import Page

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
WHO = {"commit": "a" * 40, "subject": {"sha256": "9f3c41d2" + "0" * 56}}


def records(*entries: Entry) -> list[Record]:
    ledger = "0" * 32
    chains: dict[str, int] = {}
    found = []
    for entry in entries:
        chain = "readings" if isinstance(entry, Reading) else "events"
        chains[chain] = chains.get(chain, 0) + 1
        found.append(Record(entry, ledger, chain, chains[chain], "", f"{chains[chain]:064x}"))
    return found


def reading(
    model: str,
    monitor: str,
    name: str,
    ago: int,
    state: str,
    *measured: float | None,
    **more: str,
) -> Reading:
    """Of the day that ended so many days before the last midnight."""
    end = NOW.replace(hour=0) - timedelta(days=ago)
    window = f"{end - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
    return Reading(
        **(WHO | {"model": model, "environment": "production", "at": f"{end:%Y-%m-%dT%H:%M:%SZ}"} | more),
        monitor=monitor, name=name, state=state, window=window,
        **dict(zip(("value", "limit"), measured, strict=False)),
    )  # fmt: skip


def month(model: str, values: Sequence[float], rule: str = "drift", first: int = 0, **more: str) -> list[Entry]:
    """A month of one rule and the share that it asks for; the last of `values` is of the day that ended last."""
    found: list[Entry] = []
    for at, value in enumerate(values):
        ago, state = first + len(values) - 1 - at, "breached" if value > 0.3 else "ok"
        found.append(reading(model, "drift", "drift_share", ago, state, value, 0.3, **more))
        found.append(reading(model, "rule", rule, ago, state, reason=f"drift_share {value:.0%} > 30%", **more))
    return found


def alert(model: str, key: str, state: str, ago: int) -> Alert:
    at = f"{NOW - timedelta(days=ago):%Y-%m-%dT%H:%M:%SZ}"
    return Alert(
        **(WHO | {"model": model, "environment": "production", "at": at}), key=key, state=state, severity="critical"
    )


def house() -> list[Entry]:
    """Of each kind one model, and many that are quiet."""
    calm = [0.04, 0.02, 0.05, 0.03, 0.04, 0.06, 0.03, 0.04, 0.05, 0.02]
    rise = [*calm[:6], 0.12, 0.34, 0.38, 0.41]
    found: list[Entry] = [
        Deployment(
            **(WHO | {"model": "visits", "environment": "production", "at": "2026-10-01T00:00:00Z"}),
            state="complete", version="v1.4.0",
        ),
        *month("visits", rise),
        *(reading("visits", "performance", "auc", 9 - n, "ok", 0.72 - n / 900, 0.7) for n in range(10)),
        alert("visits", "drift", "raised", 2),
        Trigger(
            model="visits", rule="drift", outcome="proposed", at="2026-11-19T06:00:00Z",
            url="https://forge.example/team/visits/pull/31",
        ),
        *month("churn", [*calm, 0.31]),
        *month("fraud", calm, first=9),
        *month("price", calm, first=1), reading("price", "rule", "drift", 0, "unknown", reason="112 rows, 500 needed"),
        *month("search", rise), alert("search", "drift", "raised", 3), alert("search", "drift", "recovered", 0),
        *(entry for n in range(6) for entry in month(f"demand-{n}", calm)),
    ]  # fmt: skip
    return found


def test_the_worst_comes_first_and_a_model_that_nobody_reads_is_not_quiet() -> None:
    found = overview.lines(records(*house()), NOW, [("ranking", "production")])
    states = {one.model: one.state for one in found}
    assert states | {"visits": "firing"} == states
    assert states["churn"] == "crossed"  # so in the last window, and nobody was told
    assert states["fraud"] == "stale"
    assert states["price"] == "unknown"
    assert states["search"] == "crossed"  # people were told that it is over, and the last window says it is not
    assert states["ranking"] == "stale"  # to be watched, and never read
    assert states["demand-3"] == "quiet"
    assert [overview.STATES.index(one.state) for one in found] == sorted(
        overview.STATES.index(one.state) for one in found
    )


def test_a_line_says_version_since_when_and_what_became_of_it() -> None:
    (line,) = (one for one in overview.lines(records(*house()), NOW) if one.model == "visits")
    assert line.version == "v1.4.0"
    assert (line.window, line.age) == ("20 November 2026", "4 hours")
    (rule,) = line.rules
    assert (rule.name, rule.state, rule.since) == ("drift", "firing", "18 November")
    assert line.retraining == "proposed 1 day ago, by drift"
    assert [(name, value) for name, value, _ in line.courses] == [("drift_share", "41\u202f%"), ("auc", "0.71")]
    (churn,) = (one for one in overview.lines(records(*house()), NOW) if one.model == "churn")
    assert churn.rules[0].since == "20 November"
    (search,) = (one for one in overview.lines(records(*house()), NOW) if one.model == "search")
    assert search.rules[0].since == "18 November"  # three windows in a row


def test_a_first_measurement_stands_and_takes_the_place_of_none() -> None:
    twice = [
        reading("visits", "rule", "drift", 0, "unknown"),
        reading("visits", "rule", "drift", 0, "breached"),
        reading("visits", "rule", "drift", 0, "ok"),
    ]
    (line,) = overview.lines(records(*twice), NOW)
    assert line.state == "crossed"


def test_a_rule_that_is_no_longer_asked_is_not_shown() -> None:
    entries = [*month("visits", [0.1, 0.4], rule="old", first=1), *month("visits", [0.1], rule="new")]
    (line,) = overview.lines(records(*entries), NOW)
    assert (line.state, line.quiet, line.rules) == ("quiet", 1, ())


def test_the_page_is_self_contained_and_takes_hostile_names_as_words() -> None:
    text = overview.page(overview.lines(records(*house()), NOW), now=NOW, tool="mlgate 0.1.0")
    page = Page()
    page.feed(text)
    assert not page.open
    assert page.targets == ["https://forge.example/team/visits/pull/31"]
    assert "script" not in page.tags
    assert "1 firing" in page.words
    assert "1 stale" in page.words
    for hostile in samples.HOSTILE:
        shown = "".join(c for c in hostile if c.isprintable())[:200] or "x"
        entries = [reading("visits", "rule", shown, 0, "breached", reason=shown)]
        entries += [reading("visits", "performance", shown, n, "breached", 0.1, 0.2) for n in range(4)]
        again = Page()
        again.feed(overview.page(overview.lines(records(*entries), NOW), now=NOW, tool="x"))
        assert not again.open
        assert not again.targets
        assert "script" not in again.tags


def test_500_models_are_one_page_in_little_time() -> None:
    entries = [entry for n in range(500) for entry in month(f"m{n:03}", [0.01 * (n % 40)] * 14)]
    found = overview.lines(records(*entries), NOW)
    text = overview.page(found, now=NOW, tool="x")
    assert len(found) == 500
    assert text.count("<svg") == 500
    assert len(text) < 1_500_000
