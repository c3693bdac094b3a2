"""The command line of `platform_api`: `python platform_cli.py ADDRESS start|ready|weigh|stop|status|observe`.

What it needs to know beside the verb is in MLGATE_* variables, as docs/targets.md promises them.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from typing import Any

NOT_YET = 75


def main(address: str, verb: str) -> int:
    environ = os.environ
    slot = f"/services/{environ.get('MLGATE_SLOT', '')}"

    def ask(method: str, path: str, body: Any = None) -> Any:
        link = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        link.request(method, path, None if body is None else json.dumps(body))
        answer = link.getresponse()
        said = json.loads(answer.read())
        link.close()
        if answer.status != 200:
            sys.exit(f"platform: {said['error']}")
        return said

    if verb == "start":
        ask("PUT", slot, {"image": environ["MLGATE_IMAGE"], "replicas": int(environ["MLGATE_REPLICAS"])})
    elif verb == "ready":
        said = ask("GET", f"{slot}/health")
        sys.stderr.write(said["said"])
        return 0 if said["ready"] else 1 if said["ended"] else NOT_YET
    elif verb == "weigh":
        ask("PUT", "/traffic", json.loads(environ["MLGATE_WEIGHTS"]))
    elif verb == "stop":
        ask("DELETE", slot)
    elif verb == "status":
        print(json.dumps(ask("GET", "/services")))
    elif verb == "observe":
        seen = ask("GET", f"/traffic/{environ['MLGATE_SINCE']}/{environ['MLGATE_UNTIL']}")
        wanted = set(json.loads(environ["MLGATE_SLOTS"]))
        told = {name: one for name, one in seen["slots"].items() if name in wanted}
        print(json.dumps({**told, **({"why": seen["why"]} if seen["why"] else {})}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
