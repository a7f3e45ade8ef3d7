"""The gateway's own pages: plain HTML without scripts, readable by eye, by keyboard and by a screen reader.

Every name and title in them comes from strangers: it passes `core.text` and is escaped, and a page may load nothing but its own style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from p2pnode.core.cid import Cid
from p2pnode.core.text import marked
from p2pnode.gateway.messages import Response

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8886}"
    "td:last-child,th:last-child{text-align:right;white-space:nowrap}td{overflow-wrap:anywhere}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder; `size` is what its parent says that all of its blocks weigh."""

    name: bytes
    cid: Cid
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One work on the first page. `link` is a path of this gateway."""

    title: str
    creators: str
    licence: str
    size: int
    link: str


def page(title: str, body: str, status: int = 200) -> Response:
    """A whole page; `body` is HTML that is safe already, `title` a text that is not."""
    text = (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{shown(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n'
    )
    data = text.encode()
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": PAGE_POLICY,
        "cache-control": "no-store",
    }
    return Response(status, headers, data, len(data))


def works_page(works: Sequence[Shown], total: int) -> Response:
    """What this node holds."""
    rows = [
        f'<tr><td><a href="{escape(work.link)}" rel="noopener noreferrer">{shown(work.title)}</a></td>'
        f"<td>{shown(work.creators)}</td><td>{shown(work.licence)}</td><td>{bytes_text(work.size)}</td></tr>"
        for work in works
    ]
    head = "<h1>Works on this node</h1>\n"
    if not rows:
        return page("Works on this node", head + "<p>There are none yet.</p>")
    more = f"<p>{total - len(works)} more are not shown.</p>" if total > len(works) else ""
    table = "<table><thead><tr><th>Title<th>By<th>Licence<th>Size</tr></thead>\n<tbody>\n" + "\n".join(rows)
    return page("Works on this node", f"{head}{table}\n</tbody></table>{more}")


def folder_page(names: Sequence[bytes], entries: Sequence[Entry], total: int) -> Response:
    """What lies in a folder. Links are relative, so they stay within the content."""
    title = "/".join(name.decode("utf-8", "replace") for name in names) or "Files"
    up = '<p><a href="../?list">Up</a></p>\n' if names else ""
    rows = [
        f'<tr><td><a href="./{escape(quote(entry.name, safe=""))}">{shown(entry.name.decode("utf-8", "replace"))}</a></td>'
        f"<td>{bytes_text(entry.size)}</td></tr>"
        for entry in entries
    ]
    more = f"<p>{total - len(entries)} more are not shown.</p>" if total > len(entries) else ""
    table = "<table><thead><tr><th>Name<th>Size</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table>"
    return page(title, f"<h1>{shown(title)}</h1>\n{up}{table if rows else '<p>This folder is empty.</p>'}{more}")


def error_page(status: int, message: str, hint: str = "") -> Response:
    """What went wrong, in words."""
    return page(message, f"<h1>{shown(message)}</h1>\n<p>{shown(hint)}</p>", status)


def shown(text: str) -> str:
    """Text of a stranger's as HTML: control and direction marks made visible, everything escaped."""
    return escape(marked(text))


def bytes_text(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} bytes" if unit == 0 else f"{value:.1f} {UNITS[unit]}"
