"""Leader election with a Lease (ADR 4): ``rules`` decide, ``lease`` asks the API server."""
