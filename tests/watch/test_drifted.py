"""What drifted: a limit crossed, and chance ruled out over the whole run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.config.watching import Drift
from mlgate.data.drift.compared import Compared, lacking
from mlgate.data.profiles.nouns import Column, Profile
from mlgate.model import Verdict
from mlgate.watch import drifted
from mlgate.watch.nouns import Measure, Section
from watch import drift_worlds as worlds


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261121)


def scene(
    random: np.random.Generator, *, rows: int = 2000, score: float = 0.0, **now: Any
) -> tuple[Profile, dict[str, Compared]]:
    """Three features and a score like those of the profile, but for what `now` gives."""
    draw = {"x": lambda n: random.normal(size=n), "y": lambda n: random.normal(size=n),
            "name": lambda n: worlds._names(random.integers(0, 5, size=n))}  # fmt: skip
    profile = Profile(
        "m", 20_000, {name: worlds.column(one(20_000)) for name, one in draw.items()},
        score=worlds.column(random.uniform(size=20_000)),
    )  # fmt: skip
    found = {"score": worlds.compare("score", profile.score, random.uniform(size=rows) ** (1 + score), "score")}  # type: ignore[arg-type]
    for name, one in draw.items():
        found[name] = worlds.compare(name, profile.columns[name], now.get(name, one(rows)))
    return profile, found


def section(
    scene_: tuple[Profile, dict[str, Compared]], rows: int = 2000, min_rows: int = 500, **kwargs: Any
) -> Section:
    limits = {key: kwargs.pop(key) for key in list(kwargs) if key in Drift.model_fields}
    return drifted.section(scene_[1], Drift(**limits), scene_[0], rows=rows, min_rows=min_rows, **kwargs)


def measure(found: Section, name: str) -> Measure:
    return next(one for one in found.measures if one.name == name)


class TestStates:
    def test_nothing_moved(self, random: np.random.Generator) -> None:
        found = section(scene(random), psi=0.1, ks=0.1, prediction={"psi": 0.1})
        assert (found.state, measure(found, "prediction_drift").value) == ("ok", 0.0)
        assert measure(found, "drift_share").value == 0.0
        assert {check.verdict for check in found.checks} == {Verdict.PASS}

    def test_a_feature_moved(self, random: np.random.Generator) -> None:
        found = section(scene(random, x=random.normal(loc=1, size=2000)), psi=0.1, ks=0.1)
        assert found.state == "breached"
        assert [m.name for m in found.measures if m.state == "breached"] == ["psi.x", "ks.x"]
        assert measure(found, "drift_share").value == pytest.approx(1 / 3)
        column = next(one for one in found.columns if one.name == "x")
        assert (column.state, column.bars is not None) == ("breached", True)
        assert column.reason.startswith("mean ")
        check = next(one for one in found.checks if one.id == "watch.drift.psi.x")
        assert (check.verdict, check.group) == (Verdict.FAIL, "watch")
        assert "chance alone stays below" in check.reason

    def test_the_score_comes_first_and_is_a_reading_of_its_own(self, random: np.random.Generator) -> None:
        found = section(scene(random, score=1.0), psi=0.1, prediction={"psi": 0.1})
        assert found.checks[0].id == "watch.drift.prediction_drift"
        assert (measure(found, "prediction_drift").state, measure(found, "prediction_drift").value) == ("breached", 1.0)
        assert found.state == "breached"
        assert measure(found, "drifted_columns").value == 0
        assert found.columns[0].role == "score"

    def test_without_limits_for_the_prediction_nothing_is_said_of_its_drift(self, random: np.random.Generator) -> None:
        names = {one.name for one in section(scene(random, score=1.0), psi=0.1).measures}
        assert "prediction_drift" not in names
        assert "psi.score" in names  # measured, and shown

    def test_a_limit_for_predictions_that_the_profile_does_not_hold(self, random: np.random.Generator) -> None:
        profile, found = scene(random)
        found.pop("score")
        said = section((replace(profile, score=None), found), psi=0.1, prediction={"psi": 0.1})
        assert said.state == "unknown"
        assert "holds no predictions" in measure(said, "prediction_drift").reason

    def test_with_a_share_single_features_may_drift(self, random: np.random.Generator) -> None:
        moved = scene(random, x=random.normal(loc=1, size=2000))
        assert section(moved, psi=0.1, share=0.5).state == "ok"
        assert measure(section(moved, psi=0.1, share=0.5), "psi.x").state == "breached"
        found = section(moved, psi=0.1, share=0.3)
        assert (found.state, measure(found, "drift_share").state) == ("breached", "breached")

    def test_features_that_could_not_be_measured_may_tip_the_share(self, random: np.random.Generator) -> None:
        profile, found = scene(random, x=random.normal(loc=1, size=2000))
        found["y"] = lacking("y", "feature", profile.columns["y"], "It is not logged.")
        said = section((profile, found), psi=0.1, share=0.5)
        assert (said.state, measure(said, "drift_share").state) == ("unknown", "unknown")

    def test_too_few_rows_are_unknown_whatever_they_look_like(self, random: np.random.Generator) -> None:
        found = section(
            scene(random, rows=400, x=random.normal(loc=9, size=400)), 400, psi=0.1, prediction={"psi": 0.1}
        )
        assert found.state == "unknown"
        assert {m.state for m in found.measures} == {"unknown"}
        assert all(m.value is None for m in found.measures)
        assert {check.verdict for check in found.checks} == {Verdict.INCONCLUSIVE}

    def test_no_measured_column_is_never_ok(self) -> None:
        profile = Profile("m", 100, {"x": worlds.column(np.arange(100.0))})
        found = section((profile, {"x": lacking("x", "feature", profile.columns["x"], "It is not logged.")}), psi=0.1)
        assert found.state == "unknown"
        assert section((Profile("m", 100, {}), {}), psi=0.1).state == "unknown"

    def test_a_limit_for_a_column_that_is_not_there(self, random: np.random.Generator) -> None:
        found = section(scene(random), psi=0.1, columns={"agee": {"psi": 0.1}})
        assert found.state == "unknown"
        assert measure(found, "psi.agee").reason == "The profile has no column agee."

    def test_limits_of_one_column_stand_instead_of_those_for_all(self, random: np.random.Generator) -> None:
        moved = scene(random, x=random.normal(loc=1, size=2000))
        assert section(moved, psi=0.1, columns={"x": {"psi": 9}}).state == "ok"
        assert section(moved, columns={"x": {"psi": 0.1}}).state == "breached"

    def test_ignored_columns_are_said_to_be(self, random: np.random.Generator) -> None:
        found = section(scene(random, x=random.normal(loc=1, size=2000)), psi=0.1, ignore=["x"])
        assert found.state == "ok"
        assert found.not_run == ("x: not looked at (`drift.ignore`).",)

    def test_a_limit_that_categories_do_not_have(self, random: np.random.Generator) -> None:
        found = section(scene(random), columns={"name": {"ks": 0.1}})
        assert (found.state, measure(found, "ks.name").state) == ("unknown", "unknown")
        assert "ks.name" not in {m.name for m in section(scene(random), ks=0.1).measures}  # meant for numbers

    def test_a_hidden_column_is_said_not_to_be_compared(self, random: np.random.Generator) -> None:
        profile, found = scene(random)
        hidden = Compared("iban", "feature", "category", 2000, 20, 20_000, 0, private=True, of="private")
        profile = replace(profile, columns={**profile.columns, "iban": Column("hidden", 20_000, 0, of="private")})
        said = section((profile, {**found, "iban": hidden}), psi=0.1, nulls=0.005)
        assert measure(said, "nulls.iban").state == "breached"
        assert any(one.startswith("iban: only missing values") for one in said.not_run)
        assert section((profile, {**found, "iban": hidden}), columns={"iban": {"psi": 0.1}}).state == "unknown"

    def test_what_may_be_chance_is_unknown_where_more_rows_would_settle_it(self, random: np.random.Generator) -> None:
        profile, found = scene(random, rows=120, x=random.normal(loc=0.25, size=120))
        said = section((profile, found), 120, min_rows=100, psi=0.01, ks=0.01)
        assert {measure(said, name).state for name in ("ks.x", "psi.x")} == {"unknown"}
        assert "More rows would settle it" in measure(said, "ks.x").reason

    @given(st.floats(0, 1), st.integers(0, 2000))
    @settings(max_examples=30, deadline=None)
    def test_a_limit_at_the_value_passes(self, loc: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        profile, found = scene(random, x=random.normal(loc=loc, size=2000))
        at = found["x"].psi or 0.0
        assert measure(section((profile, found), columns={"x": {"psi": at}}), "psi.x").state == "ok"


class TestFalseAlarms:
    @pytest.mark.parametrize(("before", "now"), [(1000, 300), (4000, 1000)])
    def test_no_more_than_alpha_in_any_run_of_25_columns(self, before: int, now: int) -> None:
        """With every limit at 0 nothing but the evidence holds an alarm back."""
        found = worlds.false_alarms(25, before=before, now=now, alpha=0.05, seed=11)
        assert found.runs == 25
        assert found.any <= 4, found.which  # more happens by chance once in 140 such tests at the level of 5 %

    @pytest.mark.long
    @pytest.mark.timeout(3600)
    def test_a_thousand_runs(self) -> None:
        found = worlds.false_alarms(1000, before=5000, now=500, alpha=0.05, seed=1)
        assert found.any <= 65, found.which  # 50 expected at most; 65 is two standard errors above

    def test_drift_is_found(self) -> None:
        assert max(worlds.delay(4, shift=1.0, rows=1000, psi=0.1, ks=0.1)) == 1

    def test_days_that_differ_are_no_drift_where_the_profile_has_them(self) -> None:
        with_them = worlds.alarms_of_days(12, sub_profiles=True, level=0.15, weekday=0.5, psi=0.1, ks=0.1)
        without = worlds.alarms_of_days(12, sub_profiles=False, level=0.15, weekday=0.5, psi=0.1, ks=0.1)
        assert with_them.any <= 1
        assert without.any >= 4

    def test_a_drift_beyond_all_days_is_found(self, random: np.random.Generator) -> None:
        drawn = worlds.days(random, 56, 1000, level=0.15, weekday=0.5)
        profile = worlds.with_days(drawn, sub_profiles=True)
        here = {name: worlds.compare(name, profile.columns[name], values) for name, values in drawn[-1].items()}
        here["x"] = worlds.compare("x", profile.columns["x"], random.normal(loc=2.5, size=1000))
        found = drifted.section(here, Drift(psi=0.1), profile, rows=1000, min_rows=500, length=timedelta(days=1))
        assert measure(found, "psi.x").state == "breached"
        assert found.facts["reference windows"] == 56
