"""What kinds with a pod template say beside it."""

from __future__ import annotations

from tests.integration.oracle.pods import WORDS, template
from tests.integration.oracle.shapes import Once, OneOf, Pick, Record, Words, fixed, flag, spec

_SELECTOR = {"matchLabels": {"app": "web"}}
_POD_LABELS = Record({"app": fixed("web")}, {"tier": Pick(WORDS), "team": Pick(WORDS)})
_TEMPLATE = template(_POD_LABELS)
_JOB_PODS = Pick(("Never", "OnFailure"))
_INT_OR_PERCENT = Pick((1, 2, "10%", "25%"))

DEPLOYMENT = spec(
    {"selector": fixed(_SELECTOR), "template": _TEMPLATE},
    {
        "replicas": Pick((0, 1, 3)),
        "strategy": OneOf(
            (
                Record({"type": fixed("Recreate")}),
                Record({"type": fixed("RollingUpdate")}),
                Record(
                    {"type": fixed("RollingUpdate")},
                    {
                        "rollingUpdate": Record(
                            {}, {"maxSurge": _INT_OR_PERCENT, "maxUnavailable": _INT_OR_PERCENT}
                        )
                    },
                    odds=0.9,
                ),
            )
        ),
        "minReadySeconds": Pick((0, 5)),
        "revisionHistoryLimit": Pick((10, 2)),
        "paused": flag(),
        "progressDeadlineSeconds": Pick((600, 60)),
    },
)
_CLAIM = {
    "metadata": {"name": "store"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
STATEFUL_SET = spec(
    {
        "selector": fixed(_SELECTOR),
        "serviceName": fixed("web"),
        "template": _TEMPLATE,
        "volumeClaimTemplates": Once(Pick(([_CLAIM], []))),
    },
    {
        "replicas": Pick((0, 1, 3)),
        "podManagementPolicy": Once(fixed("Parallel")),
        "updateStrategy": OneOf(
            (
                Record({"type": fixed("OnDelete")}),
                Record(
                    {"type": fixed("RollingUpdate")},
                    {"rollingUpdate": Record({"partition": Pick((0, 1))})},
                ),
            )
        ),
    },
)
DAEMON_SET = spec(
    {"selector": fixed(_SELECTOR), "template": _TEMPLATE},
    {
        "minReadySeconds": Pick((0, 5)),
        "updateStrategy": OneOf(
            (
                Record({"type": fixed("OnDelete")}),
                Record(
                    {"type": fixed("RollingUpdate")},
                    {"rollingUpdate": Record({"maxUnavailable": Pick((1, 2, "10%"))})},
                ),
            )
        ),
    },
)
REPLICA_SET = spec(
    {"selector": fixed(_SELECTOR), "template": _TEMPLATE},
    {"replicas": Pick((0, 1, 3)), "minReadySeconds": Pick((0, 5))},
)
CRON_JOB = spec(
    {
        "schedule": Pick(("* * * * *", "0 4 * * *")),
        "jobTemplate": Record(
            {
                "spec": Record(
                    {"template": template(_POD_LABELS, restart=_JOB_PODS)},
                    {"backoffLimit": Pick((1, 6)), "parallelism": Pick((1, 2))},
                )
            },
            {"metadata": Record({}, {"labels": Words(WORDS, WORDS)})},
        ),
    },
    {
        "suspend": flag(),
        "concurrencyPolicy": Pick(("Allow", "Forbid")),
        "successfulJobsHistoryLimit": Pick((3, 1)),
        "startingDeadlineSeconds": Pick((60, 90)),
    },
)
JOB = spec(
    {"template": template(_POD_LABELS, restart=_JOB_PODS, once=True)},
    {
        "parallelism": Pick((1, 2)),
        "activeDeadlineSeconds": Pick((60, 90)),
        "backoffLimit": Once(Pick((1, 6))),
    },
)
