"""A model in production: a repository with a profile, a ledger that knows what was deployed, and logs of each day.

Nothing is trained. A score is a function of the features, so that drift and truth are what a test says they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from builder import MLGATE, Repo
from mlgate.config.settings import Read
from mlgate.data import profiles, reading
from mlgate.data.profiles import Answers, Value
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import CHAINS, Record
from mlgate.ledger.kinds import TIME, Deployment, Entry
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote

DAY = timedelta(days=1)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
MONITOR: dict[str, Any] = {
    "logs": "logs/{date}.jsonl",
    "min_rows": 200,
    "drift": {"psi": 0.2, "nulls": "5%", "unseen": "5%", "prediction": {"psi": 0.2}},
}
SITES = ("north", "south", "east", "west")


def draw(rng: np.random.Generator, rows: int, *, older: float = 0.0) -> dict[str, list[Any]]:
    """Features of some rows; `older` moves the age, in years, and the score with it."""
    age = rng.normal(45 + older, 12, rows)
    income = rng.lognormal(10, 0.6, rows)
    score = 1 / (1 + np.exp(-(0.05 * (age - 45) + 0.4 * (np.log(income) - 10))))
    return {
        "age": age.round(2).tolist(),
        "income": income.round(2).tolist(),
        "site": rng.choice(SITES, rows, p=(0.4, 0.3, 0.2, 0.1)).tolist(),
        "score": score.round(6).tolist(),
    }


class Production:
    """`digest` is that of the model that is there since `FIRST`."""

    digest = "a" * 64

    def __init__(self, folder: Path, monitor: Mapping[str, Any] | None = None, **sections: Any) -> None:
        self.folder = folder
        self.repo = Repo(folder / "repo")
        self.bare = folder / "forge.git"
        self.settings: dict[str, Any] = {
            **yaml.safe_load(MLGATE), "monitor": dict(MONITOR if monitor is None else monitor), **sections
        }  # fmt: skip
        self.settings["evaluate"]["holdout"]["columns"] = {"id": "person", "label": "visited", "positive": 1}
        self.settings["evaluate"]["holdout"]["predictions"] = {
            "path": "eval/predictions.csv", "score": "p", "cut_off": 0.5
        }  # fmt: skip
        self.repo.model(config=None)
        self.repo.write("metrics/profile.json", self.profile())
        self.repo.write(".gitignore", "/logs/\n/truth/\n/.mlgate/\n")
        self.configure()
        self.repo.git("clone", "--quiet", "--bare", str(self.repo.path), str(self.bare))
        self.repo.git("remote", "add", "origin", f"file://{self.bare}")
        self.repo.git("fetch", "--quiet", "origin")
        self.deploy("v1.0.0", FIRST - 10 * DAY)

    def profile(self, rows: int = 5_000, *, model: str = "visits", digest: str = "") -> str:
        made = draw(np.random.default_rng(7), rows)
        data = self.folder / "reference.jsonl"
        names = list(made)
        data.write_text(
            "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in zip(*made.values(), strict=True))
        )
        con = reading.connect("")
        try:
            table = reading.open_table(con, [data], "reference.jsonl", Read())
            answers = Answers(
                table.relation,
                Value("prediction", "(score >= 0.5)::INTEGER", "INTEGER"),
                Value("score", "score", "DOUBLE"),
            )
            found = profiles.build(
                con, table, model=model, features=["age", "income", "site"], answers=answers,
                digest=digest or self.digest,
            )  # fmt: skip
        finally:
            con.close()
        return profiles.text(found)

    def configure(self, **sections: Any) -> str:
        self.settings |= sections
        self.repo.write("mlgate.yaml", yaml.safe_dump(self.settings, sort_keys=False))
        commit = self.repo.commit("Configure")
        if self.bare.exists():
            self.repo.git("push", "--quiet", "origin", "main")
        return commit

    # -- the ledger --------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        remote, by = Remote(f"file://{self.bare}"), Identity("mlgate", "mlgate@example.org")
        return Ledger(Git(self.repo.path), remote, spool=self.folder / "spool", by=by)

    def write(self, *entries: Entry) -> None:
        assert self.ledger.append(*entries).pushed

    def deploy(self, version: str, at: datetime, *, digest: str = "", environment: str = "production") -> None:
        self.write(Deployment(
            model="visits", environment=environment, state="complete", version=version, at=at.strftime(TIME),
            subject={"sha256": digest or self.digest}, commit=self.repo.head,
        ))  # fmt: skip

    def records(self, *kinds: str) -> list[Record]:
        return [one for one in self.ledger.records(CHAINS) if one.entry.kind in kinds]

    # -- what production logs ----------------------------------------------------------------------------------------

    def day(
        self,
        number: int,
        rows: int = 1_000,
        *,
        older: float = 0.0,
        edit: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda line: line,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """The log of a day after FIRST, evenly through it. `edit` changes lines, or leaves them out."""
        rng = np.random.default_rng((number + 1_000, seed))
        made, lines = draw(rng, rows, older=older), []
        for at in range(rows):
            moment = FIRST + number * DAY + at * DAY / rows
            score = made["score"][at]
            lines.append(edit({
                "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "request_id": f"r-{number}-{at}", "model": "visits", "version": "v1.0.0", "digest": self.digest,
                "commit": "", "environment": "production", "row": 0,
                "features": {name: made[name][at] for name in ("age", "income", "site")}, "hashed": {},
                "prediction": int(score >= 0.5), "score": score, "latency_ms": 4.0 + at % 7,
            }))  # fmt: skip
        kept = [line for line in lines if line is not None]
        self.write_log(number, kept)
        return kept

    def write_log(self, number: int, lines: Sequence[Mapping[str, Any] | str]) -> Path:
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        return self.repo.write(f"logs/{FIRST + number * DAY:%Y-%m-%d}.jsonl", text)

    def truth(self, lines: Sequence[Mapping[str, Any]], *, right: float = 1.0, name: str = "truth") -> None:
        """What turned out: drawn from the score, or with `right` below 1 for so many rows the other way round."""
        rng = np.random.default_rng(3)
        told = []
        for line in lines:
            label = int(rng.random() < line["score"])
            told.append({
                "request_id": line["request_id"], "visited": label if rng.random() < right else 1 - label,
            })  # fmt: skip
        self.repo.write(f"truth/{name}.jsonl", "".join(json.dumps(one) + "\n" for one in told))

    # -- what is run -------------------------------------------------------------------------------------------------

    def monitor(self, number: int, *options: str, code: int | None = None, **env: str) -> dict[str, Any]:
        """Of the window that is the day `number`; its evidence."""
        until = (FIRST + (number + 1) * DAY).strftime(TIME)
        done = self.repo.mlgate("monitor", "--until", until, *options, **env)
        self.said = done.stdout + done.stderr
        assert code is None or done.returncode == code, self.said
        self.code = done.returncode
        file = self.repo.path / ".mlgate/evidence/visits/monitor.json"
        assert file.exists(), self.said
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found


def checks(evidence: Mapping[str, Any], verdict: str = "") -> dict[str, str]:
    """Id -> verdict, or the ids of one verdict with their reason."""
    found = evidence["checks"]
    if not verdict:
        return {one["id"]: one["verdict"] for one in found}
    return {one["id"]: one["reason"] for one in found if one["verdict"] == verdict}


def alerts(evidence: Mapping[str, Any]) -> dict[str, str]:
    return {one["rule"]: one["state"] for one in evidence["watched"]["alerts"]}
