"""What a disk holds after a power cut: a real program's system calls, cut off after each of them.

``record`` runs a program under strace and reads what it did to one folder; ``disk`` carries that
out on a model that knows what was synced; the test looks at each state the model allows.
"""
