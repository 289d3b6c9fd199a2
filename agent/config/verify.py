"""``verify``: who has to have signed what, and whether the reference can be that.

Pure.
"""

from __future__ import annotations

import re
from typing import Final

from agent.config import places, values
from agent.config.model import Verify, VerifyMode
from agent.config.tables import Reading, Schema, read
from agent.config.values import Converter, Fault, Invalid, Paths

_FULL_SHA: Final = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


def verify(paths: Paths) -> Converter:
    """Return a converter of a table that says who has to have signed what."""
    schema: Schema = {"keys": places.public_keys(paths), "mode": values.verify_mode}

    def convert(raw: object) -> Verify:
        reading = read(raw, schema, required=("keys",))
        if reading.faults:
            raise Invalid(*reading.faults)
        return Verify(**reading.values)

    return convert


def check_verify(track: Reading) -> None:
    """Add a fault when the reference cannot be the tag that has to be signed."""
    found, reference = track.values.get("verify"), track.values.get("reference", "")
    if not isinstance(found, Verify) or found.mode is VerifyMode.HEAD:
        return
    what = "a commit" if _FULL_SHA.fullmatch(reference) else "the default branch"
    if what == "a commit" or not reference:
        message = f'"{found.mode}" asks for a signed tag, but reference is {what}: name the tag'
        track.faults.append(Fault(message, ("verify", "mode")))
