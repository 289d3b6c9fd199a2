"""Write the bill of materials of a binary (CycloneDX 1.6, JSON) from what it says of itself.

Must not know anything on its own: the components are those of ``lightkeeper version --licenses``.
The same binary gives the same bytes: the time is the commit's, the serial number comes of its hash.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

_SCHEMA = SchemaVersion.V1_6
_LICENSES = LicenseFactory()


class InvalidSbom(Exception):
    """What was written is not as CycloneDX's schema has it."""


def sbom(told: dict[str, Any], *, sha256: str, file_name: str) -> str:
    """Return the document for a binary that told this, has this hash, and is published as that.

    Raises InvalidSbom when the result does not keep to the schema.
    """
    metadata = BomMetaData(
        component=Component(
            type=ComponentType.APPLICATION,
            bom_ref="lightkeeper",
            name="lightkeeper",
            version=told["version"],
            licenses=[_LICENSES.make_from_string("Apache-2.0")],
            purl=PackageURL("generic", name="lightkeeper", version=told["version"]),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
            properties=[
                Property(name="lightkeeper:commit", value=told["commit"]),
                Property(name="lightkeeper:file", value=file_name),
            ],
        ),
        timestamp=datetime.fromisoformat(told["date"]),
    )
    bom = Bom(metadata=metadata, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, sha256))
    _add(bom, told["components"])
    text = make_outputter(bom, OutputFormat.JSON, _SCHEMA).output_as_string(indent=1) + "\n"
    check(text)
    return text


def check(text: str) -> None:
    """Raise InvalidSbom unless the document keeps to the schema, strictly."""
    if (problem := JsonStrictValidator(_SCHEMA).validate_str(text)) is not None:
        raise InvalidSbom(str(problem).partition("\n")[0])
    if json.loads(text)["specVersion"] != _SCHEMA.to_version():
        raise InvalidSbom(f"not CycloneDX {_SCHEMA.to_version()}")


def _add(bom: Bom, entries: Iterable[dict[str, str]]) -> None:
    """Add components, each below what carries it."""
    carried: dict[str, list[Component]] = {}
    carriers: dict[str, Component] = {}
    for entry in entries:
        component = _component(entry)
        bom.components.add(component)
        carried.setdefault(entry.get("within", ""), []).append(component)
        if "within" not in entry:
            carriers[entry["name"]] = component
    root = bom.metadata.component
    if root is not None:
        bom.register_dependency(root, carried.pop("", []))
    for name, parts in carried.items():
        bom.register_dependency(carriers[name], parts)


def _component(entry: dict[str, str]) -> Component:
    within = entry.get("within")
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=f"{within}:{entry['purl']}" if within else entry["purl"],
        name=entry["name"],
        version=entry.get("version"),
        licenses=[_LICENSES.make_from_string(entry["license"])],
        purl=PackageURL.from_string(entry["purl"]),
        copyright=entry.get("by"),
    )
