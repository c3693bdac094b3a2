"""What a finished run of a pull request handed over, taken as hostile: who wrote the pull request wrote this too.

The second workflow of the pair for forks (docs/github.md) has the right to comment, so it must run nothing of the pull
request and believe nothing it says about itself. Out of the one artifact only `evidence/<model>/<verb>.json` is read,
within limits of size and number, each checked against the schema; where it comes from is filled in from the forge.
"""

from __future__ import annotations

import io
import json
import re
import urllib.parse
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.errors import MlgateError
from mlgate.forges.base import Forge
from mlgate.forges.words import commit_id
from mlgate.model import Evidence

if TYPE_CHECKING:
    import requests

ARCHIVE_LIMIT = 10_000_000  # octets of the archive; HTML report and evidence of 100 models stay far below
FILE_LIMIT = 1_000_000  # octets of one evidence file, unpacked
TOTAL_LIMIT = 10_000_000  # octets of all of them
ENTRIES_LIMIT = 2_000
_EVIDENCE = re.compile(r"evidence/([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([a-z][a-z-]{0,39})\.json")
_TIMEOUT = (5.0, 20.0)


def fetch(forge: Forge, environ: Mapping[str, str]) -> list[Evidence]:
    """The evidence of the run that this `workflow_run` event is about, marked as what it is.

    Raises MlgateError when there is none, or when it is anything but evidence of a sensible size.
    """
    run = _workflow_run(environ)
    name = environ.get("MLGATE_ARTIFACT") or "mlgate-report"
    artifact = _artifact(forge, run["id"], name)
    path = f"repos/{forge.project}/actions/artifacts/{artifact}/zip"
    base = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    archive = download(f"{base}/{path}", environ.get("GITHUB_TOKEN", ""))
    return [_marked(evidence, forge, run) for evidence in unpack(archive)]


def unpack(archive: bytes) -> list[Evidence]:
    """The evidence in an archive, by model and verb. Raises MlgateError for one that no gate wrote."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            entries = file.infolist()
            if len(entries) > ENTRIES_LIMIT:
                raise _refused(f"has {len(entries)} entries")
            texts = _texts(file, entries)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, UnicodeError) as error:
        raise _refused(f"cannot be unpacked ({type(error).__name__})") from None
    if not texts:
        raise _refused("holds no evidence")
    return [_read(text, model, kind) for (model, kind), text in sorted(texts.items())]


def _texts(file: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[tuple[str, str], bytes]:
    texts: dict[tuple[str, str], bytes] = {}
    room = TOTAL_LIMIT
    for entry in entries:
        found = _EVIDENCE.fullmatch(entry.filename)
        if not found:
            continue
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(f"is compressed in an unknown way at {entry.filename}")
        key = (found[1], found[2])
        if key in texts:
            raise _refused(f"holds {entry.filename} twice")
        # What an entry says about its size is a claim: reading stops at the limit whatever it says.
        with file.open(entry) as stream:
            text = stream.read(FILE_LIMIT + 1)
        room -= len(text)
        if len(text) > FILE_LIMIT or room < 0:
            raise _refused(f"is too large at {entry.filename}")
        texts[key] = text
    return texts


def _read(text: bytes, model: str, kind: str) -> Evidence:
    from pydantic import ValidationError  # noqa: PLC0415

    where = f"evidence/{model}/{kind}.json"
    try:
        evidence = Evidence.from_json(text)
    except (ValidationError, RecursionError):
        raise _refused(f"holds {where}, which does not follow the schema of evidence") from None
    if (evidence.model, evidence.kind) != (model, kind):
        raise _refused(f"holds {where}, which speaks of another model or verb")
    return evidence


def _marked(evidence: Evidence, forge: Forge, run: Mapping[str, Any]) -> Evidence:
    """Only the forge says where evidence comes from; only a sentence of ours is called ours."""
    event = forge.event
    source = evidence.source.model_copy(
        update={
            "commit": event.head_sha,
            "run_url": str(run.get("html_url") or ""),
            "actor": _login(run),
            "event": "pull_request",
            "trigger": "pull_request",
            "forge": event.forge,
            "pull_request": None,
            "reported_by_fork": event.from_fork,
        }
    )
    return evidence.model_copy(update={"source": source, "artifacts": []})


def _workflow_run(environ: Mapping[str, str]) -> dict[str, Any]:
    path = environ.get("GITHUB_EVENT_PATH", "")
    try:
        payload = json.loads(Path(path).read_bytes())
        run = payload["workflow_run"]
        fine = isinstance(run["id"], int) and commit_id(run["head_sha"]) and run["event"] == "pull_request"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        fine = False
    if not fine:
        raise MlgateError(
            "This run does not follow a run of a pull request.",
            fix="`--from-fork` is for workflows with `on: workflow_run`; see docs/github.md.",
        )
    return dict(run)


def _artifact(forge: Forge, run: int, name: str) -> int:
    answer = forge.api().get(f"repos/{forge.project}/actions/runs/{run}/artifacts", name=name, per_page=100)
    listed = answer.get("artifacts") if isinstance(answer, dict) else None
    fitting = [
        a for a in listed or [] if isinstance(a, dict) and a.get("name") == name and a.get("expired") is not True
    ]
    if not fitting:
        raise MlgateError(
            f"The run of the pull request handed over no artifact `{name}`.",
            fix="Did its gate come as far as the report? Its log says.",
        )
    newest = max(fitting, key=lambda a: int(a["id"]))
    if int(newest.get("size_in_bytes") or 0) > ARCHIVE_LIMIT:
        raise _refused(f"is larger than {ARCHIVE_LIMIT // 1_000_000} MB")
    return int(newest["id"])


def download(url: str, token: str) -> bytes:
    """The archive behind an address of the API. The token stays with the API; the storage that it points to gets none.

    Raises MlgateError for anything but an archive below the limit.
    """
    import requests  # noqa: PLC0415

    try:
        with requests.Session() as session:
            # Else a ~/.netrc on the runner would replace the token, or send one of its own to the storage.
            session.auth = lambda request: request
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
            first = session.get(url, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True)
            with first:
                if first.status_code not in (301, 302, 303, 307, 308):
                    return _body(first)
                target = urllib.parse.urljoin(url, first.headers.get("Location", ""))
            with session.get(target, timeout=_TIMEOUT, allow_redirects=False, stream=True) as second:
                return _body(second)
    except requests.RequestException as error:
        raise MlgateError(f"The artifact could not be downloaded ({type(error).__name__}).") from None


def _body(response: requests.Response) -> bytes:
    if response.status_code != 200:
        raise MlgateError(
            f"The artifact could not be downloaded ({response.status_code}).",
            fix="The job needs `actions: read` under `permissions:`.",
        )
    body = b""
    for part in response.iter_content(65_536):
        body += part
        if len(body) > ARCHIVE_LIMIT:
            raise _refused(f"is larger than {ARCHIVE_LIMIT // 1_000_000} MB")
    return body


def _login(run: Mapping[str, Any]) -> str:
    actor = run.get("actor")
    login = actor.get("login") if isinstance(actor, dict) else None
    return login if isinstance(login, str) else ""


def _refused(why: str) -> MlgateError:
    return MlgateError(f"The artifact of the pull request {why}: it is not used.", fix="Nothing was posted.")
