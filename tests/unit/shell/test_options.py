"""Whether, where and as whom to run for the Lease."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Unpack

import click
import pytest
from click.testing import CliRunner

from tripswitch.cluster.leader_election.lease import Candidacy
from tripswitch.cluster.leader_election.rules import Terms
from tripswitch.shell.flags import Flags, operator_flags
from tripswitch.shell.options import Options, read_options

NOWHERE = Path("/nowhere")
IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


def read_all(
    line: str, environment: dict[str, str] | None = None, namespace_file: Path = NOWHERE
) -> Options:
    """Return what a command line means."""
    found: list[Options] = []

    @click.command()
    @operator_flags
    def command(**flags: Unpack[Flags]) -> None:
        found.append(read_options(flags, environment or {}, namespace_file))

    result = CliRunner().invoke(command, line.split(), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def read(
    line: str, environment: dict[str, str] | None = None, namespace_file: Path = NOWHERE
) -> Candidacy | None:
    """Return the Lease that a command line means."""
    return read_all(line, environment, namespace_file).candidacy


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", True),
        ("--check-references=false", False),
        ("--namespace shop", False),
        ("--namespace shop --check-references=true", True),
    ],
)
def test_b9_references_are_looked_up_unless_only_some_namespaces_are_worked_in(
    line: str, *, wanted: bool
) -> None:
    assert read_all(line).check_references is wanted
    assert Options().check_references


@pytest.mark.parametrize(
    ("line", "environment", "wanted"),
    [
        ("", {}, False),
        ("", IN_A_POD, True),
        ("--leader-elect", {}, True),
        ("--no-leader-elect", IN_A_POD, False),
    ],
)
def test_in_a_pod_it_is_on_unless_said_otherwise(
    line: str, environment: dict[str, str], *, wanted: bool
) -> None:
    assert (read(line, environment) is not None) is wanted


def test_everything_can_be_set() -> None:
    found = read(
        "--leader-elect --lease-namespace ops --lease-name second --identity pod-1"
        " --lease-duration 30 --lease-renew-deadline 20 --lease-retry-period 4"
    )
    assert found is not None
    assert (found.namespace, found.name) == ("ops", "second")
    assert found.terms == Terms(30, 20, 4)
    assert re.fullmatch(r"pod-1_[0-9a-f]{8}", found.identity)


def test_the_defaults_are_a_safe_short_lease_in_the_pods_own_namespace(
    tmp_path: Path,
) -> None:
    found = read("--leader-elect")
    assert found is not None
    assert (found.namespace, found.name) == ("tripswitch-system", "tripswitch")
    assert found.terms == Terms(10, 7, 2)
    (tmp_path / "namespace").write_text("own\n")
    found = read("--leader-elect", namespace_file=tmp_path / "namespace")
    assert found is not None
    assert found.namespace == "own"


def test_two_processes_never_have_the_same_name() -> None:
    """A container that was started again must not think that it still leads."""
    one, two = read("--leader-elect --identity pod"), read("--leader-elect --identity pod")
    assert one is not None
    assert two is not None
    assert one.identity != two.identity


def test_terms_that_leave_no_time_to_stop_are_refused() -> None:
    with pytest.raises(click.UsageError, match="times the renew deadline"):
        read("--leader-elect --lease-duration 8")
