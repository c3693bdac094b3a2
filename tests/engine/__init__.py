"""A real Docker engine, a registry beside it and an image with Python to build on: fixtures in `engine.fixtures`.

Nothing here is bound to one machine. An ordinary runner has an engine and public images. Where no image registry can be
reached, the base image is made of the packages that apt is configured with.
"""
