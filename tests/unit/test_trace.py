"""`mlgate trace`: from each thing that can be named, back to where the model is from and forth to where it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from traced import NAME, Traced

from builder import MLGATE, md5


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    made = Traced(tmp_path_factory.mktemp("traced"))
    made.whole()
    return made


def test_a_version_goes_back_to_commit_data_parameters_metrics_and_decision(traced: Traced) -> None:
    told = traced.told("visits@v1.1.0")
    assert (told["kind"], told["model"], told["asked"]) == ("model version", "visits", "visits@v1.1.0")
    assert told["digests"] == traced.digests("two")
    assert (told["commit"]["id"], told["commit"]["title"], told["commit"]["author"]) == (
        traced.v2, "Train on more", "Ada"
    )  # fmt: skip
    data = {one["path"]: (one["digest"], one["role"]) for one in told["data"]}
    assert data["data/test.csv"] == (f"dvc-md5:{md5(b'newer test rows')}", "evaluation holdout")
    assert data["data/train.csv"] == (f"dvc-md5:{md5(b'train rows')}", "training")
    assert told["parameters"] == {"params.yaml train.seed": "two"}
    assert told["metrics"] == {"metrics/eval.json auc": 0.74, "metrics/eval.json log_loss": 0.56}
    assert list(told["stages"]) == ["split", "train", "evaluate"]
    assert [one["path"] for one in told["code"]] == ["src/train.py"]
    decision = told["decision"]
    assert (decision["verdict"], decision["actor"], decision["champion_commit"]) == ("warn", "ada", traced.v1)
    assert decision["warns"] == [{"name": "rules.log_loss.bound", "reason": "met, and not proven."}]
    assert decision["record"] == traced.records["two"].digest
    assert told["unknown"] == []


def test_and_forth_to_image_registrations_deployments_and_approvers(traced: Traced) -> None:
    told = traced.told("visits@v1.1.0")
    (image,) = told["images"]
    assert (image["name"], image["digest"]) == (NAME, f"sha256:{traced.image('two')}")
    assert (image["statement"], image["base"]["name"]) == (traced.images["two"].digest, "python:3.13-slim")
    assert [(one["name"], one["version"]) for one in told["registrations"]] == [("visits", "v1.1.0")]
    assert told["environments"] == [
        {"environment": "production", "since": "2026-10-03T12:00:00Z", "until": "", "entry": 10}
    ]
    assert [(one["by"], one["what"]) for one in told["approvals"]] == [
        (["grace"], "a change of the judge's inputs"), (["bob"], "deployment to production (complete)")
    ]  # fmt: skip
    deployed = [one for one in told["history"] if one["kind"] == "deployment"]
    assert [(one["state"], one.get("weight")) for one in deployed] == [("advanced", 10), ("complete", None)]
    earlier = traced.told("visits@v1.0.0")
    assert earlier["environments"] == [
        {"environment": "production", "since": "2026-10-01T12:00:00Z", "until": "2026-10-03T12:00:00Z", "entry": 5}
    ]


def test_every_name_of_a_model_leads_to_the_same_story(traced: Traced) -> None:
    by_version = traced.told("visits@v1.0.0")
    words = {
        "visits@1.0.0": "model version",
        "models:/visits/7": "model version",
        f"sha256:{traced.image('one')}": "image",
        f"{NAME}@sha256:{traced.image('one')}": "image",
        traced.image("one")[:12]: "image",
        f"sha256:{traced.digests('one')['sha256']}": "model",
        f"dvc-md5:{traced.digests('one')['dvc-md5']}": "model",
        traced.records["one"].digest: "decision",
        traced.images["one"].digest: "image",
        "5": "deployment",
        traced.v1: "commit",
        traced.v1[:10]: "commit",
    }
    for word, kind in words.items():
        told = traced.told(word)
        assert told["kind"] == kind, word
        assert {key: told[key] for key in told if key not in ("kind", "asked")} == {
            key: by_version[key] for key in by_version if key not in ("kind", "asked")
        }, word
    entry = json.loads(traced.repo.mlgate("audit", "show", "5").stdout)["entry"]["id"]
    assert traced.told(entry)["digests"] == traced.digests("one")
    now = traced.told("visits@production")
    assert (now["kind"], now["digests"]) == ("environment", traced.digests("two"))


def test_a_commit_that_no_entry_is_about_leads_to_the_model_that_it_has(traced: Traced) -> None:
    traced.repo.write("README.md", "More words\n")
    later = traced.repo.commit("Say more")
    for word in (later, "HEAD", "main"):
        told = traced.told(word)
        assert (told["kind"], told["digests"], told["commit"]["id"]) == ("commit", traced.digests("two"), traced.v2)


def test_people_read_it(traced: Traced) -> None:
    said = traced.trace("visits@v1.1.0")
    for words in (
        "visits@v1.1.0\n", "in production since 2026-10-03 12:00:00", "Train on more (Ada, ", "params.yaml train.seed",
        "metrics/eval.json auc       =  0.74", "warned: rules.log_loss.bound: met, and not proven.",
        "bob: deployment to production (complete)", f"{NAME}@sha256:{traced.image('two')}", "advanced at 10 % v1.1.0",
    ):  # fmt: skip
        assert words in said
    assert "not known" not in said


# -- one prediction --------------------------------------------------------------------------------------------------


def test_a_logged_prediction_leads_to_its_model(traced: Traced) -> None:
    other = traced.line("one", request_id="r-0")
    file = traced.log(other, traced.line(), traced.line(row=1, prediction=0))
    told = traced.told("r-1", "--log", str(file))
    assert (told["kind"], told["digests"], told["commit"]["id"]) == (
        "prediction", traced.digests("two"), traced.v2
    )  # fmt: skip
    assert [row["row"] for row in told["prediction"]["rows"]] == [0, 1]
    assert [one["holds"] for one in told["prediction"]["agreement"]] == [True, True, True]
    said = traced.trace("r-1", "--log", str(file))
    assert "row 0: 1, score 0.83" in said
    assert "age = 61, person (hashed) = 0f3a9c" in said
    assert "the ledger had this model in production then." in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"commit": "9" * 40}, "the line's commit is 999999999999, and the ledger has this model from"),
        ({"version": "v9.0.0"}, "the line's version is v9.0.0, and this model was registered as v1.1.0"),
        ({"time": "2026-09-01T00:00:00Z"}, "the ledger had nothing in production then"),
        ({"time": "2026-10-01T13:00:00Z"}, "the ledger had v1.0.0 in production then, not this model"),
        ({"environment": "staging"}, "the ledger had nothing in staging then"),
    ],
)
def test_a_line_that_the_ledger_does_not_agree_with_says_so(
    traced: Traced, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(traced.line(**changed)) + "\n")
    claims = traced.told("r-1", "--log", str(file))["prediction"]["agreement"]
    assert [one["said"] for one in claims if not one["holds"]] == [one["said"] for one in claims if said in one["said"]]
    assert f"But {said}" in traced.trace("r-1", "--log", str(file))


def test_a_canary_had_a_part_of_the_traffic(traced: Traced, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(traced.line(time="2026-10-02T18:00:00Z")) + "\n")
    assert "this model with a part of the traffic of production then." in traced.trace("r-1", "--log", str(file))


def test_logs_are_rotated_packed_prefixed_and_damaged(traced: Traced, tmp_path: Path) -> None:
    old = tmp_path / "old log ü.jsonl.gz"
    old.write_bytes(gzip.compress(json.dumps(traced.line()).encode() + b"\n"))
    new = tmp_path / "new.jsonl"
    head = b'{"request_id": "r-1"\n\xff\xfe r-1\n[1]\n' + b"x" * 2_000_000 + b'{"request_id":"r-1"}\n'
    row = json.dumps(traced.line(row=1)).encode()
    new.write_bytes(head + b"2026-10-04T09:30:00Z stdout F " + row + b"\n" + json.dumps(traced.line(row=2)).encode())
    told = traced.told("r-1", "--log", str(old), "--log", str(new))
    assert [one["row"] for one in told["prediction"]["rows"]] == [0, 1, 2]
    old.write_bytes(old.read_bytes()[:-9])
    assert "old log ü.jsonl.gz cannot be read" in traced.trace("r-1", "--log", str(old), code=2)


def test_requests_that_lead_nowhere(traced: Traced, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    unknown = traced.line(request_id="r-2", digest=f"sha256:{'9' * 64}")
    both = [traced.line(), traced.line("one", version="v1.0.0")]
    lines = [*both, unknown, traced.line(request_id="r-3", digest="")]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for request, said in (
        ("r-1", "request 'r-1' was answered by visits sha256:222222222222, visits sha256:111111111111."),
        ("r-2", f"knows nothing of the model that answered the request: visits sha256:{'9' * 64}."),
        ("r-3", "names no model by digest"),
        ("r-9", "is of the request 'r-9' (4 lines were read)"),
    ):
        assert said in traced.trace(request, "--log", str(file), code=2)
    assert "no-such.jsonl cannot be read (No such file" in traced.trace("r-1", "--log", "no-such.jsonl", code=2)


# -- differences -----------------------------------------------------------------------------------------------------


def test_what_lies_between_two(traced: Traced) -> None:
    told = traced.told("visits@v1.1.0", "--diff", "visits@v1.0.0")
    assert (told["from"]["asked"], told["to"]["asked"]) == ("visits@v1.0.0", "visits@v1.1.0")
    assert not told["same_model"]
    changes = {(one["kind"], one["what"]): (one.get("before"), one.get("after")) for one in told["changes"]}
    assert changes["parameter", "params.yaml train.seed"] == ("one", "two")
    assert changes["code", "src/train.py"] == (None, "changed")
    assert ("data", "data/test.csv") in changes
    assert ("data", "data/train.csv") not in changes
    metrics = {one["what"]: one["change"] for one in told["metrics"]}
    assert metrics["metrics/eval.json auc"] == pytest.approx(0.02)
    assert told["decision"]["verdict"] == {"before": "pass", "after": "warn"}
    assert told["decision"]["warns"] == {"gone": [], "new": ["rules.log_loss.bound"]}
    assert [one["id"] for one in told["commits"]["first"]] == [traced.v2]
    said = traced.trace("visits@v1.1.0", "--diff", "visits@v1.0.0")
    assert "visits@v1.0.0 -> visits@v1.1.0" in said
    assert "(+0.02)" in said
    assert "warns now: rules.log_loss.bound" in said


def test_a_difference_the_other_way_round_and_with_itself(traced: Traced) -> None:
    back = traced.told("visits@v1.0.0", "--diff", "visits@v1.1.0")
    assert back["commits"]["backwards"]
    assert back["decision"]["warns"] == {"gone": ["rules.log_loss.bound"], "new": []}
    same = traced.told(f"sha256:{traced.image('two')}", "--diff", "visits@v1.1.0")
    assert same["same_model"]
    assert (same["changes"], same["metrics"], same["decision"], same["image"]) == ([], [], {}, {})
    assert "Nothing differs" in traced.trace("visits@v1.1.0", "--diff", "10")


# -- what is unknown -------------------------------------------------------------------------------------------------


def test_unknown_names_say_what_there_is(traced: Traced) -> None:
    for word in ("visits@v9.9.9", "other@production", "99", "abcdef123456", "no-such-branch", "12ab", "models:/x/1"):
        said = traced.trace(word, code=2)
        assert f"nothing is known of {word!r}." in said
        assert "The last versions in the ledger: visits@v1.0.0, visits@v1.1.0." in said


def test_a_word_for_two_models_is_ambiguous(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.write(traced.decide("one"))
    other = Traced(tmp_path / "other")
    entry = traced.register("one", "v1.0.0").model_copy(update={"model": "churn", "name": "churn"})
    traced.write(entry)
    assert other.v1  # another repository, which this ledger knows nothing of
    word = traced.digests("one")["sha256"]
    said = traced.trace(f"dvc-md5:{traced.digests('one')['dvc-md5']}", code=2)
    assert "can mean 2 models: visits (dvc-md5:" in said
    assert "; churn (sha256:" in said
    assert traced.told(f"dvc-md5:{traced.digests('one')['dvc-md5']}", "--model", "visits")["model"] == "visits"
    assert traced.told(word)["model"] == "churn"


def test_what_a_rollback_took_away(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    traced.write(traced.roll_back("one", "two", at="2026-10-05T12:00:00Z"))
    taken = traced.told("visits@v1.1.0")
    assert taken["environments"][0]["until"] == "2026-10-05T12:00:00Z"
    assert [one.get("taken_away") for one in taken["history"] if one["kind"] == "rollback"] == [True]
    assert "taken away" in traced.trace("visits@v1.1.0")
    back = traced.told("visits@production")
    assert back["digests"] == traced.digests("one")
    assert [one["since"] for one in back["environments"]] == ["2026-10-01T12:00:00Z", "2026-10-05T12:00:00Z"]


def test_without_a_ledger_a_commit_still_says_what_it_has(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    told = traced.told("HEAD")
    assert told["digests"] == {"dvc-md5": traced.digests("two")["dvc-md5"]}
    assert told["metrics"]["metrics/eval.json auc"] == 0.74
    assert "The ledger has no decision for this model." in told["unknown"]
    assert "The ledger has no entry yet." in traced.trace("visits@v1.0.0", code=2)


def test_a_ledger_that_cannot_be_read_is_said_with_exit_code_2(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    traced.bare.rename(tmp_path / "away.git")
    assert "the ledger cannot be read" in traced.trace("HEAD", code=2)
    done = traced.repo.mlgate("trace", "HEAD")
    assert "Train on more" in done.stdout


def test_a_damaged_ledger_is_traced_as_far_as_it_goes(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    git = traced.repo
    git.git("fetch", "--quiet", "origin", "mlgate-ledger")
    git.git("worktree", "add", "--quiet", str(tmp_path / "ledger"), "FETCH_HEAD")
    (segment,) = (tmp_path / "ledger").glob("*/events-*.jsonl")
    segment.write_text(segment.read_text().replace('"weight":10', '"weight":90'))
    for args in (("add", "-A"), ("commit", "-qm", "x"), ("push", "-qf", "origin", "HEAD:mlgate-ledger")):
        git.git("-C", str(tmp_path / "ledger"), *args)
    fresh = traced.folder / "fresh"
    git.git("clone", "--quiet", f"file://{traced.bare}", str(fresh))
    done = type(git)(fresh).mlgate("trace", "visits@v1.0.0")
    assert done.returncode == 2
    assert "cannot be believed" in done.stderr
    assert "visits@v1.0.0" in done.stdout


def test_a_commit_that_is_nowhere_leaves_what_the_ledger_has(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    entry = traced.deploy("one", "v0.9.0", at="2026-09-01T00:00:00Z", environment="staging")
    lost = entry.model_copy(update={"subject": {"sha256": "7" * 64}, "commit": "8" * 40})
    traced.write(lost)
    told = traced.told("visits@v0.9.0")
    assert told["commit"] is None
    assert "No entry names a commit, so data, parameters and metrics are not known." in told["unknown"]
    assert "not known" in traced.trace("visits@v0.9.0")


def test_a_shallow_clone_fetches_the_commit(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    traced.repo.git("clone", "--quiet", "--depth=1", f"file://{traced.bare}", str(tmp_path / "shallow"))
    shallow = type(traced.repo)(tmp_path / "shallow")
    done = shallow.mlgate("trace", "visits@v1.0.0", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["parameters"] == {"params.yaml train.seed": "one"}


def test_broken_files_of_a_commit_are_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.repo.model("not JSON", seed="three", config=MLGATE)
    traced.repo.commit("Break the metrics")
    told = traced.told("HEAD")
    assert told["parameters"] == {"params.yaml train.seed": "three"}
    assert any("metrics/eval.json" in each and "cannot be read as JSON" in each for each in told["unknown"])


def test_nothing_that_others_wrote_moves_the_cursor(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    traced.whole()
    file = traced.log(traced.line(prediction="\x1b[2J::error::x\ninjected", features={"a\x1b[1m": "b\r"}))
    for said in (traced.trace("r-1", "--log", str(file)), traced.trace("HEAD")):
        assert "\x1b" not in said
        assert "\ninjected" not in said
        assert "\r" not in said
