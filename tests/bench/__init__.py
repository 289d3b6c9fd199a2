"""The bench: ``make bench`` measures the agent beside the floor and kubectl; it tests nothing."""
