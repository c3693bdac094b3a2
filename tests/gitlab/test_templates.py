"""What must hold for every template, read as a file: the contract of its inputs, and who may do what in which job."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from mlgate import __version__

from .templates import (
    BUILD,
    DEPLOY,
    NAMES,
    PIPELINE,
    PLACE,
    ROOT,
    SUCCESSOR,
    VERBS,
    WATCH,
    accepts,
    load,
    option_variables,
    rules,
    variables,
)

pytestmark = pytest.mark.gitlab
# A token that only the forge's own variables bring, and what GitLab gives a job anyway: CI/CD variables.
# And folders that a template, which knows where artifacts lie, chooses by itself.
ONLY_ACTIONS = {"github-token", "env", "handed", "inputs", "proposal", "registry-password"}
# Every template's `image` is that of its job, and `push` is to a remote of DVC.
NAMED_ELSE = {
    "build-image": {"image": "repository", "push": "push-image"},
    "deploy": {"image": "digest", "version": "model-version"},  # of `register`, `version` is the next one
    "monitor": {"environment": "watched", "tracking-uri": "readings-uri"},  # no scope of variables; empty logs nothing
    "retrain": {"force": "force-start"},  # of `init`, `force` writes over files
}
NOT_HERE = {
    "rollback": {"pull"},  # nothing gathers anything for it
    # A retraining is trained by model-retrain.gitlab-ci.yml, and GitLab starts the gate on every merge request.
    "train": {"trigger", "gate-workflow"},
}
ONLY_HERE = {"deploy": {"prepare"}}  # on GitHub a job of the workflow
# GitLab asks for the name before mlgate.yaml is read: it is the scope of the job's variables.
NEEDS_A_NAME = "environment"
VERBS_OF = {
    **{verb: (verb,) for verb in VERBS},
    "register": ("register", "_signing"),
    "deploy": ("deploy", "build-image"),
    DEPLOY: ("deploy", "build-image"),
    PIPELINE: ("doctor", "validate-data", "train", "compare", "report"),
    BUILD: ("build-image", "register", "_signing"),
    WATCH: ("monitor", "retrain", "notify", "report"),
    SUCCESSOR: ("retrain", "train", "notify"),
}
NOT_IN_THE_GATE = {
    *("data", "contract", "optional", "verify"),  # what is checked, and how far, is said by mlgate.yaml
    *("smoke", "push", "commit", "commit-branch", "commit-image"),  # a gate makes no model to be committed
    *("quarantine", "data-docs", "expire-in"),  # its run job hands over what the judge reads and nothing else
    *("prepare", "prepare-image"),  # its run job always does
}
NOT_IN_THE_BUILD = {
    *("push-image", "preview", "prepare", "prepare-image"),  # what it builds is deployed, and it always prepares
    # one version after the other, as mlgate.yaml says
    *("version", "bump", "alias", "model-name", "image-statement", "model-path", "run-name", "push-tags"),
    "image-to",  # one registry is enough to deploy from
}
NOT_IN_THE_WALK = {
    *(
        "digest",
        "model-version",
        "starts",
        "plan",
        "recover",
        "abort",
        "render",
    ),  # the commit's own model, after its merge
    *("environment", "tier", "when", "once", "drill", "prepare-image"),  # of two environments, under names of their own
}
NOT_IN_THE_WATCH = {"ledger", "pull", "python"}  # rules look back, and nothing of the project is executed
# What is made is made whole, pushed, and proposed on its one branch.
NOT_FOR_THE_SUCCESSOR = {"verify", "push", "commit", "commit-branch", "rerun", "smoke"}
THE_WALKS_OWN = {"staging", "staging-drill", "production", "production-when", "production-once", "deploy-image"}
DEPLOYS = [("deploy", "mlgate-deploy"), (DEPLOY, "mlgate-staging"), (DEPLOY, "mlgate-production")]
JUDGES = [
    *DEPLOYS,
    ("rollback", "mlgate-rollback"),
    ("build-image", "mlgate-build"),
    ("register", "mlgate-register"),
    (BUILD, "mlgate-build"),
    (BUILD, "mlgate-register"),
    ("compare", "mlgate-compare"),
    ("report", "mlgate-report"),
    ("init", "mlgate-init"),
    ("train", "mlgate-commit"),
    (PIPELINE, "mlgate-judge"),
    *((verb, f"mlgate-{verb}") for verb in ("monitor", "notify", "retrain")),
    (WATCH, "mlgate-monitor"),
    (SUCCESSOR, "mlgate-ask"),
    (SUCCESSOR, "mlgate-propose"),
]
_EVIDENCE = "./.mlgate/evidence/*/{}.json"
WITH_PROJECT_CODE = [
    ("doctor", "mlgate-doctor", [_EVIDENCE.format("doctor")]),
    (
        "validate-data",
        "mlgate-validate-data",
        [_EVIDENCE.format("validate-data"), "./.mlgate/quarantine/", "./.mlgate/data-docs/"],
    ),
    ("train", "mlgate-train", [_EVIDENCE.format("train"), "./.mlgate/proposal/"]),
    ("compare", "mlgate-prepare", [_EVIDENCE.format("prepare"), "./.mlgate/inputs/"]),
    ("build-image", "mlgate-fetch", ["./.mlgate/inputs/"]),
    (BUILD, "mlgate-fetch", ["./.mlgate/inputs/"]),
    ("deploy", "mlgate-gather", ["./.mlgate/inputs/"]),
    (DEPLOY, "mlgate-gather", ["./.mlgate/inputs/"]),
    (SUCCESSOR, "mlgate-successor", [_EVIDENCE.format("train"), "./.mlgate/proposals/"]),
    (
        PIPELINE,
        "mlgate-run",
        [*(_EVIDENCE.format(verb) for verb in ("doctor", "validate-data", "train", "prepare")), "./.mlgate/inputs/"],
    ),
]
UNINTERRUPTED = {
    *("mlgate-commit", "mlgate-build", "mlgate-register"),
    *("mlgate-deploy", "mlgate-staging", "mlgate-production", "mlgate-rollback"),
    *("mlgate-monitor", "mlgate-notify", "mlgate-retrain", "mlgate-ask", "mlgate-successor", "mlgate-propose"),
}
# Read by the script itself.
OF_SCRIPTS = {
    *("MLGATE_SOURCE", "MLGATE_SETUP", "MLGATE_CLIENT", "MLGATE_PROVE", "MLGATE_NOTIFY", "MLGATE_RETRAIN"),
}
STRINGS = [
    (name, key) for name in NAMES for key, spec in load(name).inputs.items() if spec.get("type", "string") == "string"
]
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "a; touch pwned",
    "a && touch pwned",
    "a | tee pwned",
    'x"\nscript: [touch pwned]',
    "x\n---\njobs: {}",
    "x\\",
    "x\r\nscript: y",
    "x\u2028script: y",
    "x\0y",
    "a: {b",
    "<!-- mlgate:x -->",
    "$[[ inputs.setup ]]",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["in_text", "in_nodes"])
def test_jobs_are_valid_for_gitlabs_own_schema(name: str, way: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.yml"
    file.write_text(yaml.safe_dump(getattr(load(name), way)()), "utf-8")
    command = [str(tools.script("check-jsonschema")), "--builtin-schema", "vendor.gitlab-ci"]
    command += [
        "--disable-formats",
        "uri",
    ]  # an address from a dotenv report is a variable, as GitLab's own pages show it
    done = subprocess.run(
        [*command, "--data-transform", "gitlab-ci", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_of_filling_in_say_the_same(name: str) -> None:
    hard = {
        "job-prefix": "b: ",
        "working-directory": "a b/c",
        "champion": "feature/#12",
        "comment": "off",
        "setup": """export A="$HOME: 'x'" # not a comment of the YAML: {[`date`]} \\""",
    }
    given = {key.replace("-", "_"): value for key, value in hard.items() if key in load(name).inputs}
    in_text, in_nodes = load(name).in_text(**given), load(name).in_nodes(**given)
    assert list(in_text) == list(in_nodes)
    for key in (key for key in in_text if not key.startswith(".")):
        one, other = in_text[key], in_nodes[key]
        assert variables(one) == variables(other)  # `true` is text in one of them
        assert {**one, "variables": {}} == {**other, "variables": {}}
        for option in ("working-directory", "champion", "comment", "setup"):
            variable = f"MLGATE_{option.upper().replace('-', '_')}"
            assert variables(one).get(variable, hard[option]) == hard[option]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_described_checked_and_used(name: str) -> None:
    template = load(name)
    for key, spec in template.inputs.items():
        assert spec["description"].endswith((".", "txt")), key
        assert "default" in spec, f"{key}: without a default, a pipeline that starts by itself would not"
        if spec.get("type", "string") == "boolean":
            assert isinstance(spec["default"], bool)
        else:
            assert ("regex" in spec) != ("options" in spec), key
            assert accepts(spec, spec["default"]), key
        assert f"$[[ inputs.{key} ]]" in template.body, f"{key} does nothing"


@pytest.mark.parametrize(("name", "key"), STRINGS)
def test_no_input_takes_more_than_it_needs(name: str, key: str) -> None:
    spec = load(name).inputs[key]
    taken = [value for value in HOSTILE if accepts(spec, value)]
    if key == "setup":  # a line of shell, by its nature; but one line, and only ever a value
        assert taken == [value for value in HOSTILE if re.fullmatch(r"[ -~]*", value)]
    else:
        assert taken == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", "models/*/mlgate.yaml\nother/mlgate.yaml"),
        ("config", "a b/mlgate.yaml"),
        ("champion", "visits@v1.0.0"),
        ("champion", "feature/#12-new"),
        ("champion", "0123456789abcdef0123456789abcdef01234567"),
        ("comment-header", "nightly v1.2"),
        ("working-directory", "services/model one"),
        ("stage", ".post"),
        ("image", "$CI_REGISTRY_IMAGE/gate:1.2@sha256:00ff"),
        ("image", "${CI_REGISTRY}/a/b"),
        ("judge-image", "python:3.12-alpine"),
        ("job-prefix", ""),
        ("job-prefix", "gate: "),
        ("python", ".venv/bin/python"),
        ("setup", "pip install --quiet 'dvc[s3]' && . .venv/bin/activate"),
        ("data", "data/train.parquet\ndata/2026/*.csv"),
        ("contract", "contracts/persons.yaml"),
        ("quarantine", ".mlgate/quarantine"),
        ("memory-limit", "1.5 GiB"),
        ("examples", "0"),
        ("smoke", "1000"),
        ("tracking-uri", "https://mlflow.example.com:5000/api?x=%20"),
        ("tracking-uri", "sqlite:///mlruns.db"),
        ("commit-branch", "retrain/visits"),
        ("expire-in", "1 day"),
        ("repository", "$CI_REGISTRY_IMAGE/models"),
        ("repository", "registry.example.com:5050/acme/visits"),
        ("layer-cache", "${CI_REGISTRY_IMAGE}/cache"),
        ("tag", "$CI_COMMIT_REF_SLUG"),
        ("base", f"python:3.13-slim@sha256:{'0f' * 32}"),
        ("registry-user", "gitlab+deploy-token-1"),
        ("version", "v1.2.0"),
        ("gitlab-uri", "$CI_API_V4_URL/projects/$CI_PROJECT_ID/ml/mlflow"),
        ("docker", "runner"),
        ("docker-image", "$CI_REGISTRY/mirror/docker:28-dind"),
        ("digest", f"registry.example.com:5050/acme/visits@sha256:{'0f' * 32}"),
        ("model-version", "v1.2.0"),
        ("environment", "production-eu"),
        ("staging", "pre_prod"),
        ("to", "2026-11-20T09:00:00+01:00"),
        ("to", "v1.2.0"),
        ("reason", "error rate 5% since 09:00 (see the board)"),
        ("timeout", "90 minutes"),
        ("watched", ""),
        ("watched", "production-eu"),
        ("until", "2026-11-20"),
        ("until", "2026-11-20T06:00:00Z"),
        ("windows", "7"),
        ("readings-uri", "https://mlflow.example.com"),
        ("from", ".mlgate/evidence/visits/monitor.json"),
        ("run-result", "failure"),
        ("rule", "drift"),
        ("trigger", "0123456789abcdef0123456789abcdef"),
        ("trigger", "open"),
        ("finish", "failed"),
        ("request-url", "https://gitlab.example.com/acme/visits/-/merge_requests/7"),
        ("mlgate-source", "mlgate==1.2.3rc1"),
        ("mlgate-source", "/opt/mlgate-1.2.3-py3-none-any.whl"),
        ("mlgate-source", "https://example.com/mlgate-1.2.3-py3-none-any.whl#sha256=00ff"),
        ("mlgate-source", "git+https://example.com/group/mlgate.git@v1.2.3"),
    ],
)
def test_what_users_need_is_taken(key: str, value: str) -> None:
    specs = [load(name).inputs[key] for name in NAMES if key in load(name).inputs]
    assert specs
    assert all(accepts(spec, value) for spec in specs)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mlgate-source", "mlgate"),
        ("mlgate-source", "mlgate>=1"),
        ("mlgate-source", "other==1"),
        ("mlgate-source", "wheels/mlgate.whl"),  # a file that a merge request can change
        ("mlgate-source", "http://example.com/mlgate.whl"),
        ("mlgate-source", "--index-url=https://example.com"),
        ("champion", "--upload-pack=x"),
        ("job-prefix", ".hidden-"),
        ("working-directory", "/etc"),
        ("working-directory", "-x"),
        ("comment", "sometimes"),
        ("quarantine", "."),  # an artifact of the whole folder
        ("tracking-uri", "http://ada:secret@example.com"),  # in the open; there are variables for that
        ("tracking-uri", "file:///etc"),
        ("memory-limit", "lots"),
        ("smoke", "0"),
        ("commit", "main"),
        ("verify", "nothing"),
        ("repository", "--help"),
        ("tag", "-x"),
        ("version", "latest"),
        ("alias", "production"),
        ("gitlab-uri", "http://ada:secret@example.com"),
        ("docker", "tcp://docker:2375"),
        ("commit-branch", "-d"),
        ("digest", "registry.example.com/acme/visits:latest"),
        ("environment", ""),
        ("environment", "a/b"),  # it stands in a pattern
        ("production", "prod.*"),
        ("client", "helm"),
        ("starts", "merge_request"),
        ("production-when", "never"),
        ("timeout", "forever"),
        ("to", "--reason"),
        ("until", "yesterday"),
        ("windows", "0"),
        ("trigger", "7"),
        ("finish", "well"),
        ("from", "/etc"),
        ("rule", "--plan"),
        ("request-url", "javascript:alert(1)"),
    ],
)
def test_what_would_be_wrong_is_refused(key: str, value: str) -> None:
    specs = [load(name).inputs[key] for name in NAMES if key in load(name).inputs]
    assert specs
    assert not any(accepts(spec, value) for spec in specs)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_reach_scripts_only_as_variables(name: str) -> None:
    for job in load(name).jobs().values():
        assert set(job) & {"script", "before_script", "after_script"} == {"script"}
    raw = yaml.safe_load(load(name).body)
    for job in (job for key, job in raw.items() if not key.startswith(".")):
        assert "$[[" not in "\n".join(job["script"])
        assert not any("`" in block.split("\n", 1)[0] for block in job["script"]), "runners print this line by a shell"


@pytest.mark.parametrize("name", NAMES)
def test_scripts_are_clean_for_shellcheck(name: str, tmp_path: Path) -> None:
    for number, job in enumerate(load(name).jobs().values()):
        file = tmp_path / f"{number}.sh"
        # Variables come from the runner; each is quoted wherever it is used.
        file.write_text("#!/bin/sh\nset -e\n" + "\n".join(job["script"]), "utf-8")
        command = [str(tools.script("shellcheck")), "--shell=sh", "--severity=style", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_variables_are_options_of_the_verbs(name: str) -> None:
    known = set().union(*(option_variables(verb) for verb in VERBS_OF[name]))
    set_here = {v for job in load(name).jobs().values() for v in job["variables"] if v.startswith("MLGATE_")}
    assert set_here - OF_SCRIPTS <= known


@pytest.mark.parametrize("verb", VERBS)
def test_actions_and_templates_have_the_same_options(verb: str) -> None:
    action = yaml.safe_load((ROOT / "actions" / verb / "action.yml").read_text("utf-8"))["inputs"]
    template = load(verb).inputs
    named = NAMED_ELSE.get(verb, {})
    same = {key: named.get(key, key) for key in set(action) - ONLY_ACTIONS - NOT_HERE.get(verb, set())}
    assert set(same.values()) == set(template) - PLACE - ONLY_HERE.get(verb, set())
    for key, here in same.items():
        if here == NEEDS_A_NAME:
            assert (template[here]["default"], action[key]["default"]) == ("production", "")
            continue
        ours, theirs = template[here]["default"], action[key].get("default", "")
        assert (json.dumps(ours) if isinstance(ours, bool) else ours) == str(theirs), key


def test_the_pipeline_has_the_options_of_its_verbs() -> None:
    parts = {key: spec for verb in VERBS_OF[PIPELINE] for key, spec in load(verb).inputs.items()}
    ours = load(PIPELINE).inputs
    assert set(ours) == set(parts) - NOT_IN_THE_GATE | {"judge-image"}


def test_the_build_has_the_options_of_its_verbs() -> None:
    parts = {key for verb in ("build-image", "register") for key in load(verb).inputs}
    assert set(load(BUILD).inputs) == parts - NOT_IN_THE_BUILD | {"build-image", "register-image"}


def test_the_walk_has_the_options_of_its_verb() -> None:
    assert set(load(DEPLOY).inputs) == set(load("deploy").inputs) - NOT_IN_THE_WALK | THE_WALKS_OWN


def test_the_watch_has_the_options_of_its_verb() -> None:
    assert set(load(WATCH).inputs) == set(load("monitor").inputs) - NOT_IN_THE_WATCH | {"notify", "retrain"}


def test_the_successor_has_the_options_of_training() -> None:
    assert set(load(SUCCESSOR).inputs) == set(load("train").inputs) - NOT_FOR_THE_SUCCESSOR | {"notify"}


def test_what_files_share_is_the_same_in_each() -> None:
    seen: dict[str, Any] = {}
    for name in NAMES:
        for key, spec in load(name).inputs.items():
            assert seen.setdefault(key, spec) == spec, f"{key} differs in {name}"
        install = load(name).body.split('\n"$[[', 1)[0]
        assert seen.setdefault("the installation", install) == install, f"the installation differs in {name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_stamp_is_this_version(name: str) -> None:
    template = load(name)
    assert template.inputs["mlgate-source"]["default"] == f"mlgate=={__version__}"
    assert f"ref: v{__version__}\n" in template.comment


@pytest.mark.parametrize("name", NAMES)
def test_the_comment_on_top_shows_how_to_include_the_file(name: str) -> None:
    comment = load(name).comment
    assert re.search(r"^Purpose: ", comment, re.MULTILINE)
    assert re.search(r"^Requirements: ", comment, re.MULTILINE)
    sample = re.search(r"^Include it:\n((?:  .*\n)+)", comment, re.MULTILINE)
    assert sample
    (include,) = yaml.safe_load(sample[1])["include"]
    assert include["file"] == f"/gitlab-templates/{name}.gitlab-ci.yml"
    load(name).in_nodes(**{key.replace("-", "_"): value for key, value in include.get("inputs", {}).items()})


@pytest.mark.parametrize("name", NAMES)
def test_files_can_be_included_anywhere_and_twice(name: str) -> None:
    body = load(name).in_nodes(job_prefix="second-")
    named = [key for key in body if not key.startswith(".")]
    assert all(key.startswith("second-") for key in named), "a global keyword, or a job that cannot be renamed"
    for key in named:
        needs = [n["job"] if isinstance(n, dict) else n for n in body[key]["needs"]]
        assert all(need.startswith("second-") for need in needs)


@pytest.mark.parametrize("name", NAMES)
def test_jobs_run_when_they_should_and_count(name: str) -> None:
    for key, job in load(name).jobs().items():
        assert not {"only", "except"} & set(job)
        assert job["timeout"]
        assert job["interruptible"] is (key not in UNINTERRUPTED)
        assert job["retry"]["when"] == ["runner_system_failure", "scheduler_failure"], "a verdict is never tried again"
        if name == "init":
            assert [rule["if"] for rule in job["rules"]] == ['$CI_PIPELINE_SOURCE == "web"']
            continue
        if name in ("deploy", "rollback", DEPLOY, "monitor", "notify", "retrain", WATCH, SUCCESSOR):
            continue  # each of these is looked at below
        here = rules(job)
        conditions = [rule["if"] for rule in here]
        assert "allow_failure" not in json.dumps(job)
        if key == "mlgate-commit":  # never for a merge request, and only when it was asked for
            assert here[0] == {"if": '"off" == "off"', "when": "never"}
            assert conditions[1:] == ['$CI_PIPELINE_SOURCE == "schedule"', '$CI_PIPELINE_SOURCE == "web"']
            continue
        if key in ("mlgate-fetch", "mlgate-build", "mlgate-register"):  # after a merge, and only then
            if name == "build-image" and key == "mlgate-fetch":
                assert here[0] == {"if": '"false" == "false"', "when": "never"}
                conditions = conditions[1:]
            assert conditions == ["$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"]
            continue
        if key == "mlgate-prepare":
            assert here[0] == {"if": '"false" == "false"', "when": "never"}
            conditions = conditions[1:]
        assert conditions == [
            '$CI_PIPELINE_SOURCE == "merge_request_event"',
            "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
            '$CI_PIPELINE_SOURCE == "schedule"',
            '$CI_PIPELINE_SOURCE == "web"',
            '$CI_PIPELINE_SOURCE == "parent_pipeline"',
        ]


@pytest.mark.parametrize(("name", "job", "paths"), WITH_PROJECT_CODE)
def test_jobs_with_project_code_hand_over_data_and_get_no_token(name: str, job: str, paths: list[str]) -> None:
    run = load(name).jobs()[job]
    assert "environment" not in run, "the scope of GITLAB_TOKEN"
    assert any("unset GITLAB_TOKEN" in block for block in run["script"])
    assert "reports" not in run["artifacts"], "dotenv would set variables of the judge"
    assert run["artifacts"]["paths"] == paths
    assert run["artifacts"]["when"] == "always"


def test_a_build_waits_for_the_judge_and_each_job_for_the_one_before() -> None:
    jobs = load(BUILD).jobs()
    gates = [{"job": f"mlgate-{job}", "optional": True, "artifacts": False} for job in ("judge", "compare")]
    assert jobs["mlgate-fetch"]["needs"] == gates, "their verdict, and nothing else of them"
    assert jobs["mlgate-build"]["needs"] == ["mlgate-fetch"]
    assert jobs["mlgate-register"]["needs"] == ["mlgate-fetch", "mlgate-build"]
    assert not any("allow_failure" in job for job in jobs.values())


@pytest.mark.parametrize("name", ["build-image", BUILD])
@pytest.mark.parametrize("docker", ["service", "runner"])
def test_the_engine_is_a_service_or_the_runners_own(name: str, docker: str) -> None:
    body = load(name).in_nodes(docker=docker)
    base = body[body["mlgate-build"]["extends"]]
    assert ("services" in base) is (docker == "service")
    assert ("DOCKER_HOST" in base["variables"]) is (docker == "service")
    assert "environment" not in body["mlgate-build"], "it has an engine, and no token that may write"


@pytest.mark.parametrize("name", ["register", BUILD])
def test_only_the_job_that_registers_gets_the_token_and_the_key(name: str) -> None:
    jobs = load(name).jobs()
    scoped = [key for key, job in jobs.items() if "environment" in job]
    assert scoped == ["mlgate-register"]
    assert jobs["mlgate-register"]["environment"] == {"name": "mlgate", "action": "access"}
    script = "\n".join(jobs["mlgate-register"]["script"])
    assert script.index("mlgate audit sign --where-asked") < script.index("mlgate register")
    reports = {report for job in jobs.values() for report in job["artifacts"].get("reports", {})}
    assert "dotenv" not in reports, "a later job would take its verdict for the judge's"


def started(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Its rules without those whose constants do not agree, and without these constants."""
    found = []
    for rule in rules(job):
        constants = re.findall(r'"([a-z]+)" == "([a-z]+)"', rule["if"])
        if all(one == other for one, other in constants):
            found.append({**rule, "if": re.sub(r'^"[a-z]+" == "[a-z]+"( && )?', "", rule["if"])})
    return found


ON_MAIN = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE != "schedule"'
STARTS = {
    "merge": ON_MAIN,
    "tag": "$CI_COMMIT_TAG =~ /#production(#[0-9]+)?$/",
    "schedule": '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE == "schedule"',
}


@pytest.mark.parametrize("when", ["on_success", "manual"])
@pytest.mark.parametrize("starts", STARTS)
def test_a_deployment_is_started_by_one_thing_and_a_button_blocks(starts: str, when: str) -> None:
    jobs = load("deploy").jobs(starts=starts, when=when, prepare=True)
    assert started(jobs["mlgate-deploy"]) == [{"if": STARTS[starts], "when": when, "allow_failure": False}]
    assert started(jobs["mlgate-gather"]) == [{"if": STARTS[starts]}], "nobody has to wait for it after the button"
    never = started(load("deploy").jobs(starts=starts)["mlgate-gather"])
    assert never[0] == {"if": "", "when": "never"}


@pytest.mark.parametrize(
    ("tag", "starts"),
    [
        ("visits#production#3", True),
        ("sub/visits#production", True),
        ("visits@v1.0.0", False),
        ("visits#staging#3", False),
        ("visits#production!#3", False),  # takes it back
        ("visits#pre-production#3", False),
        ("production", False),
    ],
)
def test_tags_of_the_environment_start_it(tag: str, starts: bool) -> None:
    (rule,) = started(load("deploy").jobs(starts="tag")["mlgate-deploy"])
    assert (re.search(rule["if"].partition("/")[2].rstrip("/"), tag) is not None) is starts


def test_production_comes_after_staging_when_somebody_lets_it() -> None:
    jobs = load(DEPLOY).jobs()
    assert list(jobs) == ["mlgate-gather", "mlgate-staging", "mlgate-production"]
    assert started(jobs["mlgate-staging"]) == [{"if": ON_MAIN}]
    assert started(jobs["mlgate-production"]) == [{"if": ON_MAIN, "when": "manual", "allow_failure": False}]
    assert jobs["mlgate-production"]["needs"][0] == {"job": "mlgate-staging", "artifacts": False}
    assert jobs["mlgate-production"]["needs"][1:] == jobs["mlgate-staging"]["needs"]
    assert variables(jobs["mlgate-staging"])["MLGATE_PROVE"] == "true"
    assert "MLGATE_PROVE" not in jobs["mlgate-production"]["variables"]
    by_itself = load(DEPLOY).jobs(production_when="on_success")["mlgate-production"]
    assert started(by_itself) == [{"if": ON_MAIN, "when": "on_success", "allow_failure": False}]


def test_a_rollback_is_a_button_that_nothing_waits_for_and_that_waits_for_nothing() -> None:
    job = load("rollback").jobs(reason="a bad night")["mlgate-rollback"]
    assert started(job) == [{"if": ON_MAIN, "when": "manual", "allow_failure": True}]
    assert job["needs"] == []
    assert job["resource_group"] != load("deploy").jobs()["mlgate-deploy"]["resource_group"]
    assert job["environment"] == {"name": "production", "deployment_tier": "production"}
    assert variables(job)["MLGATE_REASON"] == "a bad night"


@pytest.mark.parametrize(("name", "key"), DEPLOYS)
def test_a_deployment_is_of_one_environment_one_at_a_time(name: str, key: str) -> None:
    named = {"environment": "live", "tier": "other"} if name == "deploy" else {"staging": "pre", "production": "live"}
    job = load(name).jobs(**named)[key]
    environment = job["environment"]
    assert environment["name"] == job["resource_group"] == variables(job)["MLGATE_ENVIRONMENT"]
    assert environment["name"] == ("pre" if key == "mlgate-staging" else "live")
    tiers = {"mlgate-deploy": "other", "mlgate-staging": "staging", "mlgate-production": "production"}
    assert environment["deployment_tier"] == tiers[key]
    assert environment["url"] == "$MLGATE_DEPLOYED_URL"
    assert job["artifacts"]["reports"]["dotenv"] == "./.mlgate/deploy.env", "an address, and no verdict"
    assert "when" not in job, "the rules say it"
    assert [need["job"] for need in job["needs"] if need["job"] != "mlgate-staging"] == [
        *("mlgate-judge", "mlgate-compare", "mlgate-build", "mlgate-register", "mlgate-gather")
    ]
    assert all(need.get("optional") for need in job["needs"] if need["job"] != "mlgate-staging")


def test_jobs_of_other_files_are_other_jobs() -> None:
    """With one prefix, the files that make one pipeline can be beside each other."""
    together = (PIPELINE, BUILD, DEPLOY, "rollback", "train", WATCH, SUCCESSOR)
    names = [job for name in together for job in load(name).jobs()]
    assert len(names) == len(set(names))


WATCHES = [
    {"if": f'$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE == "{source}"'}
    for source in ("schedule", "web", "parent_pipeline")
]


@pytest.mark.parametrize("name", ["monitor", WATCH])
def test_production_is_watched_by_schedules_and_by_hand(name: str) -> None:
    (job,) = load(name).jobs().values()
    assert rules(job) == WATCHES
    assert job["needs"] == []
    assert job["environment"] == {"name": "mlgate", "action": "access"}
    assert variables(job)["GIT_DEPTH"] == "0", "profile and metrics are those of commits of long ago"
    assert job["artifacts"]["exclude"] == [".mlgate/quarantine/*", "**/.mlgate/quarantine/*"]
    assert "dotenv" not in job["artifacts"]["reports"], "a later job would take its verdict for the judge's"


def test_what_comes_after_a_monitor_comes_after_one_that_failed() -> None:
    retrain, notify = load("retrain").jobs()["mlgate-retrain"], load("notify").jobs()["mlgate-notify"]
    assert rules(retrain) == [rule | {"when": "always"} for rule in WATCHES]
    assert rules(notify) == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH", "when": "always"}]
    for job in (retrain, notify):
        assert job["needs"][0] == {"job": "mlgate-monitor", "optional": True}
        assert all(need["optional"] for need in job["needs"])
        assert job["environment"] == {"name": "mlgate", "action": "access"}


def test_a_successor_is_asked_for_made_and_proposed_by_three_jobs() -> None:
    jobs = load(SUCCESSOR).jobs()
    assert list(jobs) == ["mlgate-ask", "mlgate-successor", "mlgate-propose"]
    ask, successor, propose = jobs.values()
    for job in (ask, propose):
        assert job["environment"] == {"name": "mlgate", "action": "access"}
    for job in jobs.values():
        assert [rule["when"] for rule in job["rules"]] == ["always"], "after a monitor that failed, and a training"
    assert ask["needs"] == [{"job": "mlgate-monitor", "optional": True}]
    assert successor["needs"] == ["mlgate-ask"]
    assert propose["needs"] == ["mlgate-ask", "mlgate-successor"]
    assert variables(ask)["MLGATE_DISPATCH"] == "false"
    assert (variables(successor)["MLGATE_VERIFY"], variables(successor)["MLGATE_PUSH"]) == ("reproduce", "true")
    script = "\n".join(propose["script"])
    assert script.index('rm -rf -- "$state/evidence"') < script.index("mlgate train"), "it may be of project code"
    assert not any("allow_failure" in job or "reports" in job["artifacts"] for job in jobs.values())


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        *((source, True) for source in ("schedule", "web", "api", "trigger", "pipeline", "parent_pipeline")),
        *((source, False) for source in ("push", "merge_request_event", "external_pull_request_event", "chat")),
    ],
)
def test_a_successor_is_for_pipelines_that_somebody_started(source: str, runs: bool) -> None:
    for job in load(SUCCESSOR).jobs().values():
        (rule,) = job["rules"]
        condition, _, pattern = rule["if"].partition(" && $CI_PIPELINE_SOURCE =~ ")
        assert condition == "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
        assert (re.search(pattern.strip("/"), source) is not None) is runs


@pytest.mark.parametrize(("name", "job"), JUDGES)
def test_judges_run_no_project_code(name: str, job: str) -> None:
    judge = load(name).jobs()[job]
    assert judge["inherit"] == {"default": ["tags"]}
    assert variables(judge)["GIT_STRATEGY"] == "clone"
    assert "MLGATE_SETUP" not in judge["variables"]
    assert "setup" not in "\n".join(judge["script"]).lower()


@pytest.mark.parametrize(("name", "job"), [("report", "mlgate-report"), (PIPELINE, "mlgate-judge")])
def test_what_reports_leaves_every_kind_of_report_and_runs_after_a_failure(name: str, job: str) -> None:
    report = load(name).jobs(working_directory="sub")[job]
    assert report["environment"] == {"name": "mlgate", "action": "access"}
    assert all(rule["when"] == "always" for rule in rules(report))
    artifacts = report["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["expose_as"] == "Model gate"
    assert artifacts["paths"] == [".mlgate/", "sub/.mlgate/"]
    assert artifacts["reports"] == {
        "junit": "sub/.mlgate/junit.xml",
        "metrics": "sub/.mlgate/metrics.txt",
        "dotenv": "sub/.mlgate/mlgate.env",
        "annotations": "sub/.mlgate/annotations.json",
    }


def test_no_template_is_forgotten() -> None:
    assert sorted(p.name for p in (ROOT / "gitlab-templates").iterdir()) == sorted(f"{n}.gitlab-ci.yml" for n in NAMES)
