"""The process: kopf as the frame, the work queue, the reconcile, health and metrics.

The only room that imports kopf and reads the clock. Nothing in here decides anything about a rollout.
"""
