"""``kubectl tripswitch``: what failed, why, and what to do, for a person at a terminal.

Three kinds of modules: commands (click, all I/O), views (raw objects -> frozen values, pure) and
renderings (values -> rich, pure). Commands are imported only when they are used: the client of the
API server alone takes half a second.
"""
