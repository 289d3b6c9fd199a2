"""What holds for every input: loading never raises, and meaning survives formatting."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.manifest.load import LoadedFile, load_file
from agent.manifest.paths import clean_sub_path, is_manifest_path
from agent.manifest.scalars import plain_key, plain_value

HEAD = b"apiVersion: v1\nkind: Foo\nmetadata: {name: a}\nspec:\n  "
FRAGMENTS = [
    b"apiVersion: v1\n",
    b"kind: List\n",
    b"kind: Foo\n",
    b"metadata: {name: a}\n",
    b"items:\n",
    b"- ",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"? ",
    b": ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!int ",
    b"!!binary ",
    b"!x ",
    b"|\n",
    b"  ",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\t",
    b"\r\n",
    b"\xff",
    b"\\ud83d",
    b"\xef\xbb\xbf",
    b"# c\n",
    b"1e400",
    b".inf",
]

# YAML's printable characters: others are refused on purpose.
printable = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn"])
text = st.text(printable, max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | int64 | floats | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=15,
)
noise = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=30).map(b"".join)


def folded(value: Any) -> Any:
    """Give floats that are whole and fit int64 the type kubectl gives them."""
    if isinstance(value, dict):
        return {key: folded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [folded(entry) for entry in value]
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**63:
        return int(value)
    return value


def spec_of(loaded: LoadedFile) -> Any:
    assert loaded.error is None, loaded.error
    return loaded.manifests[0].object()["spec"]


@given(values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    obj = {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": value}
    loaded = load_file(json.dumps(obj).encode(), file="f.json")
    assert repr(spec_of(loaded)) == repr(sorted_keys(folded(value)))


@given(values)
def test_yaml_is_read_as_it_was_written(value: Any) -> None:
    obj = {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": quoted(value)}
    dumped = yaml.dump(obj, Dumper=_QuotingDumper, allow_unicode=True)
    loaded = load_file(dumped.encode(), file="f.yaml")
    assert repr(spec_of(loaded)) == repr(sorted_keys(folded(value)))


class _Quoted(str):
    """A string the dumper quotes: PyYAML's own idea of what needs quotes is not Go's."""

    __slots__ = ()


class _QuotingDumper(yaml.SafeDumper):
    """Writes _Quoted in double quotes."""


_QuotingDumper.add_representer(
    _Quoted, lambda dumper, s: dumper.represent_scalar("tag:yaml.org,2002:str", str(s), style='"')
)


def quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {_Quoted(key): quoted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [quoted(entry) for entry in value]
    return _Quoted(value) if isinstance(value, str) else value


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value, key=str.encode)}
    if isinstance(value, list):
        return [sorted_keys(entry) for entry in value]
    return value


@given(st.binary(max_size=200) | noise | noise.map(lambda data: HEAD + data))
def test_loading_never_raises_and_an_error_has_a_line_of_the_file(data: bytes) -> None:
    for file in ("f.yaml", "f.json"):
        loaded = load_file(data, file=file)
        if loaded.error is not None:
            assert loaded.error.file == file
            assert 1 <= loaded.error.line <= data.count(b"\n") + data.count(b"\r") + 8
        for manifest in loaded.manifests:
            assert manifest.object()["metadata"]["name"] == manifest.key.name


@given(st.dictionaries(text, values, max_size=5), st.randoms())
def test_key_order_does_not_change_the_digest(spec: dict[str, Any], random: Any) -> None:
    entries = list(spec.items())
    random.shuffle(entries)
    digests = {
        load_file(
            json.dumps(
                {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": written}
            ).encode(),
            file="f.json",
        )
        .manifests[0]
        .digest
        for written in (spec, dict(entries))
    }
    assert len(digests) == 1


@given(st.from_regex(r"[-+.0-9a-fxobeE_ynt~]{1,25}", fullmatch=True))
def test_a_scalar_becomes_a_type_json_has(written: str) -> None:
    if written.lstrip("+-").lower() in (".inf", ".nan"):
        return
    value = plain_value(written)
    assert value is None or isinstance(value, str | int | float)
    if isinstance(value, float):
        assert math.isfinite(value)
        assert not (value.is_integer() and -(2**63) <= value < 2**63)
    if isinstance(value, int):
        assert -(2**63) <= value < 2**63


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_key_reads_back_as_the_same_float32(number: float) -> None:
    read = float(plain_key(format(number, ".17e")))
    assert struct.pack("f", read) == struct.pack("f", number)


@given(text, st.from_regex("[a-z][a-z.]*", fullmatch=True))
def test_paths_below_a_cleaned_sub_path_are_below_it(folder: str, name: str) -> None:
    if ".." in folder.strip().split("/"):
        return
    clean = clean_sub_path(folder)
    path = f"{clean}/{name}.yaml" if clean else f"{name}.yaml"
    assert is_manifest_path(path, folder)
