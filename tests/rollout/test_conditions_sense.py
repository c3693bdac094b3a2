"""What the keys of `deploy` may not say together: each one sentence, with how to mend it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlgate.config import load
from mlgate.errors import MlgateError

DIGEST = "sha256:" + "0" * 64


def canary(**more: Any) -> dict[str, Any]:
    return {
        "target": {"kind": "local"}, "strategy": "canary", "steps": [5, 25, 50],
        "rules": ["error_rate <= 1.5x stable"], **more,
    }  # fmt: skip


def text(environments: dict[str, Any], **more: Any) -> str:
    whole = {
        "schema": 1, "model": "m", "evaluate": {"holdout": {"metrics": ["metrics/eval.json"]}},
        **{key: more.pop(key) for key in ("serve",) if key in more},
        "deploy": {"trust": "branch", "environments": environments, **more},
    }  # fmt: skip
    return yaml.safe_dump(whole, sort_keys=False)


def read(environments: dict[str, Any], **more: Any) -> Any:
    return load(text(environments, **more), file="mlgate.yaml", base={}.get)


def refused(environments: dict[str, Any], **more: Any) -> str:
    with pytest.raises(MlgateError) as caught:
        read(environments, **more)
    return str(caught.value)


def test_a_canary_that_makes_sense_is_taken() -> None:
    metrics = {"sold": {"query": 'sum(sold{slot="{slot}"})'}, "paid": {"run": "python paid.py"}}
    rules = [
        "error_rate <= 1.5x stable", "error_rate <= 1%", "latency_p99 <= 2 s for 3 periods",
        "latency_p95 <= 1.2x stable", "prediction_shift <= 0.1",
        {"any": ["sold >= 0.9x stable", {"all": ["paid >= 3", "error_rate <= stable + 0.2%"]}]},
    ]  # fmt: skip
    assert read({"production": canary(rules=rules, metrics=metrics, steps=[5, 25, 50, 100])}).deploy.environments


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"steps": []}, "is a canary without `steps`."),
        ({"steps": [100]}, "leave stable no requests to compare with"),
        ({"steps": [25, 5]}, "do not ascend: 5 comes after 25"),
        ({"steps": [5, 5, 50]}, "do not ascend: 5 comes after 5"),
        ({"steps": [5, 110]}, "110"),
        ({"steps": [0, 50]}, "0"),
        ({"strategy": "replace"}, "are not taken by `strategy: replace`"),
        ({"strategy": "canarry"}, "canary"),
        ({"rules": []}, "is a canary without `rules`"),
        ({"sticky": "X User"}, "names no header"),
        ({"step": {"at_least": "2 hours", "at_most": "1 hour"}}, "is longer than `at_most`"),
        ({"step": {"period": "0 s"}}, "step.period is 0"),
        ({"step": {"period": "7 hours"}}, "is not shorter than `at_most`"),
        ({"step": {"warm_up": "6 hours"}}, "nothing would count"),
        ({"expected": {"error_rate": 0}}, "expected.error_rate is 0"),
        ({"expected": {"requests_per_second": 0}}, "no step would ever be decided"),
        ({"checks": {"load": {}}}, "does not say how much"),
        ({"checks": {"load": {"rate": 5, "connections": 2}}}, "names `rate` and `connections`"),
        ({"checks": {"load": {"rate": 0}}}, "nothing would be sent"),
        ({"checks": {"load": {"rate": 20, "duration": "2 s", "latency_p95": "1 s"}}}, "It takes 60 requests"),
        ({"checks": {"shadow": {"agreement": "98%"}}}, "has no requests to answer again"),
        ({"batch": {"data": "a.csv", "output": "b.csv"}}, "is not run by `strategy: canary`"),
        ({"url": "production"}, "is no address"),
    ],
)
def test_a_canary_that_makes_none_is_refused(more: dict[str, Any], said: str) -> None:
    message = refused({"production": canary(**more)})
    assert said in message
    assert message.startswith("mlgate.yaml:")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("eror_rate <= 1%", "Did you mean `error_rate`?"),
        ("profit <= 1%", "which nobody measures"),
        ("error_rate >= 1%", "Write `error_rate <= 1%`"),
        ("error_rate > 1%", "Write `error_rate < 1%`"),
        ("error_rate <= 1x stable", "which nothing can prove"),
        ("error_rate <= 0.5x stable", "which nothing can prove"),
        ("error_rate <= stable + 0%", "which nothing can prove"),
        ("error_rate <= stable - 1%", "which nothing can prove"),
        ("error_rate <= 0%", "which nothing can prove"),
        ("error_rate <= 1", "which nothing would break"),
        ("error_rate <= 100%", "which nothing would break"),
        ("error_rate <= 5 ms", "a share is not given in `ms`"),
        ("latency_p99 <= 2", "a time is not given without a unit"),
        ("latency_p99 <= 2%", "a time is not given in `%`"),
        ("latency_p99 <= stable + 5", "a time is not given without a unit"),
        ("latency_p99 <= 0 ms", "which nothing can prove"),
        ("prediction_shift <= 2x stable", "compares with stable twice"),
        ("prediction_shift <= 1", "which nothing would break"),
        ("error_rate <= 1% for 9999 periods", "longer than a step may"),
        ({"any": ["error_rate <= 1%", "nothing <= 1"]}, "which nobody measures"),
    ],
)
def test_a_rule_that_could_not_do_its_work_is_refused(rule: Any, said: str) -> None:
    assert said in refused({"production": canary(rules=[rule])})


def test_a_rule_stands_once_and_its_metric_has_one_source() -> None:
    assert "stands there already" in refused({"p": canary(rules=["error_rate <= 1%", "error_rate  <=  1%"])})
    assert "has `query` and `run`" in refused({"p": canary(metrics={"a": {"query": "x", "run": "y"}})})
    assert "neither `query` nor `run`" in refused({"p": canary(metrics={"a": {}})})
    assert "is used with `query` only" in refused({"p": canary(metrics={"a": {"run": "y", "prometheus": "http://p"}})})
    assert "is measured without it" in refused({"p": canary(metrics={"error_rate": {"run": "y"}})})
    assert "cannot be named by a rule" in refused({"p": canary(metrics={"a-b": {"run": "y"}})})
    same = canary(rules=["sold >= 0.9x stable"], metrics={"sold": {"query": "sum(sold)"}})
    assert "asks the same of both models" in refused({"p": same})


def test_scores_are_read_from_stdout() -> None:
    shifted = canary(rules=["prediction_shift <= 0.1"])
    assert "log of predictions on stdout" in refused({"p": shifted}, serve={"log": {"to": "none"}})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"target": {"kind": "command"}}, "there are no `commands`"),
        ({"target": {"kind": "docker"}}, "no image of its proxy is named"),
        ({"target": {"kind": "docker", "proxy": "haproxy:3.2"}}, "can be another image tomorrow"),
        ({"target": {"kind": "local", "proxy": f"haproxy@{DIGEST}"}}, "is used by `kind: docker` only"),
        ({"target": {"kind": "local", "port": 70_000}}, "ports end at 65535"),
        ({"target": {"kind": "kubernetes", "routing": "gateway"}}, "none is named"),
        ({"target": {"kind": "kubernetes", "max_replicas": 1}, "replicas": 3}, "less than the 3 replicas"),
        (
            {"target": {"kind": "local", "environment": {"A": "1"}, "secrets": {"A": "B"}}},
            "Name it in one of the two",
        ),
        ({"target": "local", "strategy": "rolling"}, "is rolling with one server"),
        ({"target": "local", "strategy": "batch"}, "is a batch without `batch:`"),
        (
            {"target": "local", "strategy": "batch", "batch": {"data": "a.csv", "output": "a.csv"}},
            "is the input itself",
        ),
        ({"target": "local", "strategy": "shadow"}, "nothing says how it is judged"),
        ({"target": "local", "rules": ["error_rate <= 1%"]}, "while two models answer"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(environment: dict[str, Any], said: str) -> None:
    assert said in refused({"staging": environment})


def test_a_command_target_that_sees_nothing_judges_nothing() -> None:
    commands = dict.fromkeys(("start", "ready", "weigh", "stop", "status"), "true")
    assert "have no `observe`" in refused({"p": canary(target={"kind": "command", "commands": commands})})
    assert "by `kind: command` only" in refused({"p": canary(target={"kind": "local", "commands": commands})})


def test_environments_do_not_take_each_others_place() -> None:
    here = {"target": {"kind": "local", "port": 9000}}
    assert "as that of `staging`" in refused({"staging": here, "production": here})
    docker = {"target": {"kind": "docker", "port": 9000, "proxy": f"haproxy@{DIGEST}"}}
    assert "as that of `staging`" in refused({"staging": here, "production": docker})
    elsewhere = {"target": {**docker["target"], "host": "ssh://deploy@other"}}
    assert len(read({"staging": here, "production": elsewhere}).deploy.environments) == 2
    assert "cannot name an environment" in refused({"pro duction": here})


def test_trust_names_whom() -> None:
    here = {"target": {"kind": "local"}}
    assert "by whom a release has to be signed" in refused({"staging": here}, trust="signed")
    signed = read({"staging": here}, trust="signed", verify={"key": "keys/gate.pem"})
    assert signed.deploy.verify.key == "keys/gate.pem"
    assert "too short to be kept" in refused({"staging": here}, lease="5 seconds")
    none = {"production": {**here, "approval": "none"}}
    assert "criticality is `high`" in refused(none, criticality="high")
    assert read(none, criticality="low").deploy.criticality == "low"
