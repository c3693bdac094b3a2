"""MLflow: what one training was, as one run. Never decides anything, and never raises.

store.py      where runs are kept: a server, GitLab's endpoint, sqlite in the working folder
nouns.py      what is logged (`Training`) and what came of it (`Logged`)
flat.py       names and values as MLflow takes them
signature.py  a model's signature and input example, from columns, without loading the model
bundle.py     what is uploaded, under which name
words.py      what went wrong, in a sentence without secrets
watched.py    a window of production as a run of its own
run.py        starts the worker, waits for it, and reads what it did
worker.py     the only module that touches MLflow; a process of its own
"""

from mlgate.tracking.nouns import Column, Dataset, Example, Logged, Training
from mlgate.tracking.run import log
from mlgate.tracking.store import Store

__all__ = ["Column", "Dataset", "Example", "Logged", "Store", "Training", "log"]
