"""mlgate: quality gates for machine-learning models in the CI a team already has."""

__version__ = "0.1.0"
