"""Any other platform, by the user's own commands. They get what they need as MLGATE_* variables; docs/targets.md.

What only the platform could promise, this target cannot: between the look at the state and the end of a command,
another job may act. Commands get the mark of the state as MLGATE_FENCE and may refuse an older one; if they do not,
the fence is advisory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from mlgate.repo.credentials import redact
from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot
from mlgate.rollout.targets import Place, Target, TargetError, command_words
from mlgate.rollout.targets.local_kept import Keeper, folder_name

LONGEST = 300.0  # seconds of one command
NOT_YET = 75  # EX_TEMPFAIL: what `ready` ends with while waiting is of use
_MOST = 16_000_000  # octets that a command may print
_GRACE = 5.0
_TAIL, _WIDTH = 3, 300


def make(place: Place) -> Target:
    """Raises TargetError where mlgate.yaml names no commands."""
    return Command(place)


class Command(Target):
    """One environment, as five or six commands of the user know it."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._key = f"deploy.environments.{place.environment}.target.commands"
        commands = place.settings.target.commands
        if commands is None:
            raise TargetError(
                "names no commands, and a target of kind `command` is nothing else.", key=self._key,
                fix="Add start, ready, weigh, stop and status; see docs/targets.md.",
            )  # fmt: skip
        self._commands = commands
        state = place.folder / commands.state if commands.state else place.state
        self._keeper = Keeper(state / folder_name(place.model) / folder_name(place.environment))
        self._mark = ""

    # -- the state of the rollout -------------------------------------------------------------------------------------

    def read(self) -> Kept | None:
        kept = self._keeper.read()
        self._mark = kept.mark if kept else ""
        return kept

    def write(self, text: str, *, after: str) -> str:
        self._mark = self._keeper.write(text, after)
        return self._mark

    def _fence(self) -> None:
        with self._keeper.locked():
            self._keeper.check(self._mark)

    # -- what runs ----------------------------------------------------------------------------------------------------

    def slots(self) -> Sequence[Slot]:
        return [one.plain() for one in self._status()]

    def start(self, release: Release, *, replicas: int) -> None:
        self._fence()
        self._must("start", {
            "MLGATE_SLOT": release.slot, "MLGATE_IMAGE": release.image, "MLGATE_DIGEST": release.digest,
            "MLGATE_VERSION": release.version, "MLGATE_COMMIT": release.commit, "MLGATE_REPLICAS": str(replicas),
            "MLGATE_PORT": str(release.port),
        })  # fmt: skip

    def ready(self, slot: str) -> Readiness:
        said = self._run("ready", {"MLGATE_SLOT": slot})
        if said.code == 0:
            return Readiness(True)
        words = f"`ready` ended with {said.code} for {slot}" + (f": {said.words}" if said.words else ".")
        return Readiness(False, ended=said.code != NOT_YET, said=words)

    def weigh(self, weights: Mapping[str, float]) -> None:
        self._fence()
        there = {one.slot for one in self._status()}
        for slot, weight in weights.items():
            if weight and slot not in there:
                raise TargetError(f"{slot} is not there, so it can have no traffic.", key=f"{self._key}.status")
        whole = {**dict.fromkeys(there, 0.0), **{slot: float(weight) for slot, weight in weights.items()}}
        self._must("weigh", {"MLGATE_WEIGHTS": json.dumps(dict(sorted(whole.items())))})

    def stop(self, slot: str) -> None:
        self._fence()
        found = {one.slot: one for one in self._status()}
        if slot in found and found[slot].weight > 0:
            raise TargetError(f"{slot} has {found[slot].weight:g} % of the traffic, so it is not stopped.")
        self._must("stop", {"MLGATE_SLOT": slot})

    @contextmanager
    def open(self, slot: str) -> Iterator[str]:
        url = next((one.url for one in self._status() if one.slot == slot), "")
        if not url.startswith(("http://", "https://")):
            raise TargetError(
                f"gives no url for {slot}, so nothing can be tried of it before it has traffic.",
                key=f"{self._key}.status", fix='Let `status` print "url" for each slot, or switch the checks off.',
            )  # fmt: skip
        yield url.rstrip("/")

    @property
    def url(self) -> str:
        return (self.place.settings.url or "").rstrip("/")

    # -- what it does -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return time.time()

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        if self._commands.observe is None:
            return Observed(since, until, complete=False, why="there is no command `observe`, so nothing is seen")
        said = self._must("observe", {
            "MLGATE_SLOTS": json.dumps(list(slots)), "MLGATE_SINCE": f"{since:.6f}", "MLGATE_UNTIL": f"{until:.6f}",
        })  # fmt: skip
        told = command_words.observed(said.out, slots, f"{self._key}.observe")
        return Observed(since, until, told.tallies, complete=not told.why, why=told.why)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _status(self) -> list[command_words.Stood]:
        return command_words.status(self._must("status", {}).out, f"{self._key}.status")

    def _must(self, name: str, more: Mapping[str, str]) -> _Said:
        said = self._run(name, more)
        if said.code != 0:
            raise TargetError(
                f"`{name}` ended with {said.code}" + (f": {said.words}" if said.words else " and said nothing."),
                key=f"{self._key}.{name}",
            )  # fmt: skip
        return said

    def _run(self, name: str, more: Mapping[str, str]) -> _Said:
        """Raises TargetError when it cannot be started, takes too long or prints too much."""
        key, place = f"{self._key}.{name}", self.place
        environ = {
            **_of_the_job(place.environ), "MLGATE_MODEL": place.model, "MLGATE_ENVIRONMENT": place.environment,
            "MLGATE_FENCE": self._mark, "MLGATE_TIMEOUT": f"{place.timeout:g}", "MLGATE_DRAIN": f"{place.drain:g}",
            "MLGATE_STICKY": place.settings.sticky or "", **more,
        }  # fmt: skip
        # Into files: what a command leaves running would hold a pipe open for ever.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                child = subprocess.Popen(
                    ["/bin/sh", "-c", getattr(self._commands, name)], cwd=place.folder, env=environ,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise TargetError(f"cannot be started: {error.strerror}.", key=key) from error
            try:
                code = child.wait(LONGEST)
            except subprocess.TimeoutExpired:
                raise TargetError(
                    f"did not end within {LONGEST:g} seconds.", key=key,
                    fix="Let it start what it has to, and let `ready` and `status` say how far that is.",
                ) from None  # fmt: skip
            finally:
                _end(child)
            if os.fstat(out.fileno()).st_size > _MOST:
                raise TargetError("printed more than 16 MB.", key=key)
            return _Said(code, _text(out), _words(err) or _words(out))


class _Said:
    """How a command ended: with which code, what it printed, and its last words as a part of a sentence."""

    def __init__(self, code: int, out: str, words: str) -> None:
        self.code, self.out, self.words = code, out, words


def _of_the_job(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what is mlgate's own: a platform has no use for the token of the ledger, or for this run's options."""
    return {name: value for name, value in environ.items() if not name.startswith("MLGATE_")}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Nothing to do for one that has ended; what it has left running is its own affair."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _words(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 8192, 0))
    text = redact(file.read().decode("utf-8", "replace"))
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " | ".join(line[:_WIDTH] for line in lines[-_TAIL:])
