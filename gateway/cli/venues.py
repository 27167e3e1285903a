"""`gateway venues`: what is known about each FIX venue, what is assumed, and what is certified."""

from __future__ import annotations

from typing import Any

import click

from adapters.fix.dialects import DIALECTS, Venue, speak
from gateway.cli.connect import as_json, print_json, print_table
from gateway.cli.root import DEFAULT_CONFIG, OK, Context
from gateway.config import load


@click.command()
@click.argument("venue", required=False)
@as_json
@click.pass_obj
def venues(context: Context, venue: str | None, is_json: bool) -> int:
    """List every FIX venue, its keys, the values in force, and which of them are certified.

    A key whose true value could not be established is open: it has a default and is not certified
    until you list it in `certified` of [links.NAME.venue]. The values are those of the configured
    links that speak the dialect, else the defaults.
    """
    found = [one for one in _found(context) if venue in (None, one["dialect"], one["link"])]
    if venue is not None and not found:
        raise click.UsageError(f"no venue {venue!r}; known: {', '.join(DIALECTS)}")
    if is_json:
        print_json(found)
        return OK
    for one in found:
        where = f"link {one['link']}" if one["link"] else "no link, defaults"
        title = f"{one['dialect']}: {one['title']} ({where}); {len(one['uncertified'])} keys not certified"
        words = {True: "certified", False: "NOT certified", None: ""}
        rows = [
            [key["name"], _shown(key["value"]), words[key["certified"]], key["about"]] for key in one["keys"]
        ]
        print_table(["key", "value", "", "what it says"], rows, title)
    return OK


def _found(context: Context) -> list[dict[str, Any]]:
    """Return each configured link's venue, then the dialects that no link speaks."""
    path = context.config_path
    links = load(path).fix_links() if path.exists() or path != DEFAULT_CONFIG else {}
    found = [_entry(name, link.spoken()) for name, link in links.items()]
    spoken = {one["dialect"] for one in found}
    return found + [_entry("", speak(name, {})) for name in DIALECTS if name not in spoken]


def _entry(link: str, venue: Venue) -> dict[str, Any]:
    """Say of one venue what a person and a program want to know."""
    dialect = venue.dialect
    return {
        "dialect": dialect.name,
        "title": dialect.title,
        "link": link,
        "begin_string": venue.begin_string,
        "messages": {"sent": list(dialect.sends), "read": list(dialect.reads)},
        "look_up": venue.look_up,
        "replays": dialect.replays,
        "uncertified": list(venue.uncertified),
        "keys": [
            {
                "name": key.name,
                "value": venue.settings.get(key.name, key.default),
                "default": key.default,
                "certified": key.name in venue.certified if key.is_open else None,
                "about": key.about,
            }
            for key in dialect.keys
        ],
    }


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "-"
    return str(value) or "-"


COMMANDS = {"venues": venues}
