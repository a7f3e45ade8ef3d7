"""The one table: every action is shown, documented, has a reason where it needs one, and does something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import p2pnode
from p2pnode.config import Home
from p2pnode.errors import P2pnodeError
from p2pnode.tui import actions
from p2pnode.tui.actions import ACTIONS, BY_ID, SCREENS, here
from p2pnode.tui.app import P2pnodeApp
from p2pnode.tui.deeds import DEEDS
from p2pnode.tui.launch import Launch
from p2pnode.tui.modals.charter import CharterForm
from p2pnode.tui.modals.circle import CreateCircleForm, JoinCircleForm
from p2pnode.tui.modals.invite import InviteForm, InvitesWindow, InviteWindow
from p2pnode.tui.modals.keeping import MarkForm, NoticesWindow
from p2pnode.tui.modals.own import ConnectForm, NameForm
from p2pnode.tui.modals.persons import ExpelForm, ReadmitForm, RecallForm, StewardForm
from p2pnode.tui.modals.propose import AppealForm, EditForm, FlagForm, ProposeForm, RevertForm, TakedownForm
from p2pnode.tui.modals.publish import PublishForm
from p2pnode.tui.modals.vote import VoteForm
from p2pnode.tui.modals.window import ConfirmWindow, HelpWindow
from p2pnode.tui.palette import ActionCommands
from p2pnode.tui.reasons import Situation, open_question
from p2pnode.tui.screens.history import HistoryPage
from p2pnode.tui.screens.question import QuestionPage
from p2pnode.tui.screens.review import ReviewPage
from p2pnode.tui.screens.work import WorkPage
from tests.tui import world
from tests.tui.conftest import Scripted
from tests.tui.driving import P2pPilot, app_of, scripted_app, settled, until
from tests.tui.scripted_node import ScriptedNode


def test_every_action_has_a_deed_and_every_deed_an_action() -> None:
    assert set(DEEDS) == set(BY_ID)
    assert len(BY_ID) == len(ACTIONS)


def test_no_key_means_two_things_on_one_screen() -> None:
    for screen in SCREENS:
        keys = Counter(action.key for action in here(screen) if action.key)
        assert not [key for key, count in keys.items() if count > 1], screen


def test_every_action_stands_on_the_page_of_the_documents() -> None:
    page = actions.page()
    for action in ACTIONS:
        assert f"| {action.label} | {action.help} |" in page


def test_the_page_in_the_documents_is_current() -> None:
    """To renew it: python -c "from p2pnode.tui.actions import page; print(page(), end='')" > p2pnode/docs/keys.md"""
    assert (Path(p2pnode.__file__).parent / "docs" / "keys.md").read_text(encoding="utf-8") == actions.page()


def test_footers_name_only_what_can_be_done_there() -> None:
    for screen in SCREENS:
        footer = {action.id for action in actions.footer(screen)}
        assert footer <= {action.id for action in here(screen)}, screen
        assert set(actions.LAST_IN_FOOTER) <= footer


def test_without_a_node_everything_that_needs_it_says_so() -> None:
    away = Situation()
    for action in ACTIONS:
        if action.method not in ("", "work.search"):
            assert "does not answer" in action.reason(away), action.id


MINE_LISTS = Situation(
    online=True, work={"work": "w-1", "verdicts": [{"circle": "c-1", "verdict": "listed"}]}, circles=frozenset({"c-1"})
)


IN_CIRCLE = Situation(online=True, circle={"circle": "c-1"}, rules={"me": "k-me", "stewards": ["k-anna"]})
AS_STEWARD = Situation(online=True, circle={"circle": "c-1"}, rules={"me": "k-me", "stewards": ["k-me"]})
AN_EDIT = {"class": "edit", "circle": "c-1", "effective": False}


@pytest.mark.parametrize(
    ("action", "now", "reason"),
    [
        ("work.get", Situation(online=True), "no work is selected"),
        ("work.get", Situation(online=True, work={"state": "own"}), "it is your own"),
        ("work.get", Situation(online=True, work={"state": "heard"}), ""),
        ("ballot.cast", Situation(online=True), "no proposal is open here"),
        ("ballot.cast", Situation(online=True, proposal={"proposal": "p-1", "circle": "c-1"}), "only members"),
        (
            "ballot.cast",
            Situation(online=True, proposal={"proposal": "p-1", "circle": "c-1"}, circles=frozenset({"c-1"})),
            "",
        ),
        ("proposal.list", Situation(online=True, work={}), "no work is selected"),
        ("proposal.list", Situation(online=True, work={"work": "w-1"}), "you are in no circle"),
        (
            "proposal.edit",
            Situation(online=True, work={"work": "w-1"}, circles=frozenset({"c-1"})),
            "no circle of yours lists",
        ),
        ("proposal.appeal", MINE_LISTS, "no circle of yours decided against it"),
        ("proposal.edit", MINE_LISTS, ""),
        ("proposal.takedown", MINE_LISTS, ""),
        ("work.pin", Situation(online=True, work={"state": "heard"}), "it is not here"),
        ("work.drop", Situation(online=True, work={"state": "kept"}), ""),
        ("circle.invite", Situation(online=True), "no circle is selected"),
        ("vouch.give", Situation(online=True, circle={"circle": "c-1"}), "select somebody"),
        ("vouch.give", Situation(online=True, circle={"circle": "c-1"}, member={"me": True}), "that is you"),
        ("charter.change", Situation(online=True, circle={"circle": "c-1"}), "not here yet"),
        ("charter.change", IN_CIRCLE, "only a steward"),
        ("charter.grown", AS_STEWARD, ""),
        ("member.expel", replace(IN_CIRCLE, member={"key": "k-x", "steward": True}), "recalled, not expelled"),
        ("member.expel", replace(IN_CIRCLE, member={"key": "k-x", "expelled": True}), "expelled already"),
        ("member.expel", replace(IN_CIRCLE, member={"key": "k-x"}), ""),
        ("member.readmit", replace(IN_CIRCLE, member={"key": "k-x"}), "select an expelled key"),
        ("steward.add", replace(AS_STEWARD, member={"key": "k-x", "steward": True}), "a steward already"),
        ("steward.add", replace(AS_STEWARD, member={"key": "k-x"}), ""),
        ("steward.remove", replace(AS_STEWARD, member={"key": "k-x"}), "select a steward"),
        (
            "proposal.withdraw",
            Situation(online=True, proposal={"proposal": "p-1", "state": "adopted"}),
            "no longer open",
        ),
        ("question.open", Situation(online=True), "no question is selected"),
        ("work.revert", Situation(online=True, revision={"record": "r-1"}), "select a listing or an edit"),
        ("work.revert", Situation(online=True, revision=AN_EDIT), "only members"),
        ("work.revert", Situation(online=True, revision=AN_EDIT, circles=frozenset({"c-1"})), "not in force"),
        ("transfer.cancel", Situation(online=True, transfer={"state": "done"}), "it is done"),
        ("peer.copy", Situation(online=True), "no address yet"),
        ("node.start", Situation(online=True), "is running"),
    ],
)
def test_reasons(action: str, now: Situation, reason: str) -> None:
    told = BY_ID[action].reason(now)
    assert reason in told if reason else not told


def test_a_vote_is_about_my_own_circle_first() -> None:
    work = world.ATLAS | {"proposals": []}
    chosen = open_question(work, frozenset({world.SOLDER}))
    assert chosen is not None
    assert chosen["circle"] == world.SOLDER
    assert chosen["circle_name"] == "Solder & Share"
    assert open_question({"verdicts": []}) is None


@pytest.mark.asyncio
async def test_palette_and_help_show_every_action_of_a_screen(home: Home, scripted: Scripted) -> None:
    scripted()
    async with scripted_app(home).run_test(size=(120, 60)) as pilot:
        await settled(pilot)
        provider = ActionCommands(pilot.app.screen)
        found = {str(hit.text) async for hit in provider.discover()}
        assert {action.label for action in here("home")} <= found
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpWindow))
        assert isinstance(pilot.app.screen, HelpWindow)
        shown = "\n".join(line.plain for line in pilot.app.screen._lines())
        for action in here("home"):
            assert action.help in shown, action.id


Seen = Callable[[P2pPilot, ScriptedNode], object]


def window(kind: type) -> Seen:
    return lambda pilot, node: isinstance(pilot.app.screen, kind)


def mode(name: str) -> Seen:
    return lambda pilot, node: pilot.app.current_mode == name and len(pilot.app.screen_stack) == 1


def asked(method: str, **params: Any) -> Seen:
    return lambda pilot, node: params in node.asked(method)


def clipboard(text: str) -> Seen:
    return lambda pilot, node: pilot.app.clipboard == text


def pane(name: str) -> Seen:
    return lambda pilot, node: getattr(pilot.app.screen, "pane", "") == name


WATER, ATLAS, MEMBER = world.WATER["work"], world.ATLAS["work"], world.ANNA
EFFECTS: dict[str, tuple[list[str], Seen]] = {
    "go.home": (["3", "1"], mode("home")),
    "go.search": (["2"], mode("search")),
    "go.library": (["3"], mode("library")),
    "go.circles": (["4"], mode("circles")),
    "go.transfers": (["5"], mode("transfers")),
    "search.focus": (["slash"], lambda pilot, node: getattr(pilot.app.focused, "id", "") == "text"),
    "work.open": (["3", "o"], window(WorkPage)),
    "work.get": (["3", "down", "down", "down", "g"], asked("work.get", work=WATER)),
    "ballot.cast": (["3", "v"], window(VoteForm)),
    "proposal.list": (["3", "l"], window(ProposeForm)),
    "proposal.flag": (["3", "f"], window(FlagForm)),
    "proposal.edit": (["3", "e"], window(EditForm)),
    "proposal.takedown": (["3", "act:proposal.takedown"], window(TakedownForm)),
    "proposal.appeal": (["3", "down", "down", "act:proposal.appeal"], window(AppealForm)),
    "work.mark": (["3", "h"], window(MarkForm)),
    "work.pin": (["3", "k"], asked("work.pin", work=ATLAS)),
    "work.drop": (["3", "d"], window(ConfirmWindow)),
    "work.verify": (["3", "act:work.verify"], asked("store.verify", work=ATLAS, repair=True)),
    "work.copy": (["3", "y"], clipboard(ATLAS)),
    "pane.open": (["4", "m", "a"], pane("open")),
    "pane.members": (["4", "m"], pane("members")),
    "pane.listed": (["4", "w"], pane("listed")),
    "pane.rules": (["4", "c"], pane("rules")),
    "queue.show": (["u"], window(ReviewPage)),
    "question.open": (["4", "a", "k"], window(QuestionPage)),
    "question.picture": (["u", "k", "k"], lambda pilot, node: getattr(pilot.app.screen, "as_picture", False)),
    "proposal.withdraw": (["4", "a", "act:proposal.withdraw"], window(ConfirmWindow)),
    "work.history": (["3", "z"], window(HistoryPage)),
    "work.revert": (["3", "z", "down", "x"], window(RevertForm)),
    "lens.next": (["3", "w"], asked("work.list", lens="me")),
    "lens.all": (["3", "a"], asked("work.list", all=True)),
    "circle.invite_several": (["4", "act:circle.invite_several"], window(InviteForm)),
    "circle.invites": (["4", "act:circle.invites"], window(InvitesWindow)),
    "charter.change": (["4", "down", "d"], window(CharterForm)),
    "charter.grown": (["4", "down", "act:charter.grown"], window(CharterForm)),
    "member.expel": (["4", "m", "down", "down", "x"], window(ExpelForm)),
    "member.readmit": (["4", "m", "end", "act:member.readmit"], window(ReadmitForm)),
    "steward.add": (["4", "down", "m", "down", "act:steward.add"], window(StewardForm)),
    "steward.remove": (["4", "down", "m", "act:steward.remove"], window(RecallForm)),
    "circle.create": (["4", "n"], window(CreateCircleForm)),
    "circle.join": (["4", "j"], window(JoinCircleForm)),
    "circle.invite": (["4", "i"], window(InviteWindow)),
    "circle.leave": (["4", "act:circle.leave"], window(ConfirmWindow)),
    "vouch.give": (["4", "m", "plus"], asked("vouch.give", circle=world.READERS, key=MEMBER)),
    "vouch.revoke": (["4", "m", "minus"], asked("vouch.revoke", circle=world.READERS, key=MEMBER)),
    "transfer.cancel": (["5", "x"], asked("transfer.cancel", transfer="t-1")),
    "transfer.pause": (["5", "space"], asked("transfer.pause", transfer="t-1")),
    "notices.show": (["b"], window(NoticesWindow)),
    "peer.connect": (["c"], window(ConnectForm)),
    "peer.copy": (["y"], clipboard(world.STATUS["addresses"][1])),
    "identity.set": (["e"], window(NameForm)),
    "work.publish": (["p"], window(PublishForm)),
    "page.refresh": (["3", "r"], lambda pilot, node: len(node.asked("work.list")) >= 2),
    "node.start": ([], lambda pilot, node: False),  # has a test of its own below: it needs a node that is away
    "node.stop": (["act:node.stop"], window(ConfirmWindow)),
    "app.theme": (["t"], lambda pilot, node: pilot.app.theme == "p2pnode-light"),
    "page.back": (["3", "o", "escape"], mode("library")),
    "app.palette": (["ctrl+p"], lambda pilot, node: type(pilot.app.screen).__name__ == "CommandPalette"),
    "app.help": (["question_mark"], window(HelpWindow)),
    "app.quit": (["q"], lambda pilot, node: pilot.app._exit),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("action", [action.id for action in ACTIONS if action.id != "node.start"])
async def test_every_action_does_something(action: str, home: Home, scripted: Scripted) -> None:
    node = scripted()
    keys, seen = EFFECTS[action]
    async with scripted_app(home).run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        assert not seen(pilot, node) or action == "go.home"
        for key in keys:
            if key.startswith("act:"):
                app_of(pilot).action_act(key.removeprefix("act:"))
            else:
                await pilot.press(key)
            if action != "app.quit":
                await settled(pilot)
        await until(pilot, lambda: seen(pilot, node), action)


@pytest.mark.asyncio
async def test_starting_the_node_starts_it(home: Home, scripted: Scripted) -> None:
    started: list[Home] = []

    class Never(Launch):
        def __init__(self) -> None:
            pass

        def check(self) -> None:
            raise P2pnodeError("no")

    def start(at: Home) -> Launch:
        started.append(at)
        return Never()

    app = P2pnodeApp(home, autostart=False, start=start, still=True)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.node.link.state == "lost")
        assert not started
        await pilot.press("s")
        await until(pilot, lambda: started == [home])


@pytest.mark.asyncio
async def test_a_disabled_action_says_why(home: Home, scripted: Scripted) -> None:
    scripted("empty")
    async with scripted_app(home).run_test() as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("g")
        await until(pilot, lambda: pilot.app._notifications)
        told = [notification.message for notification in pilot.app._notifications]
        assert told == ["Get: no work is selected"]


def test_no_file_names_a_method_that_no_action_or_screen_needs() -> None:
    """Every method an action claims to ask is one that the app can ask."""
    text = "\n".join(path.read_text() for path in (Path(actions.__file__).parent).rglob("*.py"))
    for action in ACTIONS:
        assert not action.method or text.count(f'"{action.method}"') >= 2, action.method
