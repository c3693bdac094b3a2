"""Watching a model in production: what its logs say, who is told, and when its successor is proposed."""
