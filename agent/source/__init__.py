"""The only package that talks to git: produces a Snapshot(revision, tree, trust).

Duty: keep a bare mirror a repository under the state directory, notice that a reference moved,
fetch, and read files from the commit's tree.
May import: ``manifest``, ``config`` and below.
Promises: host keys and certificates are verified; every network call has a deadline that holds
(it is cancelled, or the worker that makes it killed); no checkout, no symlink, no path outside
``sub-path``; no credential in an error, a log line or on disk; only a new or unchanged snapshot may
prune; where signatures are asked for, nothing of a revision is used that is not well signed by the
keys of now.

``git`` polls, by way of ``access``, which knows the credentials (``login``); ``revisions`` judges
what came; ``fetcher`` makes network calls. Refs over http(s) are listed in this process (``wire``).
All else is libgit2's and happens in processes of their own (``worker``), of which a ``pool`` has
some when they are needed (``protocol``): fetching; finding out what lies at a plain path
(``walk``), of which ``watch`` hears that it changed; reading and changing mirrors, which this
process does by way of ``ondisk``, one process at a time (``mirrorlock``). ``records`` say what was
good last; ``sweep`` and ``durable`` take care of the disk; ``url``, ``listing``, ``resolve``,
``versions``, ``snapshot`` and ``contents`` are values; ``signatures`` says who signed a revision.
"""
