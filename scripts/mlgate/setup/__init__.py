"""Getting ready: what `doctor` looks at before money is spent, and what `init` writes.

Findings are functions from plain facts to Checks; the facts are gathered at the edge, in `doctor.py` and `start.py`.
"""
