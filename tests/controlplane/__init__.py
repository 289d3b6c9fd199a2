"""A real control plane for the tests and the demo: etcd and kube-apiserver, and nothing else.

``build.sh`` finds or builds the two programs, :mod:`tests.controlplane.server` runs them, and
:mod:`tests.controlplane.audit` reads what clients asked of them. There are no controllers: no
garbage collector, no namespace controller, no pods; tests set status by hand. The cluster roles
``admin``, ``edit`` and ``view`` are empty, as it takes a controller to aggregate them.

Only the standard library is used, and nothing of ``agent``: ``build.sh`` runs this before there is
a virtual environment, and a judge should not share code with the judged.
"""
