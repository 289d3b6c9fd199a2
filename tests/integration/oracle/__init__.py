"""kubectl apply as the judge of ours: the same commits and the same meddling, the same end.

A *triple* is one object in three versions: A, as git has it first; what a third party makes of the
live object (an *edit*); and B, as git has it next. A round drives many triples through two
namespaces of one API server, one with ``kubectl apply`` and one with the applier, and compares
what is live in the end.

::

    shapes      how values are drawn, and drawn again from an older one
    pods workloads core policies customs    the shapes of the kinds; kinds lists them
    edits       what third parties do to them      writing   an object as a file of git
    triples     kind and number -> triple          compare   what must be equal
    sides       a namespace and who applies to it  rounds    all of it, many triples at once

``LIGHTKEEPER_ORACLE_TRIPLES=5000`` runs more of them, ``LIGHTKEEPER_ORACLE_ONLY=Service/17`` the
one a failure named. Every triple is made from its name alone, so it is the same everywhere.
"""
