"""Known vulnerabilities of installed packages, by pip-audit. A package that could not be looked up is never clean."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.supply import ignore
from mlgate.supply.ignore import Accepted
from mlgate.supply.packages import Package, canonical

GROUP = "supply"
ID = "supply.environment"
_TITLE = "vulnerabilities of Python packages"
_TIMEOUT = 1200.0  # seconds
_OWN = re.compile(r"PIP_AUDIT_\w+|PYTHON(PATH|HOME|STARTUP|WARNINGS)")


def audit(
    packages: Sequence[Package],
    *,
    accepted: Sequence[Accepted] = (),
    today: dt.date,
    environ: Mapping[str, str] | None = None,
    met: set[str] | None = None,
) -> list[Check]:
    """One check for the whole, one per vulnerability and per package that could not be looked up.

    MLGATE_OSV_URL in the environment names an OSV server to ask; else the package index is asked, as pip-audit does.
    `met` takes the ids that were found, accepted or not.
    """
    env = dict(environ if environ is not None else os.environ)
    wanted = {(one.key, one.version): one for one in packages if one.kind == "pypi"}
    if not wanted:
        return [_whole(Verdict.ERROR, "No Python packages were found, so nothing was looked up.")]
    try:
        answer = _ask(sorted(wanted), env)
    except MlgateError as error:
        return [_whole(Verdict.ERROR, f"The packages could not be looked up: {error.message}", error.fix)]
    checks = list(_judge(answer, set(wanted), accepted, today))
    if met is not None:
        met |= {one for entry in answer for found in entry.get("vulns", ()) for one in _ids(found)}
        met |= {canonical(entry["name"]) for entry in answer if "skip_reason" in entry}
    bad = [one for one in checks if one.verdict is not Verdict.WARN]
    if bad:
        verdict = max((one.verdict for one in bad), key=lambda one: one.rank)
        reason = f"{len(wanted)} packages, of which {len(bad)} findings are open."
    else:
        verdict = Verdict.PASS
        accepted_now = f"; {len(checks)} accepted for now" if checks else ""
        reason = f"{len(wanted)} packages looked up, none with a known vulnerability that is open{accepted_now}."
    return [_whole(verdict, reason), *checks]


def _whole(verdict: Verdict, reason: str, fix: str = "") -> Check:
    return Check(id=ID, title=_TITLE, group=GROUP, verdict=verdict, reason=reason, fix=fix)


def _ask(wanted: Sequence[tuple[str, str]], env: Mapping[str, str]) -> list[dict[str, Any]]:
    """pip-audit's answer, one entry per package. Raises MlgateError when there is none."""
    site = extras.site("scan")
    with tempfile.TemporaryDirectory(prefix="mlgate-audit-") as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("".join(f"{name}=={version}\n" for name, version in wanted), encoding="utf-8")
        osv = env.get("MLGATE_OSV_URL", "")
        command = [
            sys.executable, "-I", "-c", _START, *site, "--",
            "--requirement", str(listed), "--no-deps", "--disable-pip", "--format", "json", "--aliases", "on",
            "--desc", "off", "--progress-spinner", "off", "--cache-dir", str(Path(folder, "cache")), "--timeout", "60",
            *(("--vulnerability-service", "osv", "--osv-url", osv) if osv else ()),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                env={key: value for key, value in env.items() if not _OWN.fullmatch(key)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MlgateError(f"pip-audit did not end ({type(error).__name__}).") from error
    # It ends with 1 both for a vulnerability and for a failure: only its answer tells them apart.
    try:
        answer = json.loads(done.stdout)["dependencies"]
        entries = [entry for entry in answer if isinstance(entry["name"], str)]
    except (ValueError, KeyError, TypeError):
        raise MlgateError(
            f"pip-audit gave no answer ({_last(done.stderr)}).",
            fix="Is the database reachable from here? MLGATE_OSV_URL can name a server that answers as OSV does.",
        ) from None
    if done.returncode not in (0, 1) or len(entries) != len(answer):
        raise MlgateError(f"pip-audit failed with exit code {done.returncode} ({_last(done.stderr)}).")
    return entries


# pip-audit without a console script of its own: its packages may be in a folder that this interpreter does not know.
_START = (
    "import sys; at = sys.argv.index('--'); sys.path[:0] = sys.argv[1:at]; sys.argv[1:at + 1] = []; "
    "from pip_audit._cli import audit; audit()"
)


def _last(said: bytes) -> str:
    lines = [" ".join(line.split()) for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return re.sub(r"://[^/@\s]+@", "://***@", lines[-1])[:200].rstrip(".") if lines else "it said nothing"


def _ids(found: Mapping[str, Any]) -> list[str]:
    return [str(one) for one in (found.get("id"), *(found.get("aliases") or ())) if one]


def _judge(
    answer: Sequence[Mapping[str, Any]], wanted: set[tuple[str, str]], accepted: Sequence[Accepted], today: dt.date
) -> Iterator[Check]:
    seen: set[tuple[str, str]] = set()
    for entry in sorted(answer, key=lambda one: str(one["name"])):
        name, version = canonical(entry["name"]), str(entry.get("version", ""))
        if "skip_reason" in entry or not isinstance(entry.get("vulns"), list):
            continue  # below: it was not looked up
        seen.add((name, version))
        for found in entry["vulns"]:
            yield _vulnerability(name, version, found, accepted, today)
    for name, version in sorted(wanted - seen):
        yield _unknown(name, version, accepted, today)


def _vulnerability(
    name: str, version: str, found: Mapping[str, Any], accepted: Sequence[Accepted], today: dt.date
) -> Check:
    ids = _ids(found)
    mended = [str(one) for one in found.get("fix_versions") or ()]
    fix = f"{name}=={mended[0]}   # or later" if mended else ""
    also = f" ({', '.join(ids[1:4])})" if len(ids) > 1 else ""
    what = f"{name} {version} has the known vulnerability {ids[0] if ids else 'without an id'}{also}"
    there = f"It is mended in {', '.join(mended[:3])}." if mended else "There is no version without it yet."
    entry = ignore.accepts(accepted, ids, today)
    return Check(
        id=f"{ID}.{name}.{ids[0] if ids else 'unnamed'}",
        title=f"{name} {version}: {ids[0] if ids else 'a vulnerability'}",
        group=GROUP,
        verdict=Verdict.WARN if entry else Verdict.FAIL,
        reason=f"{what}, accepted until {entry.until.isoformat()}: {entry.reason}." if entry else f"{what}. {there}",
        fix="" if entry else fix,
    )


def _unknown(name: str, version: str, accepted: Sequence[Accepted], today: dt.date) -> Check:
    entry = ignore.accepts(accepted, [name], today)
    what = f"{name} {version} is not in the database that was asked, so it could not be audited"
    return Check(
        id=f"{ID}.{name}",
        title=f"{name} {version} could not be audited",
        group=GROUP,
        verdict=Verdict.WARN if entry else Verdict.ERROR,
        reason=f"{what}; accepted until {entry.until.isoformat()}: {entry.reason}." if entry else f"{what}.",
        fix=""
        if entry
        else f"# in the file of `image.scan.ignore`\n- {{id: {name}, until: YYYY-MM-DD, reason: our own}}",
    )
