"""``convert``: what there is already, as GuardedDeployments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from tripswitch.cli.ecs import ConvertedService, convert_service, find_services
from tripswitch.cli.manifests import convert_manifests
from tripswitch.cli.problems import Exit, Problem


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="YAML or JSON; - is standard input. May be given several times.",
)
@click.option("--image", metavar="IMAGE", help="For an ECS service without a task definition.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out the notes.")
def convert(*, files: tuple[str, ...], image: str | None, quiet: bool) -> None:
    """Turn Deployments, or an ECS service, into GuardedDeployments.

    Deployment manifests: apiVersion and kind are changed and what only fits a Deployment is left
    out; comments, order and every other object stay as they are. So it takes what kustomize and
    helm template print:

    \b
    kubectl tripswitch convert -f web.yaml > guarded.yaml
    kustomize build . | kubectl tripswitch convert -f - | kubectl apply -f -
    helm template shop ./chart | kubectl tripswitch convert -f - > guarded.yaml

    ECS services, as JSON or YAML: what the API answers, a CloudFormation template, or a serverless
    configuration with a "fargate" section:

    \b
    aws ecs describe-services --services web | kubectl tripswitch convert -f -
    kubectl tripswitch convert -f template.yaml --image web:1.4 > guarded.yaml

    The result goes to standard output. What has no counterpart, or means something else, is told on
    standard error (for ECS also as comments).
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    notes: list[str] = []
    done = 0
    for index, name in enumerate(files):
        text = _read(name)
        converted, told, count = convert_text(text, name, image)
        if index and not converted.startswith("---"):
            click.echo("---")
        click.echo(converted, nl=not converted.endswith("\n"))
        notes += told
        done += count
    if not quiet:
        for note in notes:
            click.echo(f"note: {note}", err=True)
    if not done:
        raise Problem("there is no Deployment and no ECS service in it")


def convert_text(text: str, name: str, image: str | None = None) -> tuple[str, list[str], int]:
    """Return the converted text, notes, and how many objects were converted.

    Raises:
        Problem: It is not YAML.
    """
    try:
        services = [
            service
            for document in yaml.load_all(text, Loader=_Loader)
            for service in find_services(document)
        ]
        if services:
            converted = [convert_service(service, image) for service in services]
            notes = [
                f"{one.manifest['metadata']['name']}: {note}"
                for one in converted
                for note in one.notes
            ]
            return "---\n".join(map(_write, converted)), notes, len(converted)
        found = convert_manifests(text)
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        hint = "; render the chart first: helm template" if "{{" in text else ""
        raise Problem(f"{name} is not YAML: {words}{hint}", Exit.FAILED) from error
    return found.text, list(found.notes), len(found.names)


def _write(converted: ConvertedService) -> str:
    comments = "".join(f"# {note}\n" for note in converted.notes)
    written: str = yaml.dump(converted.manifest, Dumper=_Dumper, sort_keys=False, width=100)
    return comments + written


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    return Path(name).read_text()


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions (``!Ref X``) as the text that they are."""


class _Dumper(yaml.SafeDumper):
    """Writes equal values twice instead of by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: no anchors."""
        del data
        return True


def _construct_function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> str:
    del loader
    words = node.value if isinstance(node, yaml.ScalarNode) else "..."
    return f"!{suffix} {words}"


_Loader.add_multi_constructor("!", _construct_function)
