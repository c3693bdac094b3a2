"""What actions and workflows promise in their metadata, held against what they do."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from workflow_files import (
    ACTIONS,
    CALLERS,
    OURS,
    REUSABLE,
    ROOT,
    STANDINS,
    STARTERS,
    WORKFLOWS,
    as_workflow,
    blocks,
    called,
    name,
    parse,
    read,
    steps,
    uses,
)

import tools

each_action = pytest.mark.parametrize("path", ACTIONS, ids=name)
each_reusable = pytest.mark.parametrize("path", REUSABLE, ids=name)
each_caller = pytest.mark.parametrize("path", CALLERS, ids=name)
each_starter = pytest.mark.parametrize("path", STARTERS, ids=name)
each_workflow = pytest.mark.parametrize("path", [*WORKFLOWS, *CALLERS], ids=name)
each_file = pytest.mark.parametrize("path", [*ACTIONS, *WORKFLOWS, *CALLERS], ids=name)

PAGES = sorted([*ROOT.glob("actions/*/README.md"), *ROOT.glob(".github/workflows/*.md"), ROOT / "docs" / "github.md"])
OWN = re.compile(r"(?:mlgate/mlgate|\$|\.)/(?P<path>[^@]+)(?:@v1)?")
RANK = {"none": 0, "read": 1, "write": 2}


def test_there_is_something_to_look_at() -> None:
    assert [p.parent.name for p in ACTIONS] == [
        "audit",
        "build-image",
        "compare",
        "deploy",
        "doctor",
        "init",
        "monitor",
        "notify",
        "register",
        "report",
        "retrain",
        "rollback",
        "setup",
        "train",
        "validate-data",
    ]
    assert {p.name for p in REUSABLE} >= {"model-gate.yml", "model-gate-fork-report.yml", "train.yml"}
    assert {p.name for p in OURS} == {".ci.yml", ".release.yml"}
    assert len(STARTERS) == 11


# -- valid for those who read them


def run(command: Iterable[Any], **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=120, **kwargs)


def test_schemas() -> None:
    check = tools.script("check-jsonschema")
    for schema, files in {
        "vendor.github-actions": [*ACTIONS, *STANDINS],
        "vendor.github-workflows": [*WORKFLOWS, *CALLERS],
        "custom.github-workflows-require-timeout": [*WORKFLOWS, *CALLERS],
        "vendor.dependabot": [ROOT / ".github" / "dependabot.yml"],
    }.items():
        done = run([check, "--builtin-schema", schema, *files])
        assert done.returncode == 0, done.stdout


def official(root: Path, files: list[str]) -> list[dict[str, Any]]:
    done = run([tools.node(), Path(__file__).with_name("official.mjs"), tools.node_modules(), root, *files])
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_github_s_own_parser() -> None:
    assert official(ROOT, [name(p) for p in (*ACTIONS, *WORKFLOWS, *CALLERS)]) == []


def test_github_s_own_parser_would_say_so(tmp_path: Path) -> None:
    """The control of the test above: mistakes in calls of ours are seen through `$/`, and through our tag."""
    for folder in ("actions", ".github", "workflows"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n"
        "  a: {uses: mlgate/mlgate/.github/workflows/model-gate.yml@v1, with: {champoin: main}}\n"
        "  b:\n    runs-on: ubuntu-latest\n    steps:\n      - {uses: $/actions/compare, with: {champoin: main}}\n"
        "      - {uses: mlgate/mlgate/actions/report@v1, with: {commment: off}}\n"
        "      - run: echo ${{ nothing.like.it }}\n"
    )
    assert sorted(f["line"] for f in official(tmp_path, ["wrong.yml"])) == [3, 7, 8, 9]


def test_zizmor() -> None:
    config = ROOT / ".github" / "zizmor.yml"
    files = [*ACTIONS, *WORKFLOWS, *CALLERS, ROOT / ".github" / "dependabot.yml"]
    done = run([tools.script("zizmor"), "--offline", "--persona", "pedantic", "--config", config, *files])
    assert done.returncode == 0, done.stdout


def test_what_zizmor_is_told_to_ignore_has_a_reason() -> None:
    ignores = [
        line
        for p in (*ACTIONS, *WORKFLOWS, *CALLERS)
        for line in p.read_text("utf-8").splitlines()
        if "zizmor: ignore" in line
    ]
    assert ignores
    assert [line for line in ignores if not re.search(r"ignore\[[a-z-]+\] -- \w.{10,}", line)] == []


def test_actionlint(tmp_path: Path) -> None:
    """It cannot read `$/` yet: it gets a copy that says `./`, which is the same file in this repository."""
    project = tmp_path / "project"
    (project / ".github" / "workflows").mkdir(parents=True)
    (project / "actions").symlink_to(ROOT / "actions")
    run(["git", "init", "-q", project])
    files = []
    for path in (*WORKFLOWS, *CALLERS):
        copy = project / ".github" / "workflows" / name(path).lstrip(".").replace("/", "-")
        copy.write_text(path.read_text("utf-8").replace("uses: $/", "uses: ./"))
        files.append(copy)
    done = run([tools.actionlint(), "-no-color", "-shellcheck", tools.script("shellcheck"), *files], cwd=project)
    assert done.returncode == 0, done.stdout


def test_shellcheck(tmp_path: Path) -> None:
    scripts: list[Path] = [*ROOT.glob("scripts/*.sh")]
    for path in (*ACTIONS, *STANDINS, *WORKFLOWS, *CALLERS):
        for number, (_, step) in enumerate(steps(read(path))):
            if "run" in step:
                script = tmp_path / f"{name(path).replace('/', '_')}-{number}.sh"
                script.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{step['run']}\n")
                scripts.append(script)
    done = run([tools.script("shellcheck"), "--norc", *scripts])
    assert done.returncode == 0, done.stdout


# -- actions


def variable(key: str) -> str:
    return "GITHUB_TOKEN" if key == "github-token" else f"MLGATE_{key.upper().replace('-', '_')}"


@each_action
def test_every_input_is_described_and_forwarded(path: Path) -> None:
    action = read(path)
    inputs = action.get("inputs", {})
    [(_, step)] = steps(action)
    assert step.get("env", {}) == {variable(key): f"${{{{ inputs.{key} }}}}" for key in inputs}
    for key, body in inputs.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", key)
        assert re.fullmatch(r"[A-Z\"].{20,}\.", body["description"]), key
        assert isinstance(body["default"], str), f"{key}: inputs of actions are strings, and none is required"


@each_action
def test_every_input_is_an_option_of_the_verb(path: Path) -> None:
    """An input that the command does not read would do nothing."""
    verb = path.parent.name
    if verb == "setup":
        return
    command = importlib.import_module(f"mlgate.commands.{verb.replace('-', '_')}").command
    commands = [command, *command.commands.values()] if isinstance(command, click.Group) else [command]
    found = [p for one in commands for p in one.params if isinstance(p, click.Option) and p.envvar]
    options = {p.envvar: p for p in found}
    inputs = read(path)["inputs"]
    # By forges, by run.sh, and a password, which is no option: it would be seen in the list of processes.
    read_elsewhere = {"GITHUB_TOKEN", "MLGATE_ENV", "MLGATE_REGISTRY_PASSWORD"}
    assert {variable(key) for key in inputs} - read_elsewhere <= options.keys()
    for key, body in inputs.items():
        if option := options.get(variable(key)):
            assert f"--{key}" in option.opts
            default = option.default
            said = str(default).lower() if isinstance(default, bool) else "" if default is None else str(default)
            assert body["default"] == said, key


@each_action
def test_outputs_are_described_and_come_from_the_step(path: Path) -> None:
    action = read(path)
    [(_, step)] = steps(action)
    for key, body in action.get("outputs", {}).items():
        assert re.fullmatch(r"[A-Z`0].{15,}\.", body["description"]), key
        assert body["value"] == f"${{{{ steps.{step['id']}.outputs.{key} }}}}"


@each_action
def test_an_action_is_one_bash_step_and_uses_no_other(path: Path) -> None:
    action = read(path)
    assert action["runs"]["using"] == "composite"
    [(_, step)] = steps(action)
    assert step["shell"] == "bash"
    script = "setup.sh" if path.parent.name == "setup" else f'run.sh" {path.parent.name}'
    # A runner that cancels tells the step's shell alone, so a verb that has something to turn back takes its place.
    first = "exec " if path.parent.name in ("deploy", "rollback") else ""
    assert step["run"].rstrip('"') == f'{first}"${{GITHUB_ACTION_PATH}}/../../scripts/{script}'


def rows(page: Path) -> list[str]:
    return [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]


def shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else ""


@each_action
def test_the_readme_of_an_action_has_a_row_for_everything(path: Path) -> None:
    action = read(path)
    expected = [f"| `{k}` | {shown(v['default'])} | {v['description']} |" for k, v in action.get("inputs", {}).items()]
    expected += [f"| `{k}` | {v['description']} |" for k, v in action.get("outputs", {}).items()]
    assert [row for row in rows(path.with_name("README.md")) if row in expected] == expected
    text = path.with_name("README.md").read_text("utf-8")
    assert "Permissions" in text
    assert "orks" in text


# -- workflows


@each_reusable
def test_a_reusable_workflow_has_a_page_with_a_row_for_everything(path: Path) -> None:
    declared = called(read(path))
    page = path.with_suffix(".md")
    expected = [f"| `{k}` | {shown(v['default'])} | {v['description']} |" for k, v in declared["inputs"].items()]
    for part in ("secrets", "outputs"):
        expected += [f"| `{k}` | {v['description']} |" for k, v in declared.get(part, {}).items()]
    assert [row for row in rows(page) if row in expected] == expected
    text = page.read_text("utf-8")
    for heading in ("## Usage", "## Inputs", "## Outputs", "## Permissions", "## Forks"):
        assert heading in text


@each_reusable
def test_every_input_of_a_workflow_is_typed_described_and_used(path: Path) -> None:
    text = path.read_text("utf-8")
    body = text[text.index("\njobs:") :]
    declared = called(read(path))
    for key, entry in declared["inputs"].items():
        assert entry["type"] in ("string", "boolean", "number")
        assert isinstance(entry["default"], {"string": str, "boolean": bool, "number": int}[entry["type"]])
        assert entry["required"] is False
        assert entry["description"].endswith(".")
        assert re.search(rf"\binputs\.{re.escape(key)}\b(?!-)", body), key
    for key in declared.get("secrets", {}):
        assert f"secrets.{key}" in body
    for key, entry in declared["outputs"].items():
        found = re.fullmatch(r"\$\{\{ jobs\.(\w+)\.outputs\.([a-z-]+) \}\}", entry["value"])
        assert found
        assert found[2] == key
        assert key in read(path)["jobs"][found[1]]["outputs"]


# What a workflow does not ask its callers, and why.
_FIXED = {
    "model-gate.yml": {
        *("env", "github-token"),  # a secret, and the token of the job
        *("data", "contract", "optional", "verify"),  # what is checked, and how far, is said by mlgate.yaml
        *("smoke", "push", "proposal", "commit", "commit-branch", "trigger", "gate-workflow"),  # it makes no model
        *("handed", "inputs", "quarantine"),  # folders of its own
        "prepare",  # that is what one job is for, and the other not
    },
    "model-build.yml": {
        *("env", "github-token", "registry-user", "registry-password"),  # secrets, and the token of the job
        *("inputs", "prepare"),  # a folder of its own, and what one job is for
        *("push", "preview"),  # it is there to push what passed
        *("version", "bump", "alias", "model-name", "run-name", "gitlab-uri", "push-tags"),  # mlgate.yaml says it
        "image-to",  # one registry is enough to deploy from
        *("image-statement", "model-path"),  # as the build left it
        "run",  # what each step is for
    },
    "model-deploy.yml": {
        *("env", "github-token", "registry-user", "registry-password"),  # secrets, and the token of the job
        "inputs",  # a folder of its own
        "render",  # manifests to look at are for a terminal
    },
    "model-rollback.yml": {
        *("env", "github-token", "registry-user", "registry-password"),
        *("inputs", "pull", "python"),  # nothing of the project is executed
    },
    "train.yml": {
        *("env", "github-token"),
        *("verify", "smoke"),  # what is committed is made from all the data, and proven by that
        "proposal",  # a folder of its own
        *("trigger", "gate-workflow"),  # of model-retrain.yml
    },
    "model-monitor.yml": {
        *("env", "github-token"),
        *("pull", "python"),  # nothing of the project is executed
        "ledger",  # without it no rule could look back
        *("from", "run-result", "test", "plan"),  # of what this very job found
        *("reason", "rule", "trigger", "finish", "request-url", "force", "dispatch"),
    },
    "model-retrain.yml": {
        *("env", "github-token"),
        *("verify", "smoke", "proposal", "commit", "commit-branch", "push", "rerun"),  # as train.yml has them
        *("from", "rule", "finish", "request-url", "plan", "dispatch"),  # what is decided is trained by the jobs after
        *("run-result", "test"),
    },
}
# What this workflow is for, the verb leaves to who asks for it.
_WANTED = {
    "train.yml": {"push": True, "commit": "pull-request"},
    "model-retrain.yml": {"gate-workflow": "model-gate.yml"},
}


@pytest.mark.parametrize(
    ("workflow", "verbs"),
    [
        ("model-gate.yml", ("compare", "report", "doctor", "validate-data", "train")),
        ("train.yml", ("train",)),
        ("model-build.yml", ("build-image", "register", "audit")),
        ("model-deploy.yml", ("deploy",)),
        ("model-rollback.yml", ("rollback",)),
        ("model-monitor.yml", ("monitor", "notify", "retrain")),
        ("model-retrain.yml", ("retrain", "train", "notify")),
    ],
)
def test_options_of_a_workflow_are_those_of_its_verbs(workflow: str, verbs: tuple[str, ...]) -> None:
    """The same word means the same thing everywhere: inputs of the workflow that actions have too agree on it."""
    inputs = called(read(ROOT / ".github/workflows" / workflow))["inputs"]
    forwarded = set()
    for verb in verbs:
        action = read(ROOT / f"actions/{verb}/action.yml")["inputs"]
        forwarded |= action.keys()
        for key, body in action.items():
            if key in inputs:
                wanted = _WANTED.get(workflow, {}).get(key, body["default"])
                assert str(inputs[key]["default"]).lower() == str(wanted).lower(), (verb, key)
    assert forwarded - inputs.keys() == _FIXED[workflow]


@each_reusable
def test_a_step_is_given_every_option_that_the_workflow_has(path: Path) -> None:
    """An input that both have and that the step is not given would be without effect there."""
    workflow = read(path)
    inputs = called(workflow)["inputs"]
    for _, step in steps(workflow):
        own = OWN.fullmatch(step.get("uses", ""))
        if own and own["path"].startswith("actions/"):
            given, known = step.get("with", {}), read(ROOT / own["path"] / "action.yml")["inputs"]
            if "commit" in given:  # the job that commits asks nobody and trains nothing
                known = {key: known[key] for key in given.keys() | {"summary", "working-directory", "config"}}
            elif own["path"] == "actions/compare" and "prepare" not in given:  # the judge fetches nothing
                assert not given.keys() & {"pull", "python"}
                assert given["env"] == "${{ secrets.judge-env }}"  # of its own: for a registry or a ledger elsewhere
                known = {key: body for key, body in known.items() if key not in {"pull", "python"}}
            elif path.name == "model-build.yml":  # one job gathers, one builds, one registers
                gathers = "prepare" in given
                only = {"image", "tag", "base", "layer-cache"} if gathers else {"python"}
                if own["path"] == "actions/audit" and step["with"]["run"] != "papers --explain only":
                    only = {"python", "pull"}  # of these none asks the project
                known = {key: body for key, body in known.items() if key not in only}
            elif path.name == "train.yml":
                known = {key: body for key, body in known.items() if key not in {"commit", "commit-branch"}}
            elif path.name in ("model-retrain.yml", "model-monitor.yml"):  # who ends or asks, and who trains
                only = (
                    {"force", "reason", "trigger"} if path.name == "model-monitor.yml" or "finish" in given else set()
                )
                only |= {"gate-workflow"} if own["path"] == "actions/train" else set()
                known = {key: body for key, body in known.items() if key not in only}
            elif path.name == "model-deploy.yml":  # one job gathers, and pushes no image; a drill is only that
                only = {"image"} if "prepare" in given else {"python"}
                only |= {"plan", "once", "recover", "abort"} if given.get("drill") == "true" else {"drill"}
                known = {key: body for key, body in known.items() if key not in only}
            assert {key for key in known if key in inputs} <= given.keys(), step["name"]


@each_file
def test_no_expression_in_a_script_and_nothing_that_only_some_runners_set(path: Path) -> None:
    for _, step in steps(read(path)):
        assert "${{" not in step.get("run", "")
        assert "INPUT_" not in json.dumps(step), "GitHub sets INPUT_* for no composite action; act does"


def test_scripts_rely_on_nothing_that_only_some_runners_set() -> None:
    for script in (*ROOT.glob("scripts/**/*.sh"), *ROOT.glob("scripts/**/*.py")):
        assert not re.search(r"\bINPUT_[A-Z]", script.read_text("utf-8")), script


@each_file
def test_steps_with_a_script_say_which_shell(path: Path) -> None:
    if path in ACTIONS or path in REUSABLE:
        assert all(step.get("shell") == "bash" for _, step in steps(read(path)) if "run" in step)


def test_third_party_actions_are_pinned_to_one_commit_each() -> None:
    pins: dict[str, set[str]] = {}
    for path in (*ACTIONS, *WORKFLOWS, *STARTERS, *PAGES):
        for what, comment in uses(path.read_text("utf-8")):
            if OWN.fullmatch(what):
                continue
            found = re.fullmatch(r"([\w.-]+/[\w./-]+)@([0-9a-f]{40})", what)
            assert found, f"{name(path)}: {what}"
            assert re.match(r"# v\d+\.\d+\.\d+$", comment), f"{name(path)}: {what} {comment}"
            pins.setdefault(found[1], set()).add(f"{found[2]} {comment}")
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}
    assert "actions/checkout" in pins


@each_workflow
def test_a_checkout_keeps_no_token(path: Path) -> None:
    for _, step in steps(read(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def permissions(job: dict[str, Any], workflow: dict[str, Any]) -> dict[str, str] | None:
    """What a job declares; None where it gets what its caller grants."""
    declared = job.get("permissions", workflow.get("permissions"))
    assert declared is None or isinstance(declared, dict), "no read-all, no write-all"
    return declared


def needs_of_judge(inputs: dict[str, Any]) -> dict[str, str]:
    """What the gate needs by its page, given what it is told to do."""
    needed = {"contents": "read"}
    if inputs.get("comment", "always") != "off":
        needed["pull-requests"] = "write"
    if inputs.get("statuses", True):
        needed["statuses"] = "write"
    return needed


def calls(workflow: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each job that calls a workflow of ours, and that workflow."""
    found = []
    for job in workflow["jobs"].values():
        if "uses" in job:
            own = OWN.fullmatch(job["uses"])
            assert own, job["uses"]
            found.append((job, read(ROOT / own["path"])))
    return found


def lacking(granted: dict[str, str], needed: dict[str, str]) -> set[str]:
    return {key for key, level in needed.items() if RANK[granted.get(key, "none")] < RANK[level]}


def needs_of_commit(inputs: dict[str, Any]) -> dict[str, str]:
    """What committing needs by its page."""
    how = inputs.get("commit", "pull-request")
    if how == "off":
        return {"contents": "read"}
    return {"contents": "write"} | ({"pull-requests": "write"} if how == "pull-request" else {})


_BUILD = {"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"}


def needs_of_build(inputs: dict[str, Any]) -> dict[str, str]:
    """What building and registering need by their page, with the forge's own registry and signatures."""
    del inputs
    return _BUILD


_DEPLOY = {
    "contents": "write", "packages": "read", "actions": "read", "pull-requests": "read", "attestations": "read",
    "deployments": "write",
}  # fmt: skip


def needs_of_deploy(inputs: dict[str, Any]) -> dict[str, str]:
    """What deploying and rolling back need by their page, with the forge's own registry, signatures and approvals."""
    del inputs
    return _DEPLOY


def needs_of_monitor(inputs: dict[str, Any]) -> dict[str, str]:
    """The ledger, issues, and, where a successor may be asked for, the run that trains it."""
    asks = {"actions": "write", "pull-requests": "read"} if inputs.get("retrain", True) else {}
    return {"contents": "write", "issues": "write", **asks}


def needs_of_retrain(inputs: dict[str, Any]) -> dict[str, str]:
    """The ledger, branch and pull request, the gate where nobody else starts it, and issues."""
    del inputs
    return {"contents": "write", "pull-requests": "write", "actions": "write", "issues": "write"}


def check_calls(workflow: dict[str, Any]) -> None:
    for job, target in calls(workflow):
        granted = permissions(job, workflow)
        assert granted is not None, "a caller says what it grants"
        useful = set()
        for callee in target["jobs"].values():
            declared = permissions(callee, target)
            needs = {
                "Train": needs_of_commit, "Model build": needs_of_build, "Model deploy": needs_of_deploy,
                "Model rollback": needs_of_deploy, "Model monitor": needs_of_monitor, "Model retrain": needs_of_retrain,
            }.get(target["name"], needs_of_judge)  # fmt: skip
            needed = needs(job.get("with", {})) if declared is None else declared
            assert lacking(granted, needed) == set(), "it would not start, or not do what it is told to"
            useful |= needed.keys()
        assert granted.keys() <= useful, "granted for nothing"


@each_caller
def test_callers_grant_what_called_workflows_need(path: Path) -> None:
    workflow = read(path)
    assert calls(workflow)
    check_calls(workflow)


def test_jobs_that_may_comment_ask_for_nothing_and_the_rest_says_what_it_needs() -> None:
    for file, asks_nothing, runs_code in (("model-gate", "judge", "run"), ("train", "commit", "train")):
        workflow = read(ROOT / f".github/workflows/{file}.yml")
        assert permissions(workflow["jobs"][asks_nothing], workflow) is None
        assert permissions(workflow["jobs"][runs_code], workflow) == {"contents": "read"}
    for path in (*OURS, *STARTERS, ROOT / ".github/workflows/model-gate-fork-report.yml"):
        workflow = read(path)
        assert workflow["permissions"] == {}
        assert all("permissions" in job for job in workflow["jobs"].values()), path


def test_the_judge_runs_none_of_the_project() -> None:
    """Checkout, artifacts and our own actions; no set-up, no secret of the project; for a fork not even a checkout."""
    gate = read(ROOT / ".github/workflows/model-gate.yml")
    judge, fork = gate["jobs"]["judge"], read(ROOT / ".github/workflows/model-gate-fork-report.yml")["jobs"]["report"]
    allowed = ("actions/checkout@", "actions/download-artifact@", "actions/upload-artifact@", "$/actions/")
    assert all(step["uses"].startswith(allowed) for step in judge["steps"] if "uses" in step)
    assert re.findall(r"secrets\.[\w-]+", json.dumps(judge)) == ["secrets.judge-env"]
    assert "setup" not in json.dumps(judge)
    assert [step.get("uses", "") for step in fork["steps"]] == ["$/actions/report"]
    assert fork["steps"][0]["with"]["statuses"] == "false"
    assert fork["env"]["MLGATE_FROM_FORK"] == "true"


def test_only_one_job_of_a_build_runs_the_project() -> None:
    """The others get its bytes by digest: neither set-up nor its secrets, and what may write never runs any of it."""
    jobs = read(ROOT / ".github/workflows/model-build.yml")["jobs"]
    fetch, build, register = (jobs[name] for name in ("fetch", "build", "register"))
    assert permissions(fetch, {}) == {"contents": "read"}
    assert set(re.findall(r"secrets\.([\w-]+)", json.dumps(fetch))) == {"env"}
    assert set(re.findall(r"secrets\.([\w-]+)", json.dumps(build))) == {
        "build-env",
        "registry-user",
        "registry-password",
    }
    assert set(re.findall(r"secrets\.([\w-]+)", json.dumps(register))) == {
        *("register-env", "registry-user", "registry-password"),
    }
    allowed = ("actions/checkout@", "actions/download-artifact@", "actions/upload-artifact@", "$/actions/")
    for job in (build, register):
        assert "setup" not in json.dumps(job)
        assert all(step["uses"].startswith((*allowed, "actions/attest@")) for step in job["steps"] if "uses" in step)
        assert permissions(job, {}) is None, "what it may do is the caller's choice"
    assert "needs.build.outputs.passed == 'true'" in register["if"]


def test_a_deployment_waits_for_its_environment_and_a_schedule_neither_waits_nor_pushes_it_out() -> None:
    """By GitHub's own evaluator: which environment, whether GitHub shows a deployment, and the queue."""
    ways: list[dict[str, Any]] = [
        {}, {"once": True}, {"plan": True}, {"abort": True}, {"recover": True}, {"drill": True},
        {"github-environment": "production-unattended", "once": True},
    ]  # fmt: skip
    job = read(ROOT / ".github/workflows/model-deploy.yml")["jobs"]["deploy"]
    shapes = (job["environment"]["name"], job["environment"]["deployment"], job["concurrency"]["group"])
    none = dict.fromkeys(("once", "plan", "abort", "recover", "drill"), False) | {"github-environment": ""}
    events = [*["push"] * 6, "schedule"]
    contexts = [
        {
            "inputs": none | {"environment": "production"} | way,
            "github": {"repository": "acme/visits", "run_id": "42", "event_name": event},
        }
        for way, event in zip(ways, events, strict=True)
    ]
    found = evaluated(contexts, [part for shape in shapes for part in re.findall(r"\$\{\{(.*?)\}\}", shape)])
    names, shown, queues, *_ = zip(*found, strict=True)
    assert names == (*["production"] * 6, "production-unattended")
    assert shown == ("true", "false", "false", "false", "true", "true", "false")
    assert queues == ("deploy", "deploy", "plan-42", "abort", "deploy", "deploy", "once")
    assert job["concurrency"]["group"].endswith("-${{ github.repository }}-${{ inputs.environment }}")
    assert job["concurrency"]["cancel-in-progress"] is False

    back = read(ROOT / ".github/workflows/model-rollback.yml")["jobs"]["rollback"]
    assert back["environment"]["name"] == shapes[0]
    assert back["concurrency"]["group"].startswith("mlgate-rollback-"), "it waits for no deployment"
    once = read(ROOT / "workflows/model-rollout.yml")["jobs"]["go-on"]["with"]
    assert once["github-environment"] != once["environment"], "else each look waits for the reviewers again"


def test_credentials_of_an_environment_come_under_one_name() -> None:
    """The name of a secret of GitHub's environments: letters, digits, and low lines; the caller names it so, too."""
    for workflow in ("model-deploy", "model-rollback"):
        text = (ROOT / f".github/workflows/{workflow}.yml").read_text("utf-8")
        used = set(re.findall(r"env: (\$\{\{ secrets\.[^}]*deploy-env \}\})", text))
        assert used == {"${{ secrets.MLGATE_DEPLOY_ENV || secrets.deploy-env }}"}
    for starter in ("model-deploy", "model-promote", "model-rollback", "model-rollout"):
        jobs = read(ROOT / f"workflows/{starter}.yml")["jobs"].values()
        given = [job["secrets"] for job in jobs if re.search("model-(deploy|rollback).yml", job.get("uses", ""))]
        assert given
        assert all(one == {"MLGATE_DEPLOY_ENV": "${{ secrets.MLGATE_DEPLOY_ENV }}"} for one in given)


def test_the_job_that_commits_runs_none_of_the_project() -> None:
    """Checkout, the proposal, our own action; of the secrets only the token that pushes, which training never sees."""
    jobs = read(ROOT / ".github/workflows/train.yml")["jobs"]
    train, commit = jobs["train"], jobs["commit"]
    allowed = ("actions/checkout@", "actions/download-artifact@", "$/actions/train")
    assert all(step["uses"].startswith(allowed) for step in commit["steps"])
    assert re.findall(r"secrets\.(\w+)", json.dumps(commit)) == ["token"]
    assert set(re.findall(r"secrets\.(\w+)", json.dumps(train))) == {"env"}
    assert commit["steps"][-1]["with"]["commit"] == "${{ inputs.commit }}"
    assert "commit" not in next(step for step in train["steps"] if step.get("id") == "train")["with"]
    assert commit["if"] == "needs.train.outputs.proposal != ''", "a job that failed proposes nothing"
    proposes = next(step for step in train["steps"] if step.get("id") == "proposal")
    assert proposes["if"] == "inputs.push && inputs.commit != 'off'", "and by default only after all steps went well"


@each_starter
def test_starters_are_short_and_end_in_one_required_job(path: Path) -> None:
    workflow = read(path)
    most = 50 if path.name == "model-deploy.yml" else 37  # the whole walk, from a pull request to production
    assert len([x for x in path.read_text("utf-8").splitlines() if not x.lstrip().startswith("#")]) <= most
    assert "paths:" not in path.read_text("utf-8"), "a required check that is not started blocks the pull request"
    if "workflow_run" in workflow["on"]:
        assert workflow["on"].keys() == {"workflow_run"}
        return
    if path.name == "train.yml":  # nobody waits for it before a merge
        assert workflow["on"].keys() == {"workflow_dispatch"}
        assert "cron:" in path.read_text("utf-8")
        return
    after = {
        "model-promote.yml": "push", "model-rollback.yml": "", "model-rollout.yml": "schedule",
        "model-monitor.yml": "schedule", "model-retrain.yml": "schedule",
    }  # fmt: skip
    if path.name in after:  # what happens after a merge, by hand or by itself; no pull request waits for it
        assert workflow["on"].keys() == {*filter(None, [after[path.name]]), "workflow_dispatch"}
        return
    assert workflow["on"].keys() == {"push", "pull_request", "merge_group", "workflow_dispatch"}
    *others, last = workflow["jobs"].items()
    assert last[1]["needs"] == others[0][0]
    for number, (name_, job) in enumerate(
        others[1:]
    ):  # each after the one before it; what a pull request waits for is the gate
        assert job["needs"] == others[number][0], name_
    assert last[1]["if"] == "always()"


def test_the_comment_workflow_follows_the_gate_by_its_name() -> None:
    gate, comment = (read(ROOT / "workflows" / f"model-gate-fork{part}.yml") for part in ("", "-comment"))
    assert comment["on"]["workflow_run"]["workflows"] == [gate["name"]]


@pytest.mark.parametrize(
    ("result", "passed", "green"),
    [
        ("success", "true", True),
        ("success", "false", False),
        ("success", "", False),
        ("failure", "true", False),
        ("skipped", "", False),
        ("cancelled", "", False),
        ("cancelled", "true", False),
        ("", "", False),
    ],
)
def test_the_required_job_is_green_only_for_a_gate_that_passed(result: str, passed: str, green: bool) -> None:
    for path in STARTERS:
        jobs = read(path)["jobs"]
        if "required" not in jobs:
            continue
        [step] = jobs["required"]["steps"]
        assert step["env"] == {"RESULT": "${{ needs.gate.result }}", "PASSED": "${{ needs.gate.outputs.passed }}"}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
        done = run([*shell, step["run"]], env={"RESULT": result, "PASSED": passed})
        assert (done.returncode == 0) is green


def evaluated(contexts: list[dict[str, Any]], expressions: list[str]) -> list[list[Any]]:
    """What GitHub's own evaluator makes of each expression, in each of the contexts."""
    script = Path(__file__).with_name("evaluate.mjs")
    given = json.dumps({"contexts": contexts, "expressions": expressions})
    done = run([tools.node(), script, tools.node_modules()], input=given)
    assert done.returncode == 0, done.stderr
    found: list[list[Any]] = json.loads(done.stdout)
    return found


def test_outputs_of_the_gate_say_pass_only_when_all_three_do() -> None:
    """By GitHub's own evaluator, for every way in which the steps before can end."""
    ends = ("success", "failure", "cancelled", "skipped")
    passed = {"verdict": "pass", "passed": "true", "exit-code": "0"}
    failed = {"verdict": "fail", "passed": "false", "exit-code": "1"}
    cases = list(itertools.product(ends, ends, (passed, failed, {})))
    outputs = read(ROOT / ".github/workflows/model-gate.yml")["jobs"]["judge"]["outputs"]
    contexts = [
        {"needs": {"run": {"result": ran}}, "steps": {"compare": {"outcome": compared}, "report": {"outputs": said}}}
        for ran, compared, said in cases
    ]
    expressions = [outputs[key].removeprefix("${{").removesuffix("}}") for key in passed]
    for (ran, compared, said), found in zip(cases, evaluated(contexts, expressions), strict=True):
        if said is failed:  # also of a run job that ended badly because of what it found
            expected = ["fail", "false", "1"]
        elif ran == compared == "success" and said is passed:
            expected = ["pass", "true", "0"]
        else:
            expected = ["error", "false", "2"]
        assert found == expected, (ran, compared, said)


def test_our_ci_ends_in_one_job_that_needs_all_others() -> None:
    jobs = read(ROOT / ".github/workflows/.ci.yml")["jobs"]
    *others, last = jobs
    assert jobs[last]["needs"] == others
    assert jobs[last]["if"] == "always()"
    assert any("$/actions/" in json.dumps(job) for job in jobs.values()), "our own actions are used by ourselves"
    [step] = jobs[last]["steps"]
    for results, green in ((("success", "success"), 0), (("success", "skipped"), 1), (("failure", "success"), 1)):
        needs = {f"job-{number}": {"result": result} for number, result in enumerate(results)}
        env = {"NEEDS": json.dumps(needs), "PATH": os.environ["PATH"]}
        assert run(["bash", "-eo", "pipefail", "-c", step["run"]], env=env).returncode == green


# -- pages, and the rest of the house


def test_pages_show_workflows_that_are_valid(tmp_path: Path) -> None:
    shown_files = []
    for folder in ("actions", ".github"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for page in PAGES:
        for block in blocks(page):
            assert block.data is not None, f"{block.file}:{block.line}"
            text = as_workflow(block)
            assert text, f"{block.file}:{block.line} is neither workflow, jobs nor steps"
            file = tmp_path / f"{block.file.replace('/', '_')}-{block.line}.yml"
            file.write_text(text)
            check_calls(parse(text))
            shown_files.append(file)
    assert len(shown_files) > 6
    assert official(tmp_path, [f.name for f in shown_files]) == []
    done = run([tools.script("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *shown_files])
    assert done.returncode == 0, done.stdout


def test_pages_link_to_what_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{name(page)}: {target}"


def test_hooks_have_the_versions_of_the_tests() -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/dev.txt").read_text("utf-8"), re.MULTILINE))
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    for hook in hooks:
        for dependency in hook["additional_dependencies"]:
            package, version = dependency.split("==")
            assert locked[package] == version


def test_no_links_that_stop_the_download_of_an_action() -> None:
    done = run(["git", "ls-files", "--stage"], cwd=ROOT)
    assert [line for line in done.stdout.splitlines() if line.startswith("120000")] == []


def test_npm_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "tests/tools/package-lock.json").read_text("utf-8"))
    assert "resolved" not in json.dumps(lock)
    assert all("integrity" in body for key, body in lock["packages"].items() if key)
