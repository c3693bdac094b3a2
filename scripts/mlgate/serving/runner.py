"""The thread that calls the model, and what happens when a call does not return.

Requests wait in a queue for one thread, because few libraries promise that a model may be called by several. While it
computes, requests gather; those of a model that answers each row by itself are then answered by one call together.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mlgate.serving.columns import Columns
from mlgate.serving.models import Model
from mlgate.serving.refused import RefusedError

Way = Literal["predict", "invoke"]
_TOGETHER = 256  # rows that are answered by one call
_TICK = 0.1  # seconds between looks at who has waited too long


class _Job:
    """One call. `columns`: the rows, where it may be made together with others of the same `way`."""

    __slots__ = ("begun", "columns", "deadline", "future", "way", "work")

    def __init__(
        self, work: Callable[[], Any], columns: Columns | None, way: Way, future: asyncio.Future[Any], deadline: float
    ) -> None:
        self.work = work
        self.columns = columns
        self.way: Way = way
        self.future = future
        self.deadline = deadline
        self.begun = False

    @property
    def rows(self) -> int:
        return self.columns.rows if self.columns is not None else _TOGETHER


class Runner:
    """`waiting` requests may be under way. `stuck` is called when a call has not returned within `timeout` seconds."""

    def __init__(self, model: Model, *, timeout: float, waiting: int, stuck: Callable[[], None]) -> None:
        self._model = model
        self._timeout = timeout
        self._most = waiting
        self._stuck = stuck
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._open: deque[_Job] = deque()  # in the order of their deadlines, answered ones among them
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0  # threads that are still in a call nobody waits for

    def start(self) -> None:
        """In the loop that answers requests."""
        self._loop = asyncio.get_running_loop()
        self._employ()
        self._timer = self._loop.call_later(_TICK, self._look)

    def close(self) -> None:
        """The thread ends after the call it is in; a lost one ends with the process."""
        self._jobs.put(None)
        if self._timer is not None:
            self._timer.cancel()

    async def call(self, way: Way, columns: Columns, params: Mapping[str, Any] | None = None) -> Any:
        """What the model's `predict` or `invoke` returns, or what it raises.

        Raises RefusedError: 503 when too many wait, 504 after the timeout.
        """
        if params:
            return await self.run(lambda: self._model.invoke(columns, params))
        return await self.run(lambda: self._ask(way, columns), columns if self._model.rowwise else None, way)

    async def run(self, work: Callable[[], Any], columns: Columns | None = None, way: Way = "predict") -> Any:
        """What `work` returns or raises, called in the model's thread. Raises RefusedError as `call` does."""
        loop = self._loop
        assert loop is not None  # noqa: S101 -- for the type checker: `start` was called
        if self._count >= self._most:
            raise RefusedError(503, "Too many requests are waiting; try again in a moment.")
        job = _Job(work, columns, way, loop.create_future(), loop.time() + self._timeout)
        self._count += 1
        self._open.append(job)
        self._jobs.put(job)
        try:
            return await job.future
        finally:
            self._count -= 1

    def _ask(self, way: Way, columns: Columns) -> Any:
        return self._model.predict(columns) if way == "predict" else self._model.invoke(columns, None)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _employ(self) -> None:
        threading.Thread(target=self._work, args=(self._jobs,), name="model", daemon=True).start()

    def _work(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        settle = getattr(self._model, "settle", None)
        if settle is not None:
            settle()
        while (job := jobs.get()) is not None:
            batch = [job]
            if job.columns is not None:
                rows = job.rows
                with contextlib.suppress(queue.Empty):
                    while rows < _TOGETHER:
                        other = jobs.get_nowait()
                        if other is None:
                            jobs.put(None)
                            break
                        batch.append(other)
                        rows += other.rows
            batch = [one for one in batch if not one.future.done()]
            for one in batch:
                one.begun = True
            done: list[tuple[_Job, Any, BaseException | None]] = []
            for group in _alike(batch):
                done += self._answer(group)
            self._deliver(done)

    def _answer(self, jobs: Sequence[_Job]) -> list[tuple[_Job, Any, BaseException | None]]:
        if len(jobs) > 1:
            try:
                return [(job, part, None) for job, part in zip(jobs, self._together(jobs), strict=True)]
            except Exception:  # noqa: S110 -- one of them may be at fault: each is asked for by itself
                pass
        made: list[tuple[_Job, Any, BaseException | None]] = []
        for job in jobs:
            try:
                made.append((job, job.work(), None))
            except BaseException as error:
                made.append((job, None, error))
        return made

    def _together(self, jobs: Sequence[_Job]) -> list[Any]:
        joined = Columns.joined([job.columns for job in jobs if job.columns is not None])
        said = self._ask(jobs[0].way, joined)
        if len(said if jobs[0].way == "invoke" else said.prediction) != joined.rows:
            raise ValueError("not one answer for each row")
        parts, start = [], 0
        for job in jobs:
            stop = start + job.rows
            parts.append(said[start:stop] if job.way == "invoke" else said.part(start, stop))
            start = stop
        return parts

    def _deliver(self, done: list[tuple[_Job, Any, BaseException | None]]) -> None:
        assert self._loop is not None  # noqa: S101 -- for the type checker
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, done)

    # -- the loop ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Answer who has waited too long; leave a thread that is still in such a call, and go on with a new one."""
        assert self._loop is not None  # noqa: S101 -- for the type checker
        now, left = self._loop.time(), False
        while self._open and (self._open[0].future.done() or self._open[0].deadline <= now):
            job = self._open.popleft()
            if not job.future.done():
                left = left or job.begun
                job.future.set_exception(RefusedError(504, f"The model did not answer within {self._timeout:g} s."))
        if left:
            self._leave()
        self._timer = self._loop.call_later(_TICK, self._look)

    def _leave(self) -> None:
        waiting, self._jobs = self._jobs, queue.SimpleQueue()
        with contextlib.suppress(queue.Empty):
            while True:
                job = waiting.get_nowait()
                if job is not None and not job.future.done():
                    self._jobs.put(job)
        waiting.put(None)  # should the call return after all, its thread ends
        self.lost += 1
        self._employ()
        self._stuck()


def _alike(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """Those that one call can answer: asked for in the same way, with the same columns."""
    groups: dict[Any, list[_Job]] = {}
    for job in jobs:
        key = id(job) if job.columns is None else (job.way, *job.columns.names)
        groups.setdefault(key, []).append(job)
    return list(groups.values())


def _settle(done: list[tuple[_Job, Any, BaseException | None]]) -> None:
    for job, said, error in done:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(said)
        else:
            if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):  # a future takes none of them
                error = RuntimeError(f"{type(error).__name__}: {error}")  # noqa: PLW2901 -- what is raised instead
            job.future.set_exception(error)
