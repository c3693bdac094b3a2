"""Where a project's data are kept: its DVC, what the cache lacks, and what the remote holds."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate.commands import _pull
from mlgate.commands._run import Run
from mlgate.errors import MlgateError
from mlgate.model import Verdict
from mlgate.repo import content, project_dvc
from mlgate.repo.dvc import Pipeline
from mlgate.repo.project_dvc import Dvc, Trouble
from mlgate.setup import storage
from mlgate.setup.worktree import WorkTree
from mlgate.train import lock, plan
from mlgate.train.project import Project
from mlgate.train.proofs import Shown


@dataclass(eq=False)
class Stored:
    """Asked for all models of a run; each DVC and each remote once. `environ` has the remote's credentials."""

    run: Run
    now: Pipeline
    environ: Mapping[str, str]
    pull: bool
    ask: bool  # the remote
    brought: bool = False  # new data lie in the working tree, with pointers that no commit has yet
    _dvcs: dict[str, Dvc | str] = field(default_factory=dict)
    _remotes: dict[tuple[Dvc, str], storage.Pushed] = field(default_factory=dict)

    def dvc(self, python: str) -> Dvc | str:
        if python not in self._dvcs:
            tracks = bool(self.now.outs) or (self.run.git.root / ".dvc").is_dir()
            self._dvcs[python] = (
                project_dvc.find(python, self.run.git.root, self.environ) if tracks else "Nothing here is kept by DVC."
            )
        return self._dvcs[python]

    def fetch(self, python: str, tree: Path, commit: str, paths: Sequence[str]) -> None:
        """From the cache where it has them, else from the remote. Raises MlgateError.

        What is then there is what the commit names: a remote can hold anything under a digest, and DVC believes most.
        """
        dvc = self.dvc(python)
        missing = [path for path in paths if not (tree / path).exists()]
        # In a terminal, what somebody is working on is `dvc status`'s to find.
        checked = paths if self.run.in_ci or tree != self.run.git.root else tuple(missing)
        if missing and isinstance(dvc, Dvc):
            for path in missing:
                home = project_dvc.folder_of(tree, posixpath.dirname(path)) or ""
                project_dvc.do(
                    dvc, tree / home, ["checkout", "--", path[len(home) + 1 :] if home else path], self.environ
                )
            missing = [path for path in missing if not (tree / path).exists()]
        if missing and not self.pull:
            raise MlgateError(f"{missing[0]} is not here, and `pull` is off.", fix="Run `dvc pull` first.")
        if missing:
            _pull.pull(self.run, missing, python, root=tree, commit=commit)
        outs = self.now.outs if commit == self.run.head else Pipeline(self.run.git.at(commit), lenient=True).outs
        if self.brought and tree == self.run.git.root:
            outs = Pipeline(WorkTree(self.run.git), lenient=True).outs
        for path in checked:
            out, there = outs.get(path), tree / path
            if out and out.md5 and there.exists() and not content.is_named(there, out.md5, legacy=out.legacy):
                raise MlgateError(
                    f"is not the file that {out.file} names, as it came from DVC.", file=path,
                    fix=f"Push it again: dvc push --force {out.path}",
                )  # fmt: skip

    def remote(self, project: Project, shown: Shown, why: str) -> None:
        """What the remote holds of a model. One that the change itself names is as good as the change's word."""
        self._remote(project, shown, why)
        file = posixpath.join(project.home, ".dvc/config")
        if project.base is not None and project.base.read(file) != self.now.snapshot.read(file):
            reason = (
                f"{file} says where data come from, and this change alters it: the remote that was asked is its own."
            )
            shown.check("remote.config", file, Verdict.WARN, reason, file=file)
            if shown.state("remote") == "proven":
                shown.reclaim("remote", "attested", f"this change alters {file}")

    def _remote(self, project: Project, shown: Shown, why: str) -> None:
        kept = [path for path in self._kept(project) if plan.tracked(project.pipeline, path)]
        if not kept:
            shown.claim("remote", "not run", "DVC keeps nothing of this model")
            return
        if not self.ask:
            shown.not_run.append("What the DVC remote holds: it was not asked (`remote` is false).")
            shown.claim("remote", "not run", "the remote was not asked")
            return
        if project.dvc is None:
            shown.not_run.append("What the DVC remote holds: there is no DVC to ask it with.")
            shown.claim("remote", "not run", why.rstrip("."))
            return
        settings = project_dvc.settings(project.dvc, self.run.git.root / project.home, self.environ)
        there = settings.folder is None or settings.folder.is_dir()
        usable = storage.remote(settings, folder_exists=there)
        if usable.verdict is not Verdict.PASS:
            lock.remote(shown, usable, f"What the DVC remote holds: {usable.reason}")
            return
        key = (project.dvc, project.home)
        if key not in self._remotes:
            folder = self.run.git.root / project.home
            status = project_dvc.status(project.dvc, folder, project.home, self.environ, ask_remote=True)
            if status.not_in_remote and not project_dvc.reachable(settings.url, self.environ):
                said = "nobody answers at that address"
                status = replace(status, not_in_remote=(), trouble=Trouble.DOWN, said=said)
            self._remotes[key] = storage.Pushed(
                status=status,
                remote=settings,
                needed=(),
                pointers=len([o for o in self.now.outs.values() if plan.cached(self.now, o)]),
                forge=self.run.forge.name if self.run.forge.name in ("github", "gitlab") else "none",
                python=project.dvc.python,
                from_fork=self.run.forge.event.from_fork,
            )
        policy = Verdict(project.binding.compare.policy.no_credentials)
        lock.remote(shown, *storage.pushed(replace(self._remotes[key], needed=kept, no_credentials=policy)))

    def _kept(self, project: Project) -> list[str]:
        """What must be in the remote: the model, its results, and all data behind them."""
        data = [project.own.path(entry.path) for entry in project.own.data]
        data += [one.data for one in project.sets if one.data]
        wanted = [project.artifact, *project.results, *data, *plan.inputs(self.now, project.chain)]
        return [path for path in dict.fromkeys(wanted) if path]
