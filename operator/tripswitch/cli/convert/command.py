"""``convert``: what there is already, as GuardedDeployments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import click
import yaml

from tripswitch.cli.convert.deployments import (
    Converted,
    convert_manifests,
    describe_neighbours,
)
from tripswitch.cli.convert.ecs_documents import find_ecs, link
from tripswitch.cli.convert.ecs_model import Found, Task
from tripswitch.cli.convert.ecs_services import ConvertedService, convert_service, convert_task
from tripswitch.cli.convert.expected import is_as_expected
from tripswitch.cli.convert.fields import Notes
from tripswitch.cli.convert.loading import describe_repeated_keys, load_documents
from tripswitch.cli.options import read_file
from tripswitch.cli.plain_yaml import write
from tripswitch.cli.problems import Exit, Problem

T = TypeVar("T")


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
@click.option(
    "--image", metavar="IMAGE", help="For the one ECS container whose image is not known."
)
@click.option("-q", "--quiet", is_flag=True, help="Leave out the notes.")
def convert(*, files: tuple[str, ...], image: str | None, quiet: bool) -> None:
    """Turn Deployments, or an ECS service, into GuardedDeployments.

    Deployment manifests: apiVersion and kind are changed, what only fits a Deployment is left out,
    and a Deployment's default strategy is written down where none is given. Comments, order and
    every other object stay as they are. It takes what kustomize and helm template print:

    \b
    kubectl tripswitch convert -f web.yaml > guarded.yaml
    kustomize build . | kubectl tripswitch convert -f - | kubectl apply -f -
    helm template shop ./chart | kubectl tripswitch convert -f - > guarded.yaml

    ECS services, as JSON or YAML: a CloudFormation template, a serverless configuration with a
    "fargate" section, or what the API answers. There the service and its task definition are two
    answers, which go together:

    \b
    aws ecs describe-services --services web > service.json
    aws ecs describe-task-definition --task-definition web > task.json
    kubectl tripswitch convert -f service.json -f task.json > guarded.yaml

    The result goes to standard output. Everything that has no counterpart, or means something else,
    is told on standard error, for ECS also as comments. A value that CloudFormation computes (!Ref)
    becomes FILL-IN, which the API server refuses where it wants a number.
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    read = [(name, read_file(name)) for name in files]
    result = convert_texts(read, image)
    for index, text in enumerate(result.texts):
        if index and not text.startswith("---"):
            click.echo("---")
        click.echo(text, nl=not text.endswith("\n"))
    if not quiet:
        for note in result.notes:
            click.echo(f"note: {note}", err=True)
    if not result.count:
        raise Problem("the input has no Deployment and no ECS service")


@dataclass(slots=True)
class Result:
    """The converted texts in the order of the files, notes, and how many objects were converted."""

    texts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    count: int = 0
    services: set[str] = field(default_factory=set)
    """Names of the objects that ECS services became."""


def convert_text(text: str, name: str, image: str | None = None) -> tuple[str, list[str], int]:
    """Return the converted text, notes, and how many objects were converted.

    Raises:
        Problem: It is not YAML.
    """
    result = convert_texts([(name, text)], image)
    return "---\n".join(result.texts), result.notes, result.count


def convert_texts(files: Iterable[tuple[str, str]], image: str | None = None) -> Result:
    """Convert files that belong together: a service, and its task definition in another file.

    Args:
        files: Names and texts.
        image: For the container whose image is not known.

    Raises:
        Problem: One of them is not YAML.
    """
    read = [(name, text, *_find(name, text)) for name, text in files]
    spare = link(one for _, _, _, found in read for one in found)
    result = Result()
    manifests: list[Converted] = []
    for name, text, documents, found in read:
        if any(found):
            _convert_ecs(found, spare, image, result)
        else:
            converted = _guard(name, text, convert_manifests)
            _check(name, documents, converted.text)
            result.texts.append(converted.text)
            result.notes += [line for one in found for line in one.notes.lines]
            result.notes += converted.notes
            result.count += len(converted.deployments)
            manifests.append(converted)
    result.notes += describe_neighbours(manifests)
    return result


def _find(name: str, text: str) -> tuple[list[Any], list[Found]]:
    """Return the documents of a text, and what each has of ECS."""
    documents = _guard(name, text, load_documents)
    found = _guard(name, text, lambda _: [find_ecs(one) for one in documents])
    for one in filter(None, found[:1]):
        for line in _guard(name, text, describe_repeated_keys):
            one.notes.tell(line)
    return documents, found


def _check(name: str, before: list[Any], text: str) -> None:
    """Refuse a text that the changes have broken, such as one whose anchor was cut out.

    Raises:
        Problem: It is no YAML any more, or means something else than it has to.
    """
    why = "its meaning would change"
    try:
        if _guard(name, text, lambda text: is_as_expected(before, load_documents(text))):
            return
    except Problem as error:
        why = str(error)
    raise Problem(
        f"{name} cannot be changed in place, probably because of an anchor or a key that is given "
        f"twice: write it out without them ({why})"
    )


def _convert_ecs(found: list[Found], spare: list[Task], image: str | None, result: Result) -> None:
    """Add what a file with ECS documents holds."""
    notes = Notes()
    for index, one in enumerate(found, 1):
        if not one:
            notes.tell(f"not converted: document {index}: put it into a file of its own")
        for line in one.notes.lines:
            notes.tell(line)
    converted = [
        *(convert_service(one, image) for each in found for one in each.services),
        *(convert_task(one, image) for each in found for one in each.tasks if one in spare),
    ]
    converted = [_tell_name(one, result.services) for one in converted]
    result.count += len(converted)
    result.notes += [f"{one.name}: {note}" for one in converted for note in one.notes]
    result.notes += notes.lines
    texts = [_write(one) for one in converted]
    if texts:
        texts[0] = _comment(notes.lines) + texts[0]
        result.texts.append("---\n".join(texts))


def _tell_name(one: ConvertedService, names: set[str]) -> ConvertedService:
    """Tell that an object has the name of an earlier one; adds it to the names."""
    told = f"another object above is named {one.name}, too: only the last one that is applied stays"
    notes = (*one.notes, told) if one.name in names else one.notes
    names.add(one.name)
    return replace(one, notes=notes)


def _guard(name: str, text: str, read: Callable[[str], T]) -> T:
    """Read a text; what is wrong with it becomes one line.

    Raises:
        Problem: It is not YAML, or nested too deeply.
    """
    try:
        return read(text)
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        hint = "; render the chart first: helm template" if "{{" in text else ""
        raise Problem(f"{name} is not YAML: {words}{hint}", Exit.FAILED) from error
    except RecursionError as error:
        raise Problem(f"{name} is nested too deeply", Exit.FAILED) from error


def _write(converted: ConvertedService) -> str:
    return _comment(converted.notes) + write(converted.manifest, allow_unicode=False, width=100)


def _comment(notes: Iterable[str]) -> str:
    return "".join(f"# {note}\n" for note in notes)
