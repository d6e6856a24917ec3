"""What a pod template names in its namespace (B9)."""

from __future__ import annotations

from typing import Any

import pytest

from tripswitch.api.references import read_references
from tripswitch.api.template import read_template
from tripswitch.domain.values.references import NO_REFERENCES, References


def needs(*names: str) -> References:
    return References(tuple(names))


def env(name: str, **more: Any) -> dict[str, Any]:
    return {"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "a", **more}}}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({"volumes": [{"configMap": {"name": "a"}}]}, needs("a"), id="a volume"),
        pytest.param(
            {
                "volumes": [
                    {"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {}}]}}
                ]
            },
            needs("a"),
            id="a projected volume",
        ),
        pytest.param(
            {"containers": [{"envFrom": [{"configMapRef": {"name": "a"}}]}]},
            needs("a"),
            id="envFrom",
        ),
        pytest.param(
            {"containers": [{"env": [env("a"), {"name": "B", "value": "b"}]}]}, needs("a"), id="env"
        ),
        pytest.param({"initContainers": [{"env": [env("a")]}]}, needs("a"), id="an init container"),
        pytest.param(
            {
                "volumes": [{"configMap": {"name": "b"}}],
                "containers": [{"env": [env("a"), env("b")]}],
            },
            needs("a", "b"),
            id="each name once and in order",
        ),
        pytest.param(
            {
                "volumes": [
                    {"configMap": {"name": "a", "optional": True}},
                    {"projected": {"sources": [{"configMap": {"name": "b", "optional": True}}]}},
                ],
                "containers": [
                    {
                        "envFrom": [{"configMapRef": {"name": "c", "optional": True}}],
                        "env": [env("d", optional=True)],
                    }
                ],
            },
            NO_REFERENCES,
            id="optional ones are not needed",
        ),
        pytest.param(
            {"containers": [{"env": [env("a", optional=True), env("a", optional=False)]}]},
            needs("a"),
            id="optional in one place only",
        ),
        pytest.param(
            {
                "volumes": [{"secret": {"secretName": "s"}}, {"emptyDir": {}}],
                "containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}],
                "imagePullSecrets": [{"name": "s"}],
            },
            NO_REFERENCES,
            id="never a Secret",
        ),
        pytest.param({"serviceAccountName": "web"}, References((), ("web",)), id="an account"),
        pytest.param({"serviceAccount": "web"}, References((), ("web",)), id="by its old field"),
        pytest.param({"serviceAccountName": "default"}, NO_REFERENCES, id="the default account"),
        pytest.param(
            {
                "volumes": "none",
                "containers": [{"env": 3, "envFrom": [None]}],
                "serviceAccountName": 1,
            },
            NO_REFERENCES,
            id="nonsense",
        ),
    ],
)
def test_b9_what_pods_of_a_template_need(spec: dict[str, Any], wanted: References) -> None:
    assert read_references(spec) == wanted
    assert read_template({"spec": spec}, "v1").references == wanted
