"""The operator's container image, built without Docker."""
