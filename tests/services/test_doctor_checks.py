"""What is known becomes words: each check, good and not."""

from __future__ import annotations

from p2pnode.core.probe_messages import Answer, Block, Found
from p2pnode.ports import Reachability
from p2pnode.services import doctor_checks as checks
from p2pnode.services.announcing import Share
from p2pnode.services.reachability import Standing


def test_every_finding_that_is_not_good_says_what_to_do() -> None:
    told = [
        checks.check_peers(0, lan=True, bootstrap=0),
        checks.check_ports(["/ip4/127.0.0.1/tcp/1/p2p/x"]),
        checks.check_ports(["/ip4/192.168.1.2/tcp/1/p2p/x", "/ip6/::1/tcp/1/p2p/x"]),
        checks.check_ports([]),
        checks.check_reach(Reachability("private", 2), Standing("outgoing", "only outgoing", "forward a port")),
        checks.check_share(Share(10, 10, 5)),
        checks.check_read_back([Answer(Block.FALSE, Found.YOU, 0)], 1, 1),
        checks.check_read_back([Answer(Block.FAILED, Found.YOU, 0)], 1, 1),
        checks.check_found([Answer(Block.FETCHED, Found.NOBODY, 0)], 1),
        checks.check_clock([400.0, 400.0, 2.0]),
        checks.check_clock([-400.0]),
        checks.check_disk(None, 1, 1, 1),
        checks.check_disk(5, 10, 0, 100),
        checks.check_disk(500, 10, 95, 100),
        checks.check_damage(2),
        checks.check_dht(0, 4),
        checks.check_sync([None, None]),
        checks.check_descriptors((900, 1024)),
        checks.check_descriptors((10, 256)),
        checks.check_watches(999, 1000),
        checks.check_limits("the month's budget of 50 GB is used up"),
        checks.check_linger(True, False),
    ]
    assert all(finding is not None and finding.state != "good" and finding.hint for finding in told)


def test_what_is_well_is_good() -> None:
    told = [
        checks.check_peers(1, lan=True, bootstrap=0),
        checks.check_ports(["/ip4/192.168.1.2/tcp/1/p2p/x", "/ip4/8.8.8.8/tcp/1/p2p/x"]),
        checks.check_reach(Reachability("public", 2), Standing("reachable", "the internet reaches this node")),
        checks.check_share(Share(10, 10, 10)),
        checks.check_round(10, 5, 0.0),
        checks.check_round(0, 0, None),
        checks.check_clock([-2.0, 4.0, 9000.0]),
        checks.check_disk(500, 10, 5, 100),
        checks.check_damage(0),
        checks.check_dht(20, 4),
        checks.check_announcing(0, 0),
        checks.check_sync([10.0, 70.0]),
        checks.check_sync([]),
        checks.check_descriptors((10, 4096)),
        checks.check_watches(1, 1000),
        checks.check_limits(None),
        checks.check_linger(True, True),
    ]
    assert all(finding is not None and finding.state == "good" and not finding.hint for finding in told)
    assert checks.check_linger(False, False) is None


def test_a_round_is_told_as_far_as_it_was() -> None:
    assert "5 of 10 keys" in checks.check_round(10, 5, 0.0).words
    assert "again in about 21 hours" in checks.check_round(10, 0, 21.2 * 3600).words
    assert "nothing was due" in checks.check_round(10, 0, None).words  # told one by one as they were published
