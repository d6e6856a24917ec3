"""The process: kopf as the frame, the work queue, the reconcile, health and metrics.

The only folder that imports kopf and reads the wall clock. Its health port is served here, and kopf speaks to
the API server itself. Nothing in here decides anything about a rollout.
"""
