"""The one exception a user may see: a sentence that says what is wrong, where, and how to mend it."""

from __future__ import annotations

_PREDICATES = frozenset({"is", "has", "holds", "cannot", "does", "and", "names", "builds", "needs"})


class MlgateError(Exception):
    """Bad input or an unreachable need. Shown as one message, exit code 2, a trace only with `--debug`.

    `where` is `file`, `file:line` or empty; `fix` is what the user can do about it.
    """

    def __init__(self, message: str, *, file: str = "", line: int | None = None, key: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.fix = fix

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        # "m.json is empty" reads as a sentence; "m.json: auc is NaN" needs its colon.
        joint = " " if self.message.split(" ", 1)[0] in _PREDICATES else ": "
        head = f"{self.where}{joint}" if self.where else ""
        tail = f" {self.fix}" if self.fix else ""
        return f"{head}{self.message}{tail}"


def why(error: Exception) -> str:
    """What a parser says, in one line and without its own advice."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text (UTF-8)"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return " ".join(str(error).split(";")[0].split())[:200].rstrip(".")
