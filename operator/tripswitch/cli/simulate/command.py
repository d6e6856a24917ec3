"""``simulate``: a rollout as it would go, without a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import click
import yaml
from rich.text import Text

from tripswitch.api.codec import InvalidObjectError, read_guarded
from tripswitch.api.crd import build_crd
from tripswitch.cli.formatting import one_line, plural
from tripswitch.cli.options import output_option, read_file
from tripswitch.cli.output import emit, make_console, to_plain
from tripswitch.cli.plain_yaml import load_plain
from tripswitch.cli.problems import Exit, Problem
from tripswitch.domain.rules.health import effective_min_ready_seconds
from tripswitch.domain.rules.progress_deadline import compute_progress_deadline
from tripswitch.domain.values.snapshot import Guarded
from tripswitch.simulation.rollout import SimulatedRollout, Step, simulate_rollout
from tripswitch.simulation.script import MEANING, parse_script

_WORDS = "\n".join(f"    {name:<14} {meaning}" for name, meaning in MEANING.items())

HELP = f"""Play a rollout of a manifest, step by step, with the operator's own rules.

\b
kubectl tripswitch simulate -f web.yaml --failures crash
kubectl tripswitch simulate -f web.yaml --failures "2 crash after 30 s, ok"
kubectl tripswitch simulate -f web.yaml --failures "unready after 30 s" --replicas 25
kubectl tripswitch simulate -f web.yaml --failures "node lost at 10 s" --first

The manifest is a GuardedDeployment, or a Deployment. What its new pods do:

\b
{_WORDS}

A number in front says how many pods; the pods after those do what comes next, and at last "ok".
An earlier revision runs and has completed, except with --first. The times are those of a kubelet
with its default settings; images are on the node, and pods end at once. Each hook is answered with
CONTINUE at once, and no alarm fires.

Exit code: 0 if the rollout COMPLETED, 1 if it FAILED, was rolled back, or had not ended.
"""

MOST_PODS = 10_000
"""The largest rollout that is played, in pods: it takes some seconds, and so does its output."""


@click.command(help=HELP)
@click.option(
    "-f",
    "--filename",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The manifest; - is standard input.",
)
@click.option(
    "--failures",
    multiple=True,
    metavar="SCRIPT",
    help="What happens to the pods. Default: all become healthy.",
)
@click.option(
    "--replicas",
    type=click.IntRange(0, MOST_PODS),
    help="Use this number instead of the manifest's.",
)
@click.option(
    "--first",
    is_flag=True,
    help="No revision has completed before, so there is nothing to roll back to.",
)
@click.option(
    "--for",
    "minutes",
    type=click.FloatRange(0, 240, min_open=True),
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="When to end the simulation.",
)
@output_option
def simulate(
    *,
    filename: str,
    failures: tuple[str, ...],
    replicas: int | None,
    first: bool,
    minutes: float,
    output: str,
) -> None:
    """Play a rollout (the help is :data:`HELP`)."""
    try:
        script = parse_script(list(failures))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--failures") from error
    text = read_file(filename)
    guarded = load_guarded(text)
    for path in find_unknown_fields(text):
        click.echo(
            f"note: {path} is no field of a GuardedDeployment: it is not played, and kubectl apply refuses it",
            err=True,
        )
    if replicas is not None:
        guarded = replace(guarded, spec=replace(guarded.spec, replicas=replicas))
    if guarded.spec.replicas > MOST_PODS:
        raise Problem(
            f"spec.replicas is {guarded.spec.replicas}, and simulate plays at most {MOST_PODS} pods: "
            "name a smaller number with --replicas"
        )
    played = simulate_rollout(guarded, script, first=first, seconds=minutes * 60)
    if output == "text":
        console = make_console()
        for line in render(guarded, played):
            console.print(line, soft_wrap=True)
    else:
        emit(to_plain(replace(played, looks=())), output)
    sys.exit(Exit.DONE if played.completed else Exit.FAILED)


def load_guarded(text: str) -> Guarded:
    """Return the first GuardedDeployment or Deployment of a manifest.

    Raises:
        Problem: There is none, or it makes no sense.
    """
    return _read(_find(text))


def find_unknown_fields(text: str) -> Iterator[str]:
    """Yield the paths of the fields that a manifest's spec has and the CRD has not.

    Raises:
        Problem: There is no manifest.
    """
    spec_schema = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    yield from _list_unknown(_find(text).get("spec"), spec_schema, "spec")


def _list_unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and "properties" in schema:
        for name, one in value.items():
            inner = schema["properties"].get(name)
            if inner is None:
                yield one_line(f"{path}.{name}")
            else:
                yield from _list_unknown(one, inner, f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, one in enumerate(value):
            yield from _list_unknown(one, schema["items"], f"{path}[{index}]")


def _find(text: str) -> Mapping[str, Any]:
    try:
        documents = load_plain(text)
    except yaml.YAMLError as error:
        raise Problem(f"not YAML: {one_line(str(error))}") from error
    for document in documents:
        found = document if isinstance(document, Mapping) else {}
        if found.get("kind") in ("GuardedDeployment", "Deployment"):
            return found
    raise Problem("the manifest has no GuardedDeployment and no Deployment")


def _read(raw: Mapping[str, Any]) -> Guarded:
    try:
        read = read_guarded({**raw, "spec": _as_stored(raw)})
    except InvalidObjectError as error:
        raise Problem(str(error)) from error
    return replace(read, uid="simulated", spec=replace(read.spec, paused=False))


def _as_stored(raw: Mapping[str, Any]) -> Any:
    """Return a spec as the API server stores it: without nulls, and of a Deployment with its default strategy."""
    spec = raw.get("spec")
    if not isinstance(spec, Mapping):
        return spec
    default: dict[str, Any] = {"strategy": {}} if raw.get("kind") == "Deployment" else {}
    return default | {name: one for name, one in spec.items() if one is not None}


def render(guarded: Guarded, played: SimulatedRollout) -> Iterator[Text]:
    """Yield the lines: what the numbers are, then each step, then how it ended."""
    spec, bounds = guarded.spec, played.bounds
    breaker = spec.breaker
    how = f"{breaker.threshold_type} {breaker.threshold_value}"
    state = "" if breaker.enable else ", DISABLED"
    healthy = effective_min_ready_seconds(
        spec.min_ready_seconds, all_probed=spec.template.readiness.all_probed
    )
    yield Text(f"{guarded.name or 'it'}: {plural(spec.replicas, 'pod')}", style="bold")
    yield Text(f"  threshold   {plural(played.threshold, 'failure')} ({how}{state})")
    yield Text(f"  bounds      at least {bounds.lower} healthy, at most {bounds.upper} pods")
    yield Text(f"  healthy     Ready for {healthy} s")
    deadline = compute_progress_deadline(spec, spec.template.readiness)
    yield Text(f"  deadline    {f'{deadline} s without progress' if deadline else 'never'}")
    yield Text("")
    last: Step | None = None
    for step in played.steps:
        yield from _step(step, last)
        last = step
    yield Text("")
    if not played.ended:
        yield Text(
            f"the rollout had not ended when the simulation ended: {played.reason}", style="yellow"
        )
    else:
        yield Text(one_line(played.reason), style="green" if played.completed else "red")


def _step(step: Step, last: Step | None) -> Iterator[Text]:
    clock = f"{step.at:8.1f} s  "
    for event in step.events:
        line = Text(clock)
        line.append(f"{event.reason:<24}", "red" if event.warning else "green")
        line.append(one_line(event.message))
        yield line
        clock = " " * len(clock)
    if last is None or (step.sizes, step.count, step.rollout) != (
        last.sizes,
        last.count,
        last.rollout,
    ):
        sizes = "; ".join(
            f"revision {size.revision}: {plural(size.pods, 'pod')}, {size.healthy} healthy"
            for size in step.sizes
        )
        line = Text(clock)
        line.append(f"{sizes}; failures {step.count}/{step.threshold}", "dim")
        yield line
