"""``python -m agent`` is the ``lightkeeper`` command."""

from agent.cli.main import entrypoint

if __name__ == "__main__":
    entrypoint()
