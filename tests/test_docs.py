"""The documents say what the program does: everything that has a name stands in them, and the numbers they give are the program's.

Quick and without a network: `scripts/check` runs exactly this file. A change that makes it fail wants a sentence in `p2pnode/docs`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from p2pnode import __version__, limits
from p2pnode.cli.help import topics
from p2pnode.cli.main import root, run
from p2pnode.cli.reference import command_reference
from p2pnode.config import VARIABLE_PREFIX, Home, Settings
from p2pnode.control.server import SUBSCRIBE
from p2pnode.core import (
    admission,
    bundle,
    car,
    charter,
    cid,
    dag,
    dagpb,
    encoding,
    explain,
    fetch_messages,
    gossip_frame,
    invite,
    layout,
    manifest,
    membership,
    proposals,
    quarantine,
    reconcile,
    record,
    records,
    search_messages,
    skeleton,
    sync_messages,
    tally,
    unixfs,
    words,
)
from p2pnode.core.verdict import CircleView
from p2pnode.errors import ERRORS, EXIT_INTERRUPTED, EXIT_OK, P2pnodeError
from p2pnode.limits import GIB, KIB, MIB
from p2pnode.local import car_file
from p2pnode.services import bundle_import, bundle_merge
from p2pnode.services.api import TABLE
from p2pnode.tui.actions import ACTIONS, page
from tests.core.circles import DAY
from tests.core.test_explain import lively

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, DOCS, VECTORS = ROOT / "p2pnode", ROOT / "p2pnode" / "docs", ROOT / "tests" / "vectors"
PAGES = sorted(DOCS.rglob("*.md"))
EVERYWHERE = [ROOT / "README.md", *PAGES]
MAX_ADR_LINES = 45
"""A decision note is read in one sitting: thirty lines, a few more where a list needs them."""


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def flat(name: str) -> str:
    """A document as one line: sentences may break anywhere."""
    return " ".join(text_of(name).split())


def cells(document: str, column: int = 1) -> set[str]:
    """Everything in backquotes within one column of a document's tables."""
    rows = [line.split("|") for line in document.splitlines() if line.startswith("| ")]
    return {name for row in rows if len(row) > column for name in re.findall(r"`([^`]+)`", row[column])}


def constants() -> Iterator[str]:
    """Every string or bytes literal of the program that is no docstring."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in prose:
                if isinstance(node.value, bytes):
                    yield node.value.decode("utf-8", "replace")
                elif isinstance(node.value, str):
                    yield node.value


def commands(group: click.Group, before: str = "p2pnode") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {name}")


# ---------------------------------------------------------------- the command line and the terminal UI


def test_the_pages_made_from_the_program_are_current() -> None:
    assert text_of("commands.md") == command_reference(), "run: .venv/bin/python scripts/make_docs"
    assert text_of("keys.md") == page(), "run: .venv/bin/python scripts/make_docs"


@pytest.mark.parametrize(("path", "command"), list(commands(root)), ids=lambda value: str(value).replace(" ", "-")[:40])
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    document = text_of("commands.md")
    (section,) = [part for part in document.split("\n## ") if re.match(re.escape(path) + r"( [^a-z]|\n)", part)]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert max(parameter.opts, key=len) in section + document.split("\n## ")[0]


def test_every_key_of_the_terminal_ui_is_documented() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in text_of("keys.md").splitlines() if "|" in line]
    for action in ACTIONS:
        keys = {key for key, label, help in rows if (label, help) == (action.label, action.help)}
        assert keys, action.id
        assert not action.key or keys == {f"`{action.key_shown}`"}, action.id


@pytest.mark.parametrize("topic", sorted(topics()))
def test_every_topic_prints(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", topic]) == EXIT_OK
    said = capsys.readouterr()
    assert said.out.strip() == (DOCS / f"{topic}.md").read_text(encoding="utf-8").strip()
    assert said.err == ""


def test_every_document_is_a_topic() -> None:
    assert set(topics()) == {str(path.relative_to(DOCS)).removesuffix(".md") for path in PAGES}


# ---------------------------------------------------------------- the control socket, errors, settings


def test_every_control_method_is_documented() -> None:
    assert {*TABLE, SUBSCRIBE} <= cells(text_of("control.md"))


def test_every_event_is_documented() -> None:
    pattern = re.compile(r"""emit\(\s*["']([a-z]+\.[a-z]+)["']""")
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    both = re.findall(r"""emit\(\s*["']([a-z]+\.[a-z]+)["'] if [a-z.]+ else ["']([a-z]+\.[a-z]+)["']""", source)
    events = {*pattern.findall(source), *(name for pair in both for name in pair), "events.subscribed", "dropped"}
    assert {"work.hit", "transfer.progress", "verdict.changed", "peer.disconnected"} <= events
    assert events <= set(re.findall(r"[a-z]+\.[a-z]+|dropped", text_of("control.md")))


def error_codes() -> set[str]:
    """Of every error class in the program, and of failures that the control server answers without one."""
    codes = set(ERRORS)
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        codes |= set(re.findall(r'^    code = "([a-z_]+)"', source, re.MULTILINE))
        codes |= set(re.findall(r'Failure\(\s*request\.id, "([a-z_]+)"', source))
    return codes


def test_every_error_code_and_exit_status_is_documented() -> None:
    codes = error_codes()
    assert {"internal", "cancelled", "too_slow", "interrupted", "not_found"} <= codes
    document = text_of("exit-statuses.md")
    assert codes <= cells(document, 2)
    statuses = {int(status) for status in re.findall(r"^\| (\d+) \|", document, re.MULTILINE)}
    assert statuses == {EXIT_OK, EXIT_INTERRUPTED, P2pnodeError.exit_status, *(e.exit_status for e in ERRORS.values())}
    for code, error in ERRORS.items():
        assert re.search(rf"^\| {error.exit_status} \|[^|]*`{code}`", document, re.MULTILINE), code


def test_every_setting_is_documented_with_its_default() -> None:
    document = text_of("settings.md")
    for setting in fields(Settings):
        default = json.dumps(getattr(Settings(), setting.name))
        variable = VARIABLE_PREFIX + setting.name.upper()
        assert f"| `{setting.name}` | `{variable}` | `{default}` |" in document
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", document, re.MULTILINE))
    assert rows == {setting.name for setting in fields(Settings)}


def test_every_variable_of_the_environment_is_documented() -> None:
    sources = [*PACKAGE.rglob("*.py"), *(path for path in (ROOT / "scripts" / "lib").iterdir())]
    named = {name for path in sources for name in re.findall(r"\bP2PNODE_[A-Z]+\b", path.read_text(encoding="utf-8"))}
    assert "P2PNODE_HOME" in named
    assert named <= cells(text_of("settings.md"), 1) | cells(text_of("settings.md"), 2)


def test_every_file_of_a_home_is_documented() -> None:
    home = Home(Path("home"))
    names = {value.name for value in (getattr(home, name) for name in dir(Home)) if isinstance(value, Path)} - {"home"}
    assert "node.db" in names
    assert {name for name in names if name not in text_of("architecture.md")} == set()


# ---------------------------------------------------------------- the protocol

KINDS = {record.PROFILE, record.MANIFEST, record.CHARTER, record.VOUCH} | {
    record.PROPOSAL,
    record.BALLOT,
    record.SEAL,
    record.WITHDRAW,
    record.CUT,
    record.FORK,
}


def test_every_kind_of_record_and_its_fields_are_documented() -> None:
    assert set(records._SHAPES) == KINDS
    assert cells(text_of("protocol-records.md")) >= KINDS
    valid = json.loads((VECTORS / "records.json").read_text(encoding="utf-8"))["valid"]
    named = set(re.findall(r"`([a-z_]+)`", text_of("protocol-records.md")))
    for vector in valid:
        assert set(_field_names(vector["fields"])) <= named, vector["name"]


def _field_names(value: Any) -> Iterator[str]:
    """Keys of a record's maps, those of `classes` and `$bytes` apart: they are names that a charter gives."""
    if isinstance(value, list):
        for item in value:
            yield from _field_names(item)
    elif isinstance(value, dict) and "$bytes" not in value:
        for key, inner in value.items():
            yield key
            yield from ((name for rule in inner.values() for name in rule) if key == "classes" else _field_names(inner))


def test_classes_choices_and_complaints_are_documented() -> None:
    document = text_of("protocol-records.md")
    for name in (*records.PROPOSAL_CLASSES, *records.CHOICES, *proposals.COMPLAINTS):
        assert f"`{name}`" in document
    for code in invite.REFUSALS:
        assert f"`{code}`" in text_of("protocol-network.md")


def test_every_protocol_id_and_domain_is_documented() -> None:
    own = {text for text in constants() if re.match(r"/?p2pnode/[a-z]", text) or re.match(r"/(ipfs|meshsub)/", text)}
    own = {text for text in own if not text.endswith(".py")}
    assert {"/p2pnode/sync/1", "p2pnode/rec/1", "p2pnode/pseudonym/proof/1", "/ipfs/ping/1.0.0"} <= own
    table = {*cells(text_of("protocol.md"), 1), *re.findall(r"`([^`]+)`", text_of("protocol.md"))}
    assert {text for text in own if not any(text in said for said in table)} == set()


def test_every_member_of_an_explanation_is_documented() -> None:
    document = text_of("protocol-circles.md")
    named = set(re.findall(r"`([a-z_]+)`", document))
    for seed in range(6):
        circle, question = lively(seed)
        view = CircleView(circle.charter, circle.records, DAY)
        told = view.explain(question)
        assert set(told) - {"larger_k", "ballots_omitted"} <= cells(document), seed
        assert {*told["cast"], *told["rule"], *told["electorate"], *told["cost_to_flip"], *told["ballots"][0]} <= named
        assert {ballot["why"] for ballot in told["ballots"]} <= named
        work = view.explain_work(view.works()[0])
        assert {*work, *work["questions"][0]} <= named
        lines = "".join(
            "(" + ", ".join(map(str, numbers)) + ("," if len(numbers) == 1 else "") + ")\n"
            for numbers in view.membership.vouches
        )
        graph = hashlib.sha256(b"".join(view.members) + lines.encode())
        assert told["electorate"]["graph"] == graph.hexdigest(), "the digest of the graph as the page tells it"


def test_every_file_of_vectors_is_documented() -> None:
    assert {path.name for path in VECTORS.glob("*.json")} == {
        name for name in cells(text_of("protocol.md")) if name.endswith(".json") and "/" not in name
    }


def spelled(number: float) -> str:
    return f"{number:,}"


NUMBERS = [
    ("protocol-records.md", f"at most {encoding.MAX_DEPTH} levels"),
    ("protocol-records.md", f"Body: at most {spelled(records.MAX_BODY_BYTES)};"),
    ("protocol-records.md", f"proposal and manifest {spelled(records.MAX_BODY_BYTES_BY_KIND['manifest'])};"),
    ("protocol-records.md", f"charter {spelled(records.MAX_BODY_BYTES_BY_KIND['charter'])};"),
    ("protocol-records.md", f"at most {spelled(records.MAX_SIGNED_BYTES)} bytes"),
    ("protocol-records.md", f"text of 1 to {records.MAX_KIND_CHARACTERS} characters"),
    ("protocol-records.md", f"text, 1-{charter.MAX_NAME_CHARACTERS} characters"),
    ("protocol-records.md", f"array of 1-{charter.MAX_STEWARDS} keys"),
    ("protocol-records.md", f"C(|S|, f) <= {charter.MAX_STEWARD_SETS}"),
    ("protocol-records.md", f"at most {charter.MAX_CLASSES}: name (1-{charter.MAX_CLASS_CHARACTERS} characters)"),
    ("protocol-records.md", f"`b`: 0-{spelled(charter.MAX_BAD)}; `q`: 1-{spelled(charter.MAX_QUORUM)}"),
    ("protocol-records.md", f"1-{spelled(charter.MAX_VOUCH_DAYS)}"),
    ("protocol-records.md", f"text, 1-{manifest.MAX_TITLE_CHARACTERS} characters"),
    ("protocol-records.md", f"binary CID, at most {cid.MAX_CID_BYTES} bytes"),
    (
        "protocol-records.md",
        f"text: {manifest.MAX_KIND_CHARACTERS}, {spelled(manifest.MAX_SUMMARY_CHARACTERS)},"
        f" {manifest.MAX_LICENCE_CHARACTERS}, {manifest.MAX_LANGUAGE_CHARACTERS} characters",
    ),
    ("protocol-records.md", f"at most {manifest.MAX_CREATORS} of"),
    ("protocol-records.md", f"at most {manifest.MAX_TAGS} texts of 1-{manifest.MAX_TAG_CHARACTERS}"),
    ("protocol-records.md", f"at most {manifest.MAX_SOURCES} texts of 1-{manifest.MAX_SOURCE_CHARACTERS}"),
    ("protocol-records.md", f"first {spelled(words.MAX_TEXT_CHARACTERS)} characters"),
    ("protocol-records.md", f"under the {limits.WORDS_PER_WORK} longest words"),
    ("protocol-circles.md", f"at most {quarantine.QUARANTINE_BYTES // MIB} MiB"),
    ("protocol-circles.md", f"{admission.MAX_REGISTERS} registers are kept"),
    ("protocol-circles.md", f"the {admission.MAX_PERMANENTS} first by"),
    ("protocol-circles.md", f"the {membership.ACTIVE_VOUCHES} with the smallest record ids"),
    ("protocol-circles.md", f"more than {spelled(tally.ARC_BUDGET)} arcs"),
    ("protocol-circles.md", f"first {spelled(explain.LISTED_BALLOTS)} of"),
    ("protocol-content.md", f"raw leaves of {spelled(limits.LEAF_BYTES)} bytes"),
    ("protocol-content.md", f"at most {spelled(unixfs.LINKS_PER_NODE)} links"),
    ("protocol-content.md", f"would exceed {spelled(unixfs.SHARD_THRESHOLD_BYTES)} bytes"),
    ("protocol-content.md", f"| block | {limits.MAX_BLOCK_BYTES // MIB} MiB |"),
    ("protocol-content.md", f"| links of a node | {spelled(dagpb.MAX_LINKS)} |"),
    ("protocol-content.md", f"| {skeleton.MAX_DEPTH}; {skeleton.MAX_HAMT_LEVELS} |"),
    ("protocol-content.md", f"| {spelled(skeleton.MAX_VISITS)} |"),
    (
        "protocol-content.md",
        f"{skeleton.INTERIOR_ENTRY_BYTES} an entry, at most {skeleton.MAX_INTERIOR_BYTES // MIB} MiB",
    ),
    ("protocol-content.md", f"| {skeleton.MAX_INLINE_BYTES // MIB} MiB |"),
    ("protocol-content.md", f"{dag.MAX_IDENTITY_BYTES}, and never inside another; {cid.MAX_CID_BYTES}"),
    ("protocol-content.md", f"| {spelled(dag.MAX_SYMLINK_BYTES)} |"),
    ("protocol-content.md", f"| {layout.MAX_PATH_BYTES // KIB} KiB; {layout.MAX_PATHS_BYTES // MIB} MiB |"),
    ("protocol-content.md", f"| {skeleton.MAX_CONTENT_BYTES // GIB // 1024} TiB, and the quota |"),
    ("protocol-content.md", f"| {car.MAX_ROOTS}; {car.MAX_HEADER_BYTES // KIB} KiB |"),
    ("protocol-content.md", f"| {spelled(car_file.MAX_SECTIONS)} |"),
    ("protocol-content.md", f"| {bundle.MAX_BLOCK_BYTES // MIB} MiB; {bundle.PAGE_BYTES // KIB} KiB |"),
    ("protocol-content.md", f"| {spelled(bundle.MAX_PAGES)}; {bundle.MAX_CIRCLES} |"),
    ("protocol-content.md", f"| {bundle_merge.MAX_CONTROL_BYTES // MIB} MiB |"),
    ("protocol-content.md", f"| {spelled(bundle_import.MAX_MANIFESTS)} |"),
    ("protocol-network.md", f"at most {gossip_frame.MAX_FRAME_BYTES // KIB} KiB; a byte of version"),
    ("protocol-network.md", f"1-{gossip_frame.MAX_RECORDS} signed records"),
    ("protocol-network.md", f"At most {sync_messages.MAX_FRAME_BYTES // KIB} KiB. First byte"),
    ("protocol-network.md", f"a turn is 1-{sync_messages.MAX_TURN_FRAMES} frames"),
    ("protocol-network.md", f"a byte of count (at most {sync_messages.MAX_LIST_IDS})"),
    ("protocol-network.md", f"up to {reconcile.SPLIT_WAYS} parts"),
    ("protocol-network.md", f"both sides: {reconcile.MAX_SESSION_BYTES // MIB} MiB in both directions"),
    ("protocol-network.md", f"{reconcile.MAX_TURNS} turns of each"),
    ("protocol-network.md", f"{spelled(sync_messages.MAX_FRAME_RANGES)} items (ranges and skips)"),
    ("protocol-network.md", f"{spelled(reconcile.MAX_RANGES)} ranges of each side"),
    ("protocol-network.md", f"{spelled(reconcile.MAX_MOVED_IDS)} records moved each way"),
    ("protocol-network.md", f"a frame of at most {spelled(fetch_messages.MAX_REQUEST_BYTES)}: {{`cids`"),
    ("protocol-network.md", f"array of 1-{fetch_messages.MAX_CIDS} binary CIDs"),
    ("protocol-network.md", f"a frame of at most {spelled(search_messages.QUESTION_BYTES)}: {{`text`"),
    ("protocol-network.md", f"at most {search_messages.QUESTION_CHARACTERS} characters, `limit`"),
    ("protocol-network.md", f"array of at most {limits.SEARCH_HITS} signed manifests"),
    ("protocol-network.md", f"a frame of at most {spelled(limits.SEARCH_ANSWER_BYTES)}: {{`works`"),
    ("protocol-network.md", f"at most {spelled(invite.MAX_LINK_CHARACTERS)} characters; blanks"),
    ("protocol-network.md", f"a frame of at most {spelled(invite.MAX_REQUEST_BYTES)}: {{`v`: 1, `circle`"),
    ("protocol-network.md", f"a frame of at most {spelled(invite.MAX_ANSWER_BYTES)}: {{`v`: 1, `records`"),
    ("protocol-network.md", f"at most {invite.MAX_ANSWER_RECORDS} signed records"),
    ("protocol-network.md", f"ours {invite.INVITE_LIFETIME_S // 86_400} days ahead"),
    ("protocol.md", f"again after {limits.PROVIDE_INTERVAL_S // 3600} h"),
]


# Rooms that are slow to import are read instead: file, what the protocol says with the values of these constants.
READ_NUMBERS = [
    ("net/host.py", "At most {MAX_CONNECTIONS} connections, 256 of them inbound, {MAX_CONNECTIONS_PER_PEER} a peer"),
    ("net/places.py", "connections, {MAX_INBOUND} of them inbound"),
    ("net/places.py", "{MAX_PER_HOST} for one public address, {MAX_PER_RANGE} for one range"),
    ("net/places.py", "{MAX_NEAR} for loopback, private and link-local addresses"),
    ("net/places.py", "no use at all for {SETTLED_S:g} s"),
    ("net/hardening/swarm.py", "{MAX_HANDSHAKES} inbound handshakes"),
    ("net/dial.py", "and {MAX_DIALS} dials at once"),
    ("net/host.py", "While peers have {MANY_STREAMS:,} streams open to us in all, each may have {FEW_STREAMS}"),
    ("net/budget.py", "at most 96 MiB that came and was not read"),
    ("net/host.py", "{MAX_STREAMS_PER_PEER} streams that one peer has open to us"),
    ("net/identify.py", "first {MAX_PROTOCOLS} protocols, 8 addresses, {MAX_AGENT_CHARACTERS} characters of agent"),
    ("net/bans.py", "at {BAN_POINTS} it is disconnected and refused for 30 minutes"),
    ("net/serving.py", "asking more often than a rate allows | {BROKEN_RULE_POINTS} ("),
    (
        "net/relay/places.py",
        "{MAX_RESERVATIONS}, and {RESERVATIONS_PER_HOST} of one IP address; for {RESERVATION_S:,} s",
    ),
    ("net/relay/places.py", "{MAX_CIRCUITS} in all, {CIRCUITS_PER_PEER} to or from one peer, {CIRCUITS_PER_HOST} from"),
    ("net/relay/places.py", "{CIRCUIT_S:,} s, and 256 MiB in each direction"),
    ("net/relay/messages.py", "messages of at most {MAX_MESSAGE_BYTES:,} bytes, 10 s for each request"),
    ("net/relay/hop.py", "no direct connection any more; {CALL_S:g} s |"),
    ("net/relay/stop.py", "{CALLS_PER_RELAY} at once from each; who calls"),
    ("net/relay/reservations.py", "up to {RELAYS_WANTED} relays"),
    (
        "net/relay/reservations.py",
        "after {FIRST_RETRY_S:g} s, doubling to {LAST_RETRY_S:g} s, and tells at most {ADDRESSES_PER_RELAY}",
    ),
    ("net/nat/dialback_messages.py", "`/libp2p/autonat/1.0.0`, messages of at most {MAX_MESSAGE_BYTES:,} bytes"),
    ("net/nat/dialback.py", "at most {MAX_ADDRESSES} of the addresses named (ports from 1024, 80 and 443)"),
    ("net/nat/dialback.py", "each from a new port, {DIAL_S:g} s in all"),
    (
        "net/nat/dialback.py",
        "| at once | {MAX_DIALLING} | | in a minute | {A_MINUTE} in all, {A_MINUTE_OF_ONE} of one range",
    ),
    ("net/nat/voices.py", "until {ENOUGH_VOICES} ranges have spoken"),
    ("net/nat/voices.py", "the newest {VOICES}, each for {VOICE_S:,.0f} s"),
    ("net/nat/asking.py", "then one every {AGAIN_S:g} s, none again within {REST_S:g} s"),
    ("net/nat/asking.py", "is left alone for {REST_S:g} s, each time in a row {MUTE_GROWTH} times as long"),
    ("net/nat/asking.py", "times as long, at most {MUTE_REST_S:,.0f} s"),
    ("net/nat/outside.py", "is called for it ({CALL_S:g} s)"),
    ("net/nat/pcp_gateway.py", "{TRIES} tries within 1.75 s"),
    ("net/nat/mapping.py", "where one forwarded within these, after {AGAIN_S:g} s"),
    ("net/nat/watch.py", "(looked at every {LOOK_S:g} s)"),
    ("net/nat/outside.py", "(first, at most {TOLD_PUBLIC})"),
    ("net/nat/natpmp_gateway.py", "{TRIES} tries within 3.75 s"),
    ("net/nat/natpmp_gateway.py", "for {LIFE_S:,} s, renewed after half of it"),
    ("net/nat/upnp_gateway.py", "{MAX_DEVICES} hosts, 64 KiB each"),
    ("net/nat/mapping.py", "Every {LOOK_S:g} s the router is asked"),
    ("net/nat/mapping.py", "no router answers, again after {NO_ROUTER_S:g} s"),
    ("net/nat/standing.py", "walks through the DHT every {RELAYS_WANTED_S:g} s"),
    ("net/yamux/pace.py", "(down to {LEAST_BYTES:,} bytes) where a socket takes longer than 10 ms"),
    ("net/dial.py", "dialled last, {RELAY_STAGGER_S:g} s after"),
    ("net/kad/table.py", "k = {BUCKET_PEERS}"),
    ("net/kad/values.py", "at most {MAX_VALUE_BYTES:,} bytes), checked"),
    ("net/kad/values.py", "a server keeps {MAX_VALUES:,} values for 24 h, {VALUES_PER_SENDER} of one sender"),
    ("net/kad/wire.py", "a key 1-{MAX_KEY_BYTES} bytes"),
    ("net/kad/lookup.py", "({PARALLEL} requests at a time, at most {MAX_REQUESTS}"),
    ("net/kad/server.py", "a stream for {IDLE_S:g} s between requests"),
    ("net/kad/server.py", "answers {REQUESTS_PER_S:g} requests a second on each ({REQUEST_BURST} at once)"),
    ("store/providers.py", "{MAX_PROVIDERS_PER_KEY} providers a key (who came first stays), {MAX_PROVIDERS:,} in all"),
    ("net/gossipsub/mesh.py", "degree {DEGREE} ({DEGREE_LOW}-{DEGREE_HIGH}), heartbeat {HEARTBEAT_S} s"),
    ("net/gossipsub/mesh.py", "at most {FLOOD_PEERS} subscribers directly"),
    ("net/gossipsub/mesh.py", "Back-off {PRUNE_BACKOFF_S} s, after leaving a topic {REJOIN_S} s"),
    (
        "net/gossipsub/rpc.py",
        "of one RPC {MAX_SUBSCRIPTIONS:,} subscriptions, GRAFTs and PRUNEs and {MAX_IDS} message ids",
    ),
    ("net/gossipsub/memory.py", "kept {HISTORY_BEATS} heartbeats, offered for {OFFERED_BEATS} to 6 neighbours"),
    ("net/gossipsub/memory.py", "sent {MAX_OFFERS} times to one that asks"),
    ("net/gossipsub/memory.py", "{MAX_SEEN:,} ids of seen ones for {SEEN_S:g} s"),
    ("services/gossip.py", "within {FORWARDED_PER_S:g} a second ({FORWARDED_BURST} at once)"),
    ("services/gossip.py", "within {WRITTEN_PER_S:g} new records a second ({WRITTEN_BURST} at once)"),
    ("services/sync.py", "(who was called waits {POLITENESS_S:g} s)"),
    ("services/sync.py", "every {INTERVAL_S[0]:g}-{INTERVAL_S[1]:g} s, and {OWN_CHANGE_S:g} s after"),
    (
        "services/sync_peers.py",
        "A node serves {SERVED_AT_ONCE} sessions at once; a peer may begin {SESSIONS_PER_S} a second",
    ),
    ("services/sync_peers.py", "({SESSION_BURST} at once). ### Introduction"),
    ("services/sync_session.py", "then {SILENCE_S:g} s between frames and {SESSION_S:g} s in all"),
    ("services/pseudonym_proof.py", "{HELLO_S:g} s for each of the first three"),
    ("services/sync_peers.py", "anything in sync against its rules | {PEER_ERROR_POINTS} |"),
    ("services/swarm.py", "not its CID's | {LIE_POINTS}, and not asked again"),
    ("services/join.py", "false join answer | {FALSE_ANSWER_POINTS} |"),
    (
        "services/serve_blocks.py",
        "after {IDLE_TIMEOUT_S:g} s without a request, or when what it sends is not taken within {SEND_TIMEOUT_S:g} s",
    ),
    ("services/provider.py", "silent for {FIRST_PATIENCE_S:g} s (later {MIN_PATIENCE_S:g}-{MAX_PATIENCE_S:g} s"),
    (
        "services/search.py",
        "{ASK_TIMEOUT_S:g} s for everything; {QUESTIONS_PER_S:g} questions a second of one peer ({QUESTION_BURST} at once)",
    ),
    ("services/invites.py", "{REQUESTS_PER_S} requests a second of one peer ({REQUEST_BURST} at once)"),
    ("services/invites.py", "chain of at most {MAX_PATH_RECORDS} vouches"),
    ("services/invites.py", "{ANSWER_TIMEOUT_S:g} s in all"),
    ("services/join.py", "tried again after {FIRST_RETRY_S:g} s, doubling to an hour"),
    ("net/meeting.py", "the other after {LAN_POLITENESS_S:g} s"),
    ("services/doctor.py", "asks up to {PEERS_ASKED} connected peers"),
    ("services/probe.py", "answers {PROBES_AT_ONCE} probes at once, one in 60 s of one peer ({PROBE_BURST} at once)"),
    ("services/probe.py", "it did not come within {FETCH_TIMEOUT_S:g} s"),
    ("services/probe.py", "The asker waits {ANSWER_TIMEOUT_S:g} s. {ASK_TIMEOUT_S:g} s for the ask"),
]


def constants_of(path: Path) -> dict[str, Any]:
    """The plain constants of a module, without importing it."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            (target,) = node.targets
            if isinstance(target, ast.Tuple) and isinstance(value, tuple):
                names = [name.id for name in target.elts if isinstance(name, ast.Name)]
                found |= zip(names, value, strict=True)
            elif isinstance(target, ast.Name):
                found[target.id] = value
    return found


@pytest.mark.parametrize(("module", "said"), READ_NUMBERS)
def test_times_and_rates_in_the_protocol_are_the_programs(module: str, said: str) -> None:
    assert said.format(**constants_of(PACKAGE / module)).lower() in flat("protocol-network.md").lower()


@pytest.mark.parametrize(("document", "said"), NUMBERS, ids=lambda value: str(value)[:50])
def test_limits_in_the_protocol_are_the_programs(document: str, said: str) -> None:
    assert said.lower() in flat(document).lower()


# ---------------------------------------------------------------- decisions, links, manners


def decisions() -> list[Path]:
    return [path for path in sorted((DOCS / "adr").glob("*.md")) if path.name != "README.md"]


def test_decisions_have_one_number_each_and_stand_in_the_index() -> None:
    numbers = [path.name.split("-")[0] for path in decisions()]
    assert len(numbers) == len(set(numbers)) and all(re.fullmatch(r"\d{4}", number) for number in numbers)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))
    linked = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", text_of("adr/README.md"))
    assert linked == [path.name for path in decisions()]


@pytest.mark.parametrize("path", decisions(), ids=lambda path: path.stem)
def test_a_decision_says_why_and_how_we_would_know(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"# 0*{int(path.name[:4])}\b", text)
    for part in ("Context", "Choice", "Considered and not taken", "How we would know it was wrong"):
        assert re.search(rf"(^## {part}|\*\*{part}\b)", text, re.MULTILINE), part
    assert len(text.splitlines()) <= MAX_ADR_LINES


def headings(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.is_file() and ROOT in file.parents, target
        assert not anchor or anchor in headings(file), target


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_topics_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for topic in re.findall(r"`p2pnode help ([a-z][a-z-]*)`", text):
        assert topic in topics() or topic in root.commands, topic
    for name in re.findall(r"`((?:p2pnode|tests|scripts)/[\w./-]+)`", text):
        assert name.endswith("/1") or (ROOT / name).exists(), name
    for name in re.findall(r"`((?:core|local|store|net|services|control|cli|tui)/[\w./]+)`", text):
        assert (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists(), name


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_a_developers_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w.])/(?:home|root|work|Users|tmp|opt|mnt)/\w+|\b[A-Z]:\\\w+|\bfile://\S+", text)
    assert found == []


def test_the_changelog_knows_this_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", text_of("changelog.md"), re.MULTILINE)
