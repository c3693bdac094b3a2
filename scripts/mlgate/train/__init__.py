"""How a model came to be: asked of the lock, scored again, made again, or made small.

plan.py         which stages make what, in which order
process.py      project code as a child that ends when we do
scratch.py      a worktree of a commit in a private folder
agreement.py    what was made again against what is committed
proofs.py       what all of it shows, claim by claim
score.py        the committed model scored once more
reproduce.py    the pipeline run again by the project's own DVC
smoke.py        the pipeline run on a sample
rows.py         which rows of the data changed
environment.py  what it was made with
"""
