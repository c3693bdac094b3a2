"""What is wrong with a request: the one exception that a caller may see in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 20  # problems that one answer names


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `row` counts from 0, as JSON does; None where it concerns all of them."""

    field: str
    message: str  # "must be a number, and is text": never the value, which may be private
    row: int | None = None

    def __str__(self) -> str:
        where = "" if self.row is None else f" (row {self.row})"
        return f"{self.field or 'the input'} {self.message}{where}"


class RefusedError(Exception):
    """A request that is not answered with a prediction; `status` is that of HTTP."""

    def __init__(self, status: int, message: str, problems: Sequence[Problem] = (), *, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problems = problems[:MOST]
        self.close = close  # the connection is not fit for another request


def invalid(problems: Sequence[Problem]) -> RefusedError:
    """Fields that break the signature or the contract."""
    more = len(problems) - 1
    rest = f", and {more} more problem{'s' * (more > 1)}" if more else ""
    return RefusedError(422, f"{problems[0]}{rest}.", problems)
