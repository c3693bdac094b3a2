"""Reference profiles: what a column was like when the model was made, small enough to be committed."""

from mlgate.data.profiles.building import Answers, Value, build
from mlgate.data.profiles.frozen import frozen
from mlgate.data.profiles.merging import merge
from mlgate.data.profiles.nouns import Column, Day, Frozen, Profile
from mlgate.data.profiles.writing import read, text

__all__ = [
    "Answers",
    "Column",
    "Day",
    "Frozen",
    "Profile",
    "Value",
    "build",
    "frozen",
    "merge",
    "read",
    "text",
]
