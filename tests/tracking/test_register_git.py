"""Versions as git tags: what `mlgate register` writes, the real `gto` reads, and the other way round."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gto import api
from gto.constants import tag_re

from builder import ROOT, environment
from mlgate.errors import MlgateError
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from mlgate.tracking.gto import Seen, Tag, Tags, problem
from tracking.registered import Gated

GIT = "register: {to: [git]}\n"


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path, GIT)


def show(gated: Gated, name: str = "visits", where: str = "fresh") -> list[dict[str, Any]]:
    """What `gto show <name>` of a fresh clone says, newest first."""
    path = gated.folder / where
    if not path.exists():
        gated.clone(where)
    gated.repo.git("-C", str(path), "fetch", "--quiet", "--tags", "origin")
    found: list[dict[str, Any]] = api.show(str(path), name=name)
    return found


class TestWhatGtoReads:
    def test_a_version(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register()
        (version,) = show(gated)
        assert (version["version"], version["commit_hexsha"]) == ("v1.0.0", commit)
        assert version["is_active"]
        assert version["ref"] == "visits@v1.0.0"
        assert version["message"].startswith(f"Register visits v1.0.0: models/visits.joblib of {commit[:12]}")
        assert gated.tags() == {"visits@v1.0.0": commit}
        first, done = gated.entries("registration")
        assert (first.registries, done.registries) == ({}, {"git": "visits@v1.0.0"})
        assert gated.repo.git("tag", "--list") == ""  # the user's own refs stay as they are

    def test_the_same_again_adds_nothing(self, gated: Gated) -> None:
        gated.challenger()
        gated.register("--alias", "champion")
        before = gated.repo.git("ls-remote", "origin")
        gated.register("--alias", "champion")
        assert gated.repo.git("ls-remote", "origin") == before
        assert "The tag visits@v1.0.0 is on the commit" in gated.reasons()["register.git"]

    def test_a_champion_is_in_production(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register()
        assert api.show(str(gated.clone("one")), name="visits#production") == []
        gated.register("--alias", "champion")
        assert gated.tags() == {"visits@v1.0.0": commit, "visits#production#1": commit}
        (version,) = show(gated, "visits#production")
        assert version["version"] == "v1.0.0"
        later = gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register("--alias", "champion")
        assert gated.tags()["visits#production#2"] == later
        assert [each["version"] for each in show(gated, "visits#production")] == ["v1.1.0"]
        assert [each["version"] for each in show(gated)] == ["v1.1.0", "v1.0.0"]

    def test_a_version_that_was_given_by_hand_is_the_models(self, gated: Gated) -> None:
        gated.challenger()
        api.register(str(gated.repo.path), "visits", gated.repo.head, version="v4.2.0")
        gated.repo.git("push", "--quiet", "origin", "--tags")
        gated.register()
        assert [entry.version for entry in gated.entries("registration")] == ["v4.2.0", "v4.2.0"]
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register()
        assert sorted(gated.tags()) == ["visits@v4.2.0", "visits@v4.3.0"]

    def test_numbers_go_on_from_those_of_gto(self, gated: Gated) -> None:
        gated.challenger()
        gated.register()
        gated.repo.git("fetch", "--quiet", "--tags", "origin")
        for stage in ("dev", "qa"):
            api.assign(str(gated.repo.path), "visits", stage, version="v1.0.0")
        gated.repo.git("push", "--quiet", "origin", "--tags")
        gated.register("--alias", "champion")
        assert "visits#production#3" in gated.tags()

    def test_gto_goes_on_from_ours(self, gated: Gated) -> None:
        gated.challenger()
        gated.register("--alias", "champion")
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.repo.git("fetch", "--quiet", "--tags", "origin")
        api.register(str(gated.repo.path), "visits", gated.repo.head, bump_minor=True)
        assert sorted(gated.repo.git("tag", "--list", "visits@*").split()) == ["visits@v1.0.0", "visits@v1.1.0"]
        api.assign(str(gated.repo.path), "visits", "production", version="v1.1.0")
        assert "visits#production#2" in gated.repo.git("tag", "--list")


class TestTrouble:
    def test_a_version_on_another_commit_is_not_moved(self, gated: Gated) -> None:
        gated.challenger()
        gated.register()
        (entry, _) = gated.entries("registration")
        gated.repo.git("push", "--quiet", "origin", ":refs/tags/visits@v1.0.0")
        gated.repo.git("tag", "--annotate", "--message", "mine", "visits@v1.0.0", gated.before)
        gated.repo.git("push", "--quiet", "origin", "visits@v1.0.0")
        said = gated.register(ok=2)
        assert f"the tag visits@v1.0.0 is on the commit {gated.before[:7]}, and this model is from" in said
        assert gated.tags() == {"visits@v1.0.0": gated.before}
        assert gated.entries("registration")[0].id == entry.id

    def test_a_lightweight_tag_is_no_version(self, gated: Gated) -> None:
        gated.challenger()
        gated.repo.git("push", "--quiet", "origin", "HEAD:refs/tags/visits@v1.0.0")
        assert "is there, and is no annotated tag" in gated.register(ok=2)

    def test_tags_that_are_protected(self, gated: Gated) -> None:
        """The ledger has the version, and a later run completes it."""
        gated.challenger()
        hook = gated.origin / "hooks/update"
        hook.write_text("#!/bin/sh\ncase $1 in refs/tags/*) echo 'GH013: rule violations' >&2; exit 1;; esac\n")
        hook.chmod(0o755)
        said = gated.register(ok=2)
        assert "v1.0.0 stands in the ledger, and running this again completes it" in said
        assert "Let this job's token create tags like visits@*" in gated.evidence()["checks"][-1]["fix"]
        assert [entry.registries for entry in gated.entries("registration")] == [{}]
        hook.unlink()
        gated.register()
        assert [entry.registries for entry in gated.entries("registration")] == [{}, {"git": "visits@v1.0.0"}]

    def test_a_name_that_gto_does_not_take(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path, GIT, model="visits.v2")
        gated.challenger()
        assert "'visits.v2' cannot be the name of git tags" in gated.register(ok=2)
        assert gated.entries("registration") == []
        gated.register("--model-name", "visits-v2")
        assert list(gated.tags()) == ["visits-v2@v1.0.0"]

    def test_a_shallow_clone_without_the_commit(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.repo.write("README.md", "More\n")
        gated.repo.commit()
        gated.repo.git("push", "--quiet", "origin", "main")
        gated.register(cwd=gated.clone("shallow", "--depth=1"))
        assert gated.tags() == {"visits@v1.0.0": commit}

    def test_tags_that_are_not_pushed(self, gated: Gated) -> None:
        commit = gated.challenger()
        gated.register("--push-tags", "false", "--alias", "champion")
        assert gated.tags() == {}
        assert gated.repo.git("tag", "--list").split() == ["visits#production#1", "visits@v1.0.0"]
        assert gated.repo.git("rev-parse", "visits@v1.0.0^{commit}") == commit
        before = gated.repo.git("for-each-ref")
        gated.register("--push-tags", "false", "--alias", "champion")
        assert gated.repo.git("for-each-ref") == before

    def test_jobs_at_once_leave_one_tag_of_each(self, gated: Gated) -> None:
        commit = gated.challenger()
        clones = [gated.clone(f"job{n}", "--depth=1") for n in range(4)]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "mlgate", "register", "--alias", "champion"],
                cwd=path, env=environment(PYTHONPATH=str(ROOT / "scripts")),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for path in clones
        ]  # fmt: skip
        for process in started:
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0, out
        assert gated.tags() == {"visits@v1.0.0": commit, "visits#production#1": commit}
        assert len(gated.entries("promotion")) == 1
        assert [entry.registries for entry in gated.entries("registration")] == [{}, {"git": "visits@v1.0.0"}]


class TestTheGrammar:
    @pytest.mark.parametrize(
        ("text", "tag"),
        [
            ("visits@v1.2.0", Tag("visits", version="v1.2.0")),
            ("visits#production#3", Tag("visits", stage="production", counter=3)),
            ("visits#production!#4", Tag("visits", stage="production", counter=4, cancel=True)),
            ("visits@v1.2.0!", Tag("visits", version="v1.2.0", cancel=True)),
            ("models/eu=visits@v0.0.1", Tag("models/eu=visits", version="v0.0.1")),
            ("visits@v1.2.0-rc.1", Tag("visits", version="v1.2.0-rc.1")),
        ],
    )
    def test_as_gto_reads_it(self, text: str, tag: Tag) -> None:
        assert Tag.parse(text) == tag
        assert tag_re.search(text)

    @pytest.mark.parametrize(
        "text", ["visits", "visits@1.2.0", "visits@v1", "v1.2.0", "-x@v1.0.0", "a.b@v1.0.0", "a@v01.0.0"]
    )
    def test_what_is_none(self, text: str) -> None:
        assert Tag.parse(text) is None
        assert not tag_re.search(text)

    def test_names(self) -> None:
        assert problem("visits") == problem("eu/visits-2_b") == ""
        for name in ("a.b", "-a", "a-", "ümlaut", "", "a b"):
            assert problem(name), name

    def test_the_highest_number_tells_who_is_in_a_stage(self) -> None:
        seen = Seen("a", {"a#p#1": "one", "a#q#2": "two", "a#p#10": "ten", "a#p#9": "nine", "b#p#11": "other"})
        assert (seen.stage("p"), seen.stage("q"), seen.stage("r"), seen.counter) == ("ten", "two", "", 10)
        assert Seen("a", {"a#p#1": "one", "a#p!#2": "one"}).stage("p") == ""

    def test_a_version_that_was_taken_back_is_not_given_again(self) -> None:
        seen = Seen("a", {"a@v1.0.0": "one", "a@v1.0.0!": "one"})
        assert seen.at("one") == ""
        assert set(seen.versions) == {"v1.0.0"}

    def test_a_remote_that_cannot_be_asked(self, tmp_path: Path) -> None:
        gated = Gated(tmp_path)
        tags = Tags(Git(gated.repo.path), Remote(f"{gated.origin}-gone"), Identity("a", "b"))
        with pytest.raises(MlgateError, match="the tags of this repository cannot be read"):
            tags.seen("visits")


def test_the_command_line_of_gto(tmp_path: Path) -> None:
    """As a deployment workflow asks for it."""
    gated = Gated(tmp_path, GIT)
    gated.challenger()
    gated.register("--alias", "champion")
    path = gated.clone("deploying")
    gto = [str(Path(sys.executable).with_name("gto"))]
    done = subprocess.run(
        [*gto, "check-ref", "visits#production#1", "--json"],
        cwd=path,
        check=False,
        env=environment(),
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert (found["event"], found["artifact"], found["version"], found["stage"]) == (
        "assignment", "visits", "v1.0.0", "production",
    )  # fmt: skip
