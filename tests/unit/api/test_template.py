"""What the rules need of a pod template: probes and their budgets (F4, H1)."""

from __future__ import annotations

from typing import Any

import pytest

from tripswitch.api.template import compute_probe_budget, read_template
from tripswitch.domain.values.workload import Readiness

HTTP = {"httpGet": {"path": "/ready", "port": 8080}}
MINUTES = {**HTTP, "periodSeconds": 10, "failureThreshold": 90}


@pytest.mark.parametrize(
    ("probe", "budget"),
    [
        pytest.param(HTTP, 31.0, id="the defaults: 3 attempts, 10 s apart, and 1 s"),
        pytest.param({**HTTP, "successThreshold": 1}, 31.0, id="one success is the default"),
        pytest.param({**HTTP, "successThreshold": 5}, 71.0, id="four more successes in a row"),
        pytest.param({**HTTP, "successThreshold": 3}, 51.0, id="two more successes in a row"),
        pytest.param(
            {**HTTP, "periodSeconds": 5, "timeoutSeconds": 60, "failureThreshold": 3},
            240.0,
            id="an attempt that times out takes longer than the period",
        ),
        pytest.param({**HTTP, "initialDelaySeconds": 20}, 51.0, id="an initial delay"),
        pytest.param({}, 31.0, id="an empty probe is one"),
        pytest.param(None, None, id="no probe"),
        pytest.param("often", None, id="no such thing"),
    ],
)
def test_f4_the_budget_of_a_probe(probe: object, budget: float | None) -> None:
    assert compute_probe_budget(probe) == budget


def container(**probes: Any) -> dict[str, Any]:
    return {"name": "web", "image": "web:1", **probes}


SIDECAR = {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"}
SETUP = {"name": "setup", "image": "setup:1"}


@pytest.mark.parametrize(
    ("spec", "readiness"),
    [
        pytest.param(
            {"containers": [container(readinessProbe=HTTP)]}, Readiness(True, 31.0), id="probed"
        ),
        pytest.param({"containers": [container()]}, Readiness(), id="not probed"),
        pytest.param(
            {"containers": [container(readinessProbe=HTTP)], "initContainers": [SIDECAR]},
            Readiness(False, 31.0),
            id="a sidecar without a probe",
        ),
        pytest.param(
            {
                "containers": [container(readinessProbe=HTTP)],
                "initContainers": [{**SIDECAR, "readinessProbe": {"successThreshold": 5}}],
            },
            Readiness(True, 71.0),
            id="the largest budget, also a sidecar's",
        ),
        pytest.param(
            {"containers": [container(readinessProbe=HTTP)], "initContainers": [SETUP]},
            Readiness(True, 31.0),
            id="an init container has no probe",
        ),
        pytest.param(
            {"containers": [container(startupProbe=MINUTES, readinessProbe=HTTP)]},
            Readiness(True, 31.0, startup=901.0),
            id="a startup probe",
        ),
        pytest.param(
            {
                "containers": [container(readinessProbe=HTTP)],
                "readinessGates": [{"conditionType": "lb"}],
            },
            Readiness(True, 31.0, gated=True),
            id="readiness gates",
        ),
        pytest.param({"containers": []}, Readiness(), id="nothing"),
    ],
)
def test_f4_h1_what_a_template_says_about_becoming_ready(
    spec: dict[str, Any], readiness: Readiness
) -> None:
    assert read_template({"spec": spec}, "digest").readiness == readiness
