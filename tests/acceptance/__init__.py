"""The acceptance list of Faros (faros.md section 14): one test or more for each of its 36 items.

A test's name carries the item's number; its docstring says what the item asks and, where this agent
does it otherwise on purpose, what and why. ``test_list`` holds the two complete.
"""
