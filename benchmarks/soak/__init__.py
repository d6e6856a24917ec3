"""``make soak-cluster``: random operations on a real API server, then a recount from its audit log."""
