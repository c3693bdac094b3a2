"""Ways in which watching could be green without having looked, tell what is private, or run what nobody asked for."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forges.dispatch_forges import DispatchGitHub
from forges.git_host import GitHost
from forges.place import READERS, WRITERS, clean
from mlgate.commands import _watching, _watching_model
from mlgate.commands._run import Run
from mlgate.config.settings import Read
from mlgate.config.watching import Drift, Logs
from mlgate.data import drift, profiles, reading
from mlgate.data.profiles import Profile
from mlgate.errors import MlgateError
from mlgate.ledger.kinds import Reading
from mlgate.model import Controls
from mlgate.watch import controls, drifted
from mlgate.watch.logs import open_logs
from mlgate.watch.logs.nouns import Logged
from mlgate.watch.nouns import Section, Window
from monitoring.production import DAY, FIRST, MONITOR, Production, alerts, checks, draw
from watch.retrained import SINCE, UNTIL, Watching

Line = dict[str, Any]
WINDOW = Window(FIRST, FIRST + DAY)


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return Production(tmp_path)


# -- what a window holds ---------------------------------------------------------------------------------------------


def some(change: Callable[[Line], object], of: int = 7) -> Callable[[Line], Line]:
    """Change so many of ten lines."""

    def edit(line: Line) -> Line:
        if int(line["request_id"].rpartition("-")[2]) % 10 < of:
            change(line)
        return line

    return edit


@pytest.mark.parametrize(
    ("edit", "code", "said"),
    [
        (some(lambda line: line.update(prediction=None)), 1, "watch.drift.psi.prediction"),
        (some(lambda line: line["features"].update(age=float("nan"))), 1, "watch.drift.nulls.age"),
        (some(lambda line: line["features"].update(age=float("inf"))), 1, "watch.drift.psi.age"),
        (some(lambda line: line["features"].pop("age"), 10), 1, "watch.drift.psi.age"),
        (some(lambda line: line.update(prediction=1, score=0.9), 10), 1, "watch.drift.psi.prediction"),
        (some(lambda line: line.update(request_id="one")), 0, "watch.rows"),
        (some(lambda line: line.update(request_id=f"mlgate-{line['request_id']}")), 0, "watch.rows"),
        (some(lambda line: line.update(digest="b" * 64)), 0, "watch.rows"),
        (some(lambda line: line.update(time="2027-10-01T00:00:00Z"), 10), 3, "watch.rows"),
    ],
)
def test_what_is_odd_about_most_lines_is_no_pass(
    production: Production, edit: Callable[[Line], Line], code: int, said: str
) -> None:
    production.day(0, edit=edit)
    evidence = production.monitor(0, "--ledger", "false", code=code)
    assert evidence["verdict"] != "pass"
    assert checks(evidence)[said] != "pass"


def opened(root: Path, settings: Logs, **environ: str) -> Logged:
    con = reading.connect("")
    try:
        return open_logs(con, settings, WINDOW, root=root, environ=environ, model="visits", environment="production")
    finally:
        con.close()


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_linked_folder_is_not_left_out_without_a_word(tmp_path: Path, where: str) -> None:
    other = tmp_path / where / "more"
    (tmp_path / "inside/logs").mkdir(parents=True)
    other.mkdir(parents=True)
    (tmp_path / "inside/logs/a.jsonl").write_text("{}\n")
    (tmp_path / "inside/logs/more").symlink_to(other)
    with pytest.raises(MlgateError, match="more in it is a link to a folder"):
        opened(tmp_path / "inside", Logs(path=["logs/"]))


def test_a_pipe_among_logs_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs/a.jsonl")
    with pytest.raises(MlgateError, match=r"a\.jsonl in it is no file"):
        opened(tmp_path, Logs(path=["logs/"]))


def test_a_query_reads_and_does_nothing_else(tmp_path: Path) -> None:
    copied = f"COPY (SELECT 1) TO '{tmp_path}/made.csv'"
    trick = f"SELECT 1) ; {copied}; SELECT * FROM (SELECT 1 AS time"  # noqa: S608 -- what is tried
    with pytest.raises(MlgateError, match="is 3 statements"):
        opened(tmp_path, Logs(query=trick))
    assert not (tmp_path / "made.csv").exists()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:hush@hush@127.0.0.1:1/x",  # nobody encoded the @
        "postgresql://user:x/hush@127.0.0.1:1/x",
        "postgresql://user:hush@127.0.0.1:hush/x",
        "postgresql://user:hush@127.0.0.1:1/x?password=hush",
        "snowflake://user:hush@h/x",
        "hush",
    ],
)
def test_the_address_of_a_database_is_in_no_error(tmp_path: Path, address: str) -> None:
    with pytest.raises(MlgateError) as caught:
        opened(tmp_path, Logs(database="LOGS", query="SELECT 1 AS time"), LOGS=address)
    assert "hush" not in str(caught.value)


def test_quarantined_lines_are_not_for_git(production: Production) -> None:
    production.day(0)
    production.write_log(0, [*production.day(0), '{"name": "Jane'])
    production.repo.write(".gitignore", "/logs/\n")
    production.monitor(0, "--ledger", "false")
    assert list((production.repo.path / ".mlgate/quarantine").glob("*.jsonl"))
    assert ".mlgate" not in production.repo.git("status", "--porcelain", "--ignored=no")


def test_what_one_person_said_is_neither_in_evidence_nor_in_the_ledger(tmp_path: Path) -> None:
    fairness = {"by": ["site"], "min_rows": 50, "rules": {"disparate_impact_ratio": {"threshold": 0.5}}}
    production = Production(tmp_path, {**MONITOR, "data": {"contract": "live.yaml"}, "fairness": fairness})
    production.repo.write("live.yaml", "schema: 1\ncolumns:\n  site: {type: text, in: [north, south, east, west]}\n")
    production.configure()
    odd = some(lambda line: line["features"].update(site="Jane Doe"), 1)
    production.day(0, edit=lambda line: odd(line) if line["request_id"].endswith("-50") else line)
    evidence = production.monitor(0, code=1)
    assert checks(evidence)["watch.data.site.in"] == "fail"
    told = [one.entry.model_dump_json() for one in production.records("reading")]
    left = [file.read_text("utf-8") for file in (production.repo.path / ".mlgate").rglob("*") if file.is_file()]
    assert not [text for text in (*told, *left, production.said) if "Jane" in text]


# -- what is run, and whose it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x; touch made", "$(id)", "a\n::error::b", "../x", "a'b", "é", "a" * 101])
def test_what_is_no_name_of_an_environment_gets_nowhere(production: Production, name: str) -> None:
    run = Run.start("mlgate.yaml", str(production.repo.path), summary=False)
    config: Any = run.load("mlgate.yaml")
    with pytest.raises(MlgateError, match="is no name of an environment"):
        _watching_model.environment(config, name)


def test_the_environment_is_no_part_of_a_command(tmp_path: Path) -> None:
    production = Production(tmp_path, {**MONITOR, "metrics": {"one": {"run": "echo {environment} 2>&1 >/dev/null"}}})
    production.day(0)
    done = production.repo.mlgate("monitor", "--environment", f"x; touch {tmp_path}/made", "--ledger", "false")
    assert done.returncode == 2
    assert not (tmp_path / "made").exists()


def test_rules_that_cannot_tell_are_an_error(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "controls", lambda _: Controls(passed=4, total=5))
    monkeypatch.chdir(production.repo.path)
    production.day(0)
    run = Run.start("mlgate.yaml", str(production.repo.path), summary=False)
    assert _watching.every(run, _watching.Asked(until=f"{FIRST + DAY:%Y-%m-%d}", ledger=False)) == 2


# -- profiles --------------------------------------------------------------------------------------------------------


def profile_of(folder: Path, **columns: Any) -> Profile:
    pq.write_table(pa.table(columns), folder / "reference.parquet")
    con = reading.connect("")
    try:
        table = reading.open_table(con, [folder / "reference.parquet"], "reference.parquet", Read())
        return profiles.build(con, table, model="visits", features=list(columns))
    finally:
        con.close()


@pytest.mark.parametrize("rare", [[777_777.0], [777_777.0, -5.0], [7.0]])
def test_no_figure_tells_a_rare_value(tmp_path: Path, rare: list[float]) -> None:
    """Whoever knows how many rows there are, and the values that many share, could else reckon the one that is left."""
    common = [1.0] * 1_000 + [10.0] * 1_000
    made, other = ([*common, *some_] for some_ in (rare, [3.0] * len(rare)))
    one = json.loads(profiles.text(profile_of(tmp_path, x=made)))["columns"]["x"]
    two = json.loads(profiles.text(profile_of(tmp_path, x=other)))["columns"]["x"]
    assert (one["mean"], one["spread"]) == (two["mean"], two["spread"]) == pytest.approx((5.5, 4.5011), rel=1e-4)


def test_no_mean_tells_the_largest_income(tmp_path: Path) -> None:
    income = np.random.default_rng(3).lognormal(10, 0.5, 2_000).round(2)
    made = [profile_of(tmp_path, x=np.append(income, most)).columns["x"] for most in (5e8, 9e8)]
    assert made[0] == made[1]


def _age(**what: Any) -> Callable[[Line], object]:
    return lambda profile: profile["columns"]["age"].update(what)


@pytest.mark.parametrize(
    "change",
    [
        _age(error=1.5), _age(error=-1), _age(spread=-1), _age(least=10, most=1), _age(most=None), _age(outside=10**9),
        _age(infinite=10**9), lambda profile: profile.update(columns={}, prediction=None, score=None),
    ],
)  # fmt: skip
def test_a_profile_of_figures_that_no_values_have_is_none(made: Line, change: Callable[[Line], object]) -> None:
    change(found := copy.deepcopy(made))
    with pytest.raises(MlgateError, match="is no reference profile that can be used"):
        profiles.read(json.dumps(found), "profile.json", model="visits")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Line:
    values = draw(np.random.default_rng(7), 5_000)
    values["name"] = [f"person {number}" for number in range(5_000)]
    found: Line = json.loads(profiles.text(profile_of(tmp_path_factory.mktemp("profile"), **values)))
    return found


def held(folder: Path, profile: Line, settings: Drift) -> Section:
    """Against a day of people who are 15 years older."""
    now = draw(np.random.default_rng(5), 1_000, older=15.0)
    now["name"] = [f"somebody {number}" for number in range(1_000)]
    pq.write_table(pa.table(now), folder / "now.parquet")
    con = reading.connect("")
    try:
        found = profiles.read(json.dumps(profile), "profile.json")
        compared = drift.against(
            con, f"read_parquet('{folder}/now.parquet')", {name: f'"{name}"' for name in now}, found
        )
        return drifted.section(compared, settings, found, rows=1_000, min_rows=200)
    finally:
        con.close()


def _without_knots(profile: Line) -> None:
    for column in profile["columns"].values():
        for key in ("knots", "counts", "edges"):
            column.pop(key, None)
    profile["columns"] = {name: profile["columns"][name] for name in ("age", "income", "score")}


def _hidden(profile: Line) -> None:
    for name, column in profile["columns"].items():
        profile["columns"][name] = {"kind": "hidden", "of": "private", "rows": column["rows"], "missing": 0}


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (lambda _: None, {"psi": "0.2", "ignore": ["age", "income", "score", "site", "name"]}),
        (lambda _: None, {"psi": "0.2", "ignore": ["age", "income", "score", "site"]}),  # names: each one is rare
        (lambda _: None, {"cramers_v": "0.2", "ignore": ["site", "name"]}),
        (_hidden, {"psi": "0.2", "ks": "0.2"}),
        (_without_knots, {"psi": "0.2", "ks": "0.2", "js": "0.2"}),
    ],
)
def test_a_limit_for_nothing_is_no_pass(
    tmp_path: Path, made: Line, change: Callable[[Line], object], settings: Line
) -> None:
    change(profile := copy.deepcopy(made))
    limits = {name: Decimal(value) if isinstance(value, str) else value for name, value in settings.items()}
    section = held(tmp_path, profile, Drift(**limits))
    assert section.state == "unknown"
    assert not [one for one in section.checks if one.verdict == "pass"]


def test_a_profile_of_other_data_than_the_commits_is_said(production: Production) -> None:
    profile = json.loads(production.profile())
    profile["data"] = {"data/train.csv": f"sha256:{'d' * 64}"}
    production.repo.write("metrics/profile.json", json.dumps(profile))
    production.repo.commit("Forget to write it again")
    production.repo.git("push", "--quiet", "origin", "main")
    production.deploy("v1.1.0", FIRST - DAY / 2)
    production.day(0)
    evidence = production.monitor(0, "--ledger", "false", code=0)
    assert alerts(evidence) == {"drift": "quiet"}
    assert "was made of another data/train.csv" in checks(evidence, "warn")["watch.against"]


# -- successors ------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    clean(monkeypatch)
    with DispatchGitHub() as fake, GitHost(tmp_path / "host", write=WRITERS, read=READERS) as host:
        yield Watching(tmp_path, fake, host)


def reading_of(
    state: Any, window: str = f"{SINCE}/{UNTIL}", environment: str = "production", name: str = "drift"
) -> Reading:
    return Reading(
        monitor="rule", name=name, state=state, model="visits", environment=environment, window=window,
        reason="by the ledger",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("readings", "code", "said"),
    [
        ([reading_of("ok")], 2, "by the ledger's readings it does not"),
        ([reading_of("breached", environment="staging")], 2, "the ledger has no such reading"),
        (
            [reading_of("breached"), reading_of("ok", "2026-11-20T00:00:00Z/2026-11-21T00:00:00Z")], 0,
            "by the ledger it does not any more",
        ),
    ],
)  # fmt: skip
def test_evidence_that_the_ledger_does_not_bear_out_starts_nothing(
    place: Watching, readings: list[Reading], code: int, said: str
) -> None:
    place.write(*readings)
    place.seen(read=False)
    told = place.retrain()
    assert (told.code, told.outputs["start"]) == (code, "false"), told.text
    assert said in " ".join(told.text.split())
    assert place.triggers() == []


def test_what_was_measured_is_told_by_the_ledger_and_not_by_evidence(place: Watching) -> None:
    place.write(reading_of("breached"))
    place.seen(read=False, said="forged")
    assert place.retrain("--dispatch", "false").code == 0
    (entry,) = place.triggers()
    assert "by the ledger" in entry.values
    assert "forged" not in entry.values


def test_a_rule_that_asks_for_nothing_does_not_by_evidence(place: Watching) -> None:
    place.configure("", text="monitor: {metrics: {shift: {run: ./x}}, rules: {drift: {when: shift > 0.2}}}")
    place.seen()
    assert (place.retrain().outputs["start"], place.triggers()) == ("false", [])


def test_nobody_ends_a_retraining_of_another_model(place: Watching) -> None:
    place.seen()
    assert place.retrain("--dispatch", "false").code == 0
    (entry,) = place.triggers()
    place.configure("", "other/mlgate.yaml", "other")
    told = place.retrain("--config", "other/mlgate.yaml", "--finish", "proposed", "--trigger", entry.id)
    assert told.code == 2
    assert "is of visits, and --config names none of them" in " ".join(told.text.split())
    assert [one.outcome for one in place.triggers()] == ["started"]
