"""What runs in the git worker: a process of its own, which does all that libgit2 is needed for.

Duty: make one network call or one change to a mirror at a time, as the agent asks (``protocol``).
A thread that hangs in libgit2 cannot be stopped, and its timeouts are per read, so that a server
that sends a byte a second beats them; a process can be killed at the deadline. And an agent that
has nothing to fetch needs not the memory of libgit2 either.
May import: the rest of ``source`` where that needs no event loop and no HTTP, and ``manifest``.
Promises: keeps nothing between calls, writes no log, and ends when its standard input or its parent
does. Nothing outside of this package imports pygit2, and no module of the agent's own process
imports this package: it is started as ``python -m agent.source.worker`` or, frozen, as
``lightkeeper git-worker``.

``main`` is the process; ``remote`` talks to git servers; ``local`` finds out what lies at a plain
path, a ``folder`` or a ``bundle``; ``mirror``, ``objects`` and ``tree`` read and write what is kept
on disk; ``libgit`` is the one door to pygit2.
"""
