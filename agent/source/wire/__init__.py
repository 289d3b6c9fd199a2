"""What this process itself says to git servers: http(s), proxies, and git's smart protocol over it.

Duty: list refs over http(s), and lead libgit2, which runs in other processes, through proxies and
credentials that it need not know.
May import: ``login`` and the values of ``source``; aiohttp.
Promises: certificates are verified; each await ends by its caller's deadline; no credential leaves
for another host than its own, nor gets into an error.

``smarthttp`` asks for refs (``refs``, ``pktline``) by way of ``exchange``, which knows credentials
and redirects, and ``sessions``, which keeps connections (``tls``, ``dial``); ``httpfailures`` says
in words what went wrong. A ``gateway`` leads libgit2 to http(s), a ``tunnel`` to ssh behind a
proxy.
"""
