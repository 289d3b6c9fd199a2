"""The demo, ``python -m tests.demo``: the agent's main job on a real API server, step by step.

Without KUBECONFIG it starts a control plane of its own. With it, it uses that cluster, inside a
namespace that it makes and deletes, and touches nothing else. Every step is judged by what kubectl
sees, not by what the agent says of itself.

``stage`` sets everything up and takes it down, ``steps`` is what is shown, ``report`` how.
"""
