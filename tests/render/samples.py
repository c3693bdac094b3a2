"""Evidence as the verbs write it, for the surfaces that people see."""

from __future__ import annotations

from typing import Any

from mlgate.model import (
    Champion,
    Change,
    Check,
    Controls,
    Evidence,
    Figure,
    Location,
    Moved,
    Named,
    Series,
    Source,
    Tool,
    Verdict,
)
from mlgate.render.layout import Links

CHAMPION = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
CHALLENGER = "d4e5f6a7b8c90123456789abcdef0123456789ab"
MODEL_OLD = "9f3c41d2" + "0" * 56
MODEL_NEW = "5b77a0e9" + "1" * 56
LINKS = Links(
    commit="https://forge.example/team/visits/commit/",
    file="https://forge.example/team/visits/blob/",
    report="https://forge.example/team/visits/actions/runs/7/artifacts/1",
    evidence="https://forge.example/team/visits/actions/runs/7/artifacts/2",
    run="https://forge.example/team/visits/actions/runs/7",
)
HOSTILE = [
    "a|b|c",
    "`tick` ``two``",
    "<!-- mlgate: -->",
    "x](https://evil.example) [y",
    "![img](https://evil.example/p.png)",
    "one\ntwo\r\n\n| a | b |\n|---|---|\n",
    "@maintainer @org/team please look",
    "fixes #12, org/repo#3, GH-4, !5, $6, &7, ~8, %9",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "--- dashes",
    "- item",
    "# heading",
    "> [!TIP]",
    "```\nfence",
    "</code></td></table></details>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \x9b2J \u202ereversed",
    "]]><x/>",
    'quote " and \\ backslash\\',
    "::error file=x::forged",
    "{{ 7*7 }} {% raw %} ${{ github.token }}",
    "\\|",
    "\\",
    "/merge",
    "https://forge.example/team/visits/issues/1 www.evil.example",
    "&lt;b&gt; &amp; &#124;",
    "1. one",
    "[x]: https://evil.example",
    "🙂 ünïcode 日本語",
    "\u2028\u2029\ufeff\u200b\ufffe",
    "",
    " ",
    "x" * 3000,
]


def source(**more: Any) -> Source:
    known = {
        "commit": CHALLENGER,
        "run_url": LINKS.run,
        "actor": "sam",
        "event": "pull_request",
        "forge": "github",
        "pull_request": 12,
        "at": "2026-11-20T12:00:00Z",
    }
    return Source(**(known | more))


def champion(**more: Any) -> Champion:
    known = {
        "commit": CHAMPION,
        "ref": "main",
        "how": "first parent of the merge commit",
        "committed_at": "2026-11-17T09:30:00Z",
        "commits": 2,
        "subject": Named(name="models/visits", digest={"sha256": MODEL_OLD}, role="model"),
    }
    return Champion(**(known | more))


def evidence(**more: Any) -> Evidence:
    known = {
        "kind": "compare",
        "model": "doctor-visits",
        "verdict": "pass",
        "statistics": "none",
        "subject": Named(name="models/visits", digest={"sha256": MODEL_NEW, "dvc-md5": "77" * 16}, role="model"),
        "source": source(),
        "champion": champion(),
        "inputs": [
            Named(name="mlgate.yaml", digest={"sha256": "ab" * 32}, role="config"),
            Named(name="metrics/eval.json", digest={"sha256": "cd" * 32, "dvc-md5": "ef" * 16}, role="metrics"),
            Named(name="dvc.lock", digest={"sha256": "12" * 32}, role="lock"),
            Named(name="data/test.parquet", digest={"dvc-md5": "9f" * 16}, role="evaluation data"),
        ],
        "controls": Controls(passed=14, total=14),
        "tool": Tool(version="0.1.0"),
    }
    return Evidence(**(known | more))


AUC = Check(
    id="rules.auc.max_absolute_regression",
    title="auc",
    verdict=Verdict.PASS,
    observed=0.7222,
    champion=0.7204,
    expected="down to −0.010",
    limit=0.7104,
    change=0.0018,
    greater_is_better=True,
    rows=6057,
    location=Location(file="mlgate.yaml", line=18, key="compare.rules.auc"),
)
AUC_FLOOR = AUC.model_copy(
    update={"id": "rules.auc.threshold", "expected": "at least 0.70", "limit": 0.70, "change": None, "champion": 0.7204}
)
LOG_LOSS = Check(
    id="rules.log_loss.max_relative_regression",
    title="log_loss",
    verdict=Verdict.PASS,
    reason="",
    observed=0.5741,
    champion=0.5812,
    expected="up to +2 %",
    limit=0.592824,
    change=(0.5741 - 0.5812) / 0.5812,
    relative=True,
    greater_is_better=False,
    rows=6057,
    location=Location(file="mlgate.yaml", line=21, key="compare.rules.log_loss.max_relative_regression"),
)
LOG_LOSS_WORSE = LOG_LOSS.model_copy(
    update={
        "verdict": Verdict.FAIL,
        "observed": 0.5992,
        "change": (0.5992 - 0.5812) / 0.5812,
        "reason": "`log_loss` is 3.1 % worse than the champion; at most 2 % is allowed.",
    }
)
INTEGRITY = [
    Check(
        id="integrity.lock.metrics/eval.json",
        title="`metrics/eval.json` matches dvc.lock",
        group="integrity",
        verdict=Verdict.PASS,
        location=Location(file="dvc.lock"),
    ),
    Check(id="integrity.fresh.evaluate", title="stage evaluate is fresh", group="integrity", verdict=Verdict.PASS),
    Check(
        id="integrity.tracked",
        title="every metrics file is committed",
        group="integrity",
        verdict=Verdict.PASS,
        reason="1 file",
    ),
]
CHANGES = [
    Change(kind="parameter", what="params.yaml train.learning_rate", before="0.10", after="0.30"),
    Change(kind="code", what="src/train.py"),
]


def passed() -> Evidence:
    return evidence(
        title="`auc` and `log_loss` are at least as good as the champion's.",
        checks=[AUC, AUC_FLOOR, LOG_LOSS, *INTEGRITY],
        changes=CHANGES,
    )


def failed() -> Evidence:
    return evidence(
        verdict="fail",
        title="`log_loss` is 3.1 % worse than the champion; at most 2 % is allowed.",
        checks=[AUC, AUC_FLOOR, LOG_LOSS_WORSE, *INTEGRITY],
        changes=CHANGES,
    )


def first_champion() -> Evidence:
    reason = "There is no champion yet: nothing to hold this model against. It becomes the champion when it is merged."
    return evidence(
        verdict="warn",
        title=reason,
        champion=None,
        checks=[
            AUC_FLOOR.model_copy(update={"champion": None}),
            Check(id="judge.champion", title="a champion exists", group="judge", verdict=Verdict.WARN, reason=reason),
            *INTEGRITY,
        ],
    )


def inconclusive() -> Evidence:
    return evidence(
        verdict="inconclusive",
        title="The test data changed: champion and challenger were not measured on the same rows.",
        checks=[
            Check(
                id="judge.same_data",
                title="same evaluation data",
                group="judge",
                verdict=Verdict.INCONCLUSIVE,
                reason="`data/test.parquet` is 9f3c… on `main` and 41aa… here: the numbers cannot be compared.",
                fix="git checkout main -- data/test.parquet.dvc\ndvc repro evaluate",
                location=Location(file="data/test.parquet.dvc"),
            ),
            AUC_FLOOR,
            *INTEGRITY,
        ],
        changes=[*CHANGES, Change(kind="data", what="data/test.parquet", before="9f" * 16, after="41" * 16)],
    )


def broken() -> Evidence:
    reason = "auc is NaN in the challenger. A metric that is not a number cannot be judged: look at the evaluate stage."
    return evidence(
        verdict="error",
        title=reason,
        checks=[
            AUC.model_copy(
                update={
                    "verdict": Verdict.ERROR,
                    "observed": "NaN",
                    "change": None,
                    "reason": reason,
                    "location": Location(file="metrics/eval.json", line=2),
                }
            ),
            LOG_LOSS,
            *INTEGRITY[1:],
            Check(
                id="integrity.lock.metrics/eval.json",
                title="`metrics/eval.json` matches dvc.lock",
                group="integrity",
                verdict=Verdict.ERROR,
                reason="The lock says 3f1e2d00…, the file is 77a0b1c2…: it was edited after `dvc repro`.",
                fix="dvc repro evaluate\ngit add dvc.lock metrics/eval.json",
                location=Location(file="metrics/eval.json"),
            ),
        ],
        changes=CHANGES,
    )


def unchanged(model: str = "doctor-visits") -> Evidence:
    return evidence(model=model, unchanged=True, checks=[], statistics="")


def rule_change() -> Evidence:
    return evidence(
        verdict="fail",
        title="The rules were loosened here, and this model breaks the ones on `main`.",
        checks=[
            AUC_FLOOR.model_copy(
                update={
                    "verdict": Verdict.FAIL,
                    "observed": 0.6612,
                    "reason": "`auc` is 0.6612; the rule on `main` asks for at least 0.70.",
                }
            ),
            Check(
                id="judge.rules_unchanged",
                title="the gate's own rules are unchanged",
                group="judge",
                verdict=Verdict.WARN,
                reason="1 rule differs from `main`: both versions judged, and the stricter one decides.",
                location=Location(file="mlgate.yaml", line=18),
            ),
        ],
        changes=[*CHANGES, Change(kind="rule", what="compare.rules.auc.threshold", before="0.70", after="0.65")],
        not_run=["data/test.parquet: the remote needs credentials that a fork does not have."],
    )


def with_intervals() -> Evidence:
    slice_check = Check(
        id="slices.health=poor.auc",
        title="auc, health = poor",
        verdict=Verdict.WARN,
        observed=0.63,
        champion=0.66,
        change=-0.03,
        interval=(-0.09, 0.03),
        expected="not judged: 98 rows, 300 needed",
        greater_is_better=True,
        rows=98,
    )
    return evidence(
        verdict="fail",
        statistics="paired",
        title="`log_loss` is 3.1 % worse than the champion; at most 2 % is allowed.",
        checks=[
            AUC.model_copy(update={"interval": (-0.003, 0.007)}),
            slice_check,
            LOG_LOSS_WORSE.model_copy(update={"interval": (0.024, 0.038)}),
            *INTEGRITY,
        ],
        changes=CHANGES,
    )


RECALL_OPEN = AUC.model_copy(
    update={
        "id": "rules.recall.absolute_regression",
        "title": "recall",
        "verdict": Verdict.INCONCLUSIVE,
        "interval": (-0.014, 0.018),
        "outcome": "inconclusive",
        "method": "joint cells",
        "needed": 91_234,
        "reason": "recall may be worse than the champion by more than is allowed, or not: 6,057 rows cannot tell.",
    }
)


def figures(name: str = "holdout") -> list[Figure]:
    sides = ("champion", "challenger")
    straight = tuple(Series(name=side, x=(0.0, 0.25, 1.0), y=(0.0, 0.75, 1.0)) for side in sides)
    counts = tuple(Series(name=f"{side}, rows", x=(0.0, 0.25, 1.0), y=(10.0, 40.0, 5.0)) for side in sides)
    spread = tuple(
        Series(name=f"{side}{suffix}", x=(10.0, 20.0), y=(at - 3.0, at + 2.0))
        for side in sides
        for suffix, at in (("", 0.0), (", 10 %", -5.0), (", 90 %", 5.0))
    )
    matrix = (Series(name=f"{name} no", x=(0.0, 1.0), y=(90.0, 10.0)), Series(name="yes", x=(0.0, 1.0), y=(5.0, 95.0)))
    return [
        Figure(kind="roc", title=f"{name}: ROC", x="false positive rate", y="true positive rate", series=straight),
        Figure(kind="precision-recall", title=f"{name}: PR", x="recall", y="precision", series=straight),
        Figure(kind="calibration", title=f"{name}: calibration", x="said", y="was", series=(*straight, *counts)),
        Figure(kind="residuals", title=f"{name}: errors", x=name, y="true minus predicted", series=spread),
        Figure(
            kind="confusion", title=f"{name}: decisions", x="decided", y="true",
            classes=(f"{name} no", "yes"), series=matrix,
        ),
    ]  # fmt: skip


def with_figures() -> Evidence:
    poor = AUC.model_copy(
        update={"id": "slices.auc.health=poor", "title": "auc, health = poor", "group": "slices", "change": -0.009}
    )
    good = poor.model_copy(update={"id": "slices.auc.health=good", "title": "auc, health = good", "change": 0.01})
    return evidence(
        verdict="inconclusive",
        statistics="paired",
        confidence=0.95,
        checks=[
            AUC.model_copy(update={"interval": (-0.003, 0.007), "outcome": "non-inferior", "method": "DeLong"}),
            AUC_FLOOR.model_copy(update={"interval": (0.712, 0.731), "champion": None, "method": "DeLong"}),
            RECALL_OPEN,
            good,
            poor,
            *INTEGRITY,
        ],
        figures=figures(),
        moved=[
            Moved(
                name="holdout", by="class", rows=6057, better=40, worse=31, best=("p-17", "p-4"), worst=("p-99", "p-5")
            )
        ],
        changes=CHANGES,
    )


def doctor() -> Evidence:
    return Evidence(
        kind="doctor",
        model="doctor-visits",
        verdict=Verdict.FAIL,
        title="The clone is too shallow to find the champion.",
        source=source(),
        checks=[
            Check(
                id="setup.history",
                title="history reaches the champion",
                group="setup",
                verdict=Verdict.FAIL,
                reason="The clone has 1 commit and no credentials to fetch more.",
                fix="- uses: actions/checkout@v5\n  with:\n    fetch-depth: 0",
                location=Location(file=".github/workflows/model-gate.yml", line=14),
            ),
            Check(id="setup.dvc", title="dvc 3.67 is installed", group="setup", verdict=Verdict.PASS),
        ],
        tool=Tool(version="0.1.0"),
    )


def many(n: int = 200) -> list[Evidence]:
    """Mostly unchanged, some passing, a few not."""
    makers = {3: failed, 10: inconclusive, 21: broken, 40: first_champion, 41: rule_change}
    out = []
    for i in range(n):
        name = f"region-{i:03d}"
        if i in makers:
            out.append(makers[i]().model_copy(update={"model": name}))
        elif i % 3:
            out.append(unchanged(name))
        else:
            out.append(passed().model_copy(update={"model": name}))
    return out


def hostile(text: str) -> Evidence:
    """The same text at the start of every field that takes one."""
    check = LOG_LOSS_WORSE.model_copy(
        update={
            "id": text,
            "title": text,
            "reason": f"{text} because",
            "fix": f"{text}\nfix",
            "expected": f"{text} allowed",
            "location": Location(file=f"{text}.py", line=3, key=text),
        }
    )
    words = check.model_copy(
        update={"observed": f"{text} o", "champion": f"{text} c", "change": None, "verdict": Verdict.ERROR}
    )
    finding = words.model_copy(update={"group": "integrity", "observed": None, "champion": None})
    return evidence(
        verdict="fail",
        kind=text,
        model=f"{text} m",
        title=f"{text} title",
        statistics=text,
        subject=Named(name=text, digest={text: text}, role=text),
        source=Source(commit=f"{text}1", run_url=text, actor=text, event=text, trigger=text, forge=text, at=text),
        champion=Champion(commit=text, ref=text, how=text, committed_at=text, commits=2, subject=Named(name=text)),
        inputs=[Named(name=text, digest={"sha256": text}, role=text)],
        checks=[AUC, check, words, finding, finding.model_copy(update={"verdict": Verdict.PASS})],
        changes=[
            Change(kind="rule", what=text, before=text, after=None),
            Change(kind="parameter", what=text, before=text, after=f"{text}2"),
            Change(kind="dependency", what=text, before=None, after=text),
        ],
        not_run=[f"{text} not run"],
        figures=figures(text),
        moved=[Moved(name=text, by="loss", rows=3, better=1, worse=1, best=(text,), worst=(text,))],
        artifacts=[text],
        tool=Tool(name=text, version=text),
    )


ALL = {
    "passed": passed,
    "failed": failed,
    "first_champion": first_champion,
    "inconclusive": inconclusive,
    "broken": broken,
    "unchanged": unchanged,
    "rule_change": rule_change,
    "with_intervals": with_intervals,
    "with_figures": with_figures,
    "doctor": doctor,
}
