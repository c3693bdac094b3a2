"""Long work, while who asked for it goes on breathing: a lease is renewed, and a signal is heard at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mlgate.rollout.checks.nouns import StoppedError

T = TypeVar("T")

BREATH = 1.0  # seconds between two calls of `alive`
_GRACE = 5.0  # seconds that the work has to notice that nobody wants it any more


class Stop:
    """Asked by work in its loops: whether to go on."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def look(self) -> None:
        """Raises StoppedError once nobody wants to know any more."""
        if self._event.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Sleeps so long. Raises StoppedError like `look`, at once."""
        if self._event.wait(seconds):
            raise StoppedError


def through(work: Callable[[Stop], T], alive: Callable[[], None], *, breath: float = BREATH) -> T:
    """What `work` gives or raises. `alive` is called again and again meanwhile, in the thread of who called; what it
    raises ends the work, and is raised."""
    stop = Stop()
    given: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            given.append(work(stop))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="mlgate-checks", daemon=True)
    thread.start()
    try:
        last = time.monotonic()
        while thread.is_alive():
            thread.join(min(0.1, breath))
            if time.monotonic() - last >= breath and thread.is_alive():
                alive()
                last = time.monotonic()
    except BaseException:
        stop.set()
        thread.join(_GRACE)
        raise
    if raised:
        raise raised[0]
    return given[0]
