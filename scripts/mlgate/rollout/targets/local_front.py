"""The target's side of the preview router: keeps it running, gives it weights, asks what it does."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlgate
from mlgate.rollout.targets import Place, TargetError
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_kept import read_json, write_json
from mlgate.rollout.targets.local_router import ACCESS, ROUTER, WEIGHTS

_START = 15.0  # seconds until it listens
_ANSWER = 15.0  # seconds for an answer: it asks each server first whether it is ready


class Front:
    """The router of one environment. Whoever calls `up`, `weigh` or `down` holds the environment's lock."""

    def __init__(self, place: Place, home: Path) -> None:
        self._place = place
        self._folder = home / "router"
        self._home = home
        self.access = self._folder / ACCESS

    @property
    def address(self) -> tuple[str, int]:
        target = self._place.settings.target
        return target.bind, target.port

    @property
    def weights(self) -> Mapping[str, float]:
        """What it was last told, and is told again whenever it starts. Percent."""
        found = read_json(self._folder / WEIGHTS).get("weights")
        return {str(slot): float(weight) for slot, weight in found.items()} if isinstance(found, dict) else {}

    def alive(self) -> bool:
        return process.alive(self._folder)

    def up(self) -> None:
        """Starts it where it does not run, or not at this address. Raises TargetError, for a taken port too."""
        told = read_json(self._folder / ROUTER)
        if self.alive():
            if (told.get("bind"), told.get("port")) == self.address:
                return
            process.end(self._folder, patience=self._place.drain + 2)
        bind, port = self.address
        argv = [
            sys.executable, "-m", "mlgate.rollout.targets.local_router", "--folder", str(self._home), "--bind", bind,
            "--port", str(port), "--drain", str(self._place.drain),
        ]  # fmt: skip
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        environ["PYTHONPATH"] = str(Path(mlgate.__file__).parents[1])
        pid = process.spawn(self._folder, argv, environ=environ, cwd=self._home)
        end = time.monotonic() + _START
        while read_json(self._folder / ROUTER).get("pid") != pid:
            if not self.alive() or time.monotonic() > end:
                words = process.said(self._folder).removeprefix("error: ")
                process.end(self._folder, patience=1.0)
                raise TargetError(
                    words or "the preview router did not start, and said nothing.",
                    key=f"deploy.environments.{self._place.environment}.target.port",
                )
            time.sleep(0.01)

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Writes them, then has the router take them. Raises TargetError when it does not: it will when it starts."""
        generation = secrets.token_hex(8)
        write_json(self._folder / WEIGHTS, {
            "generation": generation, "weights": dict(weights), "sticky": self._place.settings.sticky or "",
            "timeout": self._place.timeout,
        })  # fmt: skip
        self.up()
        if self.ask("POST", "/reload").get("generation") != generation:
            raise TargetError("the preview router has not taken the new weights.", file=str(self._folder))

    def ask(self, method: str = "GET", path: str = "/status") -> dict[str, Any]:
        """What it says of itself. Raises TargetError when it does not answer."""
        told = read_json(self._folder / ROUTER)
        link = http.client.HTTPConnection("127.0.0.1", int(told.get("admin") or 1), timeout=_ANSWER)
        try:
            link.request(method, path, headers={"Authorization": f"Bearer {told.get('token', '')}"})
            answer = link.getresponse()
            found = json.loads(answer.read())
            if answer.status != 200 or not isinstance(found, dict):
                raise ValueError(f"it answers {answer.status}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise TargetError(
                f"the preview router does not answer ({error}).", file=str(self._folder / "log"),
                fix="`mlgate deploy --recover` starts it again.",
            ) from error  # fmt: skip
        finally:
            link.close()
        return found

    def under_way(self, slot: str) -> dict[str, int]:
        """Requests by server; empty where nothing is known to be under way."""
        if not self.alive():
            return {}
        found = self.ask().get("under_way", {}).get(slot, {})
        return {str(name): int(many) for name, many in found.items() if many}

    def doubts(self, since: float, until: float) -> str:
        """Why the log may not hold every request that began in the window; empty when it does."""
        if not self.alive():
            return "the preview router does not run" if self.weights else ""
        try:
            told = self.ask()
        except TargetError as error:
            return error.message
        if int(read_json(self._folder / ROUTER).get("runs", 1)) > 1 and since < told["began"]:
            return "the preview router was started again in this time, and may have lost requests before"
        if told["dropped"] >= since:
            return "the preview router could not write its log: the disk is full"
        if told["oldest"] is not None and told["oldest"] < until:
            return "requests of this time are still under way"
        return ""

    def down(self) -> None:
        """Ends it, after what is under way, and forgets its weights."""
        process.end(self._folder, patience=self._place.drain + 2)
        for name in (WEIGHTS, ROUTER):
            with suppress(FileNotFoundError):
                (self._folder / name).unlink()
