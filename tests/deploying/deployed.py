"""A repository whose models were decided about, built and pushed to a real registry, and a platform behind commands.

Releases are called "one", "two", ...: each is a commit of main, with an image whose labels say what is in it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from builder import MLGATE, Repo, md5
from mlgate.commands import _authority, _release
from mlgate.commands._release import Chosen
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.judge import record
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import TIME, Deployment, Entry, Registration, Rollback
from mlgate.model import Champion, Check, Evidence, Named, Verdict
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from mlgate.rollout.nouns import slot
from mlgate.signing import statement
from signing import parts

BEGAN = datetime(2026, 10, 1, 12, tzinfo=UTC)
INPUTS = "d" * 64
# Better by a little each time: each would pass against the one before.
METRICS = {"one": (0.72, 0.58), "two": (0.74, 0.56), "three": (0.76, 0.54), "worse": (0.71, 0.60)}
PLATFORM = '''\
"""What a user's commands do: slots in a file. A file `refuses` names slots that never get ready, or crash."""
import fcntl, json, os, pathlib, sys
folder, verb = pathlib.Path(sys.argv[1]), sys.argv[2]
file, said = folder / "slots.json", folder / "calls"
lock = open(folder / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
slots = json.loads(file.read_text()) if file.exists() else {}
faults = json.loads((folder / "faults.json").read_text()) if (folder / "faults.json").exists() else {}
name = os.environ.get("MLGATE_SLOT", "")
with said.open("a") as out:
    out.write(f"{verb} {name or os.environ.get('MLGATE_WEIGHTS', '')}\\n")
if verb == "start":
    new = {"slot": name, "image": os.environ["MLGATE_IMAGE"], "ready": 1, "replicas": 1, "weight": 0.0}
    new["url"] = "http://127.0.0.1:9"
    slots.setdefault(name, new)
elif verb == "ready":
    fault = faults.get(name)
    if fault:
        print(f"{name} says {fault}", file=sys.stderr)
    sys.exit({None: 0, "never": 75, "crash": 1}[fault] if name in slots else 75)
elif verb == "weigh":
    if faults.get("router"):
        sys.exit("the router is down")
    for one, weight in json.loads(os.environ["MLGATE_WEIGHTS"]).items():
        if one in slots:
            slots[one]["weight"] = 50.0 if faults.get("sticks") == one else weight
elif verb == "stop":
    slots.pop(name, None)
elif verb == "status":
    print(json.dumps(list(slots.values())))
new = folder / "new.json"
new.write_text(json.dumps(slots))
new.replace(file)
'''


def at(days: float) -> str:
    return (BEGAN + timedelta(days=days)).strftime(TIME)


class Project:
    """One model, its ledger beside it, and `staging` and `production` on one platform each."""

    def __init__(self, folder: Path, registry: str, **deploy: Any) -> None:
        self.folder = folder
        self.registry = registry
        self.repository = f"visits-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
        self.repo = Repo(folder / "the repo ü")
        self.bare = folder / "forge.git"
        self.state = folder / "state"
        self.settings: dict[str, Any] = {**yaml.safe_load(MLGATE), "deploy": {
            "trust": "branch",
            "environments": {name: {"target": self.platform(name), "strategy": "replace"}
                             for name in ("staging", "production")},
            **deploy,
        }}  # fmt: skip
        self.commits: dict[str, str] = {}
        self.decided: dict[str, record.Statement] = {}
        self.images: dict[str, statement.Statement] = {}
        self.train("one")
        self.repo.git("clone", "--quiet", "--bare", str(self.repo.path), str(self.bare))
        self.repo.git("remote", "add", "origin", f"file://{self.bare}")
        self.repo.git("fetch", "--quiet", "origin")
        self._ledger = 0

    # -- what there is -----------------------------------------------------------------------------------------------

    def platform(self, name: str) -> dict[str, Any]:
        place = self.folder / f"platform {name}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "platform.py").write_text(textwrap.dedent(PLATFORM), "utf-8")
        run = f"{sys.executable} '{place}/platform.py' '{place}'"
        return {"kind": "command", "commands": {
            verb: f"{run} {verb}" for verb in ("start", "ready", "weigh", "stop", "status")
        }}  # fmt: skip

    def slots(self, environment: str = "production") -> dict[str, float]:
        """Seed -> percent, of what runs."""
        file = self.folder / f"platform {environment}/slots.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        named = {slot("visits", made.image): seed for seed, made in self.images.items()}
        return {named.get(name, name): one["weight"] for name, one in found.items()}

    def runs(self, weights: Mapping[str, float], environment: str = "production") -> None:
        """Lets these releases run, as if they had been deployed."""
        found = {
            self.slot(seed): {
                "slot": self.slot(seed), "image": self.images[seed].reference, "ready": 1, "replicas": 1,
                "weight": float(weight), "url": "http://127.0.0.1:9",
            }
            for seed, weight in weights.items()
        }  # fmt: skip
        (self.folder / f"platform {environment}/slots.json").write_text(json.dumps(found))

    def faulty(self, environment: str = "production", **faults: str) -> None:
        (self.folder / f"platform {environment}/faults.json").write_text(json.dumps(faults))

    def calls(self, environment: str = "production") -> list[str]:
        file = self.folder / f"platform {environment}/calls"
        return file.read_text().splitlines() if file.exists() else []

    def slot(self, seed: str) -> str:
        return slot("visits", self.images[seed].image)

    def digests(self, seed: str) -> dict[str, str]:
        return {"sha256": hashlib.sha256(seed.encode()).hexdigest(), "dvc-md5": md5(f"model {seed}".encode())}

    # -- what is done ------------------------------------------------------------------------------------------------

    def configure(self, **sections: Any) -> str:
        """Another mlgate.yaml, committed and pushed."""
        self.settings |= sections
        self.repo.write("mlgate.yaml", yaml.safe_dump(self.settings, sort_keys=False))
        commit = self.repo.commit("Configure")
        self.repo.git("push", "--quiet", "origin", "main")
        return commit

    def train(self, seed: str) -> str:
        """A commit of main with another model."""
        auc, loss = METRICS.get(seed, METRICS["one"])
        config = yaml.safe_dump(self.settings, sort_keys=False)
        self.repo.model({"auc": auc, "log_loss": loss}, seed=seed, config=config)
        self.commits[seed] = self.repo.commit(f"Train {seed}")
        if self.bare.exists():
            self.repo.git("push", "--quiet", "origin", "main")
        return self.commits[seed]

    def who(self, seed: str) -> dict[str, str]:
        return {"actor": "ada", "commit": self.commits[seed], "run_url": "https://forge.test/run/1"}

    def decide(self, seed: str, *, against: str = "") -> Entry:
        champion = None
        if against:
            subject = Named(name="models/visits.joblib", digest=self.digests(against))
            champion = Champion(commit=self.commits[against], subject=subject)
        evidence = Evidence(
            kind="compare", model="visits", verdict=Verdict.PASS, champion=champion, statistics="paired",
            subject=Named(name="models/visits.joblib", digest={"dvc-md5": self.digests(seed)["dvc-md5"]}),
            checks=[Check(id="rules.auc.threshold", title="auc", verdict=Verdict.PASS, observed=0.72)],
        )  # fmt: skip
        facts = record.Facts(
            commit=self.commits[seed], default_branch=True, sha256=self.digests(seed)["sha256"],
            rules=Named(name="mlgate.yaml", digest={record.RULES: "c" * 64}),
        )  # fmt: skip
        self.decided[seed] = record.state(evidence, facts)
        return record.entry(self.decided[seed], self.who(seed))

    def stated(self, seed: str, image: str, **more: Any) -> statement.Statement:
        evidence = Evidence(
            kind="build-image", model="visits", verdict=Verdict.PASS,
            checks=[Check(id="image.smoke", title="answers", verdict=Verdict.PASS, group="image")],
        )  # fmt: skip
        facts = {
            "name": f"{self.registry}/{self.repository}", "image": image, "commit": self.commits[seed],
            "subject": Named(name="models/visits.joblib", digest=self.digests(seed)),
            "decision": self.decided[seed].digest, "inputs": INPUTS, **more,
        }  # fmt: skip
        return statement.state(evidence, statement.Facts(**facts))

    def labels(self, seed: str) -> dict[str, str]:
        return {
            "io.mlgate.model": "visits", "io.mlgate.decision": self.decided[seed].digest, "io.mlgate.inputs": INPUTS,
            "org.opencontainers.image.revision": self.commits[seed],
            "io.mlgate.model-digest": f"sha256:{self.digests(seed)['sha256']}",
        }  # fmt: skip

    def build(self, seed: str, **labels: str) -> Entry:
        """The image in the registry, and the ledger's entry of its statement."""
        digest = parts.push(self.registry, self.repository, {**self.labels(seed), **labels})
        self.images[seed] = self.stated(seed, digest)
        return statement.entry(self.images[seed], self.who(seed))

    def register(self, seed: str, version: str, **more: Any) -> Entry:
        image = {"sha256": self.images[seed].image.removeprefix("sha256:")} if seed in self.images else {}
        return Registration(
            **{**self.who(seed), "model": "visits", "name": "visits", "version": version, "image": image,
               "subject": self.digests(seed), "decision": self.decided[seed].digest, **more}
        )  # fmt: skip

    def deployed(self, seed: str, version: str = "", *, environment: str = "production", day: float = 0,
                 state: str = "complete", **more: Any) -> Entry:  # fmt: skip
        image = {"sha256": self.images[seed].image.removeprefix("sha256:")}
        return Deployment(
            **{**self.who(seed), "at": at(day), "model": "visits", "environment": environment, "version": version,
               "subject": self.digests(seed), "image": image, "state": state, **more}
        )  # fmt: skip

    def rolled_back(self, seed: str, instead_of: str, *, environment: str = "production", day: float = 0) -> Entry:
        return Rollback(
            **self.who(seed), at=at(day), model="visits", environment=environment, subject=self.digests(seed),
            instead_of=self.digests(instead_of), reason="it was worse",
        )  # fmt: skip

    def ledger(self) -> Ledger:
        self._ledger += 1
        by = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")
        spool = self.folder / f"spool-{self._ledger}"
        return Ledger(Git(self.repo.path), Remote(f"file://{self.bare}"), spool=spool, by=by)

    def write(self, *entries: Entry) -> None:
        assert self.ledger().append(*entries).pushed

    def entries(self, *kinds: str) -> list[Any]:
        found: Sequence[Record] = self.ledger().records()
        return [each.entry for each in found if each.entry.kind in kinds]

    def release(self, seed: str, version: str, *, against: str = "") -> None:
        """A model that passed: trained, decided, built and registered."""
        self.write(*self.released(seed, version, against=against))

    def released(self, seed: str, version: str, *, against: str = "") -> list[Entry]:
        """The entries of that."""
        if seed not in self.commits:
            self.train(seed)
        return [self.decide(seed, against=against), self.build(seed), self.register(seed, version)]

    def two(self) -> None:
        """Two releases; the first one is in both environments, the second one in staging."""
        self.write(*self._two())

    def _two(self) -> list[Entry]:
        return [
            *self.released("one", "v1.0.0"),
            self.deployed("one", "v1.0.0", environment="staging", day=1),
            self.deployed("one", "v1.0.0", day=2),
            *self.released("two", "v1.1.0", against="one"),
            self.deployed("two", "v1.1.0", environment="staging", day=3),
        ]

    def three(self) -> None:
        """Three releases that were in production one after the other; two of them still run there."""
        self.write(
            *self._two(),
            self.deployed("two", "v1.1.0", day=4),
            *self.released("three", "v1.2.0", against="two"),
            self.deployed("three", "v1.2.0", environment="staging", day=5),
            self.deployed("three", "v1.2.0", day=6),
        )
        self.runs({"two": 0, "three": 100})

    def forgotten(self, seed: str) -> None:
        """The registry loses an image."""
        name, digest = self.images[seed].reference.removeprefix(f"{self.registry}/").split("@")
        requests.delete(f"http://{self.registry}/v2/{name}/manifests/{digest}", timeout=10).raise_for_status()

    # -- asking ------------------------------------------------------------------------------------------------------

    def run(self) -> Run:
        return Run.start("mlgate.yaml", str(self.repo.path))

    def config(self, run: Run) -> Config:
        loaded = run.load("mlgate.yaml")
        assert isinstance(loaded, Config), loaded
        return loaded

    def find(self, **how: Any) -> Chosen:
        run = self.run()
        return _release.find(run, self.config(run), **how)

    def checks(self, environment: str = "production", *, config: Config | None = None, find: Any = None,
               **how: Any) -> dict[str, Check]:  # fmt: skip
        """By id, of the release that is found."""
        run = self.run()
        own = config or self.config(run)
        chosen = _release.find(run, own, **(find or {}))
        return {check.id: check for check in _authority.checks(run, own, environment, chosen, **how)}

    def mlgate(self, *args: str, code: int = 0, **env: str) -> str:
        done = self.repo.mlgate(*args, MLGATE_STATE=str(self.state), **env)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def rollback(self, *args: str, code: int = 0, environment: str = "production", **env: str) -> str:
        return self.mlgate("rollback", "--environment", environment, "--reason", "it was slow", *args, code=code, **env)

    def verdicts(self, verb: str = "rollback") -> dict[str, str]:
        """Check -> verdict, of the evidence that the last run left."""
        return {one["id"]: one["verdict"] for one in self.repo.evidence("visits", verb)["checks"]}
