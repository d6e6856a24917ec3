"""The examples in the plugin's docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["ecs", "options", "script", "tree", "words"])
def test_the_examples_hold(module: str) -> None:
    failed, tried = doctest.testmod(import_module(f"tripswitch.cli.{module}"))
    assert (failed, tried > 0) == (0, True)
