"""One look at a track, or at a single object of it, carried through from git to the cluster.

Duty: fetch, load, decide, apply in stages, prune, record; and remember what saves work next time.
May import: ``reports`` and ``signals``; nothing that says when.
Promises: a pass needs no memory of what happened before, and comes to the same end from any state.

``track`` is the pass; it has files parsed (``loading``), objects applied in order (``staging``),
each by way of ``objects``, and what git dropped deleted (``pruning``). ``verdicts`` say what is in
step, ``fights`` what is left alone for a while. ``removal`` is a track's end, for people only.
"""
