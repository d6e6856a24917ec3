"""Everything that speaks to the API server: reading raw objects, keeping views, writing decisions.

It knows the resource (``tripswitch.api``) and the core's views and decisions
(``tripswitch.domain``), and nothing of kopf or of how the process is run.
"""
