"""The CRDs, generated from the models.

Structural schemas without references; descriptions of our own fields; Kubernetes' own schema for the
pod template; validation in the schema and in CEL, so that bad input gets one clear error from the API
server and no webhook is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from tripswitch.api import validation_rules
from tripswitch.api.circuit_breaker_spec import CircuitBreakerSpec
from tripswitch.api.circuit_breaker_status import CircuitBreakerStatus
from tripswitch.api.identity import BREAKER_KIND, BREAKER_PLURAL, GROUP, KIND, PLURAL, VERSION
from tripswitch.api.schema import UNSEEN as UNSEEN  # noqa: PLC0414 - exported on purpose
from tripswitch.api.schema import Rules, add_rules, build_schema
from tripswitch.api.spec import Spec
from tripswitch.api.status import Status

FOLDER = Path(__file__).parents[3] / "crds"


class Column(NamedTuple):
    """A column of ``kubectl get``; one that is ``wide`` is shown with ``-o wide`` alone."""

    title: str
    type: str
    path: str
    wide: bool = False


STATE = Column("State", "string", ".status.rolloutState")
"""That of the wanted revision: FAILED also where a rollback was successful."""
ROLLOUT = Column("Rollout", "string", ".status.rollout.status")
REVISION = Column("Revision", "integer", ".status.rollout.revision")
STAGE = Column("Stage", "string", ".status.circuitBreaker.stage")
FAILURES = Column("Failures", "string", ".status.circuitBreaker.summary")
AGE = Column("Age", "date", ".metadata.creationTimestamp")
FAILED = Column("Failed", "integer", ".status.rollout.failedRevision", wide=True)
REASON = Column("Reason", "string", ".status.rolloutStateReason", wide=True)


@dataclass(frozen=True, slots=True)
class Definition:
    """What makes one CRD: names, models, columns and rules.

    ``ratcheted`` are rules that compare with the old object: one that was stored before them may go on
    breaking them. ``scale`` is the scale subresource, None for a kind that has none.
    """

    kind: str
    plural: str
    short: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    rules: Rules
    ratcheted: Rules = field(default_factory=dict)
    scale: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The CRD's own name."""
        return f"{self.plural}.{GROUP}"

    @property
    def path(self) -> Path:
        """Where the generated file is kept."""
        return FOLDER / f"{GROUP}_{self.plural}.yaml"


GUARDED_DEPLOYMENT = Definition(
    kind=KIND,
    plural=PLURAL,
    short="gdeploy",
    description=(
        "A Deployment with a circuit breaker: a revision that fails too often is rolled back "
        "to the last one that completed."
    ),
    spec=Spec,
    status=Status,
    columns=(
        Column("Desired", "integer", ".spec.replicas"),
        Column("Ready", "integer", ".status.readyReplicas"),
        Column("Up-To-Date", "integer", ".status.updatedReplicas"),
        Column("Available", "integer", ".status.availableReplicas"),
        STATE,
        ROLLOUT,
        REVISION,
        FAILURES,
        AGE,
        STAGE._replace(wide=True),
        Column("Lifecycle", "string", ".status.rollout.lifecycleStage", wide=True),
        FAILED,
        REASON,
        Column("Images", "string", ".spec.template.spec.containers[*].image", wide=True),
    ),
    rules=validation_rules.GUARDED_DEPLOYMENT,
    ratcheted=validation_rules.GUARDED_DEPLOYMENT_RATCHETED,
    scale={
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
)
CIRCUIT_BREAKER = Definition(
    kind=BREAKER_KIND,
    plural=BREAKER_PLURAL,
    short="dcb",
    description=(
        "A circuit breaker for a Deployment or a StatefulSet that exists already: a rollout that "
        "fails too often is stopped and rolled back to the last revision that completed. The "
        "workload's pod template is never written."
    ),
    spec=CircuitBreakerSpec,
    status=CircuitBreakerStatus,
    columns=(
        Column("Target", "string", ".status.target"),
        Column("Mode", "string", ".spec.mode"),
        STATE,
        ROLLOUT,
        REVISION,
        STAGE,
        FAILURES,
        AGE,
        FAILED,
        REASON,
    ),
    rules=validation_rules.CIRCUIT_BREAKER,
)
DEFINITIONS = (GUARDED_DEPLOYMENT, CIRCUIT_BREAKER)

NAME, PATH = GUARDED_DEPLOYMENT.name, GUARDED_DEPLOYMENT.path


def build_crd(definition: Definition = GUARDED_DEPLOYMENT) -> dict[str, Any]:
    """Return a CustomResourceDefinition."""
    schema = build_schema(definition.description, definition.spec, definition.status)
    add_rules(schema, definition.rules)
    add_rules(schema, definition.ratcheted, optional_old=True)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Helm keeps it at an uninstall: deleting a CRD deletes every object of its kind.
        "metadata": {
            "name": definition.name,
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short],
                "categories": ["all"],
            },
            "versions": [_version(definition, schema)],
        },
    }


def _version(definition: Definition, schema: dict[str, Any]) -> dict[str, Any]:
    scale = {"scale": dict(definition.scale)} if definition.scale else {}
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}, **scale},
        "additionalPrinterColumns": [
            {
                "name": column.title,
                "type": column.type,
                "jsonPath": column.path,
                "priority": int(column.wide),
            }
            for column in definition.columns
        ],
        "schema": {"openAPIV3Schema": schema},
    }


def render(definition: Definition = GUARDED_DEPLOYMENT) -> str:
    """Return a CRD as YAML, the same for the same models."""
    head = "# Generated from operator/tripswitch/api by `make generate`; do not edit.\n"
    return head + yaml.safe_dump(build_crd(definition), sort_keys=False, width=100)
