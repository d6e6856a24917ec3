"""``convert``: existing Deployments and ECS services as GuardedDeployments."""

from tripswitch.cli.convert.command import convert, convert_text

__all__ = ["convert", "convert_text"]
