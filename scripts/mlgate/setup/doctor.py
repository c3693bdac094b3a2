"""What doctor gathers, and in which order it says what it found. Findings are made of these facts elsewhere."""

from __future__ import annotations

import os
import platform
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.forges import Forge, ForgeError
from mlgate.model import Check, Evidence, Verdict, worst
from mlgate.repo import champion, project_dvc
from mlgate.repo import metrics as metrics_files
from mlgate.repo.credentials import redact
from mlgate.repo.dvc import Out, Pipeline
from mlgate.repo.git import Git, Snapshot
from mlgate.repo.project_dvc import Dvc, Settings, Status, Trouble
from mlgate.setup import (
    codeowners,
    finding,
    github_workflows,
    gitlab_pipeline,
    ground,
    profiled,
    retraining,
    storage,
)

KIND = "doctor"


@dataclass
class Found:
    """Checks and what could not be looked at."""

    checks: list[Check] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    def add(self, *checks: Check | None) -> None:
        self.checks += [check for check in checks if check]

    def skip(self, sentence: str) -> None:
        if sentence and sentence not in self.not_run:
            self.not_run.append(sentence)

    def __add__(self, other: Found) -> Found:
        return Found([*self.checks, *other.checks], list(dict.fromkeys([*self.not_run, *other.not_run])))


@dataclass(eq=False)
class Doctor:
    """One look at one repository. `files`: the commit under judgement, or the working tree in a terminal."""

    git: Git
    forge: Forge
    files: Snapshot
    environ: Mapping[str, str]
    python: str = ""
    ask_remote: bool = True
    _bases: dict[str, Check] = field(default_factory=dict)
    _anchors: dict[str, Check] = field(default_factory=dict)
    _dvcs: dict[str, Dvc | str] = field(default_factory=dict)
    _settings: dict[tuple[Dvc, str], Settings] = field(default_factory=dict)
    _status: dict[tuple[Dvc, str], Status] = field(default_factory=dict)

    def evidence(self, configs: Sequence[Config], broken: Sequence[Evidence], missing: str = "") -> list[Evidence]:
        """One evidence per model, with what concerns the whole repository in it where there is one model only.

        `broken` are the models whose configuration cannot be loaded; `missing` says why there is no configuration.
        """
        own = [(config, self._model(config)) for config in configs]
        whole = self._repository(configs, missing)
        if len(own) == 1 and not broken:
            return [_evidence(own[0][0], whole + own[0][1])]
        name = "repository"
        while name in {c.model for c in configs} | {e.model for e in broken}:
            name += "-"
        strict = not configs or any(config.mode == "enforce" for config in configs)
        shared = _judged(
            Evidence(kind=KIND, model=name, verdict=Verdict.PASS, mode="enforce" if strict else "report"), whole
        )
        return [shared, *broken, *(_evidence(config, found) for config, found in own)]

    # -- the repository ------------------------------------------------------------------------------------------------

    def _repository(self, configs: Sequence[Config], missing: str) -> Found:
        found = Found()
        found.add(
            ground.tool(
                "Git", self._git_version(), ground.GIT_NEEDED, fix="apt-get install git   # or your system's way"
            ),
            ground.tool("Python", platform.python_version(), (3, 11), fix="uv python install 3.13"),
        )
        if missing:
            reason = f"{missing} Without it there is nothing to judge by."
            found.add(finding.finding("config", "mlgate.yaml", Verdict.ERROR, reason, fix="mlgate init"))
        self._metric_files(found, configs)
        self._outputs(found)
        return found + self._for_whom(self._forge(configs), configs)

    def _git_version(self) -> str:
        return self.git.try_run("--version").stdout.decode(errors="replace")

    def _metric_files(self, found: Found, configs: Sequence[Config]) -> None:
        own = {config.path(p) for config in configs for s in config.evaluate.values() for p in s.metrics}
        try:
            found.add(ground.dvc_metrics(self.pipeline.metric_files, self.tracked, own))
        except MlgateError as error:
            found.add(_unreadable(error))

    def _outputs(self, found: Found) -> None:
        try:
            pairs = [(s.folder, s.defined or {}) for s in self.pipeline.stages]
            found.add(ground.raw_outputs(self.pipeline.outs.values(), ground.uncached(pairs), self.tracked))
        except MlgateError:
            return  # said by _metric_files, which reads the same files

    @cached_property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.files)

    @cached_property
    def tracked(self) -> frozenset[str]:
        return frozenset(self.git.listed(["**"], untracked=False))

    @cached_property
    def tracked_folders(self) -> frozenset[str]:
        return frozenset(ground.folders(self.tracked))

    # -- one model -----------------------------------------------------------------------------------------------------

    def _model(self, config: Config) -> Found:
        found = Found()
        found.add(finding.finding("config", config.file, Verdict.PASS, f"mode: {config.mode}."))
        self._commits(found, config)
        files = [self._metrics(config.path(p)) for s in config.evaluate.values() for p in s.metrics]
        found.add(*map(ground.metrics, files))
        lines = {key: config.line(f"compare.rules.{key}") for key in config.compare.rules}
        found.add(*ground.rules(config.compare.rules, files, file=config.file, lines=lines))
        try:
            found.add(*(ground.pointer(p) for p in self._pointed(config)))
            found.add(profiled.check(config, self.pipeline, self.files.read))
            self._storage(found, config)
        except MlgateError as error:
            found.add(_unreadable(error))
        return found

    def _commits(self, found: Found, config: Config) -> None:
        found.add(self._base(config.compare.champion))
        if config.compare.anchor:
            found.add(self._anchor(config.compare.anchor))

    def _base(self, spec: str) -> Check:
        """Many models have the same champion: it is looked for once."""
        if spec not in self._bases:
            forge = self.forge.name if self.forge.name in ground.FULL_HISTORY else "none"
            try:
                # What a ledger or a registry has is asked when it counts: here, whether there is a base at all.
                asked = champion.AUTO if spec.startswith(champion.ELSEWHERE) else spec
                chosen = champion.find(self.git, self.forge.event, asked).champion
                facts = ground.Base(chosen.commit, chosen.how, shallow=self.git.shallow, forge=forge)
            except MlgateError as error:
                facts = ground.Base(said=redact(str(error)), shallow=self.git.shallow, forge=forge)
            self._bases[spec] = ground.base(facts)
        return self._bases[spec]

    def _anchor(self, ref: str) -> Check:
        if ref not in self._anchors:
            forge = self.forge.name if self.forge.name in ground.FULL_HISTORY else "none"
            said = ""
            try:
                self.git.ensure(ref)
            except MlgateError as error:
                said = redact(str(error))
            self._anchors[ref] = ground.anchor(ref, said, shallow=self.git.shallow, forge=forge)
        return self._anchors[ref]

    def _metrics(self, path: str) -> ground.Metrics:
        tracked = path in self.tracked
        exists = path in self.files.files or (self.git.root / path).is_file()
        if not exists or not tracked:
            hidden = self.git.try_run("check-ignore", "-v", "--", path).stdout.decode(errors="replace")
            return ground.Metrics(path, exists, tracked, ignored_by=hidden.split(":", 1)[0])
        try:
            data = self.files.read(path)
            return ground.Metrics(path, True, True, values=metrics_files.parse(data or b"", path))
        except MlgateError as error:
            return ground.Metrics(path, True, True, said=str(error))

    def _pointed(self, config: Config) -> list[ground.Pointed]:
        named = [(config.artifact, "artifact")]
        for one in config.evaluate.values():
            named += [(one.data, "evaluation data"), (one.predictions.path if one.predictions else None, "predictions")]
        named += [(data.path, "data") for data in config.data]
        roles = {config.path(path): role for path, role in reversed(named) if path}
        return [self._one_pointed(path, role) for path, role in reversed(roles.items())]

    def _one_pointed(self, path: str, role: str) -> ground.Pointed:
        above = {path.rsplit("/", i)[0] for i in range(1, path.count("/") + 1)}
        return ground.Pointed(
            path,
            role,
            out=self.pipeline.outs.get(path),
            in_folder=any(folder in self.pipeline.outs for folder in above),
            in_git=path in self.tracked or path in self.tracked_folders,
            exists=(self.git.root / path).exists(),
        )

    # -- DVC, its remote, the disk -------------------------------------------------------------------------------------

    def _storage(self, found: Found, config: Config) -> None:
        outs = self.pipeline.outs
        home = project_dvc.folder_of(self.git.root, config.folder)
        if home is None or not outs:
            return
        cached = self._cached_outs(home)
        dvc = self._dvc(self.python or config.interpreter)
        if isinstance(dvc, str):
            found.add(storage.absent(dvc, self._shown_forge))
            found.skip("The DVC remote: there is no DVC to ask it with.")
            self._disk(found, config, cached, None, Settings())
            return
        found.add(ground.tool("DVC", dvc.version, ground.DVC_NEEDED, fix=f'{dvc.python} -m pip install "dvc>=3.60"'))
        if not cached:
            return
        settings = self._settings_of(dvc, home)
        there = settings.folder is None or settings.folder.is_dir()
        remote = storage.remote(settings, folder_exists=there)
        found.add(remote)
        usable = remote.verdict is Verdict.PASS
        status = self._status_of(dvc, home, ask=usable and self.ask_remote)
        if not self.ask_remote:
            found.skip("What the DVC remote holds: it was not asked (`remote` is false).")
        elif usable:
            self._pushed(found, config, dvc, settings=settings, status=status, pointers=len(cached))
        if status.trouble and not (usable and self.ask_remote):
            found.skip(f"What DVC's cache holds: {status.said}.")
        self._disk(found, config, cached, None if status.trouble else status.not_in_cache, settings)

    def _cached_outs(self, home: str) -> list[Out]:
        pairs = [(s.folder, s.defined or {}) for s in self.pipeline.stages]
        in_git = ground.uncached(pairs)
        return [
            out
            for out in self.pipeline.outs.values()
            if out.path not in in_git and "://" not in out.path and (not home or out.path.startswith(f"{home}/"))
        ]

    def _pushed(
        self, found: Found, config: Config, dvc: Dvc, *, settings: Settings, status: Status, pointers: int
    ) -> None:
        policy = config.compare.policy.no_credentials
        check, unread = storage.pushed(
            storage.Pushed(
                status=status,
                remote=settings,
                needed=[p.path for p in self._pointed(config)],
                pointers=pointers,
                forge=self._shown_forge,
                python=dvc.python,
                from_fork=self.forge.event.from_fork,
                no_credentials=Verdict(policy),
            )
        )
        found.add(check)
        found.skip(unread)

    def _disk(
        self, found: Found, config: Config, cached: list[Out], lacking: Sequence[str] | None, settings: Settings
    ) -> None:
        needed = [p.path for p in self._pointed(config)]
        mine = [out for out in cached if any(n == out.path or n.startswith(f"{out.path}/") for n in needed)]
        places = [self.git.root, *([settings.cache] if settings.cache and settings.cache.is_dir() else [])]
        free = min(shutil.disk_usage(place).free for place in places)
        copies = 1 if settings.links else 2
        found.add(storage.disk(storage.need(mine, lacking), storage.need(cached, lacking), free, copies=copies))

    def _dvc(self, wanted: str) -> Dvc | str:
        if wanted not in self._dvcs:
            self._dvcs[wanted] = project_dvc.find(wanted, self.git.root, self.environ)
        return self._dvcs[wanted]

    def _settings_of(self, dvc: Dvc, home: str) -> Settings:
        key = (dvc, home)
        if key not in self._settings:
            self._settings[key] = project_dvc.settings(dvc, self.git.root / home, self.environ)
        return self._settings[key]

    def _status_of(self, dvc: Dvc, home: str, *, ask: bool) -> Status:
        key = (dvc, home)
        if key not in self._status:
            folder = self.git.root / home
            found = project_dvc.status(dvc, folder, home, self.environ, ask_remote=ask)
            url = self._settings_of(dvc, home).url
            if ask and found.not_in_remote and not project_dvc.reachable(url, self.environ):
                found = replace(found, not_in_remote=(), trouble=Trouble.DOWN, said="nobody answers at that address")
            self._status[key] = found
        return self._status[key]

    def _for_whom(self, found: Found, configs: Sequence[Config]) -> Found:
        """Advice on the repository's settings is for who changes them.

        Elsewhere it would turn every pull request yellow, and nobody would look at a warning any more. What breaks the
        gate is said to everybody.
        """
        advice = [check for check in found.checks if check.verdict is Verdict.WARN]
        if (
            not advice
            or self.forge.event.kind not in ("pull_request", "merge_group")
            or self._touches_settings(configs)
        ):
            return found
        kept = Found([check for check in found.checks if check not in advice], found.not_run)
        about = ", ".join(check.title for check in advice)
        kept.skip(
            f"Advice on settings that this change does not touch ({about}): `mlgate doctor` in a terminal gives it."
        )
        return kept

    def _touches_settings(self, configs: Sequence[Config]) -> bool:
        try:
            base = champion.find(self.git, self.forge.event).champion.commit
            changed = self.git.run("diff", "--name-only", "-z", "--no-renames", base, self.git.head()) if base else None
        except MlgateError:
            return True
        if changed is None:
            return True
        decides = {config.file for config in configs} | {p for places in codeowners.PLACES.values() for p in places}
        return any(
            path in decides or path.startswith(".github/") or path == gitlab_pipeline.FILE
            for path in os.fsdecode(changed).split("\0")
        )

    # -- the forge -----------------------------------------------------------------------------------------------------

    @cached_property
    def _shown_forge(self) -> str:
        """Whose words fixes are in: the forge of this job, else the one whose files or address the repository has."""
        if self.forge.name in ("github", "gitlab"):
            return self.forge.name
        return forge_of(self.files.files, self.git.remote_url()) or "none"

    def _forge(self, configs: Sequence[Config]) -> Found:
        found = Found()
        if self._shown_forge == "none":
            either = "mlgate init --forge github\nmlgate init --forge gitlab"
            reason = "There is neither a GitHub workflow nor a .gitlab-ci.yml: nothing calls the gate."
            found.add(finding.finding("caller", "caller", Verdict.WARN, reason, fix=either))
        enforced: bool | None = None
        callers: list[str] = []
        if self._shown_forge == "github":
            branch = self._branch(found)
            callers = [p for p in self.files.files if _is_workflow(p)]
            read = [github_workflows.read(p, self._text(p)) for p in callers]
            found.add(*github_workflows.findings([w for w in read if w], branch))
            texts = {p: self._text(p) for p in callers}
            found.add(*retraining.github(configs, texts, [w for w in read if w], branch))
            enforced = branch.code_owner_review
            callers = [w.file for w in read if w and w.gates] or [github_workflows.STARTER]
        elif self._shown_forge == "gitlab":
            settings = self._project(found)
            if "@" in settings.ci_file or "://" in settings.ci_file:
                found.skip(f"The pipeline: it is not in this project but {redact(settings.ci_file)}.")
                found.add(gitlab_pipeline.token(settings))
                found.add(*retraining.gitlab(configs, settings, asked=self.forge.name == "gitlab"))
                return found
            file = settings.ci_file if settings.ci_file in self.files.files else gitlab_pipeline.FILE
            data = self._text(file)
            pipeline = gitlab_pipeline.read(file, data) if data else None
            found.add(*gitlab_pipeline.findings(pipeline, settings), gitlab_pipeline.token(settings))
            found.add(*retraining.gitlab(configs, settings, asked=self.forge.name == "gitlab"))
            callers = [file]
        if callers and self._shown_forge == "gitlab" and not codeowners.place("gitlab", self.files.files):
            # Approval by owners is Premium: without it, a missing file is no fault.
            found.skip(
                f"Who guards {callers[0]} and mlgate.yaml: there is no CODEOWNERS; docs/gitlab.md says what else does."
            )
        elif callers:
            found.add(self._owned([*callers, *(c.file for c in configs)], enforced))
        return found

    def _text(self, path: str) -> bytes:
        try:
            return self.files.read(path) or b""
        except MlgateError:  # a symbolic link: not a file that a forge would run
            return b""

    def _owned(self, deciding: Sequence[str], enforced: bool | None) -> Check:
        kind = self._shown_forge
        place = codeowners.place(kind, self.files.files) or ""
        sections = codeowners.parse(self._text(place).decode(errors="replace"), kind) if place else []
        owners = {path: codeowners.owners(sections, path) for path in deciding}
        return ground.owned(ground.Owned(kind, place, owners, enforced))

    def _branch(self, found: Found) -> github_workflows.Branch:
        name = self.forge.event.default_branch or self.git.default_branch() or "main"
        if self.forge.name != "github":
            found.skip(_no_job("required checks, merge queue and reviews"))
            return github_workflows.Branch(name)
        quoted = urllib.parse.quote(name, safe="")
        what = f"required checks of `{name}`"
        rules = self._ask(found, what, f"repos/{self.forge.project}/rules/branches/{quoted}")
        protection = self._ask(found, what, f"repos/{self.forge.project}/branches/{quoted}")
        branch = github_workflows.branch(name, rules, protection)
        if self.forge.event.from_fork:
            found.skip("Comments: the token of a pull request from a fork cannot write; see docs/github.md, forks.")
        return branch

    def _project(self, found: Found) -> gitlab_pipeline.Project:
        if self.forge.name != "gitlab":
            found.skip(_no_job("merge checks and GITLAB_TOKEN"))
            return gitlab_pipeline.Project()
        quoted = urllib.parse.quote(self.forge.project, safe="")
        raw = self._ask(found, "merge checks of the project", f"projects/{quoted}")
        token = self._ask(found, "rights of GITLAB_TOKEN", "personal_access_tokens/self")
        return gitlab_pipeline.project(raw, token)

    def _ask(self, found: Found, what: str, path: str) -> Any:
        try:
            return self.forge.api().get(path)
        except ForgeError as error:
            found.skip(f"The {what}: {redact(error.message)}")
            return None


# -- plain decisions -------------------------------------------------------------------------------


def forge_of(files: Mapping[str, Any] | Sequence[str], remote_url: str) -> str:
    """The forge whose files are there, else the one its address names; empty when neither says."""
    url = remote_url.lower()
    named = "github" if "github" in url else "gitlab" if "gitlab" in url else ""
    present = [
        f
        for f, there in (("github", any(map(_is_workflow, files))), ("gitlab", gitlab_pipeline.FILE in files))
        if there
    ]
    return present[0] if len(present) == 1 else named or (present[0] if present else "")


def _is_workflow(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder in (".github/workflows", ".gitea/workflows", ".forgejo/workflows") and name.endswith(
        (".yml", ".yaml")
    )


def _no_job(what: str) -> str:
    return f"The {what}: this is a terminal, and only a job on the forge may ask it."


def _unreadable(error: MlgateError) -> Check:
    what = f"dvc_files.{error.file}" if error.file else "dvc_files"
    said = str(MlgateError(error.message, file=error.file, line=error.line))  # the mending stands on a line of its own
    return finding.finding(what, "DVC's files", Verdict.ERROR, said, fix=error.fix, file=error.file, line=error.line)


def _evidence(config: Config, found: Found) -> Evidence:
    return _judged(
        Evidence(kind=KIND, model=config.model, verdict=Verdict.PASS, mode=config.mode, fail_on=config.fail_on), found
    )


def _judged(evidence: Evidence, found: Found) -> Evidence:
    checks = list({check.id: check for check in found.checks}.values())
    wrong = sorted((c for c in checks if c.verdict is not Verdict.PASS), key=lambda c: -c.verdict.rank)
    title = f"The gate has what it needs ({len(checks)} checks)."
    if wrong:
        needs = "needs" if len(wrong) == 1 else "need"
        title = f"{len(wrong)} of {len(checks)} checks {needs} attention. First: {wrong[0].reason}"
    return evidence.model_copy(
        update={
            "verdict": worst(check.verdict for check in checks),
            "title": title,
            "checks": checks,
            "not_run": found.not_run,
        }
    )


def environ() -> dict[str, str]:
    """This process's environment for the project's DVC, without what is mlgate's own."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MLGATE_")}
