"""The folder that is built from: the plan's files under fixed names, with times and modes made equal."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import mlgate
from mlgate.errors import MlgateError
from mlgate.image import dockerfile
from mlgate.image.plan import INPUTS_LABEL, Plan

BUILDKIT, PLAIN = "Dockerfile", "Dockerfile.plain"  # names of the two, in the context
_LEFT_OUT = frozenset({"__pycache__", ".git", ".hg", ".svn", ".dvc", ".venv", ".DS_Store"})
_SERVER = ("__init__.py", "errors.py", "serving")  # of mlgate: what the image needs to serve
_MLFLOW_SECONDS = 300


def write(plan: Plan, folder: Path) -> str:
    """Fills an empty folder and returns the digest of all inputs: `sha256:...`.

    It is over every octet and setting of the plan except the values of secrets, and does not depend on order, times or
    this machine. Raises MlgateError for what is missing, or is a link that leads elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if plan.builder == "mlflow":
        _mlflow(plan, folder)
    else:
        _common(plan, folder)
        texts = _template(plan, folder) if plan.builder == "template" else _own(plan)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
        (folder / ".dockerignore").write_text("", "utf-8")  # all that is here is wanted
    entries = list(_normalised(folder, plan.created))
    settings = {
        "base": plan.base, "builder": plan.builder, "platform": plan.platform, "secrets": sorted(plan.secrets),
        "labels": {key: value for key, value in sorted(plan.labels.items()) if key != INPUTS_LABEL},
        "created": plan.created,
    }  # fmt: skip
    text = json.dumps([entries, settings], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _common(plan: Plan, folder: Path) -> None:
    """What the template and a user's Dockerfile both find: model/, mlgate/, project/, requirements/, serving.json."""
    if plan.model.is_dir():
        _copy(plan.model, folder / "model", everything=True)
    else:
        _copy(plan.model, folder / "model" / plan.model.name)
    here = Path(mlgate.__file__).parent
    for name in _SERVER:
        _copy(here / name, folder / "mlgate" / "mlgate" / name)
    for source, name in plan.include:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/"):
            raise MlgateError(f"{name!r} is no path inside the project.", key="image.include")
        _copy(source, folder / "project" / name)
    (folder / "serving.json").write_text(plan.settings, "utf-8")
    requirements = folder / "requirements"
    requirements.mkdir()
    for number, path in enumerate(plan.requirements):
        (requirements / f"{number}.txt").write_text(without(_text(path), plan.without), "utf-8")
    if plan.serve is not None:
        shutil.copyfile(plan.serve, requirements / "serve.txt")


def _template(plan: Plan, folder: Path) -> dict[str, str]:
    if plan.serve is None:
        raise MlgateError("the template needs the server's packages, and none are named.")
    hashed: list[str] = []
    free: list[str] = []
    for number in range(len(plan.requirements)):
        name = f"{number}.txt"
        text = _text(folder / "requirements" / name)
        if any(line and not line.startswith(("#", "-")) for line in map(str.strip, text.splitlines())):
            (hashed if "--hash=" in text else free).append(name)
    model = dockerfile.MODEL if plan.model.is_dir() else f"{dockerfile.MODEL}/{plan.model.name}"
    return {
        name: dockerfile.template(
            base=plan.base, buildkit=name == BUILDKIT, packages=plan.packages, hashed=hashed, free=free,
            paths=_paths(folder / "project"), project=bool(plan.include), port=plan.port, model=model,
        )
        for name in (BUILDKIT, PLAIN)
    }  # fmt: skip


def _own(plan: Plan) -> dict[str, str]:
    path = plan.dockerfile or Path("Dockerfile")
    text = _text(path)
    dockerfile.pinned_stages(text, file=str(path))
    return {BUILDKIT: text, PLAIN: text}


def _mlflow(plan: Plan, folder: Path) -> None:
    """MLflow writes its own context; its Dockerfile gets what every image has to have."""
    if not (plan.model / "MLmodel").is_file():
        raise MlgateError(
            "the builder `mlflow` takes MLflow's model folders only.", file=str(plan.model),
            fix="image: {builder: template}",
        )  # fmt: skip
    program = (
        "import sys\nfrom mlflow.models.flavor_backend_registry import get_flavor_backend\n"
        "uri, out, base = sys.argv[1:]\n"
        "get_flavor_backend(uri, docker_build=True, env_manager='local').generate_dockerfile("
        "uri, out, base_image=base, install_java=False)\n"
    )
    command = [*plan.mlflow, "-c", program, str(plan.model.absolute()), str(folder.absolute()), plan.base]
    with tempfile.TemporaryDirectory(prefix="mlgate-mlflow-") as elsewhere:
        try:
            done = subprocess.run(
                command, cwd=elsewhere, capture_output=True, text=True, timeout=_MLFLOW_SECONDS, check=False,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MlgateError(f"MLflow could not be run to write its Dockerfile ({type(error).__name__}).") from error
    if done.returncode or not (folder / "Dockerfile").is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no answer"]
        raise MlgateError(
            f"MLflow could not write its Dockerfile: {lines[-1][:300].rstrip('.')}.",
            fix="Is the full `mlflow` installed? mlflow-skinny has no server.",
        )
    text = dockerfile.after_mlflow(_text(folder / "Dockerfile"), plan.port)
    (folder / PLAIN).write_text(text, "utf-8")
    (folder / BUILDKIT).write_text(dockerfile.with_secrets(text, sorted(plan.secrets)), "utf-8")


def _paths(project: Path) -> list[str]:
    """What comes after the model's own packages: mlgate, then the project's code, then the server's packages.

    A file is importable by its name, a package by its name, and what is in a plain folder by its own.
    """
    found = ["/opt/mlgate/app", "/opt/project"]
    if project.is_dir():
        for folder in sorted(path for path in (project, *project.rglob("*")) if path.is_dir()):
            has_code = any(folder.glob("*.py"))
            if has_code and not (folder / "__init__.py").exists():
                found.append(str(PurePosixPath("/opt/project", *folder.relative_to(project).parts)))
            if (folder / "__init__.py").exists() and not (folder.parent / "__init__.py").exists():
                found.append(str(PurePosixPath("/opt/project", *folder.parent.relative_to(project).parts)))
    return list(dict.fromkeys((*found, "/opt/mlgate/site")))


def without(text: str, names: tuple[str, ...]) -> str:
    """Requirements without some distributions. A logical line may go on over several, which end in a backslash."""
    unwanted = {_canonical(name) for name in names}
    if not unwanted:
        return text
    kept = []
    for entry in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n?", text):
        found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", entry)
        if not (found and _canonical(found[1]) in unwanted):
            kept.append(entry)
    return "".join(kept)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise MlgateError("cannot be read as text.", file=str(path)) from error


def _copy(source: Path, target: Path, *, everything: bool = False) -> None:
    """Files as they are, without links: DVC puts links to its cache where a model is."""
    if not source.exists():
        raise MlgateError("is not there, and the image needs it.", file=str(source))
    root = source.resolve()
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
        return
    for here, folders, files in os.walk(source, followlinks=False):
        kept = [name for name in folders if everything or name not in _LEFT_OUT]
        links = [name for name in kept if Path(here, name).is_symlink()]
        folders[:] = [name for name in kept if name not in links]
        place = target / Path(here).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in links:
            raise _leads_elsewhere(Path(here, name))
        for name in files:
            if not everything and (name in _LEFT_OUT or name.endswith((".pyc", ".pyo"))):
                continue
            path = Path(here, name)
            if not everything and path.is_symlink() and not path.resolve().is_relative_to(root):
                raise _leads_elsewhere(path)
            if not path.is_file():
                raise MlgateError("is no file, and cannot be put into an image.", file=str(path))
            shutil.copyfile(path, place / name)
            shutil.copymode(path, place / name)


def _leads_elsewhere(path: Path) -> MlgateError:
    return MlgateError(
        "is a link that leads elsewhere.",
        file=str(path),
        fix="Put the files themselves here, or include what it names.",
    )


def _normalised(folder: Path, time: int) -> Iterator[tuple[str, str, str]]:
    """Each file's path, mode and sha256, in order; modes and times are set to what everyone's would be."""
    for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix().encode()):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            path.chmod(0o755)
        else:
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            path.chmod(mode)
            with path.open("rb") as file:
                yield name, oct(mode), hashlib.file_digest(file, "sha256").hexdigest()
        os.utime(path, (time, time))
    folder.chmod(0o755)
