"""What is inside an image, against what may be: its user, its health check, its files in each layer, its packages.

    checks = contents.checks(engine, image, Asked(digest=..., files=..., locks=...))

The image is read, not started. What its base brings is not looked at, where the base is known; of an image on an
unknown base everything is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.image import inside, installed, layers, secretive
from mlgate.image.engine import Engine
from mlgate.image.layers import Contents, Entry
from mlgate.model import Check, Verdict

_SHOWN = 5
_SYSTEM = re.compile(
    r"(?:bin|sbin|lib|lib32|lib64|libx32|boot|proc|sys|dev)/|usr/(?!local/|src/)|var/lib/(?:dpkg|apt|rpm|systemd)/"
    r"|etc/(?:ssl/certs|ca-certificates|alternatives|fonts|perl|pam|security|init)|lib/apk/|etc/apk/keys/"
    r"|usr/local/(?:lib/python\d[^/]*/(?!site-packages|dist-packages)|share/(?:ca-certificates|zoneinfo|doc|man)/)"
)
_DATA = re.compile(
    r".+\.(?:csv|tsv|parquet|feather|arrow|orc|avro|jsonl|ndjson|xlsx?|sqlite3?|db|duckdb|npy|npz|h5|hdf5|rds|sav|dta|tfrecord)"
    r"(?:\.(?:gz|bz2|xz|zst|zip))?",
    re.IGNORECASE,
)
_HISTORY = re.compile(r"(?:^|/)\.(?:git|hg|svn|bzr)(?:/|$)")
_VERSIONED = re.compile(
    r"(?:^|/)(?:\.dvc|\.mlgate|mlruns|\.ipynb_checkpoints)/|(?:^|/)(?:dvc\.lock|[^/]+\.dvc|\.dvcignore)$"
)
_CACHES = re.compile(
    r"(?:^|/)\.cache/(?:pip|uv|huggingface|torch|pre-commit)/|(?:^|/)\.(?:mypy|pytest|ruff)_cache/|(?:^|/)\.npm/_cacache/"
    r"|^var/cache/apt/(?:archives/.+\.deb|.+\.bin)$|^var/lib/apt/lists/.+_(?:Packages|Sources)|(?:^|/)conda/pkgs/.+\.(?:conda|tar\.bz2)$"
)
_TOOLS = re.compile(
    r"(?:.*/)?s?bin/(?:(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|ld|as|cpp|rustc|cargo|gfortran)(?:-\d+)?"
    r"|make|cmake|ninja|bazel|go|javac|git|pip\d?(?:\.\d+)?|uv|uvx|poetry|pipenv|conda|mamba|npm|yarn)"
)
_DEBUG_NAMES = {
    "FLASK_DEBUG",
    "DEBUG",
    "DJANGO_DEBUG",
    "FASTAPI_DEBUG",
    "STARLETTE_DEBUG",
    "PYTHONINSPECT",
    "APP_DEBUG",
}
_OFF = {"", "0", "false", "no", "off", "none"}
_DEBUG_COMMAND = re.compile(
    r"(?:^|\s)(?:--debug(?:=|\s|$)(?!\s*(?:false|0)\b)|--reload(?:\s|$)|flask\s+(?:\S+\s+)*?run\b|runserver\b|-m\s+debugpy\b"
    r"|debugpy\b|-m\s+pdb\b|-m\s+http\.server\b|fastapi\s+dev\b|jupyter(?:-\w+)?\b|ipython\b|streamlit\s+hello\b)"
)
_DEBUG_CODE = re.compile(
    rb"\.run\([^()]{0,300}\bdebug\s*=\s*True|\bdebugpy\.listen\(|\buse_debugger\s*=\s*True|^\s*breakpoint\(\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Asked:
    """What may be inside. `own`: made by the template, which keeps promises that a person's Dockerfile need not."""

    digest: str = ""  # of the model, sha256
    files: Mapping[str, str] = field(default_factory=dict)  # of the model: path in it -> sha256; {"": ...} for one file
    locks: Mapping[str, str] = field(default_factory=dict)  # name -> text of each file of locked requirements
    base: Sequence[str] = ()  # the digests of the base image's layers, where it is known
    secrets: Mapping[str, bytes] = field(default_factory=dict)  # values of this run that may be nowhere inside
    data: Mapping[str, str] = field(default_factory=dict)  # data files: name -> sha256 or md5
    allowed: Sequence[str] = ()  # files that `image.include` names
    without: Sequence[str] = ()  # packages of the lock that are left out on purpose
    own: bool = True


def checks(engine: Engine, image: str, asked: Asked) -> list[Check]:
    """Raises MlgateError when the image cannot be read."""
    return list(judged(layers.read(engine, image, wanted(asked)), asked))


def base_layers(engine: Engine, base: str) -> list[str]:
    """The digests of a base image's layers; nothing where the engine does not have it."""
    found = engine.inspect(base) if base else None
    return list(((found or {}).get("RootFS") or {}).get("Layers") or [])


def wanted(asked: Asked) -> layers.Wanted:
    """Which contents have to be read for all this."""
    names = {posixpath.basename(path) for path in asked.files}
    single = "" in asked.files  # a model that is one file may be called anything

    def whole(path: str) -> bool:
        if installed.metadata(path) or path.endswith(".dist-info/RECORD") or path == "etc/passwd":
            return True
        return not _SYSTEM.match(path) and not installed.site_of(path) and secretive.readable(path)

    def digested(path: str) -> bool:
        if posixpath.basename(path) in names:
            return True
        return (single or bool(asked.data)) and not _SYSTEM.match(path) and not installed.site_of(path)

    return layers.Wanted(whole, digested, {name: secretive.needles(value) for name, value in asked.secrets.items()})


def judged(contents: Contents, asked: Asked) -> Iterator[Check]:
    """Every check, from what was read."""
    config = contents.config.get("config") or {}
    files = contents.files()
    own = contents.own(asked.base)
    places = _places(own, files)
    root, check = inside.judged(files, asked.files, asked.digest)
    yield user(config, files)
    yield health(config)
    yield debug(config, places)
    yield _secrets(contents, own, places)
    yield from _forbidden(files, places, root, asked)
    yield _tools(files, own, strict=asked.own)
    yield check
    if root is not None:
        yield inside.writable(config, files, root)
    # The server's own packages are behind the model's: they are another lock's.
    found = installed.of_model(installed.packages(files), files)
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(str(contents.config.get("architecture")), "x86_64")
    yield from installed.checks(
        found, asked.locks, python=installed.python_of(files), machine=machine, own=asked.own, without=asked.without
    )


@dataclass(frozen=True)
class _Place:
    """A file that is the image's own doing. `hidden`: a later layer deletes or replaces it, and it can still be had."""

    entry: Entry
    hidden: bool

    def __str__(self) -> str:
        return f"/{self.entry.path}{' (in an earlier layer)' if self.hidden else ''}"


def _places(own: Sequence[layers.Layer], files: Mapping[str, Entry]) -> list[_Place]:
    """Files of the image's own layers that belong neither to the system nor to an installed package."""
    belongs = installed.recorded({entry.path: entry for layer in own for entry in layer.entries} | dict(files))
    return [
        _Place(entry, files.get(entry.path) is not entry)
        for layer in own
        for entry in layer.entries
        if not entry.link and not _SYSTEM.match(entry.path) and not _packaged(entry.path, belongs)
    ]


def _packaged(path: str, belongs: set[str]) -> bool:
    site = installed.site_of(path)
    if not site:
        return False
    compiled = "/__pycache__/" in path
    # Debian's packages of Python keep no list of their files.
    return path in belongs or compiled or ".dist-info/" in path or site == "usr/lib/python3/dist-packages"


# -- how it runs -------------------------------------------------------------------------------------------------------


def user(config: Mapping[str, Any], files: Mapping[str, Entry]) -> Check:
    """That the server is not root, by a number: a platform cannot tell what a name means."""
    title, said = "does not run as root", str(config.get("User") or "")
    name = said.split(":", maxsplit=1)[0]
    fix = "USER 10001:10001"
    if name in {"", "0", "root"}:
        reason = f"It runs as root{'' if said else ': it has no USER'}."
        return _check("user", title, Verdict.FAIL, reason, fix=fix, observed=said or "root", expected="a numeric user")
    if name.isdigit():
        return _check("user", title, Verdict.PASS, observed=said, expected="a numeric user")
    number = inside.uid_of(name, files.get("etc/passwd"))
    if number is None or number == 0:
        why = "which /etc/passwd does not have" if number is None else "which is root by another name"
        return _check("user", title, Verdict.FAIL, f"It runs as {name}, {why}.", fix=fix, observed=said)
    reason = f"It runs as {name}, a name: a cluster that wants no root cannot tell. Write the number: USER {number}."
    return _check("user", title, Verdict.WARN, reason, fix=f"USER {number}", observed=said, expected="a numeric user")


def health(config: Mapping[str, Any]) -> Check:
    """That it has a HEALTHCHECK."""
    test = list((config.get("Healthcheck") or {}).get("Test") or [])
    there = bool(test) and test[0] != "NONE"
    return _check(
        "health", "has a HEALTHCHECK", Verdict.PASS if there else Verdict.FAIL,
        "" if there else "It has no HEALTHCHECK: an engine that runs it never knows whether it answers.",
        fix="" if there else (
            'HEALTHCHECK CMD ["python3", "-c", "import urllib.request as u; '
            "u.urlopen('http://127.0.0.1:8080/health', timeout=2)\"]"
        ),
    )  # fmt: skip


def debug(config: Mapping[str, Any], places: Sequence[_Place]) -> Check:
    """That neither a variable, nor the command, nor its code starts a debugger or a server for development."""
    found = []
    for one in config.get("Env") or []:
        name, _, value = str(one).partition("=")
        on = name in _DEBUG_NAMES and value.strip().lower() not in _OFF
        if on or (name in {"FLASK_ENV", "NODE_ENV", "APP_ENV"} and value.strip().lower() == "development"):
            found.append(f"the variable {name} is {value[:20]}")
    command = " ".join(map(str, [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]))
    if match := _DEBUG_COMMAND.search(command):
        found.append(f"its command has `{match.group().strip()}`")
    for place in places:
        if not place.hidden and place.entry.path.endswith(".py") and _DEBUG_CODE.search(place.entry.content):
            found.append(f"{place} starts one")
    reason = f"It is a debug server: {_listed(found)}." if found else ""
    return _check("debug", "is no debug server", Verdict.FAIL if found else Verdict.PASS, reason)


# -- what it holds -----------------------------------------------------------------------------------------------------


def _secrets(contents: Contents, own: Sequence[layers.Layer], places: Sequence[_Place]) -> Check:
    """That nothing in it looks like a secret, in whatever layer. Values are never told."""
    found = [
        f"the variable {name} ({what})"
        for name, what in secretive.variables(contents.config.get("config", {}).get("Env") or [])
    ]
    found += [f"the label {name} ({what})" for name, what in secretive.labels(contents.config)]
    for step, name, what in secretive.history(contents.config):
        found.append(f"step {step} of its history{f', {name}' if name else ''} ({what})")
    for place in places:
        entry = place.entry
        if what := secretive.text(entry.content):
            found.append(f"{place} ({what})")
        elif secretive.name(entry.path) and entry.size:
            found.append(f"{place}")
    for layer in own:
        found += [f"/{entry.path} (the value of {name})" for entry in layer.entries for name in entry.found]
    found = list(dict.fromkeys(found))
    reason = (
        f"It looks as if secrets were inside: {_listed(found)}. Whoever pulls the image has them; replace them."
        if found
        else ""
    )
    return _check(
        "secrets", "holds no secret", Verdict.FAIL if found else Verdict.PASS, reason,
        unexpected=len(found) or None, expected="none in its files, layers, variables, labels and history",
    )  # fmt: skip


def _forbidden(files: Mapping[str, Entry], places: Sequence[_Place], root: str | None, asked: Asked) -> Iterator[Check]:
    """Data, the history of code, DVC's own, and caches."""
    known = {digest: name for name, digest in asked.data.items() if digest}
    of_model = set() if root is None else {f"{root}/{path}".rstrip("/") for path in asked.files}
    data: list[str] = []
    for place in places:
        entry = place.entry
        name = known.get(entry.sha256) or known.get(entry.md5)
        if name:
            data.append(f"{place} is {name}")
        elif _DATA.fullmatch(entry.path) and entry.path not in of_model and not _is_allowed(entry.path, asked.allowed):
            data.append(str(place))
    reason = (
        f"It holds data: {_listed(data)}. A .dockerignore, or `COPY` of what is needed, leaves them out."
        if data
        else ""
    )
    yield _check(
        "data", "holds no data files", Verdict.FAIL if data else Verdict.PASS, reason, unexpected=len(data) or None
    )
    history = _folders(places, _HISTORY)
    reason = f"It holds the history of the code: {_listed(history)}." if history else ""
    yield _check("history", "holds no .git", Verdict.FAIL if history else Verdict.PASS, reason)
    versioned = [str(p) for p in places if _VERSIONED.search(p.entry.path) and p.entry.path not in of_model]
    reason = f"It holds files of the project's tools: {_listed(versioned)}." if versioned else ""
    yield _check("tracked", "holds nothing of DVC", Verdict.FAIL if versioned else Verdict.PASS, reason)
    # Of caches only what costs: apt's are in system folders.
    caches = sorted({posixpath.dirname(path) for path in files if _CACHES.search(path)})
    reason = (
        f"It holds caches: {_listed([f'/{one}' for one in caches])}. They make it larger for nothing." if caches else ""
    )
    yield _check("caches", "holds no caches", Verdict.WARN if caches else Verdict.PASS, reason)


def _folders(places: Sequence[_Place], pattern: re.Pattern[str]) -> list[str]:
    """Each folder that matches once, and not each file in it."""
    found: dict[str, str] = {}
    for place in places:
        if match := pattern.search(place.entry.path):
            found.setdefault(f"/{place.entry.path[: match.end()].rstrip('/')}", str(place).partition(" ")[2])
    return [f"{path} {more}".strip() for path, more in found.items()]


def _is_allowed(path: str, allowed: Sequence[str]) -> bool:
    return any(path.endswith(f"/{one.strip('/')}") for one in allowed)


def _tools(files: Mapping[str, Entry], own: Sequence[layers.Layer], *, strict: bool) -> Check:
    """That nothing is left that builds or installs. What the base itself brings is only told."""
    mine = {entry.path for layer in own for entry in layer.entries}
    there = [path for path in files if _TOOLS.fullmatch(path) and not path.startswith("usr/share/")]
    added = [f"/{path}" for path in there if path in mine]
    based = [f"/{path}" for path in there if path not in mine]
    verdict, reason = Verdict.PASS, ""
    if added:
        verdict = Verdict.FAIL if strict else Verdict.WARN
        reason = (
            f"It can build or install: {_listed(added)}. Whoever breaks in can, too. Use a stage of its own for it."
        )
    elif based:
        verdict = Verdict.WARN
        reason = f"Its base can build or install: {_listed(based)}. A slimmer base, or `RUN rm`, leaves that out."
    return _check("tools", "has no build tools and no installer", verdict, reason)


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def _check(word: str, title: str, verdict: Verdict, reason: str = "", **more: Any) -> Check:
    return Check(id=f"image.contents.{word}", title=title, group="image", verdict=verdict, reason=reason, **more)
