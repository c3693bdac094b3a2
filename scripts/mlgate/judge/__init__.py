"""Decisions: rules over values, integrity of what was committed, controls. Pure functions."""
