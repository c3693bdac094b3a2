"""Data contracts: what a contract says, how files are read, and what an engine saw of each expectation."""
