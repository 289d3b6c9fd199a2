"""Real git servers for tests: sshd, nginx with git-http-backend over TLS, and broken listeners.

Each is a private instance on a free loopback port, with its own configuration in a temporary
folder; nothing of the machine's own servers is read or changed.
"""
