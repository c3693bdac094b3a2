"""What is in a model and its image besides the prediction: code that would run, known holes, licences; and the SBOM."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from mlgate.commands._build_inputs import Source
from mlgate.commands._build_plan import Planned
from mlgate.commands._build_proof import Found
from mlgate.config import Config
from mlgate.image.engine import Engine
from mlgate.model import Check, Location, Verdict
from mlgate.supply.ignore import Accepted


def model(config: Config, path: Path) -> list[Check]:
    """What the model's files would run, before anything loads them."""
    from mlgate.supply import model as models  # noqa: PLC0415

    found = models.scan(path, trusted=config.image.scan.trusted)
    # Where the bytes lay for this build is nobody's business; the model is where the repository has it.
    return [check.model_copy(update={"location": Location(file=config.artifact or path.name)}) for check in found]


def image(engine: Engine, image: str, source: Source, planned: Planned, folder: Path) -> Found:
    """The packages of an image: written down, looked up, and held to the licences that are allowed.

    `folder` gets the SBOM. What could not be looked up is an `error`, whatever else was found.
    """
    from mlgate.supply import environment, ignore, imagefiles, licences, sbom, scanners  # noqa: PLC0415 -- few verbs build

    scan, today = source.config.image.scan, dt.datetime.now(dt.UTC).date()
    found = Found()
    installed = imagefiles.installed(engine, image)
    identity = planned.settings.identity
    bill = sbom.Bill(
        name=source.config.model,
        model=source.config.model,
        model_digest=identity.digest,
        created=dt.datetime.fromtimestamp(planned.plan.created, dt.UTC),
        version=planned.commit[:12],
        packages=installed.packages,
        system=installed.system,
    )
    found.artifacts += sbom.write(bill, folder, name=source.config.model)
    if installed.unread:
        reason = f"Lists of packages that nothing here reads: {', '.join(installed.unread[:5])}."
        found.checks.append(_check("sbom", "every package is known", Verdict.WARN, reason))
    accepted, file = _accepted(source, today, found)
    met: set[str] = set()
    if scan.environment:
        found.checks += environment.audit(installed.python, accepted=accepted, today=today, met=met)
    else:
        reason = "The installed packages were not looked up: `image.scan.environment` is false."
        found.checks.append(_check("environment", "vulnerabilities of Python packages", Verdict.WARN, reason))
        found.not_run.append(reason)
    found.checks += licences.checks(
        installed.python, allow=scan.allow_licences, deny=scan.deny_licences, known=scan.licences
    )
    found.checks += scanners.run(scan.scanner, image, severity=scan.severity, accepted=accepted, today=today, met=met)
    if not any(check.verdict is Verdict.ERROR for check in found.checks):  # else not everything was looked at
        found.checks += ignore.unused(accepted, met, file=file)
    return found


def _accepted(source: Source, today: dt.date, found: Found) -> tuple[list[Accepted], str]:
    """The vulnerabilities that the commit accepts, and the file that says so."""
    from mlgate.supply import ignore  # noqa: PLC0415

    named = source.config.image.scan.ignore
    if named is None:
        return [], ""
    file = source.config.path(named)
    written = source.scratch / "ignore.yaml"
    written.write_bytes(source.pipeline.snapshot.read(file) or b"")  # that it is there, the plan has looked
    accepted = ignore.load(written, name=file)
    found.checks += ignore.expired(accepted, today, file=file)
    return accepted, file


def _check(name: str, title: str, verdict: Verdict, reason: str) -> Check:
    return Check(id=f"supply.{name}", group="supply", title=title, verdict=verdict, reason=reason)
