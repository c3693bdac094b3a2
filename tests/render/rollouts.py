"""Evidence of rollouts, as `deploy` and `rollback` write it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from mlgate.model import ArmSeen, Check, Evidence, Location, Look, Named, Source, Tool, Verdict
from render.samples import CHALLENGER, LINKS

IMAGE = "registry.example/team/visits@sha256:" + "5b77a0e9" * 8
START = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
PERIOD = 10  # seconds between two looks


def clock(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def look(at: float, weight: float, step: str, event: str = "", **arms: ArmSeen) -> Look:
    return Look(at=clock(at), weight=weight, step=step, event=event, **arms)  # type: ignore[arg-type]


def arm(requests: int, errors: int = 0, ms: float = 12.0) -> ArmSeen:
    if not requests:
        return ArmSeen()
    return ArmSeen(
        requests=requests, errors=errors, latency_p50_ms=round(ms * 0.55, 3), latency_p95_ms=ms,
        latency_p99_ms=round(ms * 1.7, 3),
    )  # fmt: skip


def watched(
    begin: float, looks: int, weight: float, *, each: int = 1000, bad: float = 0.0, ms: float = 12.0
) -> Iterator[Look]:
    """Looks of one step: 1,000 requests in each by default, `bad` the canary's share of errors."""
    for at in range(looks):
        canary = round(each * weight / 100 * (1 + 0.08 * ((at * 7) % 5 - 2)))
        stable = round(each * (1 - weight / 100) * (1 + 0.05 * ((at * 3) % 5 - 2)))
        yield look(
            begin + PERIOD * (at + 2), weight, f"{weight:g} %",
            canary=arm(canary, round(canary * bad), round(ms * (1 + 0.09 * ((at * 5) % 4)), 3)),
            stable=arm(stable, round(stable * 0.005), round(12.0 * (1 + 0.07 * ((at * 11) % 4)), 3)),
        )  # fmt: skip


def release() -> list[Check]:
    return [
        Check(
            id="deploy.decided", group="deploy", title="Both statements hold", verdict=Verdict.PASS, observed="pass",
            reason="The model sha256:5b77a0e95b77… holds the model that was decided on at d4e5f6a: pass.",
        ),
        Check(
            id="deploy.signed", group="deploy", title="Both statements are signed", verdict=Verdict.WARN,
            reason="`deploy.trust: branch`: no signature was asked for. Whoever may write to the ledger's branch and "
            "to the registry can have a model deployed.",
            fix="Sign both statements (`image.sign`), and name the key under `deploy.verify`.",
            location=Location(file="mlgate.yaml", line=30, key="deploy.trust"),
        ),
        Check(
            id="deploy.order", group="deploy", title="It was in staging before", verdict=Verdict.PASS,
            reason="The model sha256:5b77a0e95b77… came into staging on 2026-11-20.",
        ),
        Check(
            id="rollout.smoke.example", group="rollout", title="answers the model's input example",
            verdict=Verdict.PASS, rows=1,
        ),
        Check(
            id="rollout.smoke.malformed.cut", group="rollout", title="refuses JSON that is cut off",
            verdict=Verdict.PASS, observed="400", expected="an answer of 400 to 499",
        ),
    ]  # fmt: skip


def errors(verdict: str = "pass", canary: float = 0.0051, stable: float = 0.005, **more: Any) -> Check:
    known = {
        "id": "rollout.error_rate",
        "group": "rollout",
        "title": "error_rate <= 1.5x stable",
        "verdict": verdict,
        "expected": "<= 1.5x stable",
        "observed": canary,
        "champion": stable,
        "change": canary / stable - 1,
        "relative": True,
        "interval": (canary / stable * 0.8 - 1, canary / stable * 1.2 - 1),
        "greater_is_better": False,
        "rows": 8_400,
        "method": "sequential counts",
        "reason": f"The canary's error_rate is {canary:.2%}, and stable's {stable:.2%}; the ratio has to be <= 1.5.",
    }
    return Check(**(known | more))


def shift(verdict: str = "pass", **more: Any) -> Check:
    known = {
        "id": "rollout.prediction_shift",
        "group": "rollout",
        "title": "prediction_shift <= 0.3",
        "verdict": verdict,
        "expected": "<= 0.3",
        "observed": 0.077,
        "limit": 0.3,
        "interval": (0.0, 0.21),
        "greater_is_better": False,
        "rows": 8_400,
        "method": "sequential Kolmogorov-Smirnov",
        "reason": "The canary's prediction_shift is 0.077; it lies between 0.000 and 0.210.",
    }
    return Check(**(known | more))


def traffic(seen: int, planned: int, share: float) -> list[Check]:
    enough = seen >= planned
    return [
        Check(
            id="rollout.split", group="rollout", title="split of the traffic", verdict=Verdict.PASS, observed=share
        ),
        Check(
            id="rollout.requests", group="rollout", title="requests of the canary", observed=seen,
            verdict=Verdict.PASS if enough else Verdict.INCONCLUSIVE, expected=f"at least {planned:,}",
            reason="" if enough else f"The canary has answered {seen:,} of the {planned:,} requests of this step.",
        ),
    ]  # fmt: skip


def evidence(verdict: str, title: str, checks: list[Check], timeline: list[Look], **more: Any) -> Evidence:
    """The check of the outcome says what the title says, as the verbs have it."""
    observed = more.pop("observed", "complete")
    kind = more.get("kind", "deploy")
    outcome = Check(
        id=f"{kind}.outcome", group="deploy", title="production: outcome", verdict=Verdict(verdict), reason=title,
        observed=observed,
    )  # fmt: skip
    facts = {
        "environment": "production", "image": IMAGE, "rollout": "339e8532ac7f41c486adf89c3b135b83",
        "strategy": "canary", "version": "v1.2.0", "weight": 100.0 if observed == "complete" else 0.0,
    }  # fmt: skip
    known = {
        "kind": "deploy",
        "model": "visits",
        "title": title,
        "confidence": 0.95,
        "source": Source(commit=CHALLENGER, at=clock(600), forge="github", event="push", run_url=LINKS.run),
        "subject": Named(name=IMAGE, digest={"sha256": "5b77a0e9" * 8}, role="model"),
        "facts": facts | more.pop("facts", {}),
        "tool": Tool(version="0.1.0"),
    }
    return Evidence(verdict=verdict, checks=[*release(), *checks, outcome], timeline=timeline, **(known | more))


def begun(first: str = "5 %", weight: float = 5.0) -> list[Look]:
    return [look(0, 0, "starting", "deploy started"), look(9, weight, first, "checked")]


HELD = "held: error_rate cannot be judged: no request of the canary was counted."


def turned_back() -> Evidence:
    """The canary fails in the second step, and loses its traffic at once."""
    looks = [*begun(), look(19, 5, "5 %", HELD, canary=arm(0), stable=arm(940, 5)), *watched(19, 14, 5)]
    at = 19 + PERIOD * 15
    looks += list(watched(at, 2, 25, bad=0.0))
    last = at + PERIOD * 4
    looks += [
        look(last, 25, "25 %", "a rule is broken", canary=arm(244, 26, 31.0), stable=arm(751, 4)),
        look(
            last, 0, "turning",
            "turned back: `error_rate <= 1.5x stable` is broken. The canary's error_rate is 4.2 %, and stable's "
            "0.5 %; the ratio lies between 3.1 and 12.",
        ),
        look(last + 1, 0, "leaving", "no traffic left"),
    ]  # fmt: skip
    broken = errors(
        "fail", 0.042, 0.005, rows=1_390, interval=(2.1, 11.0),
        reason="The canary's error_rate is 4.2 %, and stable's 0.5 %; the ratio lies between 3.1 and 12.",
    )  # fmt: skip
    title = (
        "visits v1.2.0 was turned back: `error_rate <= 1.5x stable` is broken. The canary's error_rate is 4.2 %, and "
        "stable's 0.5 %; the ratio lies between 3.1 and 12."
    )
    checks = [broken, shift("inconclusive", rows=1_390, interval=(0.0, 0.4)), *traffic(704, 1_200, 0.2461)]
    return evidence("fail", title, checks, looks, observed="aborted", facts={"seconds_to_zero": 0.42})


def complete() -> Evidence:
    looks, at = begun(), 9.0
    for weight, count in ((5, 20), (25, 16), (50, 14)):
        looks += list(watched(at, count, weight, ms=11.0, bad=0.005))
        at += PERIOD * (count + 1)
    looks += [look(at + 1, 100, "settling", "all traffic"), look(at + 2, 100, "keeping", "complete")]
    checks = [errors(), shift(), *traffic(6_960, 6_800, 0.4986)]
    shown = evidence("warn", "visits v1.2.0 is in production.", checks, looks)
    follow = Check(id="deploy.follow.alias", group="deploy", title="champion in MLflow", verdict=Verdict.PASS)
    return shown.model_copy(update={"checks": [*shown.checks, follow]})


def held() -> Evidence:
    """It stays where it is: nobody asks it anything any more."""
    looks = [*begun(), *watched(9, 6, 5)]
    at = 9 + PERIOD * 7
    reason = "held: what happened is not known in full: 40 lines of the router's log are lost."
    looks += [look(at + PERIOD * n, 5, "5 %", reason if n == 1 else "", canary=arm(0), stable=arm(0)) for n in range(8)]
    looks += list(watched(at + PERIOD * 7, 5, 5))
    title = "visits v1.2.0 stays at 5 % of production: 40 lines of the router's log are lost."
    return evidence(
        "inconclusive", title, [errors("inconclusive", rows=542), *traffic(542, 1_200, 0.0497)], looks,
        observed="watching", facts={"weight": 5.0},
    )  # fmt: skip


def first() -> Evidence:
    """Nothing was there before: all traffic at once."""
    looks = [
        look(0, 0, "starting", "deploy started"), look(7, 100, "promoting", "checked"),
        look(8, 100, "settling", "all traffic"), look(8, 100, "keeping", "complete"),
    ]  # fmt: skip
    return evidence("warn", "visits v1.2.0 is in production.", [], looks, facts={"strategy": "replace"})


def shadow() -> Evidence:
    looks = [look(0, 0, "starting", "deploy started"), look(64, 0, "leaving", "judged")]
    agreement = Check(
        id="rollout.shadow.agreement", group="rollout", title="decides as the stable model does",
        verdict=Verdict.PASS, observed=0.9871, limit=0.98, interval=(0.9824, 0.9906), expected="at least 98 %",
        greater_is_better=True, rows=4_000, reason="3,948 of 4,000 decisions are the stable model's.",
    )  # fmt: skip
    title = "visits v1.2.0 was tried in production, which keeps the model that it had."
    return evidence("warn", title, [agreement], looks, observed="judged", facts={"strategy": "shadow"})


def batch() -> Evidence:
    looks = [
        look(0, 0, "starting", "deploy started"), look(31, 0, "settling", "checked"),
        look(31, 0, "keeping", "complete"),
    ]  # fmt: skip
    rows = Check(
        id="rollout.batch.rows", group="rollout", title="as many rows out as in", verdict=Verdict.PASS,
        observed=6_057.0, expected="6,057 rows", rows=6_057,
    )  # fmt: skip
    return evidence(
        "warn", "visits v1.2.0 is in production.", [rows], looks, facts={"strategy": "batch", "weight": 0.0}
    )


def rolled_back() -> Evidence:
    looks = [
        look(0, 0, "starting", "rollback started"), look(1, 100, "settling", "all traffic"),
        look(1, 100, "keeping", "complete"),
    ]  # fmt: skip
    checks = [
        Check(
            id="rollback.traffic", group="deploy", title="No traffic on what was taken away", verdict=Verdict.PASS,
            reason="The router gives all requests to visits-9f3c41d2.", observed=0.0,
        )
    ]  # fmt: skip
    title = "visits v1.1.0 is in production again within 0.9 s."
    facts = {"version": "v1.1.0", "instead_of": "v1.2.0", "seconds_to_zero": 0.9}
    shown = evidence("pass", title, checks, looks, kind="rollback", facts=facts)
    kept = [check for check in shown.checks if check.verdict is Verdict.PASS]
    return shown.model_copy(update={"checks": kept})


def hostile(text: str) -> Evidence:
    """The same text wherever a timeline takes one."""
    made = turned_back()
    looks = [
        one.model_copy(update={"event": text and f"{text} event" if one.event else "", "step": f"{text} step"})
        for one in made.timeline
    ]
    looks[0] = looks[0].model_copy(update={"at": f"{text} at"})
    facts = {"environment": f"{text} e", "version": f"{text} v", "image": f"{text} i", "strategy": f"{text} s"}
    return made.model_copy(update={"timeline": looks, "facts": {**made.facts, **facts}})


ALL = {
    "turned_back": turned_back,
    "complete": complete,
    "held": held,
    "first": first,
    "shadow": shadow,
    "batch": batch,
    "rolled_back": rolled_back,
}
