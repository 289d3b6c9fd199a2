"""What it takes to run the agent somewhere: manifests for Kubernetes, or a systemd unit. Pure.

``settle.settled`` says how a configuration runs in a shape, ``outside.named`` what it names that
lies outside of it, ``shapes.manifests`` and ``unit.unit`` write it down. The texts, with the
comments that say why, are in ``templates``; ``text`` fills them in.
"""
