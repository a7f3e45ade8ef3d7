"""The published vectors: the files are what scripts/make_vectors writes, and this program accepts and refuses as they say."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from p2pnode.core.encoding import decode, encode
from p2pnode.core.ids import KEY_PREFIX, RECORD_PREFIX, id_text, parse_id
from p2pnode.core.keys import profile_key, pseudonym, verify
from p2pnode.core.record import Value
from p2pnode.core.records import decode_signed, encode_signed, record_cid
from p2pnode.core.understanding import is_understood
from p2pnode.errors import DecodeError, UsageError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("encoding", "keys", "signatures", "records")


def read(name: str) -> Any:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text(encoding="utf-8"))


def cases(name: str, part: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in read(name)[part]]


def value_of(plain: Any) -> Value:
    if isinstance(plain, dict):
        if set(plain) == {"$bytes"}:
            return bytes.fromhex(plain["$bytes"])
        return {name: value_of(item) for name, item in plain.items()}
    return tuple(map(value_of, plain)) if isinstance(plain, list) else plain


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    loader = SourceFileLoader("make_vectors", str(ROOT / "scripts" / "make_vectors"))
    spec = importlib.util.spec_from_loader("make_vectors", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_script_makes(maker: ModuleType, name: str) -> None:
    assert (ROOT / "tests" / "vectors" / f"{name}.json").read_text(encoding="utf-8") == maker.render(
        maker.FILES[name]()
    )


@pytest.mark.parametrize("case", cases("encoding", "valid"))
def test_encoding_valid(case: Mapping[str, Any]) -> None:
    value = value_of(case["value"])
    assert encode(value).hex() == case["hex"]
    assert decode(bytes.fromhex(case["hex"])) == value


@pytest.mark.parametrize("case", cases("encoding", "invalid"))
def test_encoding_invalid(case: Mapping[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(case["hex"]))


def test_keys() -> None:
    vectors = read("keys")
    for case in vectors["derived"]:
        seed, salt = bytes.fromhex(case["seed"]), bytes.fromhex(case["salt"])
        assert profile_key(seed).public.hex() == case["profile"]
        assert pseudonym(seed, salt).public.hex() == case["pseudonym"]
        assert id_text(KEY_PREFIX, profile_key(seed).public) == case["profile_text"]
        assert parse_id(KEY_PREFIX, case["profile_text"]).hex() == case["profile"]
    for text in vectors["text_invalid"]:
        with pytest.raises(UsageError):
            parse_id(KEY_PREFIX, text)


@pytest.mark.parametrize("case", cases("signatures", "valid"))
def test_signatures_valid(case: Mapping[str, Any]) -> None:
    domain = bytes.fromhex(read("signatures")["domain"])
    assert verify(*(bytes.fromhex(case["key"]), domain + bytes.fromhex(case["body"]), bytes.fromhex(case["sig"])))


@pytest.mark.parametrize("case", cases("signatures", "invalid"))
def test_signatures_invalid(case: Mapping[str, Any]) -> None:
    domain = bytes.fromhex(read("signatures")["domain"])
    assert not verify(*(bytes.fromhex(case["key"]), domain + bytes.fromhex(case["body"]), bytes.fromhex(case["sig"])))


@pytest.mark.parametrize("case", cases("records", "valid"))
def test_records_valid(case: Mapping[str, Any]) -> None:
    record = decode_signed(bytes.fromhex(case["signed"]))
    assert record.id.hex() == case["id"]
    assert id_text(RECORD_PREFIX, record.id) == case["text"]
    assert str(record_cid(record.id)) == case["cid"]
    assert record.fields == value_of(case["fields"])
    assert encode_signed(record).hex() == case["signed"]
    assert is_understood(record)


@pytest.mark.parametrize("case", cases("records", "kept_not_understood"))
def test_records_kept_but_not_understood(case: Mapping[str, Any]) -> None:
    assert not is_understood(decode_signed(bytes.fromhex(case["signed"])))


@pytest.mark.parametrize("case", cases("records", "invalid"))
def test_records_invalid(case: Mapping[str, Any]) -> None:
    with pytest.raises(DecodeError):
        decode_signed(bytes.fromhex(case["signed"]))
