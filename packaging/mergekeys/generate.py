"""Make agent/plan/merge/table.json: the merge keys of every built-in kind.

    python packaging/mergekeys/generate.py             write the table
    python packaging/mergekeys/generate.py --check     exit 1 when the table is stale
    python packaging/mergekeys/generate.py --import-openapi v2.json --as 1.20

Sources, oldest first:

* ``kubernetes-<release>.json`` beside this script: tables taken with ``--import-openapi`` from the
  answer to ``kubectl get --raw /openapi/v2`` of a server started with
  ``--runtime-config=api/all=true``, for releases kubernetes-validate no longer has;
* the definitions in the PyPI package kubernetes-validate, one set a minor release.

A type is the union of its fields over all releases. Should two releases ever merge a field
differently, one table cannot serve both: the script says which field and stops. A field that began
to merge after it was introduced counts as merging (so far only in status, and the ports that
ephemeral containers may not have).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.resources import files
from pathlib import Path

from agent.manifest.keys import JSONObject
from agent.plan.merge.openapi import FieldDocument, TableDocument, extract

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "agent" / "plan" / "merge" / "table.json"


def main() -> int:
    """Run the script; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--import-openapi", metavar="FILE", help="an OpenAPI v2 document to keep")
    parser.add_argument("--as", dest="version", metavar="VERSION", help="its release, as 1.20")
    options = parser.parse_args()
    if options.import_openapi:
        document = json.loads(Path(options.import_openapi).read_text(encoding="utf-8"))
        kept = HERE / f"kubernetes-{options.version}.json"
        kept.write_text(render(extract(document)), encoding="utf-8")
        return 0
    text = render(union([*imported(), *validated()]))
    if not options.check:
        TABLE.write_text(text, encoding="utf-8")
        return 0
    if TABLE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TABLE} is stale: run python {Path(__file__).name}\n")
    return 1


def imported() -> list[TableDocument]:
    """Return the tables kept beside this script, oldest first."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(HERE.glob("kubernetes-*.json"), key=lambda path: _minor(path.name))
    ]


def validated() -> list[TableDocument]:
    """Return the tables of the releases kubernetes-validate has, oldest first."""
    root = files("kubernetes_validate") / "kubernetes-json-schema"
    releases = [entry for entry in root.iterdir() if entry.name.endswith("-local")]
    tables = []
    for release in sorted(releases, key=lambda entry: _minor(entry.name)):
        document: JSONObject = json.loads(
            (release / "_definitions.json").read_text(encoding="utf-8")
        )
        tables.append(extract(document))
    return tables


def union(tables: list[TableDocument]) -> TableDocument:
    """Put tables together, the newest last; exit when two disagree on how a field merges."""
    merged: TableDocument = {"kinds": {}, "types": {}}
    for table in tables:
        for api_version, kinds in table["kinds"].items():
            merged["kinds"].setdefault(api_version, {}).update(kinds)
        for name, fields in table["types"].items():
            known = merged["types"].setdefault(name, {})
            for field_name, field in fields.items():
                known[field_name] = _agreed(f"{name}.{field_name}", known.get(field_name), field)
    return merged


def _agreed(where: str, older: FieldDocument | None, newer: FieldDocument) -> FieldDocument:
    """Return the newer of two descriptions of a field.

    Only the finer list-map keys of server-side apply may have been added since.
    """
    if older is not None and _strategy(older) != _strategy(newer):
        raise SystemExit(f"{where} merges differently in two releases: {older} and {newer}")
    return newer


def _strategy(field: FieldDocument) -> list[str]:
    return field[1:3] if isinstance(field, list) else []


def _minor(name: str) -> int:
    found = re.search(r"1\.(\d+)", name)
    if found is None:
        raise SystemExit(f"{name}: no Kubernetes release in the name")
    return int(found[1])


def render(table: TableDocument) -> str:
    """Write a table with one line an API version and one a type, so that a diff can be read."""
    sections = []
    for title in ("kinds", "types"):
        rows = sorted(table[title].items())
        lines = [
            f"{json.dumps(key)}:{json.dumps(value, sort_keys=True, separators=(',', ':'))}"
            for key, value in rows
        ]
        sections.append(f'"{title}":{{\n' + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(sections) + "}\n"


if __name__ == "__main__":
    sys.exit(main())
