"""`mlgate audit`, as a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from ledger_samples import BRANCH, Forge, edit, promotion, reading, segments

from builder import MLGATE, Repo

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": "https://github.invalid"}


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def repo(forge: Forge) -> Repo:
    """A clone with a ledger of two promotions and two readings."""
    repo = forge.clone()
    ledger = forge.ledger(repo)
    ledger.append(promotion(1, at="2026-09-01T10:00:00Z", version="v1"))
    ledger.append(reading(0.31, "breached", limit=0.2, at="2026-09-02T10:00:00Z"), reading(0.1))
    ledger.append(promotion(2, environment="staging", at="2026-09-03T10:00:00Z", actor="bob"))
    return repo


def ok(repo: Repo, *args: str, **env: str) -> str:
    done = repo.mlgate("audit", *args, **env)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_log_is_a_table_of_events(repo: Repo) -> None:
    rows = ok(repo, "log").splitlines()
    assert rows[0].split() == ["entry", "at", "(UTC)", "kind", "model", "environment", "what", "by"]
    assert len(rows) == 4
    assert any(re.fullmatch(r"2 +2026-09-01 10:00:00 +promotion +visits +production +v1 +ada", row) for row in rows)
    assert "sha256:000000000000" in rows[-1] or "sha256:000000000000" in rows[-2]


def test_log_filters(repo: Repo) -> None:
    assert "No entry fits." in ok(repo, "log", "--model", "other")
    assert "staging" in ok(repo, "log", "--environment", "staging")
    assert "v1" not in ok(repo, "log", "--environment", "staging")
    readings = ok(repo, "log", "--kind", "reading")
    assert "readings:1" in readings
    assert "psi.age 0.31 (limit 0.2): breached" in readings
    assert "promotion" not in readings
    assert "v1" not in ok(repo, "log", "--since", "2026-09-02")
    assert "v1" in ok(repo, "log", "--since", "2026-09-01", "--until", "2026-09-01")
    assert len(ok(repo, "log", "--limit", "1").splitlines()) == 2
    shown = json.loads(ok(repo, "log", "--json", "--kind", "promotion"))
    assert [each["entry"]["subject"]["sha256"][-1] for each in shown] == ["1", "2"]
    assert {"seq", "hash", "previous", "file", "line", "chain", "entry", "waited"} == set(shown[0])
    done = repo.mlgate("audit", "log", "--since", "last week")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since 'last week' is no day. Write it as 2026-10-01" in done.stderr


def test_verify_says_what_it_checked(repo: Repo) -> None:
    said = ok(repo, "verify")
    assert "events: 3 entries, head mlgate1." in said
    assert "readings: 2 entries, head mlgate1." in said
    assert "No head was given" in said
    assert said.endswith("pass: every entry is as it was written, and in its place.\n")
    head = re.search(r"mlgate1\.\S+", said)
    assert head is not None
    assert "Held against 1 head kept elsewhere." in ok(repo, "verify", "--head", head[0])


def test_verify_finds_damage_with_exit_code_2(forge: Forge, repo: Repo) -> None:
    files = forge.files()
    path = segments(files)[0]
    forge.rewrite(edit(files, path, lambda rows: rows.__setitem__(0, rows[0].replace(b"genesis", b"Genesis"))))
    done = repo.mlgate("audit", "verify")
    assert done.returncode == 2
    assert f"{path}:1: changed: entry 1 does not have the hash that it states." in done.stdout
    assert done.stdout.endswith("error: 1 found.\n")
    found = json.loads(repo.mlgate("audit", "verify", "--json").stdout)
    assert found["verdict"] == "error"
    assert [(d["kind"], d["file"], d["line"]) for d in found["damages"]] == [("changed", path, 1)]
    shown = repo.mlgate("audit", "log")
    assert shown.returncode == 2
    assert "v1" in shown.stdout
    assert "1 thing is wrong with this ledger" in shown.stderr


def test_a_rewrite_is_found_by_a_head_in_a_file(forge: Forge, repo: Repo, tmp_path: Path) -> None:
    kept = tmp_path / "deployments.log"
    kept.write_text("deployed with " + json.loads(ok(repo, "verify", "--json"))["heads"][0] + " as payload\n")
    fresh = forge.clone("fresh")
    assert ok(fresh, "verify", "--head-file", str(kept))
    forge.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    forge.ledger(forge.clone("eve")).append(*(promotion(n) for n in range(9)))
    done = fresh.mlgate("audit", "verify", "--head-file", str(kept))
    assert done.returncode == 2
    assert "another ledger" in done.stdout
    innocent = forge.clone("innocent")
    assert "pass" in ok(innocent, "verify")
    kept.write_text("none here\n")
    done = innocent.mlgate("audit", "verify", "--head-file", str(kept))
    assert (done.returncode, "holds no head of a ledger" in done.stderr) == (2, True)
    done = innocent.mlgate("audit", "verify", "--head", "mlgate1.abc")
    assert (done.returncode, "is no head of a ledger" in done.stderr) == (2, True)


def test_without_a_ledger(forge: Forge) -> None:
    repo = forge.clone()
    for verb in ("log", "verify"):
        done = repo.mlgate("audit", verb)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"there is no branch {BRANCH} in" in done.stderr
    alone = Repo(forge.folder / "alone")
    alone.commit()
    done = alone.mlgate("audit", "log")
    assert (done.returncode, "no remote named origin" in done.stderr) == (2, True)


def test_a_remote_that_cannot_be_reached(forge: Forge, repo: Repo) -> None:
    forge.path.rename(forge.path.with_suffix(".away"))
    done = repo.mlgate("audit", "verify")
    assert done.returncode == 2
    assert "the ledger cannot be read: mlgate-ledger of" in done.stderr
    assert "Traceback" not in done.stderr


def test_show_one_entry(repo: Repo) -> None:
    second = json.loads(ok(repo, "show", "2"))
    assert second["entry"]["version"] == "v1"
    assert json.loads(ok(repo, "show", second["entry"]["id"])) == second
    assert json.loads(ok(repo, "show", "readings:1"))["entry"]["value"] == 0.31
    for missing in ("99", "zzzz", "readings:9"):
        done = repo.mlgate("audit", "show", missing)
        assert (done.returncode, f"the ledger has no entry {missing!r}" in done.stderr) == (2, True)


def test_push_writes_what_waits(forge: Forge, repo: Repo) -> None:
    away = forge.path.rename(forge.path.with_suffix(".away"))
    forge.ledger(repo, sleep=lambda _: None).append(promotion(3))
    done = repo.mlgate("audit", "push")
    assert done.returncode == 2
    assert "1 entry of the ledger waits in" in done.stderr
    away.rename(forge.path)
    assert "Nothing waits in" in ok(repo, "push")
    assert len(ok(repo, "log").splitlines()) == 5
    done = repo.mlgate("audit", "push", "--from", "nowhere")
    assert (done.returncode, "there is no folder 'nowhere'" in done.stderr) == (2, True)


def test_adopt_after_a_move(forge: Forge, repo: Repo) -> None:
    assert "already" in ok(repo, "adopt")
    forge.path.rename(forge.folder / "renamed.git")
    repo.git("remote", "set-url", "origin", f"file://{forge.folder}/renamed.git")
    assert f"is now that of {forge.folder}/renamed" in ok(repo, "adopt")
    assert "moved" in ok(repo, "log")


def test_the_configuration_names_remote_and_branch(forge: Forge, repo: Repo, tmp_path: Path) -> None:
    shared = Forge(tmp_path, "shared")
    shared.ledger(shared.clone("s"), branch="audit/models").append(promotion(1, version="shared-v1"))
    repo.write("mlgate.yaml", MLGATE + f"ledger: {{remote: '{shared.url}', branch: audit/models}}\n")
    assert "shared-v1" in ok(repo, "log")
    repo.write("other.yaml", MLGATE.replace("visits", "other"))
    done = repo.mlgate("audit", "log", "--config", "mlgate.yaml\nother.yaml")
    assert (done.returncode, "more than one ledger" in done.stderr) == (2, True)
    repo.write("mlgate.yaml", MLGATE + "ledger: {remote: 'https://me:pass@example.org/x.git'}\n")
    done = repo.mlgate("audit", "log")
    assert (done.returncode, "holds a user or password" in done.stderr, "pass@" in done.stderr) == (2, True, False)


def test_in_a_job_the_heads_are_outputs(repo: Repo, tmp_path: Path) -> None:
    event, outputs = tmp_path / "event.json", tmp_path / "outputs"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
    outputs.touch()
    env = {**GITHUB, "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event), "GITHUB_OUTPUT": str(outputs)}
    env |= {"GITHUB_SHA": repo.head, "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
    ok(repo, "verify", **env)
    written = outputs.read_text()
    assert re.search(r"ledger-head<<\S+\nmlgate1\.\S+ mlgate1\.\S+\n", written)
    assert re.search(r"verdict<<\S+\npass\n", written)


def test_a_line_can_be_verified_by_hand(forge: Forge, repo: Repo) -> None:
    """As docs/audit.md says: jq and sha256sum."""
    path = segments(forge.files())[0]
    repo.git("fetch", "--quiet", "origin", BRANCH)
    script = f"git show FETCH_HEAD:{path} | tail -n 1 | jq --sort-keys --compact-output --join-output 'del(.hash)'"
    done = subprocess.run(
        ["bash", "-c", f"{script} | sha256sum"], cwd=repo.path, capture_output=True, text=True, check=True
    )
    last = json.loads(forge.files()[path].splitlines()[-1])
    assert done.stdout.split()[0] == last["hash"]
