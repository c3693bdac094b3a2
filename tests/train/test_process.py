"""How an ended command is told to people."""

from __future__ import annotations

import pytest

from mlgate.train import process


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (3, "exit code 3"),
        (-9, "killed by SIGKILL (out of memory?)"),
        (137, "killed by SIGKILL (out of memory?)"),  # dash, where bash says -9
        (143, "killed by SIGTERM"),
        (128, "exit code 128"),
        (255, "exit code 255"),
    ],
)
def test_a_signal_is_named_whichever_shell_was_between(code: int, how: str) -> None:
    assert process.Ended(code, 1.0, ()).how == how
