"""Findings from plain facts: no repository, no DVC, no network."""

from __future__ import annotations

import pytest

from mlgate.model import Verdict
from mlgate.repo import project_dvc
from mlgate.repo.credentials import redact
from mlgate.repo.dvc import MetricFile, Out
from mlgate.repo.project_dvc import Settings, Status, Trouble
from mlgate.setup import ground, storage
from mlgate.setup.finding import megabytes, some


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://ada:hunter2@example.org/x", "hunter2"),
        ("https://ghp_abc123@github.com/x.git", "ghp_abc123"),
        ("azure://c/p?sv=1&sig=abc%2Bdef&x=1", "abc%2Bdef"),
        ("AWS_SECRET_ACCESS_KEY=abc/def failed", "abc/def"),
        ("password: 'open sesame' wrong", "open sesame"),
        ("connection_string=DefaultEndpointsProtocol;AccountKey=zzz", "DefaultEndpointsProtocol"),
        ("ssh://ada:pw@host:22/path", "pw@"),
    ],
)
def test_no_secret_is_shown(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


def test_what_is_no_secret_stays() -> None:
    for text in (
        "s3://bucket/path",
        "/mnt/data@2026/x",
        "Could not connect to the endpoint URL: http://h:9000/b?list-type=2",
    ):
        assert redact(text) == text


def test_words() -> None:
    assert some(["a", "b"]) == "`a`, `b`"
    assert some(list("abcdefg")).endswith("and 2 more")
    assert [megabytes(n) for n in (12, 1500, 2_500_000, 3_000_000_000)] == ["12 bytes", "1.5 kB", "2.5 MB", "3.0 GB"]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("git version 2.30.0", Verdict.PASS),
        ("git version 2.39.5 (Apple Git-154)", Verdict.PASS),
        ("git version 3.0", Verdict.PASS),
        ("git version 2.9.5", Verdict.FAIL),
        ("git version 2.29.9", Verdict.FAIL),
        ("", Verdict.FAIL),
    ],
)
def test_versions_are_compared_as_numbers(said: str, verdict: Verdict) -> None:
    assert ground.tool("Git", said, (2, 30), fix="x").verdict is verdict


# -- commits and metrics -------------------------------------------------------------------------


def test_three_outcomes_for_the_champion() -> None:
    found = ground.base(ground.Base("a" * 40, "first parent", shallow=True, forge="github"))
    assert found.verdict is Verdict.PASS
    none_yet = ground.base(ground.Base(how="the first commit has nothing before it"))
    assert none_yet.verdict is Verdict.WARN
    gone = ground.base(ground.Base(said="'main' is not a commit of this clone.", shallow=True, forge="gitlab"))
    assert gone.verdict is Verdict.ERROR
    assert gone.fix == "variables:\n  GIT_DEPTH: 0"


@pytest.mark.parametrize(
    ("facts", "verdict", "fix"),
    [
        (ground.Metrics("m.json", False, False), Verdict.FAIL, "dvc repro"),
        (ground.Metrics("m.json", True, False, ignored_by=".gitignore"), Verdict.FAIL, "git add --force m.json"),
        (ground.Metrics("m.json", True, False), Verdict.FAIL, "git add m.json"),
        (ground.Metrics("m.json", True, True, said="m.json is empty."), Verdict.ERROR, ""),
        (ground.Metrics("m.json", True, True, values={"a": "x", "b": True, "c": float("nan")}), Verdict.WARN, ""),
        (ground.Metrics("m.json", True, True, values={"auc": 0.7}), Verdict.PASS, ""),
    ],
)
def test_metrics_files(facts: ground.Metrics, verdict: Verdict, fix: str) -> None:
    found = ground.metrics(facts)
    assert (found.verdict, found.id) == (verdict, "setup.metrics.m.json")
    assert fix in found.fix


def test_a_rule_without_a_value_is_found_before_the_gate_runs() -> None:
    files = [ground.Metrics("m.json", True, True, values={"auc": 0.7})]
    found = list(ground.rules(["auc", "roc"], files, file="mlgate.yaml", lines={"roc": 12}))
    assert [(c.id, c.verdict, c.location.line) for c in found if c.location] == [("setup.rules.roc", Verdict.FAIL, 12)]
    unread = [*files, ground.Metrics("n.json", True, True)]
    assert not list(ground.rules(["roc"], unread, file="mlgate.yaml", lines={}))


def test_every_metrics_path_of_dvc_yaml_is_tracked() -> None:
    """Published pipelines `git add` the .gitignore files and forget the metrics file itself."""
    kept, lost = MetricFile("m/a.json", False, "dvc.yaml"), MetricFile("m/b.json", True, "dvc.yaml")
    assert ground.dvc_metrics([], set(), set()) is None
    fine = ground.dvc_metrics([kept], {"m/a.json"}, set())
    assert fine
    assert fine.verdict is Verdict.PASS
    for own, verdict in ((set(), Verdict.WARN), ({"m/b.json"}, Verdict.FAIL)):
        found = ground.dvc_metrics([kept, lost], {"m/a.json"}, own)
        assert found
        assert found.verdict is verdict
        assert "cache: false" in found.fix
        assert "git add --force m/b.json" in found.fix


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (ground.Pointed("models/m", "artifact", out=Out("models/m", "abc", 3, "train", "dvc.lock")), Verdict.PASS),
        (ground.Pointed("data/d/x.csv", "data", in_folder=True), Verdict.PASS),
        (ground.Pointed("m.joblib", "artifact", in_git=True), Verdict.PASS),
        (ground.Pointed("models/m", "artifact", out=Out("models/m", "", None, "train", "dvc.lock")), Verdict.FAIL),
        (ground.Pointed("models/m", "artifact", exists=True), Verdict.FAIL),
        (ground.Pointed("models/m", "artifact"), Verdict.FAIL),
    ],
)
def test_pointers_are_locks_and_dvc_files(facts: ground.Pointed, verdict: Verdict) -> None:
    assert ground.pointer(facts).verdict is verdict


def test_outputs_committed_raw() -> None:
    outs = [Out("models/m", "a.dir"), Out("data/x.csv", "b"), Out("m.json", "c")]
    assert ground.raw_outputs([outs[2]], {"m.json"}, {"m.json"}) is None
    fine = ground.raw_outputs(outs, {"m.json"}, {"m.json", "models/.gitignore"})
    assert fine
    # models/m is a folder below which nothing is tracked: models/.gitignore is not in it
    assert fine.verdict is Verdict.PASS
    both = ground.raw_outputs(outs, {"m.json"}, {"m.json", "models/m/a.bin", "data/x.csv"})
    assert both
    assert both.verdict is Verdict.WARN
    assert both.fix == "git rm -r --cached models/m data/x.csv"


def test_uncached_outputs_belong_to_git() -> None:
    stage = {"outs": ["a", {"b": {"cache": False}}], "metrics": [{"m.json": {"cache": False}}], "plots": ["p"]}
    assert ground.uncached([("sub", stage), ("", {"outs": None})]) == {"sub/b", "sub/m.json"}


def test_owners() -> None:
    bare = ground.owned(ground.Owned("github", ""))
    assert bare.verdict is Verdict.WARN
    some_bare = ground.owned(ground.Owned("github", "CODEOWNERS", {"mlgate.yaml": [], "x": ["@a"]}))
    assert some_bare.verdict is Verdict.WARN
    assert "/mlgate.yaml @your-team" in some_bare.fix
    owners = {"mlgate.yaml": ["@a"]}
    assert ground.owned(ground.Owned("github", "CODEOWNERS", owners, enforced=False)).verdict is Verdict.WARN
    assert ground.owned(ground.Owned("github", "CODEOWNERS", owners, enforced=None)).verdict is Verdict.PASS


# -- DVC -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stderr", "trouble"),
    [
        (255, "ERROR: unexpected error - Unable to locate credentials\n", Trouble.NO_CREDENTIALS),
        (255, "ERROR: HTTP 'basic' authentication require both 'user' and 'password'", Trouble.NO_CREDENTIALS),
        (255, "ERROR: unexpected error - Forbidden: An error occurred (403)", Trouble.REFUSED),
        (255, "ERROR: unexpected error - An error occurred (AccessDenied)", Trouble.REFUSED),
        (255, "ERROR: unexpected error - gs is supported, but requires 'dvc-gs' to be installed", Trouble.PLUGIN),
        (254, "ERROR: unrecognized arguments: --not-in-remote", Trouble.OLD),
        (253, "ERROR: you are not inside of a DVC repository", Trouble.CONFIG),
        (251, "ERROR: configuration error - config file error: remote 'nope' doesn't exist", Trouble.CONFIG),
        (255, "'./dvc.lock' is invalid.\n", Trouble.CONFIG),
        (255, 'ERROR: unexpected error - Could not connect to the endpoint URL: "http://127.0.0.1:1/b"', Trouble.DOWN),
    ],
)
def test_dvcs_errors_mean_different_things(code: int, stderr: str, trouble: Trouble) -> None:
    assert project_dvc.classify(code, stderr) is trouble


REMOTE = Settings(name="storage", url="s3://bucket/path", names=("storage",))


@pytest.mark.parametrize(
    ("settings", "there", "verdict"),
    [
        (Settings(), True, Verdict.WARN),
        (Settings(names=("a",)), True, Verdict.FAIL),
        (Settings(name="a"), True, Verdict.FAIL),
        (REMOTE, True, Verdict.PASS),
    ],
)
def test_remotes(settings: Settings, there: bool, verdict: Verdict) -> None:
    assert storage.remote(settings, folder_exists=there).verdict is verdict


def pushed(status: Status, **more: object) -> tuple[Verdict, str, str]:
    facts = storage.Pushed(status, REMOTE, needed=["models/m"], pointers=3, **more)  # type: ignore[arg-type]
    check, unread = storage.pushed(facts)
    return check.verdict, check.fix, unread


def test_what_is_not_pushed_fails_only_where_the_gate_needs_it() -> None:
    assert pushed(Status())[0] is Verdict.PASS
    assert pushed(Status(not_in_remote=("models/m/weights.bin",)))[:2] == (Verdict.FAIL, "dvc push --remote storage")
    assert pushed(Status(not_in_remote=("other",)))[0] is Verdict.WARN


@pytest.mark.parametrize(
    ("trouble", "verdict"),
    [
        (Trouble.NO_CREDENTIALS, Verdict.WARN),
        (Trouble.REFUSED, Verdict.ERROR),
        (Trouble.PLUGIN, Verdict.ERROR),
        (Trouble.OLD, Verdict.WARN),
        (Trouble.CONFIG, Verdict.ERROR),
        (Trouble.DOWN, Verdict.ERROR),
    ],
)
def test_every_trouble_is_listed_as_not_run(trouble: Trouble, verdict: Verdict) -> None:
    found, _, unread = pushed(Status(trouble=trouble, said="it said so"))
    assert found is verdict
    assert "it said so" in unread


def test_the_policy_decides_without_credentials() -> None:
    status = Status(trouble=Trouble.NO_CREDENTIALS, said="x")
    assert pushed(status, no_credentials=Verdict.INCONCLUSIVE)[0] is Verdict.INCONCLUSIVE
    # A fork's token is refused where the project's own would not be.
    assert pushed(Status(trouble=Trouble.REFUSED), from_fork=True)[0] is Verdict.WARN


def test_bytes_are_counted_once_per_content_and_only_where_the_cache_lacks_them() -> None:
    outs = [Out("a", "1", 10), Out("copy/of/a", "1", 10), Out("d", "2.dir", 100), Out("e", "3", None), Out("f", "", 7)]
    assert storage.need(outs, None) == storage.Need(110, 3, 1)
    assert storage.need(outs, ("d/one", "e")) == storage.Need(100, 2, 1)
    assert storage.need(outs, ()) == storage.Need(0, 0, 0)


def test_disk() -> None:
    need, whole = storage.Need(40, 1), storage.Need(100, 2, 1)
    assert storage.disk(need, whole, 200, copies=2).verdict is Verdict.PASS
    assert storage.disk(need, whole, 199, copies=2).verdict is Verdict.WARN
    assert storage.disk(need, whole, 79, copies=2).verdict is Verdict.FAIL
    assert storage.disk(need, whole, 79, copies=1).verdict is Verdict.WARN
    assert "at least" in storage.disk(need, whole, 200, copies=2).reason
