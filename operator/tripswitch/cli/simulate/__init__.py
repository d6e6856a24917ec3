"""``kubectl tripswitch simulate``: rollouts played in memory, without a cluster."""
