"""The ledger on its branch: append, read, verify, each in a few words.

    ledger = Ledger(git, remote, spool=Path(".mlgate/spool"), by=Identity("mlgate-bot", "..."))
    receipt = ledger.append(Promotion(...))     # durable when it returns: in the branch, or in the spool
    once = ledger.append_once(decide)           # what `decide` makes of the entries there are, and nothing in between
    receipt.head.token                          # to be kept elsewhere
    ledger.examine(against=[Head.parse(token)]).damages

An append is one commit on top of the branch as it is now, pushed only if the branch is still there; who comes second
fetches, chains anew and tries again. Entries of several processes of one clone that wait for each other share a commit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlgate.errors import MlgateError
from mlgate.ledger import building, verify
from mlgate.ledger.building import Ends
from mlgate.ledger.chain import CHAINS, EVENTS, INDEX, READINGS, Head, Record, Segment, chain_of
from mlgate.ledger.kinds import Entry
from mlgate.ledger.place import BusyError, Home, address
from mlgate.ledger.spool import Spool, Waiting
from mlgate.ledger.store import Store
from mlgate.ledger.verify import Report
from mlgate.ledger.view import State, View
from mlgate.ledger.words import explain
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, PushError, Remote

BRANCH = "mlgate-ledger"
LIMIT = 120.0  # seconds to get an entry in, or to read
BATCH = 500  # entries of one commit
_UNREACHABLE = 2  # tries, each with tries of its own
_T = TypeVar("_T")


@dataclass(frozen=True)
class Receipt:
    """What became of an append. `placed`: entry id -> its place. `waiting` are in the spool, and `said` is why."""

    placed: Mapping[str, Head] = field(default_factory=dict)
    waiting: int = 0
    said: tuple[str, ...] = ()

    @property
    def pushed(self) -> bool:
        return not self.waiting

    @property
    def head(self) -> Head | None:
        """The furthest of what was placed: of the events where there are any, since they vouch for the readings."""
        placed = sorted(self.placed.values(), key=lambda head: (head.chain != EVENTS, -head.seq))
        return placed[0] if placed else None


@dataclass(frozen=True)
class Once:
    """What became of a conditional append. `records` are the events that it was decided on, `written` what came of it
    in this very call, and `head` the end of the events then (None where there is no ledger)."""

    records: tuple[Record, ...] = ()
    written: tuple[Entry, ...] = ()
    head: Head | None = None


# From the events as they are, to what is to be written behind them; nothing where it is there already.
Decide = Callable[[tuple[Record, ...]], Sequence[Entry]]


class Ledger:
    """One ledger, seen from one clone. `remote` holds it: an address, and the environment that lets git in."""

    def __init__(
        self,
        git: Git,
        remote: Remote,
        *,
        spool: Path,
        by: Identity,
        branch: str = BRANCH,
        settings: Sequence[tuple[str, str]] = (),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        form = git.try_run("rev-parse", "--show-object-format").stdout.decode().strip() or "sha1"
        self.branch = branch
        self.address = address(remote.url)
        self._home = Home(git, remote.url, branch)
        self.spool = Spool(spool, self._home.key)
        self._store = Store(self._home.copy, remote, branch, by=by, object_format=form, settings=settings)
        self._view = View(self._store, self._home, branch=branch, address=self.address)
        self._left: State | None = None  # as our last push left it: very often the branch is still there
        self._sleep = sleep
        self._clock = clock

    # -- appending ---------------------------------------------------------------------------------------------------

    def append(self, *entries: Entry, limit: float = LIMIT) -> Receipt:
        """Write entries, in this order. They are on disk before anything else, and in the branch when this returns.

        Where the remote cannot be reached within `limit` seconds they wait in the spool, and the receipt says so.
        Raises MlgateError where the branch does not take them (protected, diverged, of another repository, damaged);
        they wait then, too.
        """
        return self._append(entries, limit, anew=False)

    def append_new(self, *entries: Entry, limit: float = LIMIT) -> Receipt:
        """Write those of the entries whose ids are not in the branch yet; the others stay as they are there.

        For entries whose id and moment follow from what they are about, so that each is there once, whoever writes it
        and however often. What stands there already is placed, too. Like `append` in all else.
        """
        return self._append(entries, limit, anew=True)

    def _append(self, entries: Sequence[Entry], limit: float, *, anew: bool) -> Receipt:
        deadline = time.monotonic() + limit
        fresh = [self.spool.put(entry).entry.id for entry in entries]
        try:
            with self._home.locked(deadline):
                return self._flush(fresh, deadline, anew=anew)
        except BusyError as error:
            return Receipt(waiting=len(fresh), said=(self._waits(len(fresh), str(error).rstrip(".")),))
        except PushError as error:
            raise explain(error, self.branch, self.spool.folder) from None

    def append_once(self, decide: Decide, *, limit: float = LIMIT) -> Once:
        """Write what `decide` makes of the verified events, if no other writer came in between; else ask it again.

        Of several that race, one writes, and the others see what it wrote. Nothing goes through the spool: an entry
        that waited there would be written later, whatever has happened since. Raises MlgateError where the remote
        cannot be reached within `limit` seconds or does not take the entry, and whatever `decide` raises; what was to
        be written is then in the branch or nowhere, and the next call tells which.
        """
        deadline, attempt, unreachable = time.monotonic() + limit, 0, 0
        tried: list[Entry] = []
        with self._home.locked(deadline):
            while True:
                began, tip = time.monotonic(), ""
                try:
                    report = self._whole(self._examined((), (EVENTS,), ""))
                    records = report.records if report else ()
                    # Whole entries: where ids follow from what they say, another writer's has the same one.
                    if mine := [record for record in records if record.entry in tried]:
                        return Once(
                            records, tuple(record.entry for record in mine), mine[-1].head
                        )  # its answer was lost
                    entries = decide(records)
                    if not entries:
                        return Once(records, (), records[-1].head if records else None)
                    state = self._view.to_write(entries, [entry.id for entry in entries], {})
                    tip = state.tip.commit if state.tip else ""
                    there = state.heads.get(EVENTS)
                    if (there.hash if there else "") == (records[-1].hash if records else ""):
                        tried += entries
                        placed = self._write(state, entries)
                        return Once(records, tuple(entries), placed[entries[-1].id])
                except PushError as error:
                    moved = error.why == "moved" or (error.why == "refused" and bool(tip) and self._store.tip() != tip)
                    unreachable += error.why == "unreachable"
                    if not moved and (error.why != "unreachable" or unreachable >= _UNREACHABLE):
                        raise explain(error, self.branch) from None
                attempt += 1
                if time.monotonic() >= deadline:
                    raise MlgateError(
                        f"the ledger was not written within {limit:.0f} s: others were quicker each time.",
                        fix="Run it again.",
                    )
                self._sleep(_pause(attempt, time.monotonic() - began))

    def flush(self, *, limit: float = LIMIT) -> Receipt:
        """Write what waits in the spool of this clone. Raises like `append`."""
        return self.append(limit=limit)

    def take(self, folder: Path, *, limit: float = LIMIT) -> Receipt:
        """Write what waits in another spool folder, whoever wrote it: only for one whose contents are known."""
        found, bad = Spool(folder, b"").waiting()
        if bad:
            raise MlgateError(f"{len(bad)} files cannot be taken, so none was: {bad[0]}", file=str(folder))
        for one in found:
            self.spool.put(one.entry)
        return self.flush(limit=limit)

    def _flush(self, fresh: Sequence[str], deadline: float, *, anew: bool = False) -> Receipt:
        """`anew`: what is `fresh` may be in the branch already, and is looked for."""
        placed: dict[str, Head] = {}
        since: dict[str, int] = {}  # where the chains ended when an entry of ours was first tried
        attempt = unreachable = 0
        while True:
            batch, said = self._batch()
            if fresh:
                waiting = {one.entry.id for one in batch}
                placed |= self._done_by_others([i for i in fresh if i not in placed and i not in waiting])
            if not batch or (fresh and placed.keys() >= set(fresh)):
                self._home.tidy()
                return Receipt(placed, 0, said)
            tip, began = "", time.monotonic()
            try:
                state = None if anew else self._as_left(batch, fresh)
                state = state or self._view.to_write([one.entry for one in batch], () if anew else fresh, since)
                tip = state.tip.commit if state.tip else ""
                since = since or {name: state.heads[name].seq if name in state.heads else 0 for name in CHAINS}
                those: dict[str, Entry] = {}
                for one in batch:
                    if one.entry.id not in state.there:
                        those.setdefault(one.entry.id, one.entry)
                put = self._write(state, list(those.values()))
            except PushError as error:
                moved = error.why == "moved" or (error.why == "refused" and bool(tip) and self._store.tip() != tip)
                unreachable += error.why == "unreachable"
                if not moved and error.why != "unreachable":
                    raise
                if unreachable >= _UNREACHABLE or time.monotonic() >= deadline:
                    why = f"{self.branch} cannot be reached ({error.said})" if unreachable else "others were quicker"
                    return Receipt(placed, len(batch), (*said, self._waits(len(batch), why)))
                attempt += 1
                self._sleep(_pause(attempt, time.monotonic() - began))
                continue
            put |= state.there
            self._settled(batch, put, fresh)
            placed |= {entry_id: head for entry_id, head in put.items() if entry_id in fresh}
            attempt = 0

    def _as_left(self, batch: Sequence[Waiting], fresh: Collection[str]) -> State | None:
        """The branch as our own last push left it, to be tried without a fetch; the push is refused if it moved."""
        left, self._left = self._left, None
        if left is None or not all(one.entry.id in fresh for one in batch):
            return None  # what others wrote has to be looked for in the branch first
        chains = {chain_of(one.entry.kind) for one in batch}
        return left if chains <= left.tails.keys() else None

    def _batch(self) -> tuple[list[Waiting], tuple[str, ...]]:
        """What this clone's spool holds, oldest first. What others put there stays there, and is told."""
        found, bad = self.spool.waiting()
        if foreign := sum(not one.ours for one in found):
            files = "1 file was" if foreign == 1 else f"{foreign} files were"
            bad.append(
                f"{files} not written by this clone and will stay in {self.spool.folder}. If you know where they are "
                f"from: `mlgate audit push --from {self.spool.folder}`."
            )
        return [one for one in found if one.ours][:BATCH], tuple(bad)

    def _done_by_others(self, ids: Iterable[str]) -> dict[str, Head]:
        """Entries of ours that a process before us in the queue has written with its own."""
        words = {entry_id: self._home.take_done(entry_id) for entry_id in ids}
        return {entry_id: Head(**word) for entry_id, word in words.items() if word}

    def _settled(self, batch: Sequence[Waiting], put: Mapping[str, Head], fresh: Collection[str]) -> None:
        for one in batch:
            if one.entry.id not in fresh:
                self._home.done(one.entry.id, vars(put[one.entry.id]))
            one.path.unlink(missing_ok=True)

    def _write(self, state: State, entries: Sequence[Entry]) -> dict[str, Head]:
        """Chain entries to the branch as it is and push them. Raises PushError."""
        if not entries:
            return {}
        now = self._clock()
        ends = None
        if state.tip is not None:
            begins = READINGS not in state.heads and any(chain_of(entry.kind) == READINGS for entry in entries)
            root = self._view.first_hash(state.tip) if begins else ""
            ends = Ends(state.ledger, state.repository, state.heads, state.tails, root)
        built = building.build(ends, entries, repository=self.address, now=now)
        commit = self._store.commit(state.tip, built.files, title=building.title(entries), at=int(now))
        tip = self._store.push(commit, state.tip)
        ends = built.ends
        self._left = State(tip, ends.ledger, ends.repository, ends.heads, ends.tails)
        self._view.remember(self._left)
        return dict(built.placed)

    def _waits(self, count: int, why: str) -> str:
        what = "1 entry of the ledger waits" if count == 1 else f"{count} entries of the ledger wait"
        how = "The next append from this clone writes them, or `mlgate audit push`."
        return f"{what} in {self.spool.folder}: {why}. {how}"

    # -- reading -----------------------------------------------------------------------------------------------------

    def heads(self) -> tuple[Head, ...]:
        """Of each chain, as the branch has them; none where there is no ledger yet. Raises MlgateError."""
        return tuple(self._reading(self._view.to_read).heads.values())

    def head(self) -> Head | None:
        """Of the events: it vouches for the readings that were there before it, too."""
        return next((head for head in self.heads() if head.chain == EVENTS), None)

    def records(self, chains: Collection[str] = (EVENTS,), *, since: str = "") -> tuple[Record, ...]:
        """The entries of some chains, verified; none where there is no ledger yet. Raises MlgateError at any damage.

        `since`: a month, such as 2026-10, before which no segment is fetched.
        """
        report = self._whole(self._reading(lambda: self._examined((), chains, since)))
        return report.records if report else ()

    def _whole(self, report: Report | None) -> Report | None:
        """Raises MlgateError at any damage."""
        if report and report.damages:
            more = f" ({len(report.damages) - 1} more)" if len(report.damages) > 1 else ""
            raise MlgateError(
                f"the ledger on {self.branch} cannot be believed: {report.damages[0]}{more}",
                fix="`mlgate audit verify` names all that is wrong with it.",
            )
        return report

    def examine(self, against: Iterable[Head] = (), chains: Collection[str] = CHAINS) -> Report:
        """All that is wrong with the ledger, also by what this clone saw of it before. Raises MlgateError when there is
        none, or it cannot be fetched."""
        report = self._reading(lambda: self._examined(against, chains, ""))
        if report is None:
            raise MlgateError(
                f"there is no branch {self.branch} in {self.address}, so there is no ledger to verify.",
                fix="It is made by the first append. If there was one, it was deleted.",
            )
        return report

    def _examined(self, against: Iterable[Head], chains: Collection[str], since: str) -> Report | None:
        tip = self._store.fetch()
        heads = [*against, *self._view.known_heads()]
        if tip is None:
            if heads:
                raise MlgateError(f"the ledger is gone: there is no branch {self.branch} in {self.address} any more.")
            return None
        segments = [s for path in tip.files if (s := Segment.parse(path)) and s.chain in chains and s.month >= since]
        wanted = [*(s.path for s in segments), *([INDEX] if INDEX in tip.files else [])]
        files = self._store.read(tip, wanted)
        report = verify.examine(files, against=heads, chains=chains, partial=bool(since), listed=tip.files)
        if report.whole and set(chains) == set(CHAINS):
            ends = {head.chain: head for head in report.heads}
            self._view.remember(State(tip, report.ledger, report.repository, ends))
        return report

    def _reading(self, read: Callable[[], _T]) -> _T:
        try:
            with self._home.locked(time.monotonic() + LIMIT):
                return read()
        except PushError as error:
            raise MlgateError(
                f"the ledger cannot be read: {self.branch} of {self.address}: {error.said}.",
                fix="Check the network, `ledger.remote` and the credentials of this job.",
            ) from None


def _pause(attempt: int, took: float) -> float:
    """Seconds to wait after losing: in the mean as many attempts long as there may be others, so that about one of them
    tries at a time however slow the machine is. Who has just won goes on at once, which is the cheapest order."""
    return random.uniform(0, min(took * 2.0 ** min(attempt, 6), 15.0))  # noqa: S311 -- jitter
