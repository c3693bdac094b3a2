"""mlgate.yaml -> typed settings, with errors that name file, line, key and fix."""

from mlgate.config.loading import load
from mlgate.config.settings import (
    LIMITS,
    Compare,
    Config,
    DataFile,
    EvaluationSet,
    Policy,
    Predictions,
    Rule,
    Train,
    exact,
)

__all__ = [
    "LIMITS",
    "Compare",
    "Config",
    "DataFile",
    "EvaluationSet",
    "Policy",
    "Predictions",
    "Rule",
    "Train",
    "exact",
    "load",
]
