"""Ranges of versions mean what they mean to users of Flux and Helm (Masterminds/semver)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from agent.config.ranges import Range, range_of, version_of
from tests.unit.config.files import TRACK, loaded, problems

NUMBERS = st.integers(0, 12)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS)
PRERELEASES = st.builds(
    Version, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["0", "alpha", "alpha.1", "rc.1", "rc.11"])
)
OPERATORS = st.sampled_from(["", "=", "!=", ">", "<", ">=", "<=", "~", "^"])
PARTIAL = st.one_of(
    VERSIONS.map(str),
    st.builds("{}.{}".format, NUMBERS, NUMBERS),
    st.builds("{}.{}.x".format, NUMBERS, NUMBERS),
    NUMBERS.map(str),
    st.just("*"),
)
TERMS = st.builds("{}{}".format, OPERATORS, PARTIAL)

# What its documentation calls equal; on the right there are only whole versions.
EQUIVALENT = [
    ("1.2 - 1.4.5", ">=1.2.0 <=1.4.5"),
    ("2.3.4 - 4.5", ">=2.3.4 <4.6.0"),
    ("1.2.x", ">=1.2.0, <1.3.0"),
    (">= 1.2.x", ">=1.2.0"),
    ("<= 2.x", "<3.0.0"),
    ("*", ">=0.0.0"),
    ("~1.2.3", ">=1.2.3, <1.3.0"),
    ("~1", ">=1.0.0, <2.0.0"),
    ("~2.3", ">=2.3.0, <2.4.0"),
    ("~1.2.x", ">=1.2.0, <1.3.0"),
    ("~1.x", ">=1.0.0, <2.0.0"),
    ("^1.2.3", ">=1.2.3, <2.0.0"),
    ("^1.2.x", ">=1.2.0, <2.0.0"),
    ("^2.3", ">=2.3.0, <3.0.0"),
    ("^2.x", ">=2.0.0, <3.0.0"),
    ("^0.2.3", ">=0.2.3 <0.3.0"),
    ("^0.2", ">=0.2.0 <0.3.0"),
    ("^0.0.3", ">=0.0.3 <0.0.4"),
    ("^0.0", ">=0.0.0 <0.1.0"),
    ("^0", ">=0.0.0 <1.0.0"),
    ("^*", ">=0.0.0"),
    ("~*", ">=0.0.0"),
    (">1", ">=2.0.0"),
    (">1.2", ">=1.3.0"),
    ("<1.2", "<1.2.0"),
    ("<=1.2", "<1.3.0"),
    ("1.2", ">=1.2.0 <1.3.0"),
    ("=1.2.3", ">=1.2.3 <=1.2.3"),
    ("!=1.2.3", "<1.2.3 || >1.2.3"),
    ("!=1.2", "<1.2.0 || >=1.3.0"),
    ("=>1.2.3 =<2.0.0", ">=1.2.3 <=2.0.0"),
    ("~>1.2.3", ">=1.2.3 <1.3.0"),
    ("v1.2.3 - v2", ">=1.2.3 <3.0.0"),
    ("1.X || 3.*", ">=1.0.0 <2.0.0 || >=3.0.0 <4.0.0"),
    ("1.2.3+build", "=1.2.3"),
    (">=01.02.03", ">=1.2.3"),
]


@pytest.mark.parametrize(("short", "long"), EQUIVALENT, ids=[short for short, _ in EQUIVALENT])
@given(version=VERSIONS)
def test_a_range_is_short_for(short: str, long: str, version: Version) -> None:
    assert Range.parse(short).allows(version) is Range.parse(long).allows(version)


@pytest.mark.parametrize(("short", "long"), EQUIVALENT, ids=[short for short, _ in EQUIVALENT])
def test_a_range_is_short_for_at_its_edges(short: str, long: str) -> None:
    edges = [Version(a, b, c) for a in range(5) for b in range(7) for c in range(7)]
    written, meant = Range.parse(short), Range.parse(long)
    assert [v for v in edges if written.allows(v)] == [v for v in edges if meant.allows(v)]


@pytest.mark.parametrize(
    ("text", "version", "allowed"),
    [
        (">=1.2", "1.3.0-rc.1", False),
        (">=1.2-0", "1.3.0-rc.1", True),
        (">=1.2-0", "1.2.0-alpha", True),
        (">=1.2.3-beta.2", "1.2.3-beta.1", False),
        (">=1.2.3-beta.2", "1.2.3-beta.11", True),
        (">=1.2.3-BETA", "1.2.3-alpha", True),
        (">=1.2-0 <2", "1.9.0-rc.1", True),
        (">=1.2-0 <2", "2.0.0-rc.1", True),
        (">=1.2-0 <2-0", "2.0.0-rc.1", False),
        (">=1.2-0 || >=3", "4.0.0-rc.1", True),
        (">=3 || <1-0", "4.0.0-rc.1", False),
        ("^1.2-0", "2.0.0-rc.1", False),
        ("~1.2.3-0", "1.3.0-alpha", False),
        ("1.2.3-rc.1", "1.2.3-rc.1", True),
        ("1.2.3-rc.1", "1.2.3", False),
        ("!=1.2.3", "1.2.3-rc.1", False),
        ("*", "0.1.0-rc.1", False),
        ("*-0", "0.1.0-rc.1", True),
        ("1.2.3", "1.2.3+build.5", True),
        (">1.2.3", "1.2.3+build.5", False),
    ],
)
def test_prereleases_count_only_where_named_and_build_metadata_nowhere(
    text: str, version: str, *, allowed: bool
) -> None:
    assert Range.parse(text).allows(Version.parse(version)) is allowed


@given(first=TERMS, second=TERMS, version=VERSIONS)
def test_blank_and_comma_mean_both_and_two_bars_either(
    first: str, second: str, version: Version
) -> None:
    one, other = Range.parse(first).allows(version), Range.parse(second).allows(version)
    assert Range.parse(f"{first} {second}").allows(version) is (one and other)
    assert Range.parse(f" {first} ,{second}").allows(version) is (one and other)
    assert Range.parse(f"{first}||{second} ").allows(version) is (one or other)


@given(partial=PARTIAL, version=VERSIONS)
def test_less_within_and_more_part_all_versions(partial: str, version: Version) -> None:
    allowed = [Range.parse(f"{op}{partial}").allows(version) for op in ("<", "=", ">")]
    assert allowed.count(True) == 1
    assert Range.parse(f"!={partial}").allows(version) is not allowed[1]
    assert Range.parse(f"<={partial}").allows(version) is not allowed[2]
    assert Range.parse(f">={partial}").allows(version) is not allowed[0]


@given(term=TERMS, version=PRERELEASES)
def test_no_range_without_a_prerelease_allows_one(term: str, version: Version) -> None:
    assert not Range.parse(term).allows(version)


@given(text=st.text(alphabet="0123.xX*v<>=!~^|-+, \tabZ", max_size=30))
def test_any_text_is_a_range_or_a_value_error(text: str) -> None:
    try:
        Range.parse(text).allows(Version(1, 2, 3))
    except ValueError as error:
        assert "at character" in str(error)


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("v1.2.3-rc.1+b.5", "1.2.3-rc.1+b.5"),
        ("2026.01.09", "2026.1.9"),
        ("1.2", None),
        ("v1", None),
        ("V1.2.3", None),
        ("vv1.2.3", None),
        ("1.2.3.4", None),
        ("1.2.x", None),
        ("1.2.3-", None),
        ("1.2.3-01", None),
        ("1.2.3\n", None),
        ("release-1.2.3", None),
        ("app/v1.2.3", None),
        (f"1.2.{'9' * 5000}", None),
        ("1.2.\u0663", None),
    ],
)
def test_a_tag_is_a_version_when_it_has_three_numbers(tag: str, version: str | None) -> None:
    found = version_of(tag)
    assert (str(found) if found else None) == version


@pytest.mark.parametrize("reference", ["main", "", "v1.2.3", "refs/tags/v1", "feature/semver"])
def test_other_references_are_no_ranges(reference: str) -> None:
    assert range_of(reference) is None


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("semver:", "a version is missing at character 8"),
        ("semver:  ", "a version is missing at character 8"),
        ("semver: >=1.2 <<2", '"<<2" is no version at character 15'),
        ("semver: >=1.2<2", '">=1.2<2" is no version at character 9'),
        ("semver:>=1,", "a version is missing at character 12"),
        ("semver: ,>=1", '",>=1" is no version at character 9'),
        ("semver:1.x||", "a version is missing at character 13"),
        ("semver:||1.x", "a version is missing at character 8"),
        ("semver: latest", '"latest" is no version at character 9'),
        ("semver: 1.2.3.4", '"1.2.3.4" is no version at character 9'),
        ("semver: == 1.2", '"==" is no version at character 9'),
    ],
)
def test_a_wrong_range_is_a_mistake_in_the_configuration_with_its_place(
    tmp_path: Path, reference: str, reason: str
) -> None:
    (problem,) = problems(tmp_path, f'{TRACK}reference = "{reference}"\n')
    assert problem == (
        f'c.toml:4: track[0].reference: not a version range: {reason} (got "{reference}"), '
        'expected a version range such as "semver: >=1.2 <2"'
    )


def test_a_range_stays_as_it_is_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'{TRACK}reference = "semver: >=1.2 <2"\n')
    assert config.tracks[0].reference == "semver: >=1.2 <2"
