"""The command line: one module a command.

Duty: turn argv and the environment into calls, and results into text and exit codes. The only
readers of argv and environment, the only writers of stdout.
May import: everything below. Each command imports what it needs when it runs, so that
``lightkeeper version`` does not pay for an HTTP client.
Promises: data goes to stdout, messages to stderr; bad input ends with exit code 2 and one clear
line a problem, never with a traceback.
"""
