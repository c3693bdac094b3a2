"""The Dockerfile of an image: mlgate's own template, the user's, or MLflow's with what every image has to have."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


_PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")
_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")
_FLAGS = re.compile(r"(?:--(?:\"[^\"]*\"|'[^']*'|\\.|[^\s\"'\\])+(?:\s+|$))*")
_TAKEN = re.compile(r"(?:--|(?<![\w-]))from=([^\s,]+)", re.IGNORECASE)


@dataclass(frozen=True)
class _Step:
    """One instruction as a builder reads it, over all its lines. `quoted`: in what some builders take for a text."""

    line: int
    word: str
    text: str
    quoted: bool

    @property
    def stage(self) -> tuple[str, str] | None:
        """The image and the name, which may be empty, of a stage that begins here."""
        words = [word for word in self.text.split() if not word.startswith("--")]
        if self.word != "FROM" or (self.quoted and not (len(words) == 1 or (len(words) == 3 and _is_as(words[1])))):
            return None
        return (words[0] if words else ""), (words[2].lower() if len(words) > 2 and _is_as(words[1]) else "")


def _is_as(word: str) -> bool:
    return word.upper() == "AS"


def pinned_stages(text: str, *, file: str) -> None:
    """Every image that a user's Dockerfile takes something from has a digest, as the template's has.

    Raises MlgateError for one that has none, or that comes by a build argument and cannot be seen here; for another
    language than Docker's own; and for what one builder reads otherwise than another.
    """
    syntax = "in JSON" if text.lstrip().startswith("{") else _directives(text).get("syntax", "")
    if syntax and not _FRONTEND.fullmatch(syntax) and not _PINNED.search(syntax):
        raise MlgateError(
            f"names a syntax ({syntax}) that is not pinned by digest.", file=file, line=1,
            fix="# syntax=docker/dockerfile:1",
        )  # fmt: skip
    stages: list[str] = []
    for step in _steps(text, file):
        if (stage := step.stage) is not None:
            if step.quoted:
                raise MlgateError("has a FROM inside of a text.", file=file, line=step.line, fix="Write it outside.")
            _must(stage[0], stages, "builds on", step, file)
            stages.append(stage[1])
        elif step.word in {"COPY", "ADD", "RUN"}:
            flags = _FLAGS.match(step.text)
            for image in _TAKEN.findall(re.sub(r"[\\`\"']", "", flags[0] if flags else "")):
                if not (image.isdigit() and int(image) < len(stages)):
                    _must(image, stages, "takes files from", step, file)


def _must(image: str, stages: Sequence[str], what: str, step: _Step, file: str) -> None:
    if (image and image.lower() in stages) or image == "scratch" or _PINNED.search(image):
        return
    raise MlgateError(
        f"{what} {image}, which is not pinned by digest.", file=file, line=step.line,
        fix=f"FROM {image.partition('@')[0]}@sha256:...   # docker pull tells the digest",
    )  # fmt: skip


def base_of(text: str) -> str:
    """The image that the last stage is built on, behind the names of stages; empty where there is none."""
    named: dict[str, str] = {}
    image = ""
    for step in _steps(text, ""):
        if (stage := step.stage) is not None:
            image = named.get(stage[0].lower(), stage[0])
            if stage[1]:
                named[stage[1]] = image
    return image


def _directives(text: str) -> dict[str, str]:
    """What the comments before everything else tell the builder."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n")):
        match = re.fullmatch(r"\s*(?:#|//)\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*", line)
        if match:
            found.setdefault(match[1].lower(), match[2])
        elif number or not line.startswith("#!"):
            break
    return found


def _steps(text: str, file: str) -> Iterator[_Step]:
    """Lines end at a line feed and nowhere else, as builders have it."""
    escape = re.escape("`" if _directives(text).get("escape") == "`" else "\\")
    lines = text.removeprefix("\ufeff").split("\n")
    at, ends = 0, [""][:0]  # of the texts that are under way
    while at < len(lines):
        first, whole, going = at + 1, "", True
        if ends and lines[at].lstrip("\t").rstrip("\r") == ends[0]:
            ends.pop(0)
            at += 1
            continue
        while going and at < len(lines):
            line = lines[at].rstrip("\r")
            at += 1
            if line.lstrip().startswith("#") or (whole and not line.strip()):
                going = bool(whole)
                continue
            if re.search(rf"{escape}{escape}[ \t]*$", line):
                raise MlgateError(
                    "ends a line in two backslashes, which builders read differently.", file=file, line=at
                )
            going = bool(re.search(rf"{escape}[ \t]*$", line))
            whole += re.sub(rf"{escape}[ \t]*$", "", line)
        found = re.match(r"\s*([A-Za-z]+)\s+(.*)", whole, re.DOTALL)
        if found:
            word = found[1].upper()
            yield _Step(first, word, found[2].strip(), bool(ends))
            if not ends and word in {"RUN", "COPY", "ADD"}:
                ends += re.findall(r"<<-?[\"']?([A-Za-z_]\w*)", found[2])


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
