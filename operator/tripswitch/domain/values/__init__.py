"""Frozen data: what ``decide`` reads and what it returns. No module here imports a rule or a step."""
