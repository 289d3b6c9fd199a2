"""The soak: commits and drift over and over, and the agent's process as large as before."""
