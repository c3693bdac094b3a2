"""The ledger: what was decided and done with each model, in a hash-chained log on a git branch of its own."""
