"""The Dockerfile of an image: mlgate's own template, the user's, or MLflow's with what every image has to have."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlgate.errors import MlgateError

MODEL = "/opt/model"
USER = "10001:10001"
_TEMPLATES = Path(__file__).with_name("templates")


def template(
    *, base: str, buildkit: bool, packages: Sequence[str], hashed: Sequence[str], free: Sequence[str],
    paths: Sequence[str], project: bool, port: int, model: str,
) -> str:  # fmt: skip
    """The text. `hashed` and `free`: names of requirement files with and without hashes; `paths`: of sys.path."""
    env = Environment(  # noqa: S701 -- a Dockerfile, not HTML
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return env.get_template("Dockerfile.j2").render(
        base=base, buildkit=buildkit, packages=list(packages), hashed=list(hashed), free=list(free),
        paths=[shlex.quote(path) for path in paths], project=project, port=port, model=_quoted(model),
    )  # fmt: skip


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def pinned_stages(text: str, *, file: str) -> None:
    """Every image that a user's Dockerfile builds on has a digest, as the template's has. Raises MlgateError.

    An image that comes by a build argument cannot be seen here, so it is refused, too.
    """
    stages: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", line, re.IGNORECASE)
        if not found:
            continue
        image, name = found[1], found[2]
        if image.lower() not in stages and image != "scratch" and not re.search(r"@sha256:[0-9a-f]{64}$", image):
            raise MlgateError(
                f"builds on {image}, which is not pinned by digest.", file=file, line=number,
                fix=f"FROM {image.partition('@')[0]}@sha256:...   # docker pull tells the digest",
            )  # fmt: skip
        if name:
            stages.add(name.lower())


def with_secrets(text: str, ids: Sequence[str]) -> str:
    """MLflow's Dockerfile, where each command that installs can read the secrets that pip knows what to do with."""
    known = [name for name in ("ca.crt", "netrc", "pip.conf") if name in ids]
    if not known:
        return text
    mounts = " ".join(f"--mount=type=secret,id={name}" for name in known)
    env = {"ca.crt": "PIP_CERT", "netrc": "NETRC", "pip.conf": "PIP_CONFIG_FILE"}
    exports = "export " + " ".join(f"{env[name]}=/run/secrets/{name}" for name in known)
    return re.sub(r"^RUN (?=(?:pip|python)\b)", lambda _: f"RUN {mounts} {exports}; ", text, flags=re.MULTILINE)


def after_mlflow(text: str, port: int) -> str:
    """What MLflow's image lacks: a numeric user, a HEALTHCHECK, and its server itself in front instead of an nginx.

    nginx needs root and a root that can be written; the server alone listens on another port and does not hear SIGTERM.
    """
    serve = (
        "import os; from mlflow.models.container import MODEL_PATH; from mlflow.pyfunc import scoring_server; "
        f"command, env = scoring_server.get_cmd(model_uri=MODEL_PATH, port={port}, host='0.0.0.0', "
        "nworkers=int(os.environ.get('MLGATE_WORKERS') or 1)); "
        "os.execve('/bin/sh', ['sh', '-c', 'exec ' + command], env)"
    )
    probe = (
        f"import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=4); "
        "c.request('GET', '/ping'); sys.exit(c.getresponse().status != 200)"
    )
    return text.rstrip() + (
        f"\n\nENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1\nEXPOSE {port}\nUSER {USER}\n"
        f"ENTRYPOINT {json.dumps(['python', '-c', serve])}\n"
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 "
        f"CMD {json.dumps(['python', '-c', probe])}\n"
    )
