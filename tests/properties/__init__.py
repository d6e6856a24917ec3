"""Properties of the core over generated worlds, and its states against an independent small model."""
