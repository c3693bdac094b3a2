"""Tests of rollouts. `conformance` is what every target promises; its assertions are shown as those of tests are."""

import pytest

pytest.register_assert_rewrite("rollout.conformance")
