"""Options and arguments that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container
from typing import Any

import click

from tripswitch.cli.names import (
    complete_names,
    complete_namespaces,
    complete_targets,
    complete_workloads,
)
from tripswitch.cli.problems import Problem
from tripswitch.cli.references import Kind, Reference, UnknownReferenceError, parse_reference
from tripswitch.cli.where import Where

Command = Callable[..., Any]


def parse_name(value: str) -> str:
    """Return the bare name of a GuardedDeployment.

    >>> parse_name("web"), parse_name("gdeploy/web")
    ('web', 'web')

    Raises:
        click.BadParameter: It names another kind.
    """
    reference = parse_target(value)
    if reference.kind is not Kind.GUARDED:
        raise click.BadParameter(
            f"this command is for GuardedDeployments; for {reference} use kubectl rollout"
        )
    return reference.name


def parse_target(value: str, kinds: Container[Kind] = frozenset(Kind)) -> Reference:
    """Return what is named, of one of these kinds.

    Raises:
        click.BadParameter: It names another kind, or nothing.
    """
    try:
        reference = parse_reference(value)
    except UnknownReferenceError as error:
        raise click.BadParameter(str(error)) from error
    if reference.kind not in kinds:
        raise click.BadParameter(f"write deploy/{reference.name} or sts/{reference.name}")
    return reference


def name_argument() -> Callable[[Command], Command]:
    """Add the argument NAME: a GuardedDeployment."""
    return click.argument(
        "name", callback=lambda _, __, value: parse_name(value), shell_complete=complete_names
    )


def target_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Add the argument NAME: a GuardedDeployment or a guarded workload, given as ``target``."""
    return click.argument(
        "target",
        metavar="NAME" if required else "[NAME]",
        required=required,
        callback=lambda _, __, value: None if value is None else parse_target(value),
        shell_complete=complete_targets,
    )


WORKLOADS = (Kind.DEPLOYMENT, Kind.STATEFUL_SET)


def workload_argument() -> Callable[[Command], Command]:
    """Add the argument WORKLOAD: a Deployment or a StatefulSet, given as ``target``."""
    return click.argument(
        "target",
        metavar="WORKLOAD",
        callback=lambda _, __, value: parse_target(value, WORKLOADS),
        shell_complete=complete_workloads,
    )


def where_options(command: Command) -> Command:
    """Add --namespace, --context and --kubeconfig, given to the command as ``where``."""

    @functools.wraps(command)
    def gathered(
        *, namespace: str | None, context: str | None, kubeconfig: str | None, **rest: Any
    ) -> None:
        command(where=Where(namespace, context, kubeconfig), **rest)

    wrapped: Command = gathered
    for option in (
        click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, ~/.kube/config."),
        click.option("--context", metavar="NAME", help="A context of the kubeconfig."),
        click.option(
            "-n",
            "--namespace",
            metavar="NAME",
            help="Default: the context's namespace.",
            shell_complete=complete_namespaces,
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="Output format: text for people, json for programs.",
)


def read_file(name: str) -> str:
    """Return the text of a file; ``-`` is standard input.

    Raises:
        Problem: It is not text.
    """
    try:
        with click.open_file(name, encoding="utf-8-sig") as file:
            return str(file.read())
    except UnicodeDecodeError as error:
        raise Problem(f"{name} is not text: {error}") from error
