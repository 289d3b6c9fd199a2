"""``lightkeeper why``: who owns an object, where git has it, what differs, who wrote that.

The JSON has ``object``, ``exists``, ``managed``, ``inSync``, ``verdict``, ``owner``, ``track``,
``repository``, ``revision``, ``commit``, ``author``, ``subject``, ``origin``, ``fields`` (each
``pointer``, ``git``, ``live``, ``writer``: ``manager``, ``operation``, ``time``), ``leftToOthers``,
``retry`` and ``notes``. Texts are "" and objects null where there is nothing to say.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.reconcile.inquiry.why import Answer, Field

IN_SYNC, NOT_IN_SYNC = 0, 1


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Say why an object is as it is: which track owns it, where it is written in git, what "
        "differs and who wrote that. Ends with 0 when a track manages it and it is as git says, "
        "1 otherwise."
    )
    parser.add_argument(
        "object",
        metavar="KIND/NAME",
        help="as kubectl takes it: deploy/web, Deployment.apps/web, namespaces/shop",
    )
    parser.add_argument(
        "-n",
        dest="where",
        metavar="NAMESPACE",
        default="",
        help="default: the agent's namespace, else default, else where git has it",
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is known of the object. Raises AgentError."""
    from agent.cli import cluster, eventloop

    options.quiet(args)
    kind, slash, name = args.object.partition("/")
    if not (kind and slash and name):
        raise options.BadUsage(f"{args.object!r} is not KIND/NAME, such as deployment/web")
    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    answer = eventloop.run(_ask(config, kind, name, args.where))
    if args.output == "json":
        output.write_json(_as_json(answer))
    else:
        _write(answer)
    return IN_SYNC if answer.in_sync else NOT_IN_SYNC


async def _ask(config: Config, kind: str, name: str, namespace: str) -> Answer:
    from agent.cli import cluster
    from agent.reconcile.inquiry.rehearsal import rehearsing
    from agent.reconcile.inquiry.why import Inquiry

    async with (
        cluster.connected(config, dry_run=True) as there,
        rehearsing(
            config, there.client, environment=os.environ, state_namespace=there.namespace
        ) as rehearser,
    ):
        inquiry = Inquiry(there.client, rehearser, config.tracks, there.agent, there.namespace)
        with output.progress("asking git and the cluster"):
            return await inquiry.why(kind, name, namespace=namespace or config.agent.namespace)


def _write(answer: Answer) -> None:
    colour = "green" if answer.in_sync else "yellow"
    output.write(f"{output.paint(str(answer.key), 'bold')} {output.paint(answer.verdict, colour)}.")
    rows = [(title, text) for title, text in _facts(answer) if text]
    width = max((len(title) for title, _ in rows), default=0)
    for title, text in rows:
        output.write(f"  {output.paint(title.ljust(width), 'dim')}  {text}")
    if answer.fields:
        output.write("")
        rows_ = [_row(field) for field in answer.fields]
        output.write_table(("field", "git", "live", "written last by"), rows_)
    for note in answer.notes:
        output.complain(f"note: {note}")


def _facts(answer: Answer) -> list[tuple[str, str]]:
    facts = [("owner", answer.owner)]
    if place := answer.place:
        revision = place.revision
        facts += [
            ("repository", place.track.repository),
            ("written at", place.origin),
            ("revision", place.status.revision or str(revision or "")),
            ("commit", f"{revision.commit[:12]} {revision.subject}" if revision else ""),
            ("author", f"{revision.author}, {_time(revision.committed_at)}" if revision else ""),
        ]
    facts.append(("left to others", ", ".join(answer.left_to_others)))
    facts.append(("next try", answer.retry))
    return facts


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _row(field: Field) -> tuple[str, str, str, str]:
    writer = field.writer
    by = f"{writer.manager} ({writer.operation}, {writer.time})" if writer else "-"
    return (field.pointer, field.git or "-", field.live or "-", by)


def _as_json(answer: Answer) -> dict[str, Any]:
    place, revision = answer.place, answer.place.revision if answer.place else None
    return {
        "object": str(answer.key),
        "exists": answer.exists,
        "managed": answer.managed,
        "inSync": answer.in_sync,
        "verdict": answer.verdict,
        "owner": answer.owner,
        "track": place.track.name if place else "",
        "repository": place.track.repository if place else "",
        "revision": place.status.revision or str(revision or "") if place else "",
        "commit": revision.commit if revision else "",
        "author": revision.author if revision else "",
        "subject": revision.subject if revision else "",
        "origin": place.origin if place else "",
        "fields": [_field_as_json(field) for field in answer.fields],
        "leftToOthers": list(answer.left_to_others),
        "retry": answer.retry,
        "notes": list(answer.notes),
    }


def _field_as_json(field: Field) -> dict[str, Any]:
    writer = field.writer
    who = writer and {
        "manager": writer.manager,
        "operation": writer.operation,
        "time": writer.time,
    }
    return {"pointer": field.pointer, "git": field.git, "live": field.live, "writer": who}
