"""``python -m agent.source.worker`` is a git worker; not for people."""

from agent.source.worker.main import main

if __name__ == "__main__":
    main()
