"""One thin module per verb: read config, call rooms, write evidence, return the verdict."""
