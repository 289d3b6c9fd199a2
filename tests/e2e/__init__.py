"""The binary as people get it: its command line, its processes, and what it does to a cluster.

Nothing of ``agent`` runs in these tests' own process; ``LIGHTKEEPER_BINARY`` says which program is
tested, by default the one that ``make binary`` builds.
"""
