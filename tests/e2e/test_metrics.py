"""Metrics of a real daemon, read by Prometheus' own parser: every one documented, none that says who."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network
DOCUMENT = Path(__file__).parents[2] / "p2pnode" / "docs" / "home-server.md"
LABELS = {"direction": {"inbound", "outbound", "up", "down"}, "state": {"good", "note", "bad"}}
"""All labels there are beside the version, and all of their values."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(port: int, path: str = "/metrics", *, method: str = "GET", host: str | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("content-type", ""), answer.read().decode()
    finally:
        connection.close()


def test_they_are_parsed_documented_and_say_nobodys_name(start: Callable[..., RealDaemon], tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "config.toml").write_text(f"metrics_port = {port}\n")
    anna = start("anna")
    (tmp_path / "diary-of-anna.txt").write_bytes(b"bees" * 1000)
    work = anna.json("publish", str(tmp_path / "diary-of-anna.txt"), "--title", "Secret Bees")["work"]
    circle = anna.json("circle", "create", "Readers")["circle"]
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: anna.json("status")["peers"] == 1, what="the two are connected")
    anna.run("doctor", check=False)

    status, kind, text = ask(port)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    value = {
        sample.name + "".join(f"/{label}" for label in sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert value["p2pnode_works"] == 1 and value["p2pnode_circles"] == 1
    assert value["p2pnode_peers/inbound"] == 1 and value["p2pnode_peers/outbound"] == 0
    assert value["p2pnode_traffic_bytes_total/up"] > 1000 and value["p2pnode_memory_bytes"] > 10**7
    assert sum(value[f"p2pnode_doctor_findings/{state}"] for state in LABELS["state"]) > 10
    assert families["p2pnode_traffic_bytes"].type == "counter"

    rows = re.findall(r"^\| `(p2pnode_\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE)
    told = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    assert sorted(rows) == sorted(told), "the table in the documents is what is served"
    for family in families.values():
        for sample in family.samples:
            for label, said in sample.labels.items():
                assert (label == "version" and re.fullmatch(r"[\d.]+", said)) or said in LABELS[label]
    for secret in (anna.peer_id, ben.peer_id, work, circle, "Bees", "diary", "Readers", str(tmp_path), "127.0.0.1"):
        assert secret not in text

    assert ask(port, host="evil.example")[0] == 403, "a name that was turned to this machine"
    assert ask(port, "/")[0] == 404 and ask(port, method="DELETE")[0] == 405


def test_without_the_setting_nothing_listens_and_a_taken_port_costs_the_metrics_only(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "anna").mkdir()
        port = taken.getsockname()[1]
        settings = f"metrics_port = {port}\ngateway = true\ngateway_port = {port}\n"
        (tmp_path / "anna" / "config.toml").write_text(settings)
        anna = start("anna")
        assert anna.json("status")["peers"] == 0
        wait_until(lambda: anna.log.count("another program uses it") == 2, what="it is said of both")
        health = anna.json("status")["health"]
        assert health["state"] == "bad" and f"port {port} cannot be opened" in health["words"]
        told = anna.run("doctor", "--local", check=False)
        assert told.returncode == 1
        assert "nothing tells metrics: port" in told.stdout and "set another metrics_port in config.toml" in told.stdout
        assert "the gateway is closed: port" in told.stdout and "p2pnode gateway --port PORT" in told.stdout
        anna.run("gateway")
        told = anna.run("doctor", "--local", check=False)
        assert "the gateway is closed" not in told.stdout and "nothing tells metrics" in told.stdout
