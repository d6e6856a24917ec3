"""What all models of the resource share: camelCase names, frozen values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of the resource; unknown fields are the API server's business and ignored here."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        frozen=True,
        extra="ignore",
    )


class Compact(ApiModel):
    """Leaves out what is as by default; there may be one for each pod."""

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if not field.is_required() and getattr(self, name) == field.default:
                dumped.pop(field.alias or name, None)
                dumped.pop(name, None)
        return dumped
