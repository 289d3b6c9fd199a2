"""What definitions of custom resources say, and resources that one defines."""

from __future__ import annotations

from agent.manifest.keys import JSONObject
from tests.integration.oracle.pods import WORDS
from tests.integration.oracle.shapes import (
    Keyed,
    OneOf,
    Pick,
    Record,
    Several,
    Subset,
    Words,
    fixed,
    flag,
    spec,
)

WIDGET_GROUP = "oracle.example.com"

_PROPERTIES = {
    name: Record({"type": Pick(("string", "integer"))}, {"description": Pick(WORDS)}, null=0)
    for name in WORDS
}
_COLUMN = Record(
    {"name": Pick(WORDS), "type": fixed("string"), "jsonPath": Pick((".spec.a", ".spec.b"))}
)
CRD = spec(
    {
        "group": fixed("NS.example.com"),
        "scope": fixed("Namespaced"),
        "names": Record(
            {"kind": fixed("Thing#"), "plural": fixed("things#")},
            {
                "singular": fixed("thing#"),
                "shortNames": Subset(("t#", "th#")),
                "categories": Subset(WORDS),
            },
        ),
        "versions": Keyed(
            "name",
            ("v1alpha1", "v2"),
            Record(
                {
                    "served": fixed(True),
                    "schema": Record(
                        {
                            "openAPIV3Schema": Record(
                                {
                                    "type": fixed("object"),
                                    "properties": Record(
                                        {
                                            "spec": Record(
                                                {"type": fixed("object")},
                                                {
                                                    "properties": Record(
                                                        {}, _PROPERTIES, odds=0.8, null=0
                                                    )
                                                },
                                            )
                                        }
                                    ),
                                }
                            )
                        }
                    ),
                },
                {"additionalPrinterColumns": Several(_COLUMN)},
            ),
            always=("v1",),
            implied=lambda version: {"storage": version == "v1"},
        ),
    },
    {},
)
_ANYTHING = OneOf(
    (
        Pick((0, 1, -7, 2**53 - 1, 1.5, "", "a", True, False, None, [], {})),
        Words(WORDS, (1, "b", None, [1, 2], {"a": 1})),
        Several(Pick((1, "a", {"a": 1, "b": [1]}, {"b": 2}))),
    )
)
WIDGET = spec(
    {"size": Pick((1, 2))},
    {
        "mode": Pick(("auto", "manual")),
        "items": Keyed(
            "name", ("x", "y", "z"), Record({}, {"weight": Pick((1, 2.5)), "on": flag()})
        ),
        "tags": Several(Pick(WORDS)),
        "nested": Record({}, {"a": _ANYTHING, "b": _ANYTHING, "c": _ANYTHING}, odds=0.6),
        "free": _ANYTHING,
        "note": Pick((None, "a")),
    },
)
_WIDGET_SPEC = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "mode": {"type": "string", "default": "auto"},
        "note": {"type": "string", "nullable": True},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"name": {"type": "string"}},
            },
        },
    },
}
WIDGET_CRD: JSONObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{WIDGET_GROUP}"},
    "spec": {
        "group": WIDGET_GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": _WIDGET_SPEC}}
                },
            }
        ],
    },
}
