"""The kill test: ``kill -9`` at every await point of a pass, a restart, and the cluster is right.

``points`` says what a point is and dies at one, ``launcher`` starts passes cheaply, ``scenarios``
what git and others do, ``trial`` plays one scenario once, ``judge`` compares what came of it.
"""
