"""Every command: what it asks the daemon, what it prints for programs, what it prints for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2pnode.cli.main import root
from tests.cli.answers import (
    ADDRESS,
    CID,
    CIRCLE,
    CIRCLE_ITEM,
    CIRCLE_SHOWN,
    EXPLAINED,
    HIT,
    KEY,
    LISTED,
    PEER,
    PEER_ITEM,
    PROPOSAL,
    PROPOSAL_ITEM,
    PUBLISHED,
    RECORD,
    SHOWN,
    STATUS,
    STORAGE,
    TRANSFER,
    WORK,
)
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Serve = Callable[[dict[str, Any]], ControlThread]

BAN = {"peer_id": PEER, "reason": "fetch: a block that is not its CID's", "until": 1.0, "left_s": 1201.0}

HISTORY = {
    "work": WORK,
    "title": "Notes",
    "revisions": [{"record": RECORD, "created": 1_700_000_000, "title": "Notes", "bytes": 1, "files": 1}],
    "circles": [
        {
            "circle": CIRCLE,
            "name": "Readers",
            "verdict": "listed",
            "fields": {"title": "B", "tags": ["x"]},
            "questions": [
                PROPOSAL_ITEM | {"class": "edit", "complaint": None, "changes": {"title": "B"}, "state": "adopted"}
            ],
        }
    ],
}
NOTICE = {
    "kind": "member",
    "text": "You are a member of this circle now.",
    "circle": CIRCLE,
    "circle_name": "Readers",
    "at": 1_700_000_000,
    "proposal": PROPOSAL,
}
ONE = [
    (["status"], "node.status", {}, STATUS, ["2 h 1 min", "1.5 MiB of 50.0 GiB", PEER, ADDRESS]),
    (["peers", "connect", ADDRESS], "peer.connect", {"address": ADDRESS}, {"peer_id": PEER}, [PEER]),
    (["peers", "unban", PEER], "peer.unban", {"peer": PEER}, {"peer_id": PEER}, [PEER, "may connect again"]),
    (["show", WORK], "work.show", {"work": WORK}, SHOWN, [
        "Notes on the Analytical Engine", "Ada Lovelace, Luigi Menabrea (translator)", "CC0-1.0", "doi:10.1000/182",
        "listed in Readers, 3 for, 1 against", "\n  And what it could not.", "b/c.txt", "flag: duplicate", "2.0 KiB, 3 files",
    ]),
    (["get", CID], "work.get", {"work": CID}, {"path": "/x/notes", "bytes": 2048, "providers": 2}, ["/x/notes", "2.0 KiB"]),
    (["get", WORK, "-o", "/tmp/out"], "work.get", {"work": WORK, "path": "/tmp/out"},
        {"path": "/tmp/out", "bytes": 1, "providers": 1, "work": WORK}, ["1 byte"]),
    (["get", WORK, "--only", "a", "--only", "b/c"], "work.get", {"work": WORK, "only": ["a", "b/c"]},
        {"path": "/x", "bytes": 1, "providers": 1, "only": ["a", "b/c"]}, ["a, b/c"]),
    (["transfers", "cancel", "t-1"], "transfer.cancel", {"transfer": "t-1"}, {}, ["cancelled"]),
    (["unpublish", WORK], "work.unpublish", {"work": WORK}, {"title": "Notes", "shared_with": [], "in_circle": False},
        ["No longer shared: Notes"]),
    (["pin", CID], "work.pin", {"work": CID},
        {"cid": CID, "title": "", "pinned": True, "state": "partial"}, ["Pinned", "not here in full"]),
    (["unpin", WORK], "work.unpin", {"work": WORK}, {"title": "Notes", "pinned": False}, ["No longer pinned: Notes"]),
    (["remove", WORK], "work.remove", {"work": WORK}, {"title": "Notes", "freed_bytes": 2048, "shared_bytes": 0, "undo": "x"},
        ["Removed: Notes, 2.0 KiB are free"]),
    (["storage"], "storage.show", {}, STORAGE, ["1.0 KiB of 2.0 KiB", "Notes on the Analytical Engine", "not pinned; 1 damaged block"]),
    (["verify"], "store.verify", {}, {"bytes": 2048, "blocks": 2, "items": [], "damaged_blocks": 0, "mended": 1},
        ["Read 2.0 KiB, 2 blocks", "1 block that had been damaged", "Everything is as it should be"]),
    (["verify", WORK, "--repair"], "store.verify", {"work": WORK, "repair": True},
        {"bytes": 1, "blocks": 1, "damaged_blocks": 0, "repairs": [{"cid": CID, "state": "repaired", "reason": "fetched"}]},
        [f"repaired: {CID} (fetched)"]),
    (["transfers", "pause", "t-1"], "transfer.pause", {"transfer": "t-1"}, {}, ["paused", "resume"]),
    (["transfers", "resume", "t-1"], "transfer.resume", {"transfer": "t-1"}, {}, ["goes on"]),
    (["circle", "create", "Readers"], "circle.create", {"name": "Readers"}, {"circle": CIRCLE}, [CIRCLE, "circle invite"]),
    (["circle", "create", "R", "--purpose", "to read"], "circle.create", {"name": "R", "purpose": "to read"},
        {"circle": CIRCLE}, [CIRCLE]),
    (["circle", "show", CIRCLE], "circle.show", {"circle": CIRCLE}, CIRCLE_SHOWN, ["Readers", "to read", "steward, you", KEY[:12]]),
    (["circle", "invite", "Readers"], "circle.invite", {"circle": "Readers"}, {"invite": "p2pnode:invite/abc"},
        ["p2pnode:invite/abc"]),
    (["circle", "join", "p2pnode:invite/abc"], "circle.join", {"invite": "p2pnode:invite/abc"},
        {"circle": CIRCLE, "state": "waiting", "reason": "anna is not online"}, ["waiting", "anna is not online"]),
    (["circle", "fork", CIRCLE, "Others", "--steward", "k-abcdef", "--f", "0", "--rules", "p-abcdef", "--without-works"],
     "circle.fork",
     {"circle": CIRCLE, "name": "Others", "stewards": ["k-abcdef"], "rules": "p-abcdef", "without_works": True},
     {"circle": CIRCLE, "name": "Others", "parent": CIRCLE, "members": 3, "left_behind": 2,
      "inherited": {"vouches": 2, "works": 1, "records": 6}},
     ["took along 1 work", "2 members of the old one", "--fork"]),
    (["circle", "leave", CIRCLE], "circle.leave", {"circle": CIRCLE}, {}, ["left"]),
    (["circle", "leave", CIRCLE, "--force"], "circle.leave", {"circle": CIRCLE, "force": True}, {}, ["left"]),
    (["vouch", CIRCLE, KEY], "vouch.give", {"circle": CIRCLE, "key": KEY}, {"record": RECORD, "expelled": False}, [RECORD]),
    (["vouch", CIRCLE, KEY], "vouch.give", {"circle": CIRCLE, "key": KEY}, {"record": RECORD, "expelled": True},
     [RECORD, f"p2pnode propose readmit {CIRCLE} {KEY}"]),
    (["unvouch", CIRCLE, KEY], "vouch.revoke", {"circle": CIRCLE, "key": KEY}, {"record": RECORD}, [RECORD]),
    (["propose", "list", CIRCLE, WORK], "proposal.open", {"class": "list", "circle": CIRCLE, "work": WORK},
        {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "flag", CIRCLE, WORK, "--class", "off_topic", "--reason", "no"], "proposal.open",
        {"class": "flag", "circle": CIRCLE, "work": WORK, "complaint": "off_topic", "reason": "no"},
        {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "takedown", CIRCLE, WORK, "--reason", "no"], "proposal.open",
        {"class": "takedown", "circle": CIRCLE, "work": WORK, "reason": "no"}, {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "appeal", CIRCLE, WORK, "--reason", "no"], "proposal.open",
        {"class": "appeal", "circle": CIRCLE, "work": WORK, "reason": "no"}, {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "edit", CIRCLE, WORK, "--title", "B", "--tag", "x", "--clear", "summary", "--content", CID], "proposal.open",
        {"class": "edit", "circle": CIRCLE, "work": WORK, "fields": {"title": "B", "tags": ["x"], "summary": None}, "content": CID},
        {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "revert", CIRCLE, WORK], "proposal.open",
        {"class": "edit", "circle": CIRCLE, "work": WORK, "revert_to": "listing"}, {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "expel", CIRCLE, KEY, "--reason", "spam"], "proposal.open",
        {"class": "expel", "circle": CIRCLE, "key": KEY, "reason": "spam"}, {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "readmit", CIRCLE, KEY], "proposal.open", {"class": "readmit", "circle": CIRCLE, "key": KEY},
        {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "stewards", CIRCLE, "--add", KEY, "--f", "1"], "proposal.open",
        {"class": "stewards", "circle": CIRCLE, "add": KEY, "f": 1}, {"proposal": PROPOSAL}, [PROPOSAL]),
    (["propose", "charter", CIRCLE, "--grown", "--rule", "list b=1 q=2"], "proposal.open",
        {"class": "charter", "circle": CIRCLE, "rules": {"grown": True, "classes": {"list": {"b": 1, "q": 2}}}},
        {"proposal": PROPOSAL}, [PROPOSAL]),
    (["history", WORK], "work.history", {"work": WORK}, HISTORY, ["Notes", "Readers: listed", "edit: title", "adopted"]),
    (["mark", WORK, "hide"], "work.mark", {"work": WORK, "mark": "hide"}, {"work": WORK, "mark": "hide"}, [WORK, "hide"]),
    (["notices", "--clear"], "notice.list", {"clear": True}, {"cleared": 3}, ["3 taken away"]),
    (["propose", "flag", CIRCLE, WORK, "--class", "corrupt", "--reason", "no", "--evidence", WORK, "--evidence", "https://x.org"],
        "proposal.open", {"class": "flag", "circle": CIRCLE, "work": WORK, "complaint": "corrupt", "reason": "no",
        "evidence": [WORK, "https://x.org"]}, {"proposal": PROPOSAL}, [PROPOSAL, "approve"]),
    (["propose", "withdraw", PROPOSAL], "proposal.withdraw", {"proposal": PROPOSAL}, {"proposal": PROPOSAL}, ["taken back"]),
    (["vote", PROPOSAL], "proposal.show", {"proposal": PROPOSAL}, PROPOSAL_ITEM | {"signed_as": KEY, "member": True,
        "evidence": [WORK], "remedy": "mend it", "standing": {"cast": 2, "members": 5, "margin": 4, "tolerates": 1, "cost_to_flip": 1,
        "rule": {"b": 0, "q": 1, "k": 3}}}, ["2 of 5 members voted", "stands even if 1 voter", "mend it", f"sign as {KEY[:10]}"]),
    (["explain", PROPOSAL], "verdict.explain", {"id": PROPOSAL}, EXPLAINED, ["listed: 3 for, 1 against\n  anna approves\n"]),
    (["explain", WORK, "--circle", CIRCLE], "verdict.explain", {"id": WORK, "circle": CIRCLE}, EXPLAINED, ["anna"]),
    (["identity", "show"], "identity.show", {}, {"profile_key": KEY, "name": "Anna"}, [KEY, "Anna"]),
    (["identity", "show", "--circle", "R"], "identity.show", {"circle": "R"},
        {"profile_key": KEY, "name": "", "circle": CIRCLE, "key": KEY}, [CIRCLE]),
    (["identity", "set", "--name", "Anna"], "identity.set", {"name": "Anna"}, {"profile_key": KEY, "name": "Anna"}, ["signed"]),
]  # fmt: skip

LISTS = [
    (["peers"], "peer.list", {}, PEER_ITEM, [PEER, "12 ms", "inbound", "1 peer\n"]),
    (["peers", "bans"], "peer.bans", {}, BAN, [PEER, "20 min", "not its CID's", "1 ban\n"]),
    (["list"], "work.list", {}, LISTED, [WORK[:12], "own", "2.0 KiB", "listed", "Ada Lovelace", "1 work\n"]),
    (["transfers"], "transfer.list", {}, TRANSFER, ["t-1", "fetching", "1.0 KiB", "2.0 KiB"]),
    (["transfers", "list"], "transfer.list", {}, TRANSFER, ["t-1", "fetching"]),
    (["circle", "list"], "circle.list", {}, CIRCLE_ITEM, [CIRCLE[:12], "joined", "Readers"]),
    (["proposals"], "proposal.list", {}, PROPOSAL_ITEM, [PROPOSAL[:12], "flag: duplicate", "Readers"]),
    (["proposals", "--circle", "R"], "proposal.list", {"circle": "R"}, PROPOSAL_ITEM, [PROPOSAL[:12]]),
    (["review"], "proposal.queue", {}, PROPOSAL_ITEM | {"calls_you": True}, [PROPOSAL[:12], "1 proposal to decide on", "comes first: 1"]),
    (["marks"], "work.marks", {}, {"work": WORK, "mark": "keep", "title": "Notes"}, [WORK[:12], "keep", "Notes"]),
    (["notices"], "notice.list", {}, NOTICE, ["Readers", "You are a member", PROPOSAL[:12]]),
    (["circle", "invites", "R"], "circle.invites", {"circle": "R"},
        {"id": "abcdef", "uses": 2, "used_by": [KEY], "expires": 1_700_000_000}, ["abcdef", "1 of 2"]),
]  # fmt: skip
WITHOUT_METHOD = {
    "tui",
    "daemon",
    "cid",
    "help",
    "identity backup",
    "identity restore",
    "identity passphrase",
    "rescue",
}
ELSEWHERE = {
    *("device", *(f"device {verb}" for verb in ("list", "works", "pair", "rename", "revoke", "leave"))),  # test_devices
    *(
        "backup",
        "restore",
        "doctor",
        *(f"service {verb}" for verb in ("install", "uninstall", "status")),
    ),  # real daemons
    "circle charter",
    "limits",
    "limits show",
    "limits set",
    "cat",
    "open",
    "publish",
    "search",
    "stop",
    "bundle export",
    "bundle import",
    "car export",
    "car import",
    "gateway",
} | {*("publishing", "publishing pause", "publishing resume", "publishing cancel", "watch", "watch on", "watch off")}


def name_of(value: object) -> str | None:
    return " ".join(value[:2]) if isinstance(value, list) and value and value[0] in root.commands else ""


@pytest.mark.parametrize(("arguments", "method", "params", "answer", "words"), ONE, ids=name_of)
def test_one_answer(
    arguments: list[str], method: str, params: Any, answer: Any, words: list[str], cli: Cli, serve: Serve
) -> None:
    daemon = serve({method: answer})
    for_programs = cli(*arguments, "--json")
    assert (for_programs.status, for_programs.err) == (0, "")
    assert for_programs.json == (answer or for_programs.json)
    assert daemon.calls == [(method, params)]
    for_people = cli(*arguments)
    assert (for_people.status, for_people.err) == (0, "")
    for word in words:
        assert word in for_people.out


@pytest.mark.parametrize(("arguments", "method", "params", "item", "words"), LISTS, ids=name_of)
def test_lists(
    arguments: list[str], method: str, params: Any, item: Any, words: list[str], cli: Cli, serve: Serve
) -> None:
    other = item | {"title": "Another"}
    answers: dict[str, Any] = {method: {"items": [item, other]}}
    daemon = serve(answers)
    assert cli(*arguments, "--json").json_lines == [item, other]
    assert daemon.calls == [(method, params)]
    answers[method]["items"] = [item]
    for_people = cli(*arguments)
    assert (for_people.status, for_people.err) == (0, "")
    for word in words:
        assert word in for_people.out
    answers[method]["items"] = []
    assert cli(*arguments, "--json").out == ""
    assert "p2pnode " in cli(*arguments).out, "an empty list says what to do"


def test_a_ballot_is_cast_after_it_was_shown_how_it_stands_and_what_is_signed(cli: Cli, serve: Serve) -> None:
    standing = {
        "cast": 2,
        "members": 5,
        "margin": 4,
        "tolerates": 1,
        "cost_to_flip": 1,
        "rule": {"b": 0, "q": 1, "k": 3},
    }
    shown = PROPOSAL_ITEM | {"signed_as": KEY, "member": True, "standing": standing}
    cast = {"ballot": RECORD, "proposal": PROPOSAL, "choice": "reject", "standing": standing}
    daemon = serve({"proposal.show": shown, "ballot.cast": cast})
    said = cli("vote", PROPOSAL, "reject", "--reason", "no")
    order = [
        "2 of 5 members voted",
        "stands even if 1 voter",
        f"You sign “reject” as {KEY[:12]}, your name in Readers",
        RECORD,
    ]
    assert said.status == 0 and sorted(order, key=said.out.index) == order
    params = {"proposal": PROPOSAL, "choice": "reject", "reason": "no"}
    assert daemon.calls == [("proposal.show", {"proposal": PROPOSAL}), ("ballot.cast", params)]
    assert cli("vote", PROPOSAL, "reject", "--reason", "no", "--json").json == cast
    assert daemon.calls[2:] == [("ballot.cast", params)], "a program has asked before, or reads it in the answer"


def test_every_command_is_tested_here_or_named() -> None:
    def leaves(group: Any, path: str) -> list[str]:
        found = []
        for name, command in group.commands.items():
            inner = f"{path} {name}".strip()
            is_group = hasattr(command, "commands")
            found += leaves(command, inner) if is_group else []
            found += [inner] if not is_group or command.invoke_without_command else []
        return found

    tested = {" ".join(arguments[:2]) if arguments[0] in ("circle", "propose", "identity") else arguments[0] for arguments, *_ in
              [*ONE, *LISTS]}  # fmt: skip
    tested |= {*(f"peers {verb}" for verb in ("connect", "bans", "unban"))}
    tested |= {*(f"transfers {verb}" for verb in ("list", "pause", "resume", "cancel"))}
    assert set(leaves(root, "")) == tested | WITHOUT_METHOD | ELSEWHERE


# ---------------------------------------------------------------- publish


def test_publish_tells_the_daemon_everything(
    cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = serve({"work.publish": PUBLISHED | {"proposal": PROPOSAL}})
    (tmp_path / "book.txt").write_text("a book")
    monkeypatch.chdir(tmp_path)
    said = cli(
        "publish", "book.txt", "--title", "A Book", "--kind", "book", "--summary", "short", "--licence", "CC0-1.0",
        "--creator", "Ada", "--creator", "Bob", "--tag", "a", "--tag", "b", "--language", "en",
        "--identifier", "ISBN:978-3-16-148410-0", "--source", "https://example.org", "--circle", "Readers", "--json",
    )  # fmt: skip
    assert said.json == PUBLISHED | {"proposal": PROPOSAL}
    assert daemon.calls == [
        (
            "work.publish",
            {
                "path": str(tmp_path / "book.txt"),
                "title": "A Book",
                "kind": "book",
                "summary": "short",
                "licence": "CC0-1.0",
                "creators": [{"name": "Ada"}, {"name": "Bob"}],
                "tags": ["a", "b"],
                "language": "en",
                "identifiers": [{"scheme": "isbn", "value": "9783161484100"}],
                "sources": ["https://example.org"],
                "circle": "Readers",
            },
        )
    ]


def test_publish_for_people(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    skipped = [{"path": f"s{at}", "reason": "a socket"} for at in range(7)]
    daemon = serve({"work.publish": PUBLISHED | {"skipped": skipped}})
    said = cli("publish", str(tmp_path), "--title", "T", "--private")
    assert said.status == 0
    for word in (WORK, CID, "2.0 KiB, 3 files", KEY):
        assert word in said.out
    assert "left out: s0 (a socket)" in said.err and "2 more" in said.err
    assert daemon.calls[0][1] == {"path": str(tmp_path), "title": "T", "creators": [], "tags": [], "private": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/path", "--title", "T"], "there is nothing at /no/such/path"),
        (["."], "missing option '--title'"),
        ([".", "--title", " "], "the title is empty"),
        ([".", "--title", "T", "--circle", "c", "--private"], "exclude each other"),
        ([".", "--title", "T", "--identifier", "isbn"], "is not an identifier"),
    ],
)
def test_publish_refuses_at_once(arguments: list[str], message: str, cli: Cli) -> None:
    said = cli("publish", *arguments)
    assert said.status == 2
    assert message in said.err and len(said.err.splitlines()) == 2


# ---------------------------------------------------------------- search


def test_search_prints_hits_as_they_come_and_each_work_once(cli: Cli, serve: Serve) -> None:
    first, second = HIT | {"verdicts": []}, HIT | {"work": "w-" + "z" * 52, "title": "Another", "local": False}

    async def search(params: Any, emit: Any) -> Any:
        emit("work.hit", first)
        emit("work.hit", HIT)
        return {"items": [HIT, second], "asked": 5, "answered": 4}

    daemon = serve({"work.search": search})
    said = cli("search", "analytical", "engine", "--timeout", "2.5")
    lines = said.out.splitlines()
    assert len(lines) == 2
    assert (
        lines[0].startswith(WORK[:12]) and "Notes on the Analytical Engine  (Ada Lovelace, Luigi Menabrea)" in lines[0]
    )
    assert "Another" in lines[1] and "listed" in lines[1]
    assert said.err == "4 of 5 peers answered\n"
    assert daemon.calls == [("work.search", {"text": "analytical engine", "local": False, "timeout_s": 2.5})]
    assert cli("search", "x", "--json").json_lines == [HIT, second], "in their final form"


def test_search_without_hits(cli: Cli, serve: Serve) -> None:
    daemon = serve({"work.search": {"items": [], "asked": 0, "answered": 0}})
    said = cli("search", "nothing", "--local")
    assert (said.status, said.out, said.err) == (0, "Nothing was found.\n", "")
    assert daemon.calls[0][1] == {"text": "nothing", "local": True, "timeout_s": 5.0}
    assert cli("search", "nothing", "--json").out == ""


# ---------------------------------------------------------------- the rest


def test_stop_returns_when_the_daemon_is_gone(cli: Cli, serve: Serve, home: Path) -> None:
    serve({})
    said = cli("stop", "--json")
    assert said.status == 0 and said.json["stopped"] is True
    assert not (home / "run" / "control").exists()
    said = cli("stop")
    assert said.status == 3 and said.err.startswith("p2pnode: no daemon runs at ")


def test_explain_gives_the_same_bytes_whatever_the_order(cli: Cli, serve: Serve) -> None:
    answers: dict[str, Any] = {"verdict.explain": EXPLAINED}
    serve(answers)
    first = cli("explain", WORK, "--json").out
    turned = json.loads(json.dumps(EXPLAINED))
    turned["verdict"] = dict(reversed(turned["verdict"].items()))
    answers["verdict.explain"] = turned
    assert cli("explain", WORK, "--json").out == first


def test_cid_needs_no_daemon(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    said = cli("cid", str(tmp_path / "empty"))
    assert said.out == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku\n"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pipe").symlink_to("nowhere")
    assert cli("cid", str(tmp_path / "folder"), "--json").json["skipped"] == []
    assert cli("cid", str(tmp_path / "missing")).status == 2


def test_home_and_json_are_taken_anywhere(cli: Cli, serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({"peer.list": {"items": [PEER_ITEM]}, "peer.connect": {"peer_id": PEER}})
    monkeypatch.setenv("P2PNODE_HOME", "/nowhere")
    at = ["--home", str(home)]
    assert cli(*at, "--json", "peers").json == PEER_ITEM
    assert cli("peers", *at, "--json").json == PEER_ITEM
    assert cli("peers", "--json", "connect", ADDRESS, *at).json == {"peer_id": PEER}
    assert cli("--json", "peers", f"--home={home}", "connect", ADDRESS).json == {"peer_id": PEER}
    assert cli("peers").status == 3


def test_get_says_what_is_not_as_it_was(cli: Cli, serve: Serve) -> None:
    links = [f"link{number}" for number in range(7)]
    renamed = [{"name": "two\nlines", "path": "two%0Alines"}]
    answer = {"path": "/p", "bytes": 1, "providers": 1, "left_out": links, "left_out_count": 7}
    serve({"work.get": {**answer, "renamed": renamed, "renamed_count": 1}})
    lines = cli("get", "w-aaaaaa").err.splitlines()
    assert lines[0] == "left out: link0 (a symbolic link: links are not made)"
    assert lines[-2:] == [
        "renamed: two%0Alines (its name is not safe on every disk)",
        "2 more of these (--json lists them)",
    ]
