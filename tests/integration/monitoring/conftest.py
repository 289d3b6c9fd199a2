"""The fixtures of the tests of serving, under their own names."""

from __future__ import annotations

from tests.integration.serve.conftest import cleanup, door, world
from tests.integration.serve.test_authorization import reader

__all__ = ["cleanup", "door", "reader", "world"]
