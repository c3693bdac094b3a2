"""Whether predictions and features have moved: a limit has to be crossed, and chance must not explain it. Pure.

The chance of any false alarm in a run is at most `alpha`, over all columns and all limits: each question that a limit
asks is a test, and Holm's correction is over all of them. PSI has to be above its noise floor besides, and where the
profile has days, both are held against what days of the reference differ by.

What crossed its limit and may be chance is `unknown` where more rows would settle it, and `ok` where days of the
reference differ as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from mlgate.config.watching import Drift, Limits
from mlgate.data.drift.compared import Compared
from mlgate.model import Check, ColumnSeen, Verdict
from mlgate.watch import limits
from mlgate.watch.chance import Evidence, evidence, said_p
from mlgate.watch.columns import seen
from mlgate.watch.limits import STATES
from mlgate.watch.measured import BINNED, hidden, limits_of, vague, value_of
from mlgate.watch.nouns import Measure, Section, State, state_of

if TYPE_CHECKING:
    from mlgate.data.profiles.nouns import Profile
    from mlgate.watch.classifier import Told


def section(
    compared: Mapping[str, Compared],
    settings: Drift,
    profile: Profile,
    *,
    rows: int,
    min_rows: int,
    length: timedelta = timedelta(days=1),
    slices: Mapping[str, Sequence[str]] | None = None,
    told: Told | None = None,
) -> Section:
    """The section `drift`. `compared` is what `data.drift.against` gave, `rows` the window's rows and `length` its own.

    `slices`: column -> where its drift sits (`data.drift.sliced`); `told`: what the domain classifier came to.
    """
    few = f"{rows:,} rows in the window, and min_rows is {min_rows:,}." if rows < min_rows else ""
    looked = {n: one for n, one in compared.items() if one.role != "feature" or n not in set(settings.ignore or ())}
    wanted = {name: limits_of(one, settings) for name, one in looked.items()}
    unsaid: list[str] = []
    for name, one in looked.items():
        # What cannot have been crossed is not kept: it may say that values are missing, and never that all is well.
        if vague(one) and (mute := [m for m in BINNED if m in wanted[name] and not _crossed(one, m, wanted[name][m])]):
            wanted[name] = {m: limit for m, limit in wanted[name].items() if m not in mute}
            unsaid.append(f"{name}: its values are in one bin of the profile, of which {', '.join(mute)} says nothing.")
    alpha = float(settings.alpha)
    more = [] if settings.classifier is None else [told.p if told is not None else 1.0]
    days = max(1, round(length / timedelta(days=1)))
    chance = evidence(looked, wanted, profile, alpha=alpha, days=days, more=more)
    measures: list[Measure] = []
    checks: list[Check] = []
    columns: list[ColumnSeen] = []
    states: dict[str, State] = {}
    for name, one in looked.items():
        own = limits.measures(one, wanted[name], chance[name], alpha, few)
        measures += own
        checks += [limits.check(one, measure, chance[name]) for measure in own if measure.limit is not None]
        states[name] = state_of(asked) if (asked := tuple(m for m in own if m.limit is not None)) else "ok"
        if few or one.trouble:
            states[name] = "unknown" if wanted[name] or few else states[name]
        columns.append(
            seen(
                one,
                states[name],
                own,
                floor=chance[name].floor.psi,
                p=said_p(chance[name]),
                slices=(slices or {}).get(name, ()),
            )
        )
    strange = sorted(set(settings.columns) - set(compared))
    for name in strange:
        measures.append(Measure("drift", f"psi.{name}", "unknown", reason=f"The profile has no column {name}."))
        checks.append(_unknown(f"watch.drift.psi.{name}", name, f"The profile has no column {name}, which has limits."))
    features = {name: state for name, state in states.items() if looked[name].role == "feature"}
    whole = [*_predictions(looked, wanted, states, settings), *_features(features, wanted, settings, few)]
    if told is not None or settings.classifier is not None:
        tests = sum(len(one.plain) for one in chance.values()) + len(more)
        whole.append(_classified(told, settings, few, alpha / max(1, tests)))
    if not (strange or whole or any(wanted.values())):
        why = "None of its limits is for a column that is looked at, so nothing was held to any."
        whole.append(Measure("drift", "drifted_columns", "unknown", reason=why))
        checks.append(_unknown("watch.drift.limits", "limits of drift", why))
    checks += [_whole(one) for one in whole if one.limit is not None or one.name == "prediction_drift"]
    counted = _that_count(measures, whole, features, settings) if not strange else [*whole, *measures]
    return Section(
        "drift",
        "unknown" if few else _state(counted),
        measures=(*whole, *measures),
        checks=tuple(sorted(checks, key=lambda one: _order(one.id))),
        columns=tuple(columns),
        not_run=(*unsaid, *_not_run(looked, settings, profile, compared)),
        facts=_facts(profile, chance, alpha),
    )


def _crossed(one: Compared, measure: str, limit: float) -> bool:
    value = value_of(one, measure)
    return value is not None and value > limit


def _state(counted: Sequence[Measure]) -> State:
    return state_of(tuple(counted)) if counted else "unknown"


def _order(identity: str) -> int:
    """Prediction first, then what is of all columns, then the columns as they are in the profile."""
    of = identity.removeprefix("watch.drift.")
    if of == "prediction_drift":
        return 0
    if of.endswith((".prediction", ".score")):
        return 1
    return 3 if "." in of else 2


# -- all columns together --------------------------------------------------------------------------------------------


def _predictions(
    looked: Mapping[str, Compared], wanted: Mapping[str, Mapping[str, float]], states: Mapping[str, State],
    settings: Drift,
) -> list[Measure]:  # fmt: skip
    """`prediction_drift`, where a limit is set for prediction and score."""
    if all(getattr(settings.prediction, name) is None for name in Limits.model_fields):
        return []
    own = [name for name, one in looked.items() if one.role != "feature"]
    if not own:
        why = "The profile holds no predictions: run `mlgate profile` with an evaluation set that has predictions."
        return [Measure("drift", "prediction_drift", "unknown", reason=why)]
    asked = [states[name] for name in own if wanted[name]]
    if not asked:
        return [Measure("drift", "prediction_drift", "unknown", reason="No limit fits the prediction or its score.")]
    if "breached" in asked:
        which = " and ".join(name for name in own if states[name] == "breached")
        return [Measure("drift", "prediction_drift", "breached", 1.0, reason=f"{which} moved.")]
    if "unknown" in asked:
        return [Measure("drift", "prediction_drift", "unknown", reason="It could not be measured.")]
    return [Measure("drift", "prediction_drift", "ok", 0.0)]


def _features(
    states: Mapping[str, State], wanted: Mapping[str, Mapping[str, float]], settings: Drift, few: str
) -> list[Measure]:
    """`drifted_columns` and `drift_share`, of the features that have limits."""
    asked = {name: state for name, state in states.items() if wanted[name]}
    limit = None if settings.share is None else float(settings.share)
    if few or not asked:
        why = few or "No feature has a limit."
        state: State = "unknown" if few or limit is not None else "ok"
        if not few and limit is None:
            return []
        return [Measure("drift", name, state, reason=why, limit=limit if name == "drift_share" else None)
                for name in ("drifted_columns", "drift_share")]  # fmt: skip
    drifted = sum(state == "breached" for state in asked.values())
    unknown = sum(state == "unknown" for state in asked.values())
    share, most = drifted / len(asked), (drifted + unknown) / len(asked)
    if unknown == len(asked):
        why = "No feature could be measured."
        return [Measure("drift", name, "unknown", reason=why, limit=limit if name == "drift_share" else None)
                for name in ("drifted_columns", "drift_share")]  # fmt: skip
    reason = f"{drifted} of {len(asked)} features" + (f", and {unknown} could not be measured" if unknown else "") + "."
    state = "ok"
    if limit is not None and share > limit:
        state = "breached"
    elif limit is not None and most > limit:
        state = "unknown"
    return [
        Measure("drift", "drifted_columns", "ok", float(drifted), reason=reason),
        Measure("drift", "drift_share", state, share, limit, reason=reason),
    ]


def _classified(told: Told | None, settings: Drift, few: str, level: float) -> Measure:
    """Limit and evidence, as of a column; `level` is its share of alpha."""
    limit = None if settings.classifier is None else float(settings.classifier)
    if told is None or told.auc is None or few:
        why = few or (told.trouble if told is not None else "The classifier was not trained.")
        return Measure("drift", "classifier_auc", "unknown", limit=limit, reason=why)
    said = f"{told.auc:.3f} ({told.interval[0]:.3f} to {told.interval[1]:.3f})"
    if told.culprits:
        said += f"; it tells them apart by {', '.join(told.culprits)}"
    state: State = "ok"
    if limit is not None and told.auc > limit:
        state = "breached" if told.p < level else "unknown"
        said += "" if state == "breached" else "; chance alone may do that, and more rows would settle it"
    return Measure("drift", "classifier_auc", state, told.auc, limit, told.rows, f"{said}.")


def _that_count(
    measures: Sequence[Measure], whole: Sequence[Measure], features: Mapping[str, State], settings: Drift
) -> list[Measure]:
    """Those that make the section's state: with `share`, single features may drift."""
    counted = list(whole)
    for one in measures:
        column = one.name.partition(".")[2]
        if settings.share is not None and column in features:
            continue
        if one.limit is not None or one.state == "ok":
            counted.append(one)
    return counted


def _whole(one: Measure) -> Check:
    title = {
        "prediction_drift": "prediction and score",
        "drift_share": "share of features that drifted",
        "classifier_auc": "AUC of telling now from the reference data",
    }[one.name]
    expected = ""
    if one.limit is not None:
        expected = f"at most {one.limit:.1%}" if one.name == "drift_share" else f"at most {one.limit:g}"
    return Check(
        id=f"watch.drift.{one.name}",
        title=title,
        verdict=STATES[one.state],
        group="watch",
        reason=one.reason,
        observed=_moved(one) if one.name == "prediction_drift" else one.value,
        expected=expected or "as in the profile",
        limit=one.limit,
        greater_is_better=False,
        rows=one.rows,
    )


def _moved(one: Measure) -> str | None:
    return None if one.value is None else "moved" if one.value else "as before"


def _unknown(identity: str, title: str, reason: str) -> Check:
    return Check(id=identity, title=title, verdict=Verdict.INCONCLUSIVE, group="watch", reason=reason)


def _not_run(
    looked: Mapping[str, Compared], settings: Drift, profile: Profile, compared: Mapping[str, Compared]
) -> list[str]:
    said = [f"{name}: not looked at (`drift.ignore`)." for name in compared if name not in looked]
    for name, one in looked.items():
        if hidden(one) and name not in settings.columns:
            said.append(f"{name}: only missing values are compared: the profile keeps its values to itself.")
        elif one.trouble and not limits_of(one, settings):
            said.append(f"{name}: {one.trouble}")
    if profile.prediction is None and profile.score is None:
        said.append("prediction: the profile holds no predictions.")
    return said


def _facts(profile: Profile, chance: Mapping[str, Evidence], alpha: float) -> dict[str, str | float]:
    windows = max((one.floor.windows for one in chance.values()), default=0)
    return {
        "reference rows": float(profile.rows),
        "tests": float(sum(len(one.plain) for one in chance.values())),
        "alpha": alpha,
        "reference windows": float(windows),
    }
