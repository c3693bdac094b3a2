"""From what a model says to the class that is answered: its own, or by the cut-off that the gate judged it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlgate.errors import MlgateError
from mlgate.serving.columns import Array
from mlgate.serving.models import Predicted
from mlgate.serving.settings import Decide


class Decider:
    """`classes`: those of the model, in its order, or None.

    Raises MlgateError when the class that counts as positive is none of the model's.
    """

    def __init__(self, decide: Decide, classes: Any) -> None:
        flat = classes is not None and not (isinstance(classes, list) and classes and not np.isscalar(classes[0]))
        self.classes: Array | None = np.asarray(classes) if flat else None
        self.cut_off = decide.cut_off
        self._asked = decide.positive
        self.listed: list[Any] | None = None if self.classes is None else self.classes.tolist()
        self.positive: int | None = None
        if self.listed is not None and len(self.listed) == 2:
            self.positive = 1 if decide.positive is None else _position(self.listed, decide.positive)
        # A float cut-off is compared in the type of the scores, as the judge compares the committed ones.
        self._binary = self.positive is not None

    def classified(self, probabilities: Array, own: Callable[[], Any]) -> Predicted:
        """`probabilities`: (rows, classes). The model's own decision is asked for only where no cut-off decides."""
        if not self._binary or self.positive is None or self.classes is None or probabilities.ndim != 2:
            return Predicted(own(), probabilities, self.listed, probabilities)
        score = probabilities[:, self.positive]
        if self.cut_off is None:
            return Predicted(own(), score, self.listed, probabilities)
        chosen = np.where(score >= self.cut_off, self.positive, 1 - self.positive)
        return Predicted(self.classes[chosen], score, self.listed, probabilities)

    def scored(self, said: Any) -> Predicted:
        """What a model without classes says: a score where a cut-off makes a class of it, else the prediction."""
        if self.cut_off is None or self.classes is not None or not isinstance(said, np.ndarray):
            return Predicted(said)
        score = said.reshape(-1) if said.ndim == 2 and said.shape[1] == 1 else said
        negative = _other(self._asked)
        if score.ndim != 1 or score.dtype.kind != "f" or negative is None:
            return Predicted(said)
        decided = np.where(score >= self.cut_off, 1, 0)
        return Predicted(decided.astype(bool) if isinstance(self._asked, bool) else decided, score)


def _position(classes: list[Any], positive: Any) -> int:
    same = [i for i, one in enumerate(classes) if one == positive] or [
        i for i, one in enumerate(classes) if _word(one) == _word(positive)
    ]
    if not same:
        raise MlgateError(
            f"the class that counts as positive is {positive!r}; the model's are {classes[0]!r} and {classes[1]!r}.",
            fix="Say the positive class in `evaluate.<set>.columns.positive` as the model spells it.",
        )
    return same[0]


def _word(value: Any) -> str:
    """`1`, `1.0`, `"1"` and `True`, `"true"` are the same class to different libraries."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if str(value).lower() in ("true", "false") else str(value)


def _other(positive: Any) -> int | None:
    """The class that is not positive, where the model does not name its classes: of 1 and true it is known."""
    return 0 if positive is None or positive is True or positive == 1 else None
