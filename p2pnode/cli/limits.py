"""`p2pnode limits`: what the node sends and receives, and what it may."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.output import note, print_json, print_pairs
from p2pnode.core.traffic_rules import bytes_in_words, parse_bytes
from p2pnode.errors import UsageError


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def limits(context: click.Context) -> None:
    """Show or set what the node may send and receive."""
    if context.invoked_subcommand is None:
        context.invoke(show)


@limits.command(cls=Command)
@click.pass_obj
def show(call: Call) -> None:
    """Bytes sent and received, and the limits that hold: rates, schedule, budgets.

    Every byte is counted, with its headers, as the network interface counts it, and told apart by what it was for: each protocol, the
    pings that keep connections alive, encryption, and the headers of packets.
    """
    _print(call, call.ask("limits.show"))


@limits.command("set", cls=Command)
@click.option("--up", metavar="RATE", help="Bytes a second to others, like 500kB or 2MB; 0: no limit.")
@click.option("--down", metavar="RATE", help="Bytes a second from others; 0: no limit.")
@click.option("--hour", metavar="BYTES", help="Bytes in an hour, both ways together, like 2GB; 0: no budget.")
@click.option("--month", metavar="BYTES", help="Bytes in a month, both ways together; 0: no budget.")
@click.option(
    "--schedule",
    multiple=True,
    metavar="WINDOW",
    help='Other rates at some hours: "22:00-07:00 unlimited" or "mon-fri 08:00-18:00 up=50kB down=1MB". May be repeated.',
)
@click.option("--no-schedule", is_flag=True, help="The same rates at all hours.")
@click.pass_obj
def set_limits(
    call: Call,
    up: str | None,
    down: str | None,
    hour: str | None,
    month: str | None,
    schedule: tuple[str, ...],
    no_schedule: bool,
) -> None:
    """Set limits at once, until the node stops; the settings of the same names set them for good.

    When 90 % of a budget are used up, works wait; the rest is for records, votes and the search for peers.
    """
    if schedule and no_schedule:
        raise UsageError("--schedule and --no-schedule exclude each other")
    given = {
        "rate_up_bytes_s": up,
        "rate_down_bytes_s": down,
        "budget_hour_bytes": hour,
        "budget_month_bytes": month,
    }
    values: dict[str, Any] = {name: _bytes(name, text) for name, text in given.items() if text is not None}
    if schedule or no_schedule:
        values["schedule"] = list(schedule)
    if not values:
        raise UsageError("nothing to set", hint="p2pnode limits set --help lists what there is")
    _print(call, call.ask("limits.set", values))
    if not call.json:
        note("this holds until the node stops; to keep it, put it into config.toml (p2pnode help settings)")


def _bytes(name: str, text: str) -> int:
    count = parse_bytes(text)
    if count is None:
        raise UsageError(
            f"{text!r} is no count of bytes for {name}", hint="a whole number, or one like 500kB, 2MB, 50GB"
        )
    return count


def _print(call: Call, answer: dict[str, Any]) -> None:
    if call.json:
        print_json(answer)
        return

    def rate(name: str) -> str:
        return f"{bytes_in_words(answer[name])}/s" if answer[name] else "no limit"

    def used(name: str, budget: str) -> str:
        of = f" of {bytes_in_words(answer[budget])}" if answer[budget] else ""
        return bytes_in_words(answer[name]) + of

    def both(kind: dict[str, Any]) -> str:
        return f"{bytes_in_words(kind['up_bytes'])} sent, {bytes_in_words(kind['down_bytes'])} received"

    print_pairs(
        [
            ("sent", bytes_in_words(answer["up_bytes"])),
            ("received", bytes_in_words(answer["down_bytes"])),
            ("up now", rate("now_up_bytes_s")),
            ("down now", rate("now_down_bytes_s")),
            ("this hour", used("hour_bytes", "budget_hour_bytes")),
            ("this month", used("month_bytes", "budget_month_bytes")),
            *((f"of it {one['kind']}", both(one)) for one in answer.get("kinds", ())),
            *(("schedule", window) for window in answer["schedule"]),
            ("works wait", answer["waiting"]),
            ("connections", f"{answer['connections']} of {answer['connections_limit']}"),
        ]
    )
