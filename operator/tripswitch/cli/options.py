"""Options that several commands have, and how a GuardedDeployment is named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from tripswitch.cli.names import complete_names, complete_namespaces
from tripswitch.cli.where import Where

Command = Callable[..., Any]

KINDS = frozenset(
    {
        "gdeploy",
        "guardeddeployment",
        "guardeddeployments",
        "guardeddeployment.tripswitch.dev",
        "guardeddeployments.tripswitch.dev",
        "guardeddeployments.v1alpha1.tripswitch.dev",
    }
)


def parse_name(value: str) -> str:
    """Return the bare name of a GuardedDeployment.

    >>> parse_name("web"), parse_name("gdeploy/web")
    ('web', 'web')

    Raises:
        click.BadParameter: It names another kind.
    """
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in KINDS:
        raise click.BadParameter(
            f"{kind!r} is no GuardedDeployment; write {name} or gdeploy/{name}"
        )
    if not name:
        raise click.BadParameter("the name is empty")
    return name


def name_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Add the argument NAME."""
    return click.argument(
        "name",
        required=required,
        callback=lambda _, __, value: None if value is None else parse_name(value),
        shell_complete=complete_names,
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
    help="For people, or for programs.",
)
