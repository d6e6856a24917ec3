"""What a pod template names in its namespace (rule B9). Tolerant of anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tripswitch.api.tolerant import field, mapping, objects, read_text
from tripswitch.domain.values.references import NO_REFERENCES, References

DEFAULT_ACCOUNT = "default"
"""The ServiceAccount of a pod that names none; the control plane makes it again when it is deleted."""


def read_references(spec: Mapping[str, Any]) -> References:
    """Return the objects without which no pod of a pod spec starts.

    >>> read_references({"volumes": [{"configMap": {"name": "settings"}}], "serviceAccountName": "web"})
    References(config_maps=('settings',), service_accounts=('web',))
    """
    config_maps = {
        name
        for source in _list_sources(spec)
        if source.get("optional") is not True and (name := read_text(source.get("name")))
    }
    account = read_text(spec.get("serviceAccountName")) or read_text(spec.get("serviceAccount"))
    if not config_maps and account in ("", DEFAULT_ACCOUNT):
        return NO_REFERENCES
    accounts = () if account in ("", DEFAULT_ACCOUNT) else (account,)
    return References(tuple(sorted(config_maps)), accounts)


def _list_sources(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every reference to a ConfigMap: volumes, projected ones too, ``envFrom`` and ``env``."""
    for volume in objects(spec.get("volumes")):
        yield mapping(volume.get("configMap"))
        for source in objects(field(volume, "projected", "sources")):
            yield mapping(source.get("configMap"))
    for kind in ("containers", "initContainers"):
        for container in objects(spec.get(kind)):
            for source in objects(container.get("envFrom")):
                yield mapping(source.get("configMapRef"))
            for variable in objects(container.get("env")):
                yield mapping(field(variable, "valueFrom", "configMapKeyRef"))
