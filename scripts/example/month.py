"""A month of production, in a minute: people come, the model that is there answers, and a job looks at it day by day.

The month ends yesterday. Its rows are those of real people of whom the model has seen nothing, and its predictions are
those of the processes that run as production: they are asked now, and what they logged gets the time at which it would
have been asked. From one day on other people come; one day nothing is logged; truth is late, and some never comes.
"""

from __future__ import annotations

import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from console import StoryError
from service import Service

DAYS, MOVES, OUTAGE = 30, 12, 20  # of the month: how long, since when others come, when nothing is logged
SEED = 1974  # the year in which the study began
DAY = timedelta(days=1)
VISITORS = Path(__file__).with_name("visitors.py")
LOST = 0.05  # of the truth never arrives
LATE = (1.5, 4.5)  # days until the rest does
_PATIENCE = 30.0  # seconds for an answer, and for the log to have it
_PEOPLE = 4  # who ask at the same time


@dataclass(frozen=True)
class Look:
    """One run of the monitor: the day at whose end it comes, how many days it reads, and how it has to end."""

    day: int
    windows: int
    title: str
    verdict: str
    code: int
    states: Mapping[str, str]


QUIET = {"drift": "quiet", "data": "quiet", "performance": "quiet", "slo": "quiet"}
LOOKS = (
    Look(MOVES - 1, MOVES - 1, "The first eleven days. Nothing has moved, but for chance.", "warn", 0, QUIET),
    Look(MOVES, 1, "The twelfth day. It may be chance: the rule asks for three days of five.", "warn", 0,
         {"drift": "pending", "data": "pending"}),
    Look(MOVES + 2, 2, "Two days later it is no chance any more.", "fail", 1, {"drift": "firing"}),
    Look(OUTAGE, OUTAGE - MOVES - 2, "The twentieth day: production has logged nothing. That is no pass.", "fail", 1,
         {"drift": "firing", "slo": "unknown"}),
    Look(DAYS, DAYS - OUTAGE, "The end of the month. Truth has come for most of it.", "fail", 1,
         {"drift": "firing", "slo": "quiet"}),
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """One request: its rows, by number, and when it would have been."""

    id: str
    at: datetime
    rows: tuple[int, ...]


class Month:
    """Files are where mlgate.yaml looks for them: production/ of the repository, which git and DVC pass over."""

    def __init__(self, service: Service) -> None:
        self.service, self.team, self.console = service, service.team, service.console
        self.until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.first = self.until - DAYS * DAY
        self.folder = self.team.repo / "production"

    def live(self) -> None:
        """People come, are answered, and what became of them is known later. Raises StoryError."""
        visits = list(self._visits())
        began = time.monotonic()
        self._ask(visits)
        lines = self._logged(visits)
        truth = self._truth(visits)
        rows = sum(len(visit.rows) for visit in visits)
        self.console.say(
            f"  {len(visits):,} requests with {rows:,} rows, answered by what runs as production, logged as "
            f"production/logs/<day>.jsonl ({lines} days); truth of {truth:,} rows  ({time.monotonic() - began:.0f} s)"
        )

    def look(self, wanted: Look, env: dict[str, str]) -> dict[str, Any]:
        """`mlgate monitor`, as the job of that morning. Raises StoryError when it does not end as told."""
        until = self.first + wanted.day * DAY
        self.console.say(f"\n  {wanted.title}\n")
        words = [
            "monitor",
            "--until",
            f"{until:%Y-%m-%d}",
            *(("--windows", str(wanted.windows)) * (wanted.windows > 1)),
        ]
        code = self.service.show(*words, env=env)
        evidence = self.team.evidence("monitor")
        if wrong := differences(wanted, code, evidence):
            raise StoryError(f"the monitor did not end as told: {wrong}. Look at {self.console.log}")
        return evidence

    def collected(self) -> int:
        """Brings what has become known to where the next training takes it from; how many visits."""
        known = sorted({self.truth[key][0] for key in self.truth})
        (self.team.folder / "known.json").write_text(json.dumps(known), encoding="utf-8")
        self._project("keep", self.team.folder)
        return len(known)

    # -- who comes ---------------------------------------------------------------------------------------------------

    @cached_property
    def _drawn(self) -> dict[str, Any]:
        told = json.dumps({"seed": SEED, "days": DAYS, "moves": MOVES, "outage": OUTAGE})
        self._project("draw", self.team.folder, told)
        found: dict[str, Any] = json.loads((self.team.folder / "visitors.json").read_text(encoding="utf-8"))
        return found

    def _visits(self) -> Iterator[Visit]:
        """Between seven and seven, in the order in which they come."""
        drawn = random.Random(SEED)  # noqa: S311 -- a story, no secret
        for day, asked in enumerate(self._drawn["days"], start=1):
            opens = self.first + (day - 1) * DAY + timedelta(hours=7)
            times = sorted(drawn.uniform(0, 12 * 3600) for _ in asked)
            for number, (rows, seconds) in enumerate(zip(asked, times, strict=True)):
                yield Visit(f"visit-{day:02}-{number:03}", opens + timedelta(seconds=seconds), tuple(rows))

    def _project(self, *args: str | Path) -> None:
        self.console.run(["python", VISITORS, *args], cwd=self.team.repo, env=self.team.env, quiet=True)

    # -- what production answers -------------------------------------------------------------------------------------

    def _ask(self, visits: Iterable[Visit]) -> None:
        waiting: queue.SimpleQueue[Visit | None] = queue.SimpleQueue()
        for visit in visits:
            waiting.put(visit)
        wrong: list[str] = []
        people = [threading.Thread(target=self._caller, args=(waiting, wrong), daemon=True) for _ in range(_PEOPLE)]
        for each in people:
            waiting.put(None)
            each.start()
        for each in people:
            each.join()
        if wrong:
            raise StoryError(f"production did not answer {len(wrong)} requests: {wrong[0]}")

    def _caller(self, waiting: queue.SimpleQueue[Visit | None], wrong: list[str]) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.service.ports["production"], timeout=_PATIENCE)
        columns, rows = self._drawn["columns"], self._drawn["rows"]
        while (visit := waiting.get()) is not None:
            body = json.dumps({"columns": columns, "data": [rows[at] for at in visit.rows]})
            try:
                headers = {"Content-Type": "application/json", "X-Request-ID": visit.id}
                link.request("POST", "/predict", body.encode(), headers)
                reply = link.getresponse()
                said = reply.read()
                if reply.status != 200:
                    wrong.append(f"{visit.id}: {reply.status} {said[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                wrong.append(f"{visit.id}: {error}")
                link.close()
        link.close()

    def _logged(self, visits: Iterable[Visit]) -> int:
        """One file a day, of the very lines that production wrote, each at its time; how many files."""
        visited = {visit.id: visit for visit in visits}
        wanted = sum(len(visit.rows) for visit in visited.values())
        deadline = time.monotonic() + _PATIENCE
        while len(found := list(self._lines(visited))) < wanted:
            if time.monotonic() > deadline:
                raise StoryError(f"production logged {len(found):,} of {wanted:,} predictions.")
            time.sleep(0.2)
        by_day: dict[str, list[dict[str, Any]]] = {}
        for line in sorted(found, key=lambda line: (visited[line["request_id"]].at, line["row"])):
            at = visited[line["request_id"]].at
            line["time"] = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
            by_day.setdefault(f"{at:%Y-%m-%d}", []).append(line)
        for day, lines in by_day.items():
            _write(self.folder / "logs" / f"{day}.jsonl", lines)
        return len(by_day)

    def _lines(self, visited: Mapping[str, Visit]) -> Iterator[dict[str, Any]]:
        for file in self.service.state.glob("*/*/production/slots/*/predictions.jsonl*"):
            for text in file.read_text(encoding="utf-8").splitlines():
                if '"visit-' in text and (line := json.loads(text))["request_id"] in visited:
                    yield line

    # -- what turns out ----------------------------------------------------------------------------------------------

    def _truth(self, visits: Iterable[Visit]) -> int:
        """One file for each day on which something became known, up to now; of how many rows."""
        drawn, now = random.Random(SEED + 1), datetime.now(UTC)  # noqa: S311 -- as above
        by_day: dict[str, list[dict[str, Any]]] = {}
        self.truth: dict[tuple[str, int], tuple[int, int]] = {}  # request and row -> row of the study, and its label
        for visit in visits:
            for row, at in enumerate(visit.rows):
                known = visit.at + timedelta(days=drawn.uniform(*LATE))
                if drawn.random() < LOST or known > now:
                    continue
                label = self._drawn["visited"][at]
                self.truth[visit.id, row] = (at, label)
                said = {"request_id": visit.id, "row": row, "visited": label, "known": f"{known:%Y-%m-%dT%H:%M:%SZ}"}
                by_day.setdefault(f"{known:%Y-%m-%d}", []).append(said)
        for day, lines in by_day.items():
            _write(self.folder / "truth" / f"{day}.jsonl", lines)
        return len(self.truth)


def differences(wanted: Look, code: int, evidence: Mapping[str, Any]) -> str:
    """How a run of the monitor differs from what was told; empty when it does not."""
    states = {alert["rule"]: alert["state"] for alert in evidence["watched"]["alerts"]}
    told: dict[str, tuple[object, object]] = {
        "exit code": (wanted.code, code),
        "verdict": (wanted.verdict, evidence["verdict"]),
        **{f"rule {name}": (state, states.get(name, "not there")) for name, state in wanted.states.items()},
    }
    return "; ".join(f"{what} {seen} instead of {want}" for what, (want, seen) in told.items() if seen != want)


def _write(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="utf-8")
