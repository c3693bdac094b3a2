"""All models of one run into their environments."""

from __future__ import annotations

from mlgate.commands._binding import unique
from mlgate.commands._deploy_said import VERB
from mlgate.commands._deployment import OUTPUTS, Asked, Deployed, Deployment
from mlgate.commands._run import STATE, Run, Unloadable, dotenv, failed, file_name, off, unloadable, write_text
from mlgate.errors import MlgateError
from mlgate.forges.words import web_address


def every(run: Run, asked: Asked) -> int:
    """The exit code."""
    run.forget(VERB)
    try:
        found = _all(run, asked)
    except MlgateError as error:
        found = [Deployed(failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error))]
    one = found[0].outputs if len(found) == 1 else {}
    # GitLab's page of the environment takes its address from here; later jobs get the variable, which no option has.
    write_text(run.cwd / STATE / "deploy.env", dotenv({"deployed-url": web_address(one.get("url", ""))}))
    return run.finish(VERB, [each.evidence for each in found], {name: one.get(name, "") for name in OUTPUTS})


def _all(run: Run, asked: Asked) -> list[Deployed]:
    files = run.config_files()
    if not files:
        raise run.no_config()
    if len(files) > 1 and (asked.image or asked.version):
        raise MlgateError(
            f"--image and --version are one model's, and there are {len(files)}.",
            fix="Name one mlgate.yaml with --config.",
        )
    loaded = [run.load(file) for file in files]
    unique([own.model for own in loaded])
    found = []
    for own in loaded:
        if isinstance(own, Unloadable):
            found.append(Deployed(unloadable(VERB, own)))
        elif own.mode == "off":
            found.append(Deployed(off(VERB, own)))
        else:
            found.append(Deployment(run, own, asked).result())
    return found
