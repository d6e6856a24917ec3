"""The subject of a commit, as the hook checks it."""

from __future__ import annotations

import pytest

from tools.commit_message import find_problem


@pytest.mark.parametrize(
    "message",
    ["Count a rejected pod", "Remove an unreachable branch\n\nNobody calls it.\n", "x" * 72],
)
def test_an_imperative_line_with_a_body_after_a_blank_line_is_taken(message: str) -> None:
    assert not find_problem(message)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "empty"),
        ("x" * 73, "73 characters"),
        ("feat(cli): add a flag", "no prefix tags"),
        ("Add a flag.", "full stop"),
        ("Add a flag\nand a body", "second line"),
    ],
)
def test_what_the_hook_refuses(message: str, problem: str) -> None:
    assert problem in find_problem(message)
