"""Mistakes: every kind of them, with the exact line, all of a file at once, and no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.errors import ConfigError
from agent.config.load import load
from tests.unit.config.files import OTHER_TRACK, TRACK, problems

AGENT_MISTAKES = {
    "unknown key": ('nam = "x"', 'agent.nam: unknown key, did you mean "name"?'),
    "snake case": ('sync_period = "5m"', 'agent.sync_period: unknown key, did you mean "sync-per'),
    "nothing near": ("zzz = 1", "agent.zzz: unknown key, known here: name, namespace, "),
    "of a track": ('interval = "5m"', "agent.interval: unknown key here, it belongs to a [[track]"),
    "not a string": ("name = 5", "agent.name: not a string (got 5), put it in quotes"),
    "list for string": ("name = []", "agent.name: not a string (got a list), expected a string"),
    "date for string": ("name = 2020-01-01", "agent.name: not a string (got a date or time), exp"),
    "not a label": ('name = "A"', 'agent.name: not a DNS label (got "A"), expected lower-case'),
    "long label": (f'name = "{"a" * 64}"', f'agent.name: not a DNS label (got "{"a" * 59}…"), '),
    "empty label": ('name = ""', 'agent.name: not a DNS label (got ""), expected lower-case'),
    "scope's word": ('namespace = "cluster"', "agent.namespace: a word that means a scope of a tr"),
    "bare duration": ("sync-period = 30", "agent.sync-period: not a duration (got 30), write it w"),
    "unit missing": (
        'sync-period = "30"',
        'agent.sync-period: a duration needs a unit, write "30s" or "30m" (got "30")',
    ),
    "true duration": ("sync-period = true", "agent.sync-period: not a duration (got true), write "),
    "too short": (
        'sync-period = "10ms"',
        'agent.sync-period: too short (got "10ms"), the least is 1s',
    ),
    "no timeout": ('fetch-timeout = "0s"', 'agent.fetch-timeout: too short (got "0s"), the least'),
    "quoted boolean": (
        'server-dry-run = "true"',
        'agent.server-dry-run: not a boolean (got "true"), expected true or false',
    ),
    "integer boolean": ("server-dry-run = 1", "agent.server-dry-run: not a boolean (got 1), expec"),
    "empty path": ('state-dir = ""', "agent.state-dir: empty, expected a path"),
    "control character": (r'context = "a\u001b"', "agent.context: has a line break or another con"),
    "not a list": ('ignore-resources = "x"', 'agent.ignore-resources: not a list (got "x"), expec'),
    "core group": (
        'ignore-resources = ["jobs.batch/v1", "secrets/v1"]',
        'agent.ignore-resources[1]: names no API group (got "secrets/v1"), '
        'write "secrets./v1" if you mean the core group',
    ),
    "no version": (
        'ignore-resources = ["jobs.batch"]',
        "agent.ignore-resources[0]: not a resource",
    ),
    "two slashes": ('ignore-resources = ["a.b/v1/x"]', "agent.ignore-resources[0]: not a resource"),
    "a kind": ('ignore-resources = ["Job.batch/v1"]', "agent.ignore-resources[0]: not a resource"),
    "huge number": (f"name = {'1' * 4000}", "agent.name: not a string (got an integer), expected"),
}


@pytest.mark.parametrize(("line", "message"), AGENT_MISTAKES.values(), ids=AGENT_MISTAKES)
def test_a_mistake_in_agent_names_line_and_key(tmp_path: Path, line: str, message: str) -> None:
    (problem,) = problems(tmp_path, f"# comment\n[agent]\n\n{line}\n{TRACK}")
    assert problem.startswith(f"c.toml:4: {message}")


TRACK_MISTAKES = {
    "unknown key": ('intervall = "1m"', '.intervall: unknown key, did you mean "interval"?'),
    "flux's word": ('branch = "x"', '.branch: unknown key, did you mean "reference"?'),
    "faros' word": ('subPath = "x"', '.subPath: unknown key, did you mean "sub-path"?'),
    "of agent": ('kubeconfig = "x"', ".kubeconfig: unknown key here, it belongs to [agent]"),
    "half a second": ('interval = "0.5s"', '.interval: too short (got "0.5s"), the least is 1s'),
    "bare percent": ("prune-limit = 50", '.prune-limit: not a percentage (got 50), write "50%"'),
    "over 100 %": ('prune-limit = "101%"', '.prune-limit: not a percentage (got "101%"), expected'),
    "part of a %": ('prune-limit = "1.5%"', '.prune-limit: not a percentage (got "1.5%"), expec'),
    "true percent": ("prune-limit = true", ".prune-limit: not a percentage (got true), expected"),
    "scope": (
        'scope = "All!"',
        '.scope: not a scope (got "All!"), expected "cluster", "cluster-on',
    ),
    "out of the repository": (
        'sub-path = "a/../.."',
        ".sub-path: leads out of the repository with",
    ),
    "float reference": ("reference = 1.0", ".reference: not a string (got 1.0), put it in quotes"),
    "spaced reference": ('reference = "a b"', '.reference: not a git reference (got "a b"), expec'),
    "ignore no list": ('ignore = "docs/"', '.ignore: not a list (got "docs/"), expected one such'),
    "empty pattern": ('ignore = ["a", " "]', '.ignore[1]: empty (got " "), expected one such as'),
    "comment": ('ignore = ["# a"]', '.ignore[0]: a comment, which a list has no use for (got "# a'),
    "no pattern": ('ignore = ["!"]', '.ignore[0]: not a gitignore pattern (got "!"), expected one'),
    "key no table": ('deploy-key = "x"', ".deploy-key: not a table (got a string)"),
    "key empty": (
        "deploy-key = {}",
        ".deploy-key: needs exactly one of file, env, secret-name and dir",
    ),
    "key twice": (
        'deploy-key = { file = "a", env = "B", type = "HTTPBasicAuth" }',
        ".deploy-key: needs exactly one of file, env, secret-name and dir",
    ),
    "key of no Secret": (
        'deploy-key = { key = "id_rsa" }',
        ".deploy-key: both SecretName and Key must be set when using DeployKey: secret-name is mi",
    ),
    "hosts of no key": (
        'known-hosts = { secret-name = "s", secret-namespace = "n" }',
        ".known-hosts: both secret-name and key must be set: key is missing",
    ),
    "Secret of no namespace": (
        'deploy-key = { secret-name = "s", key = "k", type = "BearerToken" }',
        ".deploy-key.secret-namespace: no SecretNamespace set for DeployKey: the track is not of ",
    ),
    "Flux's reference": (
        'deploy-key = { secretRef = "hunter2" }',
        '.deploy-key.secretRef: unknown key, did you mean "secret-name"?',
    ),
    "no name of a Secret": (
        'deploy-key = { secret-name = "Hunter2!", secret-namespace = "n" }',
        ".deploy-key.secret-name: not the name of a Secret, and never write the secret itself here",
    ),
    "key for a file": (
        'deploy-key = { file = "f", key = "k", type = "HTTPBasicAuth" }',
        ".deploy-key.key: goes with secret-name, not with file",
    ),
    "type of a whole Secret": (
        'deploy-key = { secret-name = "s", secret-namespace = "n", type = "SSH" }',
        ".deploy-key.type: not for a Secret without key: what it holds says so, remove it",
    ),
    "passphrase of a folder": (
        'deploy-key = { dir = "d", passphrase = { env = "P" } }',
        ".deploy-key.passphrase: not for a folder: what it holds says so, remove it",
    ),
    "passphrase of a token": (
        'deploy-key = { env = "T", type = "BearerToken", passphrase = { env = "P" } }',
        '.deploy-key.passphrase: goes with type = "SSH"',
    ),
    "app without id": (
        'deploy-key = { env = "T", type = "GitHubApp", installation-id = 1 }',
        ".deploy-key.app-id: missing, a GitHubApp needs it",
    ),
    "app nowhere": (
        'deploy-key = { env = "T", type = "GitHubApp", app-id = 1 }',
        ".deploy-key: a GitHubApp needs exactly one of installation-id and installation-owner",
    ),
    "app's id": (
        'deploy-key = { env = "T", type = "GitHubApp", app-id = -1, installation-id = 1 }',
        ".deploy-key.app-id: not an id, expected the number that GitHub shows",
    ),
    "app over http": (
        'deploy-key = { env = "T", type = "GitHubApp", app-id = 1, installation-id = 1, '
        'base-url = "http://ghe.example.org" }',
        ".deploy-key.base-url: not the URL of an API, expected one such as https://ghe.example.o",
    ),
    "the old key for authorities": (
        'ca-file = "x"',
        '.ca-file: now written as a place: ca = { file = "…" }',
    ),
    "inline proxy password": (
        'proxy = { url = "http://me:hunter2@proxy:3128" }',
        ".proxy.url: has a credential in it (not shown), put the URL into a file, a variable or a",
    ),
    "no proxy": (
        'proxy = { url = "ftp://proxy" }',
        ".proxy.url: not the URL of a proxy, expected scheme://host:port, one of http, https, so",
    ),
    "client key alone": (
        'client-key = { env = "K" }',
        ".client-key: has no certificate to go with, add client-certificate",
    ),
    "host keys of https": (
        'known-hosts = { env = "K" }',
        ".known-hosts: the repository is reached by https, and this is for ssh: remove it or chang",
    ),
    "inline password": (
        'deploy-key = { password = "hunter2" }',
        ".deploy-key.password: unknown key, and secrets are never inline: use file, env or s",
    ),
    "type": (
        'deploy-key = { file = "a", type = "ssh" }',
        ".deploy-key.type: not a type of credential, expected one of SSH, HTTPBasicAuth, Bea",
    ),
    "SSH key for https": (
        'deploy-key = { file = "a" }',
        ".deploy-key: its type is SSH, but the repository is reached by https: "
        'set type = "HTTPBasicAuth" or change the URL',
    ),
    "secret for variable": (
        'known-hosts = { env = "hunter2 rocks" }',
        ".known-hosts.env: not the name of an environment variable, expected the variable's name; "
        "never write the secret itself here",
    ),
    "key for file": (
        'deploy-key = { file = "-----BEGIN OPENSSH PRIVATE KEY----- hunter2", type = "SSH" }',
        ".deploy-key.file: not a path, expected a file's; never write the secret itself here",
    ),
    "two of hosts": (
        'known-hosts = { env = "A", file = "b" }',
        ".known-hosts: needs exactly one of file, env and secret-name",
    ),
    "verify no table": ('verify = "a.asc"', ".verify: not a table (got a string)"),
    "verify by nobody": (
        'verify = { mode = "tag" }',
        ".verify.keys: missing, and it has no defaul",
    ),
    "verify by no file": ("verify = { keys = [] }", ".verify.keys: empty, expected the path of at"),
    "verify by a number": ("verify = { keys = 5 }", ".verify.keys: not a list (got 5), expected o"),
    "second file no path": (
        'verify = { keys = ["a", ""] }',
        ".verify.keys[1]: empty, expected a path",
    ),
    "private key to verify by": (
        'verify = { keys = "-----BEGIN PGP PRIVATE KEY BLOCK----- hunter2" }',
        ".verify.keys: not a path, expected a file's; never write the secret itself here",
    ),
    "verify by no variable": (
        "verify = { keys = {} }",
        ".verify.keys: needs exactly one of env and secret-name",
    ),
    "verify by two places": (
        'verify = { keys = { env = "A", secret-name = "s", secret-namespace = "n" } }',
        ".verify.keys: needs exactly one of env and secret-name",
    ),
    "verify by a part of a Secret": (
        'verify = { keys = { secret-name = "s", secret-namespace = "n", key = "ada.asc" } }',
        ".verify.keys.key: not for public keys, remove it: every entry of the Secret is read",
    ),
    "verify by no Secret": (
        'verify = { keys = { secret-namespace = "n" } }',
        ".verify.keys: needs a Secret: secret-name is missing",
    ),
    "verify by a file in a table": (
        'verify = { keys = { file = "ada.asc" } }',
        '.verify.keys.file: for files or folders write keys = ["…"] instead',
    ),
    "verify what": (
        'verify = { keys = "a", mode = "branch" }',
        '.verify.mode: not something that can be verified (got "branch"), expected one of "head", '
        '"tag", "tag-and-head"',
    ),
    "verify a tag, name none": (
        'verify = { keys = "a", mode = "tag" }',
        '.verify.mode: "tag" asks for a signed tag, but reference is the default branch: name the',
    ),
    "verify a tag, name a commit": (
        f'verify = {{ keys = "a", mode = "tag-and-head" }}\nreference = "{"a" * 40}"',
        '.verify.mode: "tag-and-head" asks for a signed tag, but reference is a commit: name the ',
    ),
    "one rule": (
        'ignore-fields = { kind = "ConfigMap", pointers = ["/data"] }',
        ".ignore-fields: not a list (got a table), expected one such as [{ kind = ",
    ),
    "rule no table": ('ignore-fields = ["/data"]', ".ignore-fields[0]: not a table (got a string)"),
    "rule without kind": (
        'ignore-fields = [{ pointers = ["/data"] }]',
        ".ignore-fields[0].kind: missing, and it has no default",
    ),
    "rule without pointers": (
        'ignore-fields = [{ kind = "ConfigMap", pointers = [] }]',
        '.ignore-fields[0].pointers: empty, expected at least one pointer such as "/spec/replicas"',
    ),
    "rule with another key": (
        'ignore-fields = [{ kind = "ConfigMap", pointer = "/a", pointers = ["/a"] }]',
        '.ignore-fields[0].pointer: unknown key, did you mean "pointers"?',
    ),
    "rule for a resource": (
        'ignore-fields = [{ kind = "deployments.apps", pointers = ["/spec"] }]',
        '.ignore-fields[0].kind: not a kind (got "deployments.apps"), expected Kind.group such as',
    ),
    "rule for a version": (
        'ignore-fields = [{ kind = "Deployment.v1.apps", pointers = ["/spec"] }]',
        '.ignore-fields[0].kind: names a version (got "Deployment.v1.apps"), leave it out: any ver',
    ),
    "second pointer": (
        'ignore-fields = [{ kind = "ConfigMap", pointers = ["/data/x", "data/y"] }]',
        '.ignore-fields[0].pointers[1]: does not start with "/", expected one such as '
        '"/spec/replicas" (got "data/y")',
    ),
    "lone tilde": (
        'ignore-fields = [{ kind = "ConfigMap", pointers = ["/data/~x"] }]',
        '.ignore-fields[0].pointers[0]: has a "~" that is neither "~0" (for ~) nor "~1" (for /), ',
    ),
    "identity": (
        'ignore-fields = [{ kind = "ConfigMap", pointers = ["/metadata/name"] }]',
        ".ignore-fields[0].pointers[0]: is, or holds, what says which object this is, and cannot",
    ),
    "our mark": (
        'ignore-fields = [{ kind = "Pod", pointers = ["/metadata/labels/lightkeeper.dev~1x"] }]',
        ".ignore-fields[0].pointers[0]: is a mark of this agent, and cannot be ignored (got ",
    ),
    "all labels": (
        'ignore-fields = [{ kind = "Pod", pointers = ["/metadata/labels"] }]',
        ".ignore-fields[0].pointers[0]: holds this agent's own marks, name the labels one by one",
    ),
}


@pytest.mark.parametrize(("line", "message"), TRACK_MISTAKES.values(), ids=TRACK_MISTAKES)
def test_a_mistake_in_a_track_names_line_and_key(tmp_path: Path, line: str, message: str) -> None:
    (problem,) = problems(tmp_path, f"{OTHER_TRACK}{TRACK}{line}\n")
    assert problem.startswith(f"c.toml:7: track[1]{message}")
    assert "hunter2" not in problem


NAMESPACES = {
    "required": ('deploy-key = { secret-name = "s", key = "k" }', "c.toml:4: track[0].deploy-key."
                 "secret-namespace: no SecretNamespace set for DeployKey: the track is not of one "
                 "namespace, name it"),
    "another": ('scope = "shop"\ndeploy-key = { secret-name = "s", secret-namespace = "ops" }',
                "c.toml:5: track[0].deploy-key.secret-namespace: the DeployKey namespace must "
                'match GitTrack namespace or be empty: the scope of the track is "shop"'),
    "passphrase": ('deploy-key = { env = "K", passphrase = { secret-name = "s", key = "k" } }',
                   "c.toml:4: track[0].deploy-key.passphrase.secret-namespace: no SecretNamespace "
                   "set for passphrase: the track is not of one namespace, name it"),
    "host keys": ('known-hosts = { secret-name = "s", key = "k" }', "c.toml:4: track[0].known-hosts"
                  ".secret-namespace: no SecretNamespace set for known-hosts: the track is not of "
                  "one namespace, name it"),
    "signers": ('verify = { keys = { secret-name = "s" } }', "c.toml:4: track[0].verify.keys"
                ".secret-namespace: no SecretNamespace set for verify.keys: the track is not of "
                "one namespace, name it"),
    "others' signers": ('scope = "shop"\nverify = { keys = { secret-name = "s", secret-namespace = '
                        '"ops" } }', "c.toml:5: track[0].verify.keys.secret-namespace: the "
                        "verify.keys namespace must match GitTrack namespace or be empty: the "
                        'scope of the track is "shop"'),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "message"), NAMESPACES.values(), ids=NAMESPACES)
def test_a_secret_is_looked_up_in_the_tracks_own_namespace_or_where_it_says(
    tmp_path: Path, lines: str, message: str
) -> None:
    track = '[[track]]\nname = "t"\nrepository = "git@h:r"\n'
    assert problems(tmp_path, f"{track}{lines}") == [message]


def test_a_credential_for_a_folder_is_a_mistake(tmp_path: Path) -> None:
    text = '[[track]]\nname = "t"\nrepository = "/srv/git/r"\n\ndeploy-key.env = "KEY"'
    assert problems(tmp_path, text) == [
        "c.toml:5: track[0].deploy-key: a file repository takes no credential, remove it"
    ]


WHOLE_FILES = {
    "empty": ("", ["c.toml:1: track: nothing to track, add a [[track]] with name = "]),
    "unknown table": (f"[agnet]\n{TRACK}", ['c.toml:1: agnet: unknown key, did you mean "agent"?']),
    "tracks": ("\n[[tracks]]", ["c.toml:1: track: nothing", "c.toml:2: tracks: unknown key, did"]),
    "key before tables": (
        f"prune = true\n{TRACK}",
        ["c.toml:1: prune: unknown key here, it belongs to a [[track]]"],
    ),
    "single brackets": (
        f"\n{TRACK.replace('[[track]]', '[track]')}",
        ["c.toml:2: track: not a list of tables (got [track]), write [[track]]"],
    ),
    "track a string": ('track = "x"', ["c.toml:1: track: not a list of tables (got a string), "]),
    "list of strings": ('track = [\n"x"]', ["c.toml:2: track[0]: not a table (got a string)"]),
    "agent a list": (f"[[agent]]\n{TRACK}", ["c.toml:1: agent: not a table (got a list)"]),
    "keys missing": (
        "\n[[track]]\nprune = true",
        [
            "c.toml:2: track[0].name: missing, and it has no default",
            "c.toml:2: track[0].repository: missing, and it has no default",
        ],
    ),
    "same name": (
        f"{TRACK}{TRACK}",
        ['c.toml:5: track[1].name: track[0] has this name too (got "t"), names are unique'],
    ),
    "both spellings": (
        f'[agent]\nstate-dir = "a"\nrepository-dir = "b"\n{TRACK}',
        ['c.toml:3: agent.repository-dir: the same as "state-dir", give only one of them'],
    ),
    "outside the namespace": (
        f'[agent]\nnamespace = "shop"\n{TRACK}scope = "cluster"',
        [
            'c.toml:6: track[0].scope: outside of what the agent is restricted to: namespace is "s'
            'hop" (got "cluster"), leave scope out or set it to that'
        ],
    ),
    "syntax": ("[agent]\nname = \n", ["c.toml:2:8: not TOML: Invalid value"]),
    "syntax at the end": ('[agent]\nname = "', ["c.toml:2:9: not TOML: Unterminated string"]),
    "key twice": ("[agent]\na = 1\na = 2\n", ["c.toml:3:6: not TOML: Cannot overwrite a value"]),
    "number too long": (f"a = {'1' * 5000}", ["c.toml: not TOML: Exceeds the limit"]),
    "deep": ("a = " + "[" * 100_000, ["c.toml: not TOML: nested too deeply"]),
}


@pytest.mark.parametrize(("text", "expected"), WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_a_mistake_in_the_file_as_a_whole(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, text)
    assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """[agent]
sync-period = "x"
nam = "lightkeeper"
[[track]]
name = "Bad"
repository = "https://me:hunter2@example.org/r"
[[track]]
name = "ok"
repository = "git@example.org:r"
interval = 5
colour = "red"
"""
    found = problems(
        tmp_path,
        text,
        environment={"LIGHTKEEPER_SERVER_DRY_RUN": "maybe"},
        flags={"fetch-timeout": "5", "ignore-resources": ["jobs.batch/v1,x"]},
    )
    assert [line.split(": ")[:2] for line in found[:6]] == [
        ["c.toml:2", "agent.sync-period"],
        ["c.toml:3", "agent.nam"],
        ["c.toml:5", "track[0].name"],
        ["c.toml:6", "track[0].repository"],
        ["c.toml:10", "track[1].interval"],
        ["c.toml:11", "track[1].colour"],
    ]
    assert found[6:] == [
        'LIGHTKEEPER_SERVER_DRY_RUN: not a boolean (got "maybe"), expected true or false',
        '--fetch-timeout: a duration needs a unit, write "5s" or "5m" (got "5")',
        '--ignore-resources: not a resource (got "x"), '
        "expected <plural>.<group>/<version> such as jobs.batch/v1 or secrets./v1",
    ]
    assert "hunter2" not in "".join(found)


REFUSED_REPOSITORIES = {
    "empty": ("", "not a repository"),
    "password": ("https://me:hunter2@example.org/r", "has a password in it (not shown)"),
    "empty user": ("https://:hunter2@example.org/r", "has a password in it (not shown)"),
    "token as user": ("https://hunter2@example.org/r", "has a user name, which may be a token, in"),
    "upper case": ("HTTPS://me:hunter2@example.org/r", "has a password in it (not shown)"),
    "ssh password": ("ssh://git:hunter2@example.org/r", "has a password in it (not shown)"),
    "scp password": ("git:hunter2@example.org:r", "has a password in it (not shown)"),
    "slash in password": ("https://me:1/hunter2@example.org/r", 'has "@" in its path (not shown)'),
    "hash in password": ("https://me:hunter2#@example.org/r", "not a URL"),
    "token in query": ("https://example.org/r?token=hunter2", 'has a part after "?" or "#"'),
    "line break": (r"https://me:hunter2@example.org/r\n", "not a repository"),
    "scheme": ("ftp://me:hunter2@example.org/r", "not a kind of URL that is known, expected one o"),
    "program": ("ext::sh -c hunter2", "not a repository"),
    "no host": ("https:///r", "not a URL"),
    "no path": ("https://example.org/", "names no repository"),
    "relative": ("repos/hunter2", "not a repository"),
    "scp in ssh": ("ssh://git@example.org:hunter2/r", "not a URL"),
}


@pytest.mark.parametrize(
    ("url", "message"), REFUSED_REPOSITORIES.values(), ids=REFUSED_REPOSITORIES
)
def test_a_refused_repository_is_never_shown(tmp_path: Path, url: str, message: str) -> None:
    (problem,) = problems(tmp_path, f'[[track]]\nname = "t"\nrepository = "{url}"')
    assert problem.startswith(f"c.toml:3: track[0].repository: {message}")
    assert "hunter2" not in problem


@given(password=st.from_regex(r"[!-~]{1,20}", fullmatch=True).map("S3CR3T".__add__))
def test_no_password_in_a_url_is_ever_shown(
    tmp_path_factory: pytest.TempPathFactory, password: str
) -> None:
    folder = tmp_path_factory.mktemp("config")
    url = f"https://me:{password}@example.org/r"
    if "'" in url:
        url = url.replace("'", "")
    found = problems(folder, f"[[track]]\nname = 't'\nrepository = '{url}'")
    assert "S3CR3T" not in "".join(found)


def test_a_file_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/none\.toml: cannot read .*: No such file"):
        load(tmp_path / "none.toml", environment={}, flags={})


def test_a_folder_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration: Is a directory"):
        load(tmp_path, environment={}, flags={})


def test_bytes_that_are_not_utf8_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"# one\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: not UTF-8 \(byte 0xe9\)"):
        load(path, environment={}, flags={})
