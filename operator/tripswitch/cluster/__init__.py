"""Our client of the API server: reading raw objects, keeping views, writing decisions, electing a leader.

Notifications are sent from here, too: the other outgoing HTTP connection of the operator.

It knows the resource (``tripswitch.api``) and the core's views and decisions
(``tripswitch.domain``), and nothing of kopf or of how the process is run.
"""
