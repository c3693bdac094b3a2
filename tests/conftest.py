"""How the property tests search: anew on a developer's machine, the same examples every time in CI.

So a red run there means that the change did it. No deadlines: runners are shared, and a slow one is no finding.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("search", deadline=None)
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.load_profile("repeat" if os.environ.get("CI") else "search")

pytest_plugins = ["engine.fixtures", "engine.proxy"]  # an engine, a registry, images; started when asked for
