"""What a browser is told that a file is, and what it may do with it: a stranger made it.

A file is passive (pictures, sound, film, plain text, PDF), or inert (pages and the like, shown in a sandbox without scripts), or a
download. The list is ours, not the system's: the same file is the same everywhere, and nothing is guessed by the browser (nosniff).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

PASSIVE = {
    "txt": "text/plain", "md": "text/plain", "csv": "text/plain", "log": "text/plain", "json": "text/plain", "js": "text/plain",
    "py": "text/plain", "tex": "text/plain", "srt": "text/plain", "yml": "text/plain", "yaml": "text/plain", "toml": "text/plain",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif",
    "bmp": "image/bmp", "ico": "image/x-icon",
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime", "mkv": "video/x-matroska",
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
    "wav": "audio/wav", "vtt": "text/vtt", "pdf": "application/pdf",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
}  # fmt: skip
"""By the ending of the name: what cannot act."""
INERT = {
    "html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml", "svg": "image/svg+xml", "xml": "text/xml",
    "css": "text/css",
}  # fmt: skip
"""What could act: only ever with a sandbox around it."""
SNIFFED_BYTES = 512
"""First bytes of a file without a known ending, looked at for text."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A content type, and whether it is a download."""

    type: str
    download: bool


def kind_of(name: str, first: bytes, *, download: bool = False) -> Kind:
    """What a file is by its name, and by its first bytes where the name says nothing."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    known = PASSIVE.get(ending) or INERT.get(ending)
    if known is None:
        known = "text/plain" if _is_text(first) else "application/octet-stream"
    charset = "; charset=utf-8" if known.startswith("text/") else ""
    return Kind(known + charset, download or known == "application/octet-stream")


def _is_text(first: bytes) -> bool:
    sample = first[:SNIFFED_BYTES]
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample):
        return False
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.end == len(sample) and error.start > len(sample) - 4 and len(sample) == SNIFFED_BYTES
    return True


def disposition(name: str, *, download: bool) -> str:
    """A Content-Disposition with the name for old and new clients; what does not belong into a header is left out."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)[:200]
    how = "attachment" if download else "inline"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:200], safe='')}"


def content_policy(type_: str, place: str) -> str:
    """The Content-Security-Policy of a file that lies below the URL `place`: it loads from there, and runs nothing."""
    if type_ == "application/pdf":
        return (
            "frame-ancestors 'none'"  # browsers show it in a viewer of their own, which a stricter policy only breaks
        )
    sandbox = "" if type_.partition(";")[0] in PASSIVE.values() else "sandbox; "
    return (
        f"{sandbox}default-src 'none'; img-src {place} data:; media-src {place}; font-src {place}; "
        f"style-src {place} 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
