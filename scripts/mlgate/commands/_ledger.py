"""The ledger of a run: where it is, how this job reaches it, and who writes."""

from __future__ import annotations

import getpass
import os
import re
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.commands._run import STATE, Run
from mlgate.errors import MlgateError
from mlgate.forges.gitconfig import push_credentials
from mlgate.ledger.branch import BRANCH, Ledger
from mlgate.ledger.kinds import clean
from mlgate.ledger.place import address
from mlgate.repo.push import Remote

if TYPE_CHECKING:
    from mlgate.config.settings import Ledger as Settings

TOKEN = "MLGATE_LEDGER_TOKEN"  # noqa: S105 -- the name of a variable
# What a user has set for this clone alone and git needs to reach a remote; no program of the repository's choice.
_LOCAL = r"^(url\..*|core\.sshcommand|credential\..*|http\..*|ssh\..*)$"


def open_ledger(run: Run, settings: Settings | None, *, write: bool) -> Ledger:
    """The ledger that a configuration names, else the branch of this repository. Raises MlgateError without a remote,
    or without credentials where `write` needs them."""
    remote = reach(run, settings.remote if settings else None, write=write)
    return Ledger(
        run.git,
        remote,
        spool=spool(run),
        by=run.forge.identity(),
        branch=settings.branch if settings else BRANCH,
        settings=_local(run) if run.forge.name == "none" else (),
    )


def spool(run: Run) -> Path:
    return run.cwd / STATE / "spool"


def who(run: Run, *, commit: str = "") -> dict[str, Any]:
    """The fields of an entry that say who wrote it, in which run, and where."""
    event = run.forge.event
    return {
        "actor": clean(event.actor or _person(run)),
        "run_url": clean(event.run_url),
        "event": event.kind,
        "trigger": clean(event.name),
        "forge": event.forge,
        "commit": commit or run.head,
        "repository": clean(address(url) if (url := run.git.remote_url()) else ""),
    }


def _person(run: Run) -> str:
    """At a terminal: whom git commits as."""
    found = run.git.try_run("config", "user.email").stdout.decode(errors="replace").strip()
    try:
        return found or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def reach(run: Run, configured: str | None, *, write: bool) -> Remote:
    """Where a ledger is, and the environment that lets git in. Raises MlgateError like `open_ledger`."""
    token = os.environ.get(TOKEN, "")
    if configured:
        url, env = _absolute(run, configured), _any_env(run)
    elif write and run.forge.name != "none" and not token:
        return run.forge.push_to()
    else:
        url, env = run.git.remote_url(), run.forge.fetch_env()
        if not url:
            raise MlgateError(
                "this clone has no remote named origin, so there is no ledger to reach.",
                fix="Add one (`git remote add origin ...`), or name the ledger's repository under `ledger.remote`.",
            )
        url = _absolute(run, url)
    parts = urllib.parse.urlsplit(url)
    if token and parts.scheme in ("http", "https"):
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])  # a CI system's own user goes: this is another
        url = parts.geturl()
        env |= push_credentials({**os.environ, **env}, f"{parts.scheme}://{parts.netloc}", "x-access-token", token)
    return Remote(url, env)


def _any_env(run: Run) -> dict[str, str]:
    """This job's own credentials, as far as it has any; on another server they open nothing, and are not sent there."""
    try:
        return dict(run.forge.push_to().env)
    except MlgateError:
        return run.forge.fetch_env()


def _absolute(run: Run, url: str) -> str:
    """Paths are relative to the repository, as git has them."""
    if "://" in url or re.match(r"[^/]+:", url):
        return url
    return str((run.git.root / Path(url).expanduser()).resolve())


def _local(run: Run) -> list[tuple[str, str]]:
    found = run.git.try_run("config", "--local", "-z", "--get-regexp", _LOCAL).stdout.decode(errors="replace")
    pairs = (item.partition("\n") for item in found.split("\0") if item)
    return [(key, value) for key, _, value in pairs]
