"""A platform as users have them: an HTTP API that starts services of an image and splits traffic between them.

It runs stand-ins on this machine. Documents that it keeps have an ETag, and whatever changes something may name one by
If-Match: 412 when it is not the latest, as APIs with optimistic locking do.

    GET    /state                     -> the document, with its ETag; 404
    PUT    /state                     If-Match: "" for none yet
    GET    /services                  -> [{"slot", "image", "ready", "replicas", "weight", "url"}]
    PUT    /services/SLOT             {"image", "replicas"}
    GET    /services/SLOT/health      -> {"ready", "ended", "said"}
    DELETE /services/SLOT
    PUT    /traffic                   {SLOT: percent}
    GET    /traffic/SINCE/UNTIL       -> {"why", "slots": {SLOT: {"requests", "errors", "times"}}}
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlgate.errors import MlgateError
from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Release
from mlgate.rollout.targets import FencedError, Place
from mlgate.rollout.targets.local import Local, take_down


class Platform:
    """Serves the API at `address` for one environment, until `close`."""

    def __init__(self, place: Place) -> None:
        self.place = place

        class Handler(_Handler):
            platform = self

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        take_down(self.place)

    def answer(self, method: str, path: list[str], body: str, mark: str | None) -> tuple[int, str, Any]:
        """Status, ETag and body."""
        with Local(self.place) as target:
            kept = target.read()
            now = kept.mark if kept else ""
            if path == ["state"] and method == "PUT":
                return 200, target.write(body, after=mark or ""), {}
            if path == ["state"]:
                return (200, now, kept.text) if kept else (404, "", {})
            if mark is not None and mark != now:
                raise FencedError("the document has changed")
            return 200, now, _done(target, method, path, body)


def _done(target: Local, method: str, path: list[str], body: str) -> Any:
    match method, *path:
        case "GET", "services":
            return _services(target)
        case "PUT", "services", slot:
            wanted = json.loads(body)
            release = Release("visits", wanted["image"], {})
            assert release.slot == slot
            target.start(release, replicas=wanted["replicas"])
        case "GET", "services", slot, "health":
            return vars(target.ready(slot))
        case "DELETE", "services", slot:
            target.stop(slot)
        case "PUT", "traffic":
            target.weigh(json.loads(body))
        case "GET", "traffic", since, until:
            names = [one.name for one in target.slots()]
            seen = target.observe(names, float(since), float(until))
            return {"why": seen.why, "slots": {
                slot: {"requests": one.requests, "errors": one.errors, "times": _times(one.times)}
                for slot, one in seen.tallies.items()
            }}  # fmt: skip
    return {}


def _services(target: Local) -> list[dict[str, Any]]:
    found = []
    for one in target.slots():
        service = {
            "slot": one.name, "image": one.image, "ready": one.ready, "replicas": one.replicas, "weight": one.weight,
        }  # fmt: skip
        if one.ready:
            with target.open(one.name) as url:
                service["url"] = url
        found.append(service)
    return found


def _times(times: Histogram) -> list[list[float]]:
    return [[(bins.longest(bin_) + bins.longest(bin_ - 1)) / 2 if bin_ else 0.0, n] for bin_, n in times.counts.items()]


class _Handler(BaseHTTPRequestHandler):
    platform: Platform
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        tag = ""
        try:
            status, tag, said = self.platform.answer(
                self.command, self.path.strip("/").split("/"), body, self.headers.get("If-Match")
            )
        except FencedError as error:
            status, said = 412, {"error": str(error)}
        except MlgateError as error:
            status, said = 409, {"error": str(error)}
        data = (said if isinstance(said, str) else json.dumps(said)).encode()
        self.send_response(status)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 -- as http.server calls them
