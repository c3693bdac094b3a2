"""Scanners of the packages of an image's system: Trivy and Grype, where the user has one. No answer is an error."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.supply.ignore import Accepted

GROUP = "supply"
ID = "supply.image"
_TIMEOUT = 1800.0  # seconds: the first run fetches a database
# What nobody has rated is not milder than anything: it counts as the mildest that a team can ask for.
_RANKS = {"negligible": 0, "unknown": 1, "low": 1, "medium": 2, "high": 3, "critical": 4}
# Settings that leave findings out, or write them elsewhere. What is accepted is said in the ignore file, with a day.
_FILTERS = re.compile(
    r"TRIVY_(SEVERITY|IGNORE\w*|SKIP\w*|PKG_\w+|VULN_TYPE|CONFIG|FORMAT|OUTPUT|TEMPLATE|EXIT\w*|SCANNERS|VEX|INPUT)"
    r"|GRYPE_(IGNORE\w*|ONLY\w*|FAIL\w*|OUTPUT|FILE|CONFIG|EXCLUDE|VEX\w*|SEARCH\w*)"
)
_MOST = 50  # findings with a check of their own


@dataclass(frozen=True)
class Hole:
    """One known vulnerability of one package."""

    id: str
    package: str
    version: str
    severity: str
    mended: str = ""  # the version without it, where there is one
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a scanner found, and what it looked at."""

    holes: tuple[Hole, ...]
    system: str  # "debian 12.5"
    remarks: tuple[str, ...] = ()


def run(
    scanner: str | None,
    image: str,
    *,
    severity: str,
    accepted: Sequence[Accepted] = (),
    today: dt.date,
    environ: Mapping[str, str] | None = None,
    met: set[str] | None = None,
) -> list[Check]:
    """One check for the whole, one for each open finding. `severity`: the mildest that fails.

    `met` takes the ids that were found, accepted or not.
    """
    if scanner in (None, "none"):
        reason = "The packages of the image's system were not looked up: `image.scan.scanner` names no scanner."
        fix = "image:\n  scan:\n    scanner: trivy   # or grype; it has to be on the runner"
        return [_whole(Verdict.WARN, reason, fix)]
    env = dict(environ if environ is not None else os.environ)
    try:
        answer = _ask(str(scanner), image, env)
    except MlgateError as error:
        return [_whole(Verdict.ERROR, f"The image could not be audited: {error.message}", error.fix)]
    if met is not None:
        met |= {name for hole in answer.holes for name in (hole.id, *hole.also)}
    return _judge(answer, str(scanner), severity, [one for one in accepted if one.until >= today])


def _whole(verdict: Verdict, reason: str, fix: str = "") -> Check:
    return Check(id=ID, title="vulnerabilities of the image", group=GROUP, verdict=verdict, reason=reason, fix=fix)


def _ask(scanner: str, image: str, env: Mapping[str, str]) -> Answer:
    command, read = _SCANNERS[scanner]
    found = shutil.which(scanner, path=env.get("PATH"))
    if found is None:
        raise MlgateError(f"`{scanner}` is not on PATH.", fix=f"Install {scanner} on the runner, or name none.")
    try:
        # From an empty folder: what a project leaves beside its code could tell the scanner to look away.
        with (
            tempfile.TemporaryDirectory(prefix="mlgate-scanner-") as folder,
            tempfile.TemporaryDirectory(prefix="mlgate-settings-") as own,
        ):
            settings = Path(own, "settings.yaml")
            settings.write_text("check-for-app-update: false\n", "utf-8")
            done = subprocess.run(
                [found, *(part.format(image=image, settings=settings) for part in command)],
                env={key: value for key, value in env.items() if not _FILTERS.fullmatch(key)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MlgateError(f"`{scanner}` did not end ({type(error).__name__}).") from error
    if done.returncode != 0:
        raise MlgateError(f"`{scanner}` failed with exit code {done.returncode} ({_last(done.stderr)}).")
    try:
        return read(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MlgateError(f"`{scanner}` gave an answer that cannot be read ({type(error).__name__}).") from error


def _last(said: bytes) -> str:
    lines = [" ".join(line.split()) for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return re.sub(r"://[^/@\s]+@", "://***@", lines[-1])[:200].rstrip(".") if lines else "it said nothing"


def _trivy(answer: Any) -> Answer:
    """`trivy image --format json`: one result per list of packages, among them that of the system."""
    system = answer["Metadata"]["OS"]
    results = answer["Results"]
    if not any(one.get("Class") == "os-pkgs" for one in results):
        raise MlgateError("`trivy` looked at no packages of a system: it does not know this one.")
    holes = tuple(
        Hole(
            id=str(one["VulnerabilityID"]),
            package=str(one["PkgName"]),
            version=str(one["InstalledVersion"]),
            severity=str(one["Severity"]).lower(),
            mended=str(one.get("FixedVersion") or ""),
        )
        for result in results
        for one in result.get("Vulnerabilities") or ()
    )
    name = f"{system['Family']} {system.get('Name', '')}".strip()
    old = (f"{name} gets no security updates any more.",) if system.get("EOSL") else ()
    return Answer(holes, name, old)


def _grype(answer: Any) -> Answer:
    """`grype --output json`: one match per package and vulnerability."""
    matches, distro = answer["matches"], answer["distro"]
    if not distro or not distro.get("name"):
        raise MlgateError("`grype` does not know the image's system, so it looked at no packages of it.")
    descriptor = answer["descriptor"]
    if not descriptor.get("db"):
        raise MlgateError("`grype` does not say that it had a database.")
    holes = tuple(
        Hole(
            id=str(one["vulnerability"]["id"]),
            package=str(one["artifact"]["name"]),
            version=str(one["artifact"]["version"]),
            severity=str(one["vulnerability"]["severity"]).lower(),
            mended=str(next(iter((one["vulnerability"].get("fix") or {}).get("versions") or ()), "")),
            also=tuple(str(other["id"]) for other in one.get("relatedVulnerabilities") or ()),
        )
        for one in matches
    )
    return Answer(holes, f"{distro['name']} {distro.get('version', '')}".strip())


_SCANNERS: dict[str, tuple[tuple[str, ...], Callable[[Any], Answer]]] = {
    "trivy": (("image", "--format", "json", "--quiet", "--scanners", "vuln", "--exit-code", "0", "{image}"), _trivy),
    # With a file of settings named, those in the runner's home are not read: they could leave findings out.
    "grype": (("docker:{image}", "--output", "json", "--quiet", "--config", "{settings}"), _grype),
}


def _judge(answer: Answer, scanner: str, severity: str, accepted: Sequence[Accepted]) -> list[Check]:
    limit = _RANKS[severity]
    holes = sorted(set(answer.holes), key=lambda one: (-_rank(one), one.id, one.package))
    names = {one.id.lower() for one in accepted}
    held = [hole for hole in holes if names & {one.lower() for one in (hole.id, *hole.also)}]
    open_ = [hole for hole in holes if hole not in held and _rank(hole) >= limit]
    mild = len(holes) - len(held) - len(open_)
    checks = [_check(hole, severity) for hole in open_[:_MOST]]
    counts = {name: sum(h.severity == name for h in holes) for name in ("critical", "high", "medium", "low")}
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"
    reason = f"{scanner} looked at {answer.system}: {len(holes)} known vulnerabilities ({found})"
    parts = [reason, f"{len(open_)} of them {severity} or worse"]
    if held:
        parts.append(f"{len(held)} accepted for now")
    verdict = Verdict.FAIL if open_ else Verdict.WARN if mild or held or answer.remarks else Verdict.PASS
    said = " ".join(("; ".join(parts) + ".", *answer.remarks))
    return [_whole(verdict, said), *checks]


def _rank(hole: Hole) -> int:
    return _RANKS.get(hole.severity, 1)


def _check(hole: Hole, severity: str) -> Check:
    what = f"{hole.package} {hole.version} has {hole.id} ({hole.severity})."
    there = (
        f"It is mended in {hole.mended}: build on a newer base." if hole.mended else "Its system has no mended one yet."
    )
    return Check(
        id=f"{ID}.{hole.package}.{hole.id}",
        title=f"{hole.package} {hole.version}: {hole.id}",
        group=GROUP,
        verdict=Verdict.FAIL,
        observed=hole.severity,
        expected=f"milder than {severity}",
        reason=f"{what} {there}",
    )
