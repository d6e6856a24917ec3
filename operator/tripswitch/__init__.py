"""Tripswitch: the Amazon ECS deployment circuit breaker, for Kubernetes."""
