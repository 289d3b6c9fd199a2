"""``lightkeeper delete``: end a track, and with it what it owns.

Suspends the track first, so that a running agent creates nothing again. Can be interrupted and run
again: what is owned is found by its marks, in the kinds that the track's ConfigMap names.

The JSON has ``track``, ``deleted``, ``orphaned`` (lists of objects), ``kept`` and ``errors``
(object -> reason), and ``configMap``: ``removed`` or ``suspended``.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.apply.inventory import Contents, Inventory
    from agent.config.model import Config
    from agent.reconcile.passes.pruning import Owned
    from agent.reconcile.passes.removal import Removal

DONE, LEFT = 0, 1

_NOTICE = 3.0  # seconds a running agent has to notice that the track is suspended
_SETTLE = 1.0  # seconds after which what comes back has come back
_PAUSE = 0.1
_PROTECTED = "its deletion takes other people's data with it; --all-kinds deletes it as well"


class NothingThere(AgentError):
    """The track has no ConfigMap, so it owns nothing that could be found."""


class NotSeen(AgentError):
    """Some kinds of the track cannot be listed."""


@dataclass(slots=True)
class Result:
    """What was done to which object, by name; ``alive``: a running agent knows the track."""

    deleted: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    alive: bool = False
    removed: bool = False


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Delete all that a track owns, in the configuration or not any more, and its ConfigMap "
        "once the configuration does not have it. Ends with 0 when nothing of it is left, else 1."
    )
    parser.add_argument("track", metavar="TRACK", help="the track to end")
    parser.add_argument(
        "--orphan", action="store_true", help="delete nothing, only take this agent's marks off"
    )
    parser.add_argument(
        "--all-kinds",
        action="store_true",
        help="delete also Namespaces, CRDs, PersistentVolumes and claims, with all that is in them",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask first")
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Show what would go, ask, do it, and say what is left. Raises AgentError."""
    from agent.cli import cluster, eventloop

    options.quiet(args)
    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    result = eventloop.run(_end(config, args))
    configured = any(track.name == args.track for track in config.tracks)
    _report(args.track, result, configured=configured, as_json=args.output == "json")
    return LEFT if result.kept or result.errors else DONE


async def _end(config: Config, args: argparse.Namespace) -> Result:
    """Carry the whole thing through."""
    from agent.cli import cluster
    from agent.reconcile.passes.removal import removing

    async with cluster.connected(config) as there:
        inventory = there.inventory(args.track)
        contents = await inventory.read()
        if not contents.resource_version:
            raise NothingThere(
                f"there is no ConfigMap {inventory.namespace}/{inventory.name}: track {args.track} "
                "owns nothing, or its agent has another name or state-namespace"
            )
        async with removing(config, there.client, inventory) as removal:
            owned = await _all(removal, contents)
            chosen, result = _choose(owned, everything=args.orphan or args.all_kinds)
            await _confirm(args, chosen, result)
            result.alive = await _suspend(inventory)
            if args.orphan:
                await _let_go(removal, chosen, result)
            else:
                await _delete(removal, chosen, contents, result)
        left = result.kept or result.errors
        configured = any(track.name == args.track for track in config.tracks)
        if not left and not configured and not result.alive:
            await inventory.read()
            await inventory.remove()
            result.removed = True
        return result


async def _all(removal: Removal, contents: Contents) -> Owned:
    """List what the track owns. Raises NotSeen when a part of it cannot be."""
    owned = await removal.owned(contents.kinds)
    if owned.unseen:
        reasons = "; ".join(f"{kind}: {why}" for kind, why in owned.unseen.items())
        raise NotSeen(f"nothing is deleted, because not everything can be listed: {reasons}")
    return owned


def _choose(owned: Owned, *, everything: bool) -> tuple[Owned, Result]:
    from agent.reconcile.passes.removal import is_protected

    kept = [] if everything else [r for _, r in owned.records if is_protected(r)]
    chosen = tuple(item for item in owned.records if item[1] not in kept)
    return replace(owned, records=chosen), Result(kept={str(r.key): _PROTECTED for r in kept})


async def _confirm(args: argparse.Namespace, chosen: Owned, result: Result) -> None:
    """Show what would go and what would stay, on stderr beside JSON, and ask."""
    import asyncio

    as_json = args.output == "json"
    if not (as_json and args.yes):
        say = output.complain if as_json else output.write
        what = "lets go of" if args.orphan else "deletes"
        count = len(chosen.records)
        say(f"It {what} {count} object{'' if count == 1 else 's'} of track {args.track}:")
        for name in sorted(str(record.key) for _, record in chosen.records):
            say(f"  {name}")
        for name, reason in result.kept.items():
            say(f"It keeps {name}: {reason}.")
        output.flush()
    if not args.yes:
        verb = "Let go?" if args.orphan else "Delete?"
        await asyncio.to_thread(options.confirm, verb, otherwise="nothing was deleted")


async def _suspend(inventory: Inventory) -> bool:
    """Suspend the track; True when a running agent has noticed."""
    import asyncio

    from agent.cli import cluster
    from agent.reconcile.reports import status

    by = f"{cluster.since()}, to be deleted"
    await inventory.suspend(by)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _NOTICE
    with output.progress("waiting for a running agent to stand still"):
        while loop.time() < deadline:
            known = status.read((await inventory.read()).data)
            if known is not None and known.suspended == by:
                return True
            await asyncio.sleep(_PAUSE)
    return False


async def _let_go(removal: Removal, chosen: Owned, result: Result) -> None:
    for released in await removal.let_go(chosen):
        name = str(released.record.key)
        if released.error:
            result.errors[name] = released.error
        else:
            result.orphaned.append(name)


async def _delete(removal: Removal, chosen: Owned, contents: Contents, result: Result) -> None:
    """Delete, then look whether something is back."""
    import asyncio

    pruned = await removal.delete(chosen)
    for outcome in pruned.outcomes:
        name = str(outcome.key)
        if outcome.error:
            result.errors[name] = outcome.error
        elif outcome.wrote:
            result.deleted.append(name)
        else:
            result.kept[name] = outcome.reason
    await asyncio.sleep(_SETTLE)
    before = {record.uid for _, record in chosen.records}
    for _, record in (await removal.owned(contents.kinds)).records:
        name = str(record.key)
        if record.uid not in before and name not in result.kept:
            result.errors[name] = (
                "was created meanwhile: an agent is running that has not noticed the suspension "
                "(it may not watch its ConfigMaps); wait for its next poll and delete again"
            )


def _report(track: str, result: Result, *, configured: bool, as_json: bool) -> None:
    if as_json:
        output.write_json(
            {
                "track": track,
                "deleted": result.deleted,
                "orphaned": result.orphaned,
                "kept": result.kept,
                "errors": result.errors,
                "configMap": "removed" if result.removed else "suspended",
            }
        )
        return
    done = (
        f"Deleted {len(result.deleted)}"
        if not result.orphaned
        else (f"Let go of {len(result.orphaned)}")
    )
    output.write(f"{done} objects of track {track}.")
    output.flush()
    for name, reason in {**result.kept, **result.errors}.items():
        output.complain(f"{name}: {reason}")
    output.write(_what_next(track, result, configured=configured))


def _what_next(track: str, result: Result, *, configured: bool) -> str:
    if result.removed:
        return "Its ConfigMap is removed. Nothing of it is left."
    again = f"lightkeeper delete {track}"
    if result.kept or result.errors:
        return f"It stays suspended. Run {again} again when the rest can go."
    if configured:
        return (
            f"It stays suspended. Remove it from the configuration and run {again} once more to "
            f"remove its ConfigMap, or lightkeeper resume {track} to have everything created again."
        )
    return (
        "It stays suspended, because an agent is running that still has it in its configuration: "
        f"take it out there, then run {again} once more to remove the ConfigMap."
    )
