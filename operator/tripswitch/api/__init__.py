"""The resource: pydantic models of spec and status, the CRD made from them, and the way to the core."""
