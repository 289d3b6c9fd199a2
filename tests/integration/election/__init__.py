"""Replicas of the agent, each a process, and one Lease between them on the real API server.

``replicas`` starts and torments them, ``evidence`` reads out of the audit log who wrote when.
"""
