"""The board on which workloads tell each other which registry they wait for (rule F9)."""

from __future__ import annotations

from tripswitch.cluster.registry_board import RegistryBoard
from tripswitch.domain.values.registries import (
    NO_TROUBLES,
    PullError,
    PullTrouble,
    RegistryOutage,
    Troubles,
)

DOWN = PullTrouble("registry.test", PullError.UNREACHABLE)
PROOF = Troubles({DOWN: 2}, frozenset({DOWN}))
WAITS = Troubles({}, frozenset({DOWN}))


class Marks:
    """Which workloads were marked."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def note(self, board: RegistryBoard, name: str, troubles: Troubles) -> None:
        """Let a workload tell what it waits for."""
        board.note(name, troubles, lambda: self.names.append(name))


def test_an_outage_adds_up_the_pods_of_all_completed_revisions() -> None:
    board, marks = RegistryBoard(), Marks()
    marks.note(board, "a", PROOF)
    marks.note(board, "b", PROOF)
    marks.note(board, "c", WAITS)
    assert board.list_outages() == (RegistryOutage(DOWN, pods=4, workloads=2),)


def test_those_that_wait_are_marked_when_it_is_proved_and_when_it_is_over_and_not_between() -> None:
    board, marks = RegistryBoard(), Marks()
    marks.note(board, "new", WAITS)
    assert board.list_outages() == ()
    marks.note(board, "old", PROOF)
    assert marks.names == ["new"]
    marks.note(board, "old", Troubles({DOWN: 7}, frozenset({DOWN})))
    marks.note(board, "older", PROOF)
    board.drop("old")
    assert marks.names == ["new"]
    board.drop("older")
    assert marks.names == ["new", "new"]
    assert board.list_outages() == ()


def test_a_workload_that_waits_for_nothing_leaves_no_trace() -> None:
    board, marks = RegistryBoard(), Marks()
    marks.note(board, "a", NO_TROUBLES)
    marks.note(board, "b", PROOF)
    assert marks.names == []
    board.drop("unknown")
    assert len(board.list_outages()) == 1
