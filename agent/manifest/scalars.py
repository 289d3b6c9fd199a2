"""What a YAML scalar means to kubectl: go-yaml v2's resolution, then JSON's types.

The order is go-yaml's: a table of words, integers with Go's base prefixes and underscores
dropped, floats, else a string. Dates and base-60 numbers are strings. kubectl then turns the
result into JSON and back, which folds integral floats into integers and makes every key a string
(python_ecosystem.md section 3.2; sigs.k8s.io/yaml).

Knows nothing of documents, lines or libyaml.
"""

from __future__ import annotations

import binascii
import math
import re
import struct
from functools import lru_cache

from agent.manifest.errors import ScalarError

Scalar = str | int | float | bool | None

TAG_PREFIX = "tag:yaml.org,2002:"
INT64_MIN, INT64_MAX, UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1

_TRUE = ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"]
_FALSE = ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"]
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
}
_TYPES_OF_TAG: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "null": (type(None),),
}
_NUMBER_START = frozenset("+-.0123456789")
_SPECIAL_START = _NUMBER_START | {word[:1] for word in _WORDS}

_INTEGER = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII
)
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_MAX_DECIMAL_DIGITS = 20  # of UINT64_MAX; also keeps int() away from its limit of 4300 digits

_CACHE_SIZE = 16_384
_CACHED_LENGTH = 32  # longer scalars hardly repeat, and would make the caches large


def resolve(text: str) -> Scalar:
    """Return what an untagged plain scalar is to Go, before JSON's folding.

    Integers may go up to uint64, floats may be infinite or NaN.
    """
    first = text[:1]
    if first not in _SPECIAL_START:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if first not in _NUMBER_START:
        return text
    digits = text if first == "." else text.replace("_", "")
    integer = _integer(digits)
    if integer is not None:
        return integer
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        if math.isfinite(number):
            return number
    return text


def _integer(digits: str) -> int | None:
    """Read an integer as ``strconv.ParseInt(digits, 0, 64)``; None if it is none or too large."""
    match = _INTEGER.fullmatch(digits)
    if match is None:
        return None
    sign, *by_base = match.groups()
    base, body = next((b, d) for b, d in zip(_BASES, by_base, strict=True) if d is not None)
    if base == 10 and len(body) > _MAX_DECIMAL_DIGITS:
        return None
    value = -int(body, base) if sign == "-" else int(body, base)
    return value if INT64_MIN <= value <= UINT64_MAX else None


def resolve_tagged(tag: str, text: str) -> Scalar:
    """Return what a scalar with an explicit tag is to Go, before JSON's folding.

    Tags of applications (``!foo``) mean nothing: the scalar is a string. ScalarError says that
    the text is not of the tag's type.
    """
    if not tag.startswith(TAG_PREFIX):
        return text
    name = tag.removeprefix(TAG_PREFIX)
    if name == "binary":
        return _binary(text)
    if name not in _TYPES_OF_TAG:
        return text
    value = resolve(text)
    if type(value) not in _TYPES_OF_TAG[name]:
        raise ScalarError(f"this text is not a !!{name}")  # it may be a secret: not shown
    return value


def _binary(text: str) -> str:
    try:
        data = binascii.a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise ScalarError("!!binary value is not valid base64") from error
    return data.decode("utf-8", "replace")


def to_json(value: Scalar) -> Scalar:
    """Fold a resolved scalar as kubectl's way through JSON does.

    Integral floats become int64, integers beyond int64 become floats; ScalarError for infinity
    and NaN, which JSON cannot write.
    """
    if type(value) is float:
        if not math.isfinite(value):
            raise ScalarError(f"JSON has no {value}: quote it if a string is meant")
        return int(value) if value.is_integer() and INT64_MIN <= value < 2.0**63 else value
    if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
        return float(value)
    return value


def to_key(value: Scalar) -> str:
    """Write a resolved scalar as a mapping's key; ScalarError for null and uint64."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and value <= INT64_MAX:
        return str(value)
    if type(value) is float:
        return _float_key(value)
    raise ScalarError(f"{'null' if value is None else value} cannot be a key: quote it")


def _float_key(value: float) -> str:
    """Write a float as ``strconv.FormatFloat(value, 'g', -1, 32)``, which is what keys get."""
    if math.isnan(value):
        return ".nan"
    try:
        single = _as_float32(value)
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    text = next(t for p in range(9) if _as_float32(float(t := f"{single:.{p}e}")) == single)
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    if -4 <= int(exponent) < 6:
        return f"{float(text):.{max(0, decimals - int(exponent))}f}"
    return text


def _as_float32(value: float) -> float:
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single


def plain_value(text: str) -> Scalar:
    """Return the JSON value of an untagged plain scalar; ScalarError as ``to_json``."""
    if text[:1] not in _SPECIAL_START:
        return text
    return _plain_value(text) if len(text) <= _CACHED_LENGTH else to_json(resolve(text))


def plain_key(text: str) -> str:
    """Return the key an untagged plain scalar writes; ScalarError as ``to_key``."""
    if text[:1] not in _SPECIAL_START:
        return text
    return _plain_key(text) if len(text) <= _CACHED_LENGTH else to_key(resolve(text))


@lru_cache(maxsize=_CACHE_SIZE)
def _plain_value(text: str) -> Scalar:
    return to_json(resolve(text))


@lru_cache(maxsize=_CACHE_SIZE)
def _plain_key(text: str) -> str:
    return to_key(resolve(text))
