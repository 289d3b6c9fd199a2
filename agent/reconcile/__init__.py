"""The loops: a track's pass, the repair of drift, the schedule, the status.

Duty: decide *when* something is looked at, and by which replica, and carry one look through:
fetch, load, decide, apply, prune, record.
May import: ``apply`` and below; not ``serve``.
Promises: level-triggered (loops see keys, never events); one worker a key; a failing object,
kind, file or repository is retried alone, with back-off, and delays nobody; a pass that finds
nothing to do sends no write request and logs nothing at info; of bodies only those of drifted
objects are kept, each until its repair, and all within a bound.

``leadership`` says which replica writes. ``terms`` is the time for which it does: its ``loops``
say when, on what the watches (``signals`` of people, ``sightings`` of drift) and the clock bring;
``passes`` are one look, carried through, and ``reports`` what is said of it. ``building`` puts a
track together, ``sources`` where it comes from; ``steering`` follows the configuration, ``health``
answers probes. ``inquiry`` makes the same passes for the commands that only ask.
"""
