"""The rules as pure functions, one module per topic of ``docs/explanation/breaker.md``."""
