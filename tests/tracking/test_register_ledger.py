"""`mlgate register` and the ledger: only after the gate, once, and the same again does nothing. Whole processes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder import ROOT, Repo, environment, md5
from jobs import environ
from mlgate.judge.record import Descriptor
from mlgate.judge.record import Statement as Decision
from mlgate.signing.statement import Predicate, Statement
from tracking.registered import Gated, outputs


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path)


class TestTheGate:
    def test_without_a_ledger_nothing_is_registered(self, gated: Gated) -> None:
        said = gated.register(ok=2)
        assert f"no passing decision for visits with dvc-md5 {md5(gated.bytes)[:12]}…, so it was not registered" in said
        assert gated.evidence()["verdict"] == "error"
        assert gated.repo.git("ls-remote", "origin", "mlgate-ledger") == ""

    def test_a_decision_about_another_model_is_none(self, gated: Gated) -> None:
        gated.challenger()
        gated.repo.model({"auc": 0.75, "log_loss": 0.55}, config=gated.config)
        gated.repo.commit("Not judged")
        assert "no passing decision" in gated.register(ok=2)
        assert gated.entries("registration") == []

    def test_a_model_that_failed_is_not_registered(self, gated: Gated) -> None:
        gated.before = gated.repo.head
        gated.repo.model({"auc": 0.60, "log_loss": 0.80}, config=gated.config)
        gated.repo.commit("Worse")
        gated.judged(ok=False)
        assert "no passing decision" in gated.register(ok=2)
        assert gated.entries("registration") == []

    def test_a_model_that_failed_after_its_decision_is_not_registered(self, gated: Gated) -> None:
        gated.challenger(seed="the same model")
        gated.before = gated.repo.head
        gated.repo.model({"auc": 0.60, "log_loss": 0.80}, config=gated.config, seed="the same model", data="other rows")
        gated.repo.commit("Other rows")
        gated.judged(ok=False)
        assert "was judged again on" in gated.register(ok=2)
        assert gated.entries("registration") == []

    def test_a_pull_request_registers_nothing(self, gated: Gated, tmp_path: Path) -> None:
        gated.challenger()
        head = {"sha": gated.repo.head, "ref": "change", "repo": {"full_name": "acme/visits"}}
        payload = {"number": 7, "pull_request": {"number": 7, "head": head, "base": {**head, "ref": "main"}}}
        job = environ(tmp_path / "job", gated.repo, "pull_request", payload)
        assert "this run is for a pull request, and models are registered from the default branch" in gated.register(
            ok=2, **job
        )
        assert gated.entries("registration") == []

    def test_off_is_said(self, gated: Gated) -> None:
        gated.repo.write("mlgate.yaml", gated.config.replace("mode: enforce", "mode: off"))
        gated.register()
        assert gated.evidence()["verdict"] == "warn"


class TestAVersion:
    def test_the_first_and_the_same_again(self, gated: Gated) -> None:
        commit = gated.challenger()
        said = gated.register()
        assert "visits is v1.0.0" in said
        (entry,) = gated.entries("registration")
        (decision,) = gated.entries("decision")
        assert (entry.name, entry.version, entry.commit, entry.actor) == ("visits", "v1.0.0", commit, "ada@example.org")
        assert entry.subject == {"dvc-md5": md5(gated.bytes)}
        assert entry.decision == decision.statement
        assert gated.reasons()["register.version"] == "pass: Registered now."
        assert "mlgate.yaml names no registry" in gated.evidence()["not_run"][-1]

        gated.register()
        assert len(gated.entries("registration")) == 1
        assert gated.reasons()["register.version"].startswith("pass: Registered on 20")

    def test_a_later_commit_with_the_same_model_is_the_same_version(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register()
        gated.repo.write("README.md", "New words\n")
        gated.repo.commit()
        gated.register()
        (entry,) = gated.entries("registration")
        assert (entry.version, entry.commit) == ("v1.0.0", commit)

    @pytest.mark.parametrize(("bump", "version"), [("", "v1.1.0"), ("major", "v2.0.0"), ("patch", "v1.0.1")])
    def test_the_next_one(self, gated: Gated, bump: str, version: str) -> None:
        gated.challenger()
        gated.register()
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register("--bump", bump)
        assert [entry.version for entry in gated.entries("registration")] == ["v1.0.0", version]

    def test_one_that_is_asked_for(self, gated: Gated) -> None:
        gated.challenger()
        gated.register("--version", "3.1.0")
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        assert "v3.1.0 of visits is another model already" in gated.register("--version", "v3.1.0", ok=2)
        assert "'soon' is no version. Write three numbers" in gated.register("--version", "soon", ok=2).replace(
            "vsoon", "soon"
        )
        gated.register()
        assert [entry.version for entry in gated.entries("registration")] == ["v3.1.0", "v3.2.0"]
        assert "is v3.2.0 of visits already, so it cannot be v4.0.0" in gated.register("--version", "v4.0.0", ok=2)

    def test_outputs_as_gto_action_names_them(self, gated: Gated, tmp_path: Path) -> None:
        gated.repo.write(
            "dvc.yaml",
            (gated.repo.path / "dvc.yaml").read_text()
            + "artifacts: {visits: {path: models/visits.joblib, type: classifier, desc: Who comes back}}\n",
        )
        gated.repo.commit()
        gated.before = gated.repo.head
        edited = (gated.repo.path / "dvc.yaml").read_text()
        gated.repo.model({"auc": 0.74, "log_loss": 0.56}, config=gated.config)
        gated.repo.write("dvc.yaml", edited)
        gated.repo.commit("Challenger")
        gated.judged()
        payload = {"before": gated.before, "after": gated.repo.head, "ref": "refs/heads/main"}
        more = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "eve"}
        job = environ(tmp_path / "job", gated.repo, "push", payload, **more)
        gated.register(**job)
        told = outputs(tmp_path / "job/output")
        assert {key: told[key] for key in ("event", "name", "version", "stage", "type", "path", "description")} == {
            "event": "registration",
            "name": "visits",
            "version": "v1.0.0",
            "stage": "",
            "type": "classifier",
            "path": "models/visits.joblib",
            "description": "Who comes back",
        }
        assert told["created"] == "true"
        (one,) = told["registered"]
        assert (one["version"], one["commit"], one["created"]) == ("v1.0.0", gated.repo.head, True)
        assert told["ledger-head"] == gated.ledger().head().token  # type: ignore[union-attr]
        assert gated.entries("registration")[0].actor == "eve"
        (tmp_path / "job/output").write_text("")
        gated.register(**job)
        assert outputs(tmp_path / "job/output")["created"] == "false"


class TestRaces:
    def test_jobs_at_once_register_once(self, gated: Gated) -> None:
        gated.challenger()
        clones = [gated.clone(f"job{n}", "--depth=1") for n in range(4)]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "mlgate", "register"],
                cwd=path, env=environment(PYTHONPATH=str(ROOT / "scripts")),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for path in clones
        ]  # fmt: skip
        for process in started:
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0, out
            assert "visits is v1.0.0" in out
        (entry,) = gated.entries("registration")
        assert entry.version == "v1.0.0"
        said = [Repo(path).evidence("visits", "register")["checks"] for path in clones]
        how = [next(c["reason"] for c in checks if c["id"] == "register.version") for checks in said]
        assert how.count("Registered now.") == 1


def statement(gated: Gated, **more: Any) -> Statement:
    """What build-image leaves for the model of the last decision."""
    decision = gated.entries("decision")[-1]
    given: dict[str, Any] = {
        "model": gated.model,
        "artifact": Descriptor(
            name="models/visits.joblib",
            digest={"sha256": hashlib.sha256(gated.bytes).hexdigest()},
            annotations={"dvc-md5": md5(gated.bytes)},
        ),
        "commit": gated.repo.head,
        "decision": Decision.parse(decision.record).digest,
        "inputs": "b" * 64,
        "verdict": "pass",
        "evidence": (Descriptor(name="build-image", digest={"mlgate-evidence-sha256": "c" * 64}),),
    }
    subject = Descriptor(name="ghcr.io/acme/visits", digest={"sha256": "a" * 64})
    return Statement(subject=(subject,), predicate=Predicate(**{**given, **more}))


class TestTheImage:
    def test_without_one_it_is_said(self, gated: Gated) -> None:
        gated.challenger()
        gated.register()
        assert gated.evidence()["not_run"][0] == (
            "It is registered without an image: there is no .mlgate/images/visits.json."
        )

    def test_one_that_mlgate_yaml_speaks_of_and_that_is_not_there_warns(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, "image: {name: ghcr.io/acme/visits}\n")
        gated.challenger()
        gated.register()
        assert gated.reasons()["register.image"].startswith("warn: It is registered without an image")
        assert "it was not there" not in gated.register("--image-statement", "nowhere.json", ok=2)
        assert "nowhere.json" in gated.evidence()["title"]

    def test_its_statement_goes_into_the_ledger_once(self, gated: Gated) -> None:
        gated.challenger()
        made = statement(gated)
        gated.repo.write(".mlgate/images/visits.json", made.to_bytes())
        gated.register()
        gated.register()
        (image,) = gated.entries("image")
        (entry,) = gated.entries("registration")
        assert image.statement == made.digest
        assert Statement.parse(image.record) == made
        assert entry.image == {"sha256": "a" * 64}
        assert entry.subject == {"dvc-md5": md5(gated.bytes), "sha256": hashlib.sha256(gated.bytes).hexdigest()}
        assert gated.reasons()["register.image"] == f"pass: ghcr.io/acme/visits@sha256:{'a' * 64} has it."

    def test_one_that_comes_later_is_added_to_the_version(self, gated: Gated) -> None:
        gated.challenger()
        gated.register()
        gated.repo.write(".mlgate/images/visits.json", statement(gated).to_bytes())
        gated.register()
        assert [entry.version for entry in gated.entries("registration")] == ["v1.0.0", "v1.0.0"]
        assert [entry.image for entry in gated.entries("registration")] == [{}, {"sha256": "a" * 64}]
        gated.register()
        assert len(gated.entries("registration")) == 2

    def test_one_of_another_model_or_decision_is_refused(self, gated: Gated) -> None:
        gated.challenger()
        for wrong in (
            {"decision": "d" * 64},
            {"artifact": Descriptor(name="m", digest={"sha256": "e" * 64}, annotations={"dvc-md5": "f" * 32})},
        ):
            gated.repo.write(".mlgate/images/visits.json", statement(gated, **wrong).to_bytes())
            assert "is not to be believed" in gated.register(ok=2)
        for broken in (b"{}", b"no JSON", json.dumps({"_type": "x"}).encode()):
            gated.repo.write(".mlgate/images/visits.json", broken)
            assert "images/visits.json" in gated.register(ok=2)
        assert gated.entries("registration", "image") == []


class TestAChampion:
    def test_becomes_the_model_of_production_in_the_ledger(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register("--alias", "champion")
        (entry,) = gated.entries("promotion")
        (decision,) = gated.entries("decision")
        assert (entry.environment, entry.version, entry.commit) == ("production", "v1.0.0", commit)
        assert entry.decision == decision.id
        assert entry.subject["dvc-md5"] == md5(gated.bytes)
        gated.register("--alias", "champion")
        assert len(gated.entries("promotion")) == 1
        gated.register()
        assert "v1.0.0 is in production already, so it was not made the challenger." in gated.evidence()["not_run"]

    def test_it_is_the_champion_of_the_next_comparison(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register("--alias", "champion")
        gated.config = gated.config.replace("champion: main", "champion: ledger:production")
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        champion = gated.repo.evidence("visits")["champion"]
        assert champion["commit"] == commit
        assert champion["how"].startswith("in production since ")

    def test_an_older_model_than_the_one_in_production_is_a_rollback(self, gated: Gated) -> None:
        old = gated.challenger()
        gated.register()
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register("--alias", "champion")
        gated.repo.git("checkout", "--quiet", old)
        assert "v1.1.0 is in production, and v1.0.0 is older" in gated.register("--alias", "champion", ok=2)
        assert len(gated.entries("promotion")) == 1

    def test_one_that_nobody_has_approved_is_not_promoted(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, "register: {tags: {approval_status: pending_review}}\n")
        gated.challenger()
        said = gated.register("--alias", "champion", ok=1)
        assert "approval_status is pending_review, and only an approved model is promoted" in said
        assert gated.entries("promotion", "registration") == []
        gated.register()  # as a challenger it may wait

    def test_without_its_papers_nothing_is_promoted(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, "governance: {owners: [ada], require: [documentation]}\n")
        gated.challenger()
        said = gated.register("--alias", "champion", ok=1)
        assert "is not promoted, and nothing was registered" in gated.evidence()["title"]
        assert "checklist.documentation" in gated.reasons(), said
        assert gated.entries("promotion", "registration") == []
        gated.register()  # a challenger needs none
        assert len(gated.entries("registration")) == 1

    def test_with_its_papers_it_is(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, "governance: {owners: [ada], data_sheet: data_sheet.yaml, require: [provenance]}\n")
        gated.repo.write("data_sheet.yaml", (ROOT / "example-project/governance/data_sheet.yaml").read_bytes())
        gated.challenger()
        gated.register("--alias", "champion")
        assert gated.reasons()["checklist.provenance"].split(":")[0] in ("pass", "warn")
        assert len(gated.entries("promotion")) == 1

    def test_tags_that_are_mlgates_own(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, "register: {tags: {mlgate.decision: mine}}\n")
        gated.challenger()
        assert "the tag mlgate.decision is mlgate's own to set" in gated.register(ok=2)


def test_several_models_at_once(tmp_path: Path) -> None:
    gated = Gated(tmp_path)
    gated.challenger()
    gated.repo.write("other/mlgate.yaml", gated.config.replace("model: visits", "model: other"))
    gated.repo.model(folder="other", seed="other", config=None)
    gated.repo.commit()
    job = environ(tmp_path / "job", gated.repo, "push", {}, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")
    gated.register("--config", "mlgate.yaml\nother/mlgate.yaml", ok=2, **job)
    told = outputs(tmp_path / "job/output")
    assert [one["model"] for one in told["registered"]] == ["visits"]
    assert "no passing decision for other" in gated.repo.evidence("other", "register")["title"]
    assert "are one model's, and there are 2" in gated.register(
        "--config", "mlgate.yaml\nother/mlgate.yaml", "--version", "v1.0.0", ok=2
    )
