"""The project's DVC, its remote and the disk: findings from plain facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlgate.model import Check, Verdict
from mlgate.repo.dvc import Out
from mlgate.repo.project_dvc import Settings, Status, Trouble
from mlgate.setup.finding import finding, megabytes, some

PLUGINS = {
    "s3": "s3",
    "gs": "gs",
    "azure": "azure",
    "abfs": "azure",
    "ssh": "ssh",
    "gdrive": "gdrive",
    "oss": "oss",
    "hdfs": "hdfs",
    "webhdfs": "webhdfs",
    "webdav": "webdav",
    "webdavs": "webdav",
}
ENV_SECRET = {
    "github": "# repository secret MLGATE_ENV, as KEY=value lines; and in the caller:\n"
    "    secrets:\n      env: ${{ secrets.MLGATE_ENV }}",
    "gitlab": "Settings > CI/CD > Variables, masked: what the remote needs\n"
    "    for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "none": "dvc remote modify --local <remote> ...   # or the provider's own login, e.g. aws configure",
}
INSTALL = {
    "github": 'with:\n  setup: pip install "dvc[s3]"   # the plugin of your remote',
    "gitlab": "inputs:\n  setup: pip install 'dvc[s3]'   # the plugin of your remote",
    "none": "pip install dvc   # in the project's environment, with the plugin of your remote: dvc[s3]",
}


def absent(said: str, forge: str) -> Check:
    """There is no DVC, and the project has pointers."""
    reason = f"{said} Freshness and the remote are asked of the project's own DVC."
    return finding("tools.dvc", "the project's DVC", Verdict.WARN, reason, fix=INSTALL[forge])


def remote(facts: Settings, *, folder_exists: bool = True) -> Check:
    """Whether a default remote is set."""
    title = "DVC remote"
    if not facts.name:
        if facts.names:
            reason = f"There are remotes ({some(list(facts.names))}), and none of them is the default."
            return finding("remote", title, Verdict.FAIL, reason, fix=f"dvc remote default {facts.names[0]}")
        reason = "DVC has no remote: data and models are on one machine only, and no runner can read them."
        return finding(
            "remote", title, Verdict.WARN, reason, fix="dvc remote add -d storage s3://bucket/path\ngit add .dvc/config"
        )
    if not facts.url:
        reason = f"The default remote is `{facts.name}`, which has no address."
        return finding("remote", title, Verdict.FAIL, reason, fix=f"dvc remote add -d {facts.name} s3://bucket/path")
    if facts.folder is not None and not folder_exists:
        reason = f"Remote `{facts.name}` is the folder {facts.url}, which is not there."
        return finding("remote", title, Verdict.ERROR, reason, fix=f"mkdir -p {facts.url}   # or mount it")
    return finding("remote", title, Verdict.PASS, f"`{facts.name}`: {facts.url}")


@dataclass(frozen=True)
class Pushed:
    """What DVC said of the remote, and what the gate itself needs of it."""

    status: Status
    remote: Settings
    needed: Sequence[str]  # artifact, evaluation data, predictions
    pointers: int
    forge: str = "none"
    python: str = "python3"
    from_fork: bool = False
    no_credentials: Verdict = Verdict.WARN


def pushed(facts: Pushed) -> tuple[Check, str]:
    """Whether what the pointers name is in the remote; and what is to be listed as not run, empty when all was read."""
    title, name = "contents of the DVC remote", facts.remote.name
    status = facts.status
    if status.trouble:
        return _trouble(facts, title)
    if not status.not_in_remote:
        return finding("pushed", title, Verdict.PASS, f"{facts.pointers} pointers, all of it in `{name}`."), ""
    lost = list(status.not_in_remote)
    needed = [path for path in lost if any(_covers(path, wanted) for wanted in facts.needed)]
    shown = some(needed + [path for path in lost if path not in needed])
    reason = (
        f"{shown}: no file of it is in `{name}` ({facts.remote.url}). Was it pushed, and is this the right address?"
        if facts.pointers and len(set(lost)) >= facts.pointers
        else f"{shown}: not in `{name}` ({facts.remote.url}). Was `dvc push` forgotten?"
    )
    verdict = Verdict.FAIL if needed else Verdict.WARN
    return finding("pushed", title, verdict, reason, fix=f"dvc push --remote {name}"), ""


def _trouble(facts: Pushed, title: str) -> tuple[Check, str]:
    status, name = facts.status, facts.remote.name
    unread = f"DVC remote `{name}`: {status.said or status.trouble.value if status.trouble else ''}."
    scheme = facts.remote.url.split("://", 1)[0]
    trouble = status.trouble
    if trouble is Trouble.NO_CREDENTIALS or (trouble is Trouble.REFUSED and facts.from_fork):
        reason = f"There are no credentials for remote `{name}` here ({status.said}), so it was not asked."
        verdict = facts.no_credentials
        return finding("pushed", title, verdict, reason, fix=ENV_SECRET[facts.forge]), unread
    if trouble is Trouble.REFUSED:
        reason = f"Remote `{name}` refused the credentials: {status.said}."
        return finding("pushed", title, Verdict.ERROR, reason, fix=ENV_SECRET[facts.forge]), unread
    if trouble is Trouble.PLUGIN:
        reason = f"The project's DVC cannot speak to {scheme}: {status.said}."
        plugin = PLUGINS.get(scheme, scheme)
        fix = f'{facts.python} -m pip install "dvc[{plugin}]"'
        return finding("pushed", title, Verdict.ERROR, reason, fix=fix), unread
    if trouble is Trouble.OLD:
        reason = f"The project's DVC is too old to say what its remote lacks: {status.said}."
        fix = f'{facts.python} -m pip install --upgrade "dvc>=3.60"'
        return finding("pushed", title, Verdict.WARN, reason, fix=fix), unread
    if trouble is Trouble.CONFIG:
        reason = f"DVC cannot work here: {status.said}."
        return finding("pushed", title, Verdict.ERROR, reason), unread
    reason = f"Remote `{name}` ({facts.remote.url}) cannot be reached: {status.said or 'no answer'}."
    return finding("pushed", title, Verdict.ERROR, reason), unread


def _covers(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(f"{wanted}/") or wanted.startswith(f"{path}/")


@dataclass(frozen=True)
class Need:
    """Bytes a pull would bring. `unknown` counts pointers without a size."""

    bytes: int
    files: int
    unknown: int = 0


def need(outs: Iterable[Out], not_in_cache: Sequence[str] | None) -> Need:
    """Sizes from lock and .dvc files, of what the cache lacks; None: the cache was not asked, so all of it."""
    sizes: dict[str, int | None] = {}
    for out in outs:
        lacking = not_in_cache is None or any(p == out.path or p.startswith(f"{out.path}/") for p in not_in_cache)
        if lacking and out.md5:
            sizes[out.md5] = out.size  # the same content is stored once
    known = [size for size in sizes.values() if size is not None]
    return Need(sum(known), len(sizes), len(sizes) - len(known))


def disk(of_model: Need, everything: Need, free: int, *, copies: int) -> Check:
    """Whether what a pull brings fits. `copies`: 2 where the cache cannot link files into the working tree."""
    title = "disk space"
    wanted, whole = of_model.bytes * copies, everything.bytes * copies
    least = "at least " if everything.unknown else ""
    twice = ", counted twice: in the cache and in the working tree" if copies > 1 else ""
    brings = f"`dvc pull` brings {least}{megabytes(whole)}{twice}"
    if wanted <= free and whole <= free:
        # Without the free space in it, so that the same commit gives the same words.
        return finding("disk", title, Verdict.PASS, f"{brings}, which fits.")
    said = f"{brings}; {megabytes(free)} are free."
    if wanted > free:
        reason = f"This model's files alone need {megabytes(wanted)}. {said}"
        fix = "dvc config cache.type symlink   # one copy instead of two\n# or a runner with a larger disk"
        return finding("disk", title, Verdict.FAIL, reason, fix=fix)
    return finding("disk", title, Verdict.WARN, said, fix="dvc pull <path>   # only what the job needs")
