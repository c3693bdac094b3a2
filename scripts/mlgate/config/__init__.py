"""mlgate.yaml -> typed settings, with errors that name file, line, key and fix."""

from mlgate.config.limits import LIMITS, Rule
from mlgate.config.loading import load
from mlgate.config.settings import Compare, Config, DataFile, EvaluationSet, Policy, Predictions, Train, exact

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
