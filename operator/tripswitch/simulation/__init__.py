"""A guarded object's cluster in memory, for ``simulate`` and for tests. Pure and deterministic."""
