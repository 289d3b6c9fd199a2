from __future__ import annotations

import gzip
import json

import pytest

from agent.manifest.keys import GroupVersionKind, ObjectKey
from agent.manifest.limits import MAX_FILE_SIZE, MAX_OBJECTS, MAX_WARNINGS
from agent.manifest.load import LoadedFile, load_file
from agent.manifest.marks import MARK_ANNOTATIONS, MARK_LABELS
from agent.manifest.model import Manifest, Origin

OBJECT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


def load(text: str, *, file: str = "f.yaml") -> LoadedFile:
    return load_file(text.encode(), file=file)


def one(text: str) -> Manifest:
    loaded = load(text)
    assert loaded.error is None
    (manifest,) = loaded.manifests
    return manifest


def with_metadata(metadata: object) -> str:
    return json.dumps({**OBJECT, "metadata": metadata})


def lines(loaded: LoadedFile) -> list[int]:
    return [manifest.origin.line for manifest in loaded.manifests]


def test_a_manifest_has_its_kind_key_and_place() -> None:
    text = (
        "# c\n---\n\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: web, namespace: x}\n"
    )
    manifest = one(text)
    assert manifest.gvk == GroupVersionKind("apps", "v1", "Deployment")
    assert manifest.key == ObjectKey("apps", "Deployment", "x", "web")
    assert manifest.origin == Origin("f.yaml", 4, 0)


@pytest.mark.parametrize("namespace", ["", "namespace: ", 'namespace: ""', "namespace: ~"])
def test_a_namespace_that_is_not_written_is_empty(namespace: str) -> None:
    text = f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  {namespace}\n"
    assert one(text).key.namespace == ""


def test_documents_know_their_line_and_index() -> None:
    document = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
    loaded = load(f"{document}---\n# c\n---\n\n{document}--- # x\n{document}")
    assert [(m.origin.line, m.origin.document) for m in loaded.manifests] == [
        (1, 0),
        (8, 1),
        (12, 2),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("- a\n", 1, "not a Kubernetes object but a list"),
        ("\n\nreplicas: 1\nimage: x\n", 3, "no 'kind' (found keys: replicas, image)"),
        ("kind:\n", 1, "no 'kind'"),
        ("{}", 1, "found keys: none"),
        ("a: 1\nkind: 5\n", 2, "kind is the number 5, not a string"),
        ("kind: a/b\n", 1, "'a/b' is not the name of a kind"),
        ("kind: Pod\n", 1, "apiVersion is missing"),
        ("kind: Pod\napiVersion: 1\n", 2, "apiVersion is the number 1, not a string"),
        ("kind: Pod\napiVersion: a/b/c\n", 2, "apiVersion 'a/b/c' is not"),
        ("kind: Pod\napiVersion: ../v1\n", 2, "apiVersion '../v1' is not"),
        ("kind: Pod\napiVersion: v1\n", 1, "v1 Pod: metadata is missing"),
        ("kind: Pod\napiVersion: v1\nmetadata: []\n", 3, "metadata is a list, not a mapping"),
        ("kind: Pod\napiVersion: v1\nmetadata: {}\n", 3, "metadata.name is missing"),
        ("kind: Pod\napiVersion: v1\nmetadata:\n  name: 5\n", 4, "the number 5, not a string"),
        ("kind: Pod\napiVersion: v1\nmetadata:\n  name: on\n", 4, "true, not a string: quote it"),
        ("kind: Pod\napiVersion: v1\nmetadata:\n  name: a/../b\n", 4, "cannot be the name"),
        ("kind: Pod\napiVersion: v1\nmetadata:\n  name: '..'\n", 4, "cannot be the name"),
        (
            "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  namespace: 0123\n",
            5,
            "metadata.namespace is the number 83, not a string: quote it",
        ),
        (
            "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels: []\n",
            5,
            "metadata.labels is a list, not a mapping",
        ),
        (
            "kind: Pod\napiVersion: v1\nmetadata:\n  generateName: a-\n",
            3,
            "generateName makes a new object at every apply",
        ),
        ("kind: List\napiVersion: v1\nitems:\n", 3, "a List without an 'items' array"),
    ],
)
@pytest.mark.parametrize("before", ["", "# c\n---\n# c\n\n"], ids=["first", "second"])
def test_what_names_no_object_is_an_error_at_its_line(
    before: str, text: str, line: int, reason: str
) -> None:
    loaded = load(before + text)
    assert loaded.manifests == ()
    assert loaded.error is not None
    assert reason in loaded.error.reason
    assert loaded.error.line == before.count("\n") + line
    assert str(loaded.error) == f"f.yaml:{loaded.error.line}: {loaded.error.reason}"


@pytest.mark.parametrize(
    ("file", "text", "hint"),
    [
        ("chart/values.yaml", "replicas: 1", "Helm chart"),
        ("chart/values-prod.yaml", "replicas: 1", "Helm chart"),
        ("chart/Chart.yaml", "apiVersion: v2\nname: x", "Helm chart"),
        ("x/kustomization.yaml", "resources: [a.yaml]", "a kustomization, which is not built"),
        (
            "x/kustomization.yaml",
            "kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\nmetadata: {}",
            "a kustomization is not an object",
        ),
    ],
)
def test_files_of_other_tools_are_named_for_what_they_are(file: str, text: str, hint: str) -> None:
    error = load(text, file=file).error
    assert error is not None
    assert hint in error.reason
    assert "move this file elsewhere" in error.reason


LIST = """\
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: v1
  kind: ConfigMap
  metadata:
    name: a
-
  # c
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
"""


@pytest.mark.parametrize("before", ["", "# c\n---\n"], ids=["first", "second"])
def test_items_of_a_list_are_objects_with_their_own_lines(before: str) -> None:
    loaded = load(before + LIST)
    assert loaded.error is None
    assert [manifest.key.name for manifest in loaded.manifests] == ["a", "b", "c"]
    assert lines(loaded) == [before.count("\n") + line for line in (5, 11, 14)]


def test_items_of_a_json_list_have_their_own_lines() -> None:
    items = [{**OBJECT, "metadata": {"name": name}} for name in "ab"]
    text = json.dumps({"kind": "List", "items": items}, indent=1)
    assert lines(load(text, file="f.json")) == [4, 11]


def test_an_invalid_item_is_an_error_that_keeps_the_items_before_it() -> None:
    loaded = load(LIST.replace("name: b", "nom: b") + "---\n" + json.dumps(OBJECT))
    assert [manifest.key.name for manifest in loaded.manifests] == ["a"]
    assert loaded.error is not None
    assert loaded.error.reason == "items[1]: v1 ConfigMap: metadata.name is missing"
    assert loaded.error.line == 13


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("5", "not a Kubernetes object but a number"),
        ("null", "not a Kubernetes object but null"),
        ("{a: 1}", "not a Kubernetes object: no 'kind'"),
        ("{apiVersion: v1, kind: List, items: []}", "a List inside a List"),
    ],
)
def test_an_item_that_is_no_object_is_an_error(item: str, reason: str) -> None:
    error = load(f"apiVersion: v1\nkind: List\nitems:\n- {item}\n").error
    assert error is not None
    assert error.reason.startswith(f"items[0]: {reason}")
    assert error.line == 4


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "- hunter2",
        "kind: Secret\nstringData: {a: !!int hunter2}",
        "kind: Secret\nstringData: {a: !!binary hunter2?}",
        'kind: Secret\nstringData: {a: "hunter2}',
        '{"kind": "Secret", "stringData": {"a": "hunter2}}',
        '{"kind": "Secret", "stringData": {"a": hunter2}}',
    ],
)
@pytest.mark.parametrize("file", ["f.yaml", "f.json"])
def test_an_error_does_not_show_values(file: str, text: str) -> None:
    error = load(text, file=file).error
    assert error is not None
    assert "hunter2" not in str(error)


def test_an_empty_list_holds_nothing() -> None:
    assert load("apiVersion: v1\nkind: List\nitems: []\n") == LoadedFile((), None, ())


def test_a_custom_resource_may_have_items_if_its_kind_is_no_list() -> None:
    manifest = one("apiVersion: x.io/v1\nkind: Menu\nmetadata: {name: a}\nitems: [1]\n")
    assert manifest.object()["items"] == [1]


def test_a_kind_that_ends_in_list_without_items_is_an_object() -> None:
    assert one("apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: a}\n").key.name == "a"


def test_what_servers_write_into_metadata_is_taken_out_and_status_stays() -> None:
    server_owned = {
        "creationTimestamp": None,
        "generation": 3,
        "managedFields": [{"manager": "x"}],
        "resourceVersion": "5",
        "selfLink": "/x",
        "uid": "u",
    }
    obj = {**OBJECT, "metadata": {"name": "web", **server_owned}, "status": {"replicas": 1}}
    assert one(json.dumps(obj)).object() == {**OBJECT, "status": {"replicas": 1}}


@pytest.mark.parametrize("others", [{}, {"x": "y"}], ids=["alone", "among others"])
def test_marks_pasted_back_from_a_live_object_are_taken_out(others: dict[str, str]) -> None:
    metadata = {
        "name": "web",
        "labels": {**dict.fromkeys(MARK_LABELS, "z"), **others},
        "annotations": {**dict.fromkeys(MARK_ANNOTATIONS, "z"), **others},
    }
    kept = {"labels": others, "annotations": others} if others else {}
    assert one(with_metadata(metadata)).object()["metadata"] == {"name": "web", **kept}


def test_null_labels_and_annotations_are_as_if_not_written() -> None:
    metadata = {"name": "web", "labels": None, "annotations": None}
    assert one(with_metadata(metadata)).object() == OBJECT


def test_cleaning_metadata_does_not_reach_what_an_alias_shares() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"
        f"  labels: &l {{{MARK_LABELS[0]}: x, a: b}}\nspec: *l\n"
    )
    assert one(text).object()["spec"] == {MARK_LABELS[0]: "x", "a": "b"}


def test_the_digest_ignores_order_comments_and_format() -> None:
    yaml = "# c\nmetadata:\n  name: web\nkind: Deployment\napiVersion: 'apps/v1'\n"
    assert one(yaml).digest == one(json.dumps(OBJECT)).digest
    assert one(yaml).digest != one(yaml.replace("web", "wxb")).digest
    assert len(one(yaml).digest) == 16


def test_the_body_is_compact_sorted_json_with_exact_numbers() -> None:
    numbers = "[9223372036854775807, -9223372036854775808, 1e23, 0.1, 5e-324, 1e20, 1.0]"
    manifest = one(f"kind: Foo\nmetadata: {{name: é}}\napiVersion: v1\nnumbers: {numbers}\n")
    assert (
        manifest.json
        == (
            '{"apiVersion":"v1","kind":"Foo","metadata":{"name":"é"},"numbers":'
            "[9223372036854775807,-9223372036854775808,1e23,0.1,5e-324,1e20,1]}"
        ).encode()
    )
    read = manifest.object()["numbers"]
    assert read == [2**63 - 1, -(2**63), 1e23, 0.1, 5e-324, 1e20, 1]
    assert [type(number) for number in read] == [int, int, float, float, float, float, int]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        pytest.param(b"a: 1\n\x00b", 2, "a binary file", id="NUL"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", 3, "a binary file", id="PNG"),
        pytest.param(gzip.compress(b"x" * 9, mtime=0), 1, "a binary file", id="gzip"),
        pytest.param(b"a" * (MAX_FILE_SIZE + 1), 1, "10.0 MiB is too large", id="10 MiB"),
        pytest.param(b"a: b\n" * 10 * 2**20, 1, "50.0 MiB is too large", id="50 MiB"),
    ],
)
def test_a_file_that_is_no_text_or_too_large_is_one_error(
    data: bytes, line: int, reason: str
) -> None:
    loaded = load_file(data, file="f.yaml")
    assert loaded.manifests == ()
    assert loaded.error is not None
    assert reason in loaded.error.reason
    assert loaded.error.line == line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_byte_order_mark_are_read(encoding: str) -> None:
    text = json.dumps(OBJECT) + "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: ä}\n"
    loaded = load_file(text.encode(encoding), file="f.yaml")
    assert [manifest.key.name for manifest in loaded.manifests] == ["web", "ä"]
    assert (loaded.error, loaded.warnings) == (None, ())


def test_bytes_that_are_not_utf8_are_replaced_with_a_warning() -> None:
    text = json.dumps({**OBJECT, "x": "?"}).encode().replace(b"?", b"\xff")
    loaded = load_file(b"\n" + text, file="f.json")
    assert loaded.manifests[0].object()["x"] == "\ufffd"
    assert loaded.warnings == ("f.json:2: not UTF-8: what cannot be read became U+FFFD",)


def test_json_files_are_strict_and_yaml_files_may_use_flow_style() -> None:
    text = "{apiVersion: v1, kind: Pod, metadata: {name: a}}"
    assert load(text, file="f.yaml").error is None
    assert load(text, file="f.json").error is not None


def test_a_json_syntax_error_in_a_yaml_file_is_told_where_it_is() -> None:
    error = load('{"apiVersion": "v1",\n"kind": "Pod"\n"metadata": {"name": "a"}}').error
    assert error is not None
    assert error.line == 3


def test_objects_of_one_file_are_bounded() -> None:
    item = "- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
    loaded = load(f"apiVersion: v1\nkind: List\nitems:\n{item * (MAX_OBJECTS + 1)}")
    assert len(loaded.manifests) == MAX_OBJECTS
    assert loaded.error is not None
    assert "split it" in loaded.error.reason


def test_warnings_of_one_file_are_bounded_and_say_so() -> None:
    document = json.dumps(OBJECT)[:-1] + ', "a": 1, "a": 2}\n---\n'
    warnings = load(document * (MAX_WARNINGS + 5)).warnings
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1] == "f.yaml: 5 or more further warnings"


POINTER = """\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""


@pytest.mark.parametrize("file", ["crds.yaml", "crds.json"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_git_lfs_pointer_is_refused_by_its_name(file: str, newline: str) -> None:
    loaded = load(POINTER.replace("\n", newline), file=file)
    assert loaded.manifests == ()
    assert str(loaded.error).startswith(f"{file}:1: a Git LFS pointer: ")
    assert "git lfs untrack" in str(loaded.error)


@pytest.mark.parametrize(
    "text",
    [
        f"# {POINTER}",
        POINTER.replace("spec/v1", "spec/v2"),
        f"{POINTER}{'#' * 1024}",
        json.dumps({**OBJECT, "metadata": {"name": "a", "annotations": {"pointer": POINTER}}}),
    ],
    ids=["comment", "another version", "too long", "in an object"],
)
def test_what_only_looks_like_a_git_lfs_pointer_is_none(text: str) -> None:
    assert "LFS" not in str(load(text).error)
