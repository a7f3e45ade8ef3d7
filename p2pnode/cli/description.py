"""What a person says of a work on the command line: the options, and the parameters of a control method that they become.

Used by every command that makes a work of something: publish, car import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from p2pnode.core.identifiers import split_identifier
from p2pnode.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def description_options(*, title_required: bool) -> Callable[[F], F]:
    """Decorates a command's function with the options; it gets them as `title`, `kind`, ... , `circle` and `private`."""
    options = [
        click.option("--title", required=title_required, help="What the work is called."),
        click.option("--kind", help="What it is: book, paper, course, software, music, ..."),
        click.option("--summary", help="What it is about, in a few sentences."),
        click.option("--licence", "--license", metavar="SPDX", help="An SPDX expression such as CC-BY-4.0."),
        click.option("--creator", "creators", multiple=True, metavar="NAME", help="Who made it; may be repeated."),
        click.option("--tag", "tags", multiple=True, help="A word to find it by; may be repeated."),
        click.option("--language", help="A language tag such as en or pt-BR."),
        click.option(
            "--identifier",
            "identifiers",
            multiple=True,
            metavar="SCHEME:VALUE",
            help="Such as doi:10.1000/182; may be repeated.",
        ),
        click.option("--source", "sources", multiple=True, metavar="URL", help="Where it came from; may be repeated."),
        click.option("--circle", metavar="CIRCLE", help="Publish it into a circle, under your name there."),
        click.option("--private", is_flag=True, help="Tell nobody about it."),
    ]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def read_description(given: dict[str, Any], *, title_needed: bool = True) -> dict[str, Any]:
    """The parameters of a control method that were given. UsageError without a title, or for an identifier that is none."""
    params = {name: given[name] for name in ("title", "kind", "summary", "licence", "language") if given[name]}
    if title_needed and not params.get("title", "").strip():
        raise UsageError("the title is empty", hint="give the work a title: --title TITLE")
    params["creators"] = [{"name": name} for name in given["creators"]]
    params["tags"] = list(given["tags"])
    if given["identifiers"]:
        params["identifiers"] = [_identifier(text) for text in given["identifiers"]]
    if given["sources"]:
        params["sources"] = list(given["sources"])
    return params


def _identifier(text: str) -> dict[str, str]:
    scheme, value = split_identifier(text)
    return {"scheme": scheme, "value": value}
