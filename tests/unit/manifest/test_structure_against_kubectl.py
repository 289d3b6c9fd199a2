"""Structure (documents, encodings, aliases, Lists) against the kubectl of the environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.manifest.load import load_file
from tests.controlplane.kubectl import BINARY

H = b"apiVersion: x.io/v1\nkind: Foo\nmetadata:\n  name: a\nspec:\n"
B = H.replace(b"name: a", b"name: b")
FLOW = b'{"apiVersion":"x.io/v1","kind":"Foo","metadata":{"name":"a"},"spec":{"a":1.0,"b":1e3}}'


def bomb(levels: int) -> bytes:
    lines = [b'  a: &a ["x","x","x","x","x","x","x","x","x"]\n']
    for level in range(levels):
        name, below = b"%c" % (98 + level), b"*%c" % (97 + level)
        lines.append(b"  %b: &%b [%b]\n" % (name, name, b",".join([below] * 9)))
    return H + b"".join(lines)


SAME = {
    "duplicate key": H + b"  a: 1\n  a: 2\n",
    "duplicate top-level key": H + b"  a: 1\nspec:\n  b: 2\n",
    "merge key": H + b"  base: &b {x: 1, y: 2}\n  d:\n    <<: *b\n    y: 3\n",
    "merge key below what it overrides": H + b"  d:\n    x: 1\n    <<: {x: 2}\n",
    "merge key with a list": H + b"  a: &a {x: 1}\n  b: &b {x: 2, z: 3}\n  d:\n    <<: [*a, *b]\n",
    "merge key with an alias to a list": H + b"  a: &a [{x: 1}]\n  d:\n    <<: *a\n",
    "merge key with a scalar": H + b"  d:\n    <<: x\n",
    "quoted merge key": H + b'  d: {"<<": {a: 1}}\n',
    "anchor and alias": H + b"  a: &a [1,2]\n  b: *a\n",
    "anchor redefined": H + b"  a: &a 1\n  b: &a 2\n  c: *a\n",
    "alias as key": H + b"  a: &a k\n  *a : 1\n",
    "unknown anchor": H + b"  a: *nowhere\n",
    "anchor that contains itself": H + b"  a: &a [*a]\n",
    "small expansion": bomb(2),
    "alias bomb": bomb(8),
    "tab as indentation": H + b"\ta: 1\n",
    "tab after colon": H + b"  a:\t1\n",
    "CRLF": (H + b"  a: 1\n  b: |\n    x\n    y\n").replace(b"\n", b"\r\n"),
    "CRLF separators": (H + b"  a: 1\n---\n" + B + b"  a: 2\n").replace(b"\n", b"\r\n"),
    "BOM": b"\xef\xbb\xbf" + H + b"  a: 1\n",
    "UTF-16": (H + b"  a: 1\n").decode().encode("utf-16"),
    "two documents": H + b"  a: 1\n---\n" + B + b"  a: 2\n",
    "empty documents": b"---\n---\n# c\n---\n" + H + b"  a: 1\n---\n",
    "null document": b"null\n---\n" + H + b"  a: 1\n",
    "document end marker": H + b"  a: 1\n...\n---\n" + B + b"  a: 2\n",
    "separator with comment": H + b"  a: 1\n--- # c\n" + B + b"  a: 2\n",
    "separator with comment glued on": H + b"  a: 1\n---# c\n" + B + b"  a: 2\n",
    "separator with blanks": H + b"  a: 1\n---  \t\n" + B + b"  a: 2\n",
    "final separator without newline": H + b"  a: 1\n---",
    "separator inside a block scalar": H + b"  a: |\n    x\n    ---\n    y\n",
    "four dashes": H + b"  a: 1\n----\n",
    "invalid UTF-8": H + b'  a: "\xff\xfe"\n',
    "truncated UTF-8": H + b'  a: "\xe2\x82x"\n',
    "surrogates as UTF-8": H + b'  a: "\xed\xa0\x80"\n',
    "NUL": H + b'  a: "x\x00y"\n',
    "control character": H + b'  a: "x\x07y"\n',
    "C1 control character": H + '  a: "x\x85y"\n'.encode(),
    "no-break space": H + "  a:\u00a0b\n".encode(),
    "key of 2,000 characters": H + b"  " + b"k" * 2000 + b": 1\n",
    "folded": H + b"  a: >-\n    x\n    y\n\n    z\n",
    "kept newlines": H + b"  a: |+\n    x\n\n\n",
    "block scalar without final newline": H + b"  a: |\n    x",
    "JSON": FLOW,
    "JSON with a trailing comma": FLOW[:-1] + b",}",
    "JSON, then YAML": FLOW + b"\n---\n" + B + b"  a: 1\n",
    "YAML in flow style": b"{apiVersion: x.io/v1, kind: Foo, metadata: {name: a}, spec: {a: y}}\n",
    "List": b"apiVersion: v1\nkind: List\nitems:\n- " + H.replace(b"\n", b"\n  ") + b"  a: 1\n",
    "empty List": b"apiVersion: v1\nkind: List\nitems: []\n",
    "typed list": b"apiVersion: x.io/v1\nkind: FooList\nitems:\n- metadata: {name: a}\n  spec: 1\n",
    "null value": H + b"  a:\n  b: ~\n",
    "emoji": H + "  a: 😀\n".encode(),
    "colon in plain scalar": H + b"  a: b:c\n",
    "URL": H + b"  a: http://x:80/y#z\n",
    "comment after value": H + b"  a: x #c\n",
    "explicit key": H + b"  ? a\n  : 1\n",
    "template": H + b"  a: {{ .Values.x }}\n",
    "float keys": H + b"  {1e6: a, 123456789.5: b, 0.1: c, .inf: d, 1e-7: e, 100000.5: f}\n",
    "float key beyond float32": H + b"  {1e300: a, -1e300: b, .nan: c, -0.0: d}\n",
    "end marker alone": b"...\n",
    "uint64 key": H + b"  {18446744073709551615: a}\n",
    "key below int64": H + b"  {-9223372036854775809: a}\n",
    "tagged keys": H + b'  {!!str 1: a, !!int "2": 5, "~": 1, !foo true: 1}\n',
    "key with the wrong tag": H + b"  {!!int x: a}\n",
    "non-specific tag": H + b'  {a: ! "123", b: ! 5}\n',
    "int tag on text": H + b"  a: !!int abc\n",
    "bool tag on a number": H + b"  a: !!bool 1\n",
    "null tag on text": H + b"  a: !!null x\n",
    "binary that is not UTF-8": H + b'  a: !!binary "/+8="\n',
    "binary that is not base64": H + b'  a: !!binary "a b"\n',
    "numbers beyond 64 bits": H + b"  a: 0xFFFFFFFFFFFFFFFFFF\n  b: 0o7777777777777777777777777\n",
    "octal beyond 64 bits": H + b"  a: 0777777777777777777777777777777\n",
    "underscores": H + b"  a: 1_000\n  b: _1\n  c: 1_\n  d: ._5\n  e: 0x_1F\n  f: -_1\n",
    "capital prefixes": H + b"  a: 0X1F\n  b: 0B11\n  c: 0O17\n  d: -0x1F\n  e: +0b1\n",
    "negative zero": H + b"  a: -0.0\n  b: -0\n",
}

DIFFERENT = {
    "text on the separator line": (
        H + b"  a: 1\n--- {apiVersion: x.io/v1, kind: Foo, metadata: {name: b}, spec: 1}\n",
        "kubectl reads the first of the two and drops the other without a word",
        2,
    ),
    "bare document after an end marker": (
        H + b"  a: 1\n...\n" + B + b"  a: 2\n",
        "kubectl drops the second without a word, we say that it lacks its separator",
        1,
    ),
    "YAML 1.1 directive": (
        b"%YAML 1.1\n---\n" + H + b"  a: yes\n",
        "kubectl cuts the directive off and fails on it",
        1,
    ),
    "YAML 1.2 directive": (
        b"%YAML 1.2\n---\n" + H + b"  a: yes\n",
        "kubectl cuts the directive off and fails on it",
        1,
    ),
    "nesting of 400 levels": (
        H + b"  a: " + b"[" * 400 + b"]" * 400 + b"\n",
        "Go's bound is 10,000, ours 200",
        0,
    ),
}


def kubectl_reads(data: bytes, folder: Path) -> list[Any] | None:
    """Return the objects kubectl sees, None if it refuses the file."""
    assert BINARY is not None
    file = folder / "f.yaml"
    file.write_bytes(data)
    run = subprocess.run(
        [BINARY, "label", "--local", "-f", str(file), "zz=1", "-o", "json"],
        env={"HOME": str(folder), "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if run.returncode:
        return None
    objects, rest, decoder = [], run.stdout.strip(), json.JSONDecoder()
    while rest:
        obj, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
        obj["metadata"].pop("labels")
        objects.append(obj)
    return objects


def we_read(data: bytes) -> list[Any] | None:
    loaded = load_file(data, file="f.yaml")
    if loaded.error is not None:
        return None
    return [manifest.object() for manifest in loaded.manifests]


def comparable(value: Any) -> Any:
    """Turn numbers beyond int64 into floats: Go prints them as integers."""
    if isinstance(value, dict):
        return {key: comparable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [comparable(entry) for entry in value]
    if type(value) is int and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def as_text(objects: list[Any] | None) -> str:
    return json.dumps(comparable(objects), sort_keys=True)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in SAME.items()])
def test_a_file_is_what_it_is_to_kubectl(data: bytes, tmp_path: Path) -> None:
    assert as_text(we_read(data)) == as_text(kubectl_reads(data, tmp_path))


@pytest.mark.parametrize(
    ("data", "count"), [pytest.param(d, n, id=name) for name, (d, _, n) in DIFFERENT.items()]
)
def test_where_we_differ_from_kubectl_it_is_on_purpose(
    data: bytes, count: int, tmp_path: Path
) -> None:
    ours = load_file(data, file="f.yaml")
    assert len(ours.manifests) == count
    assert as_text(we_read(data)) != as_text(kubectl_reads(data, tmp_path))
