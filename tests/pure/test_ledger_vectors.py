"""No public vector is forgotten: every file, and every list in it, is read by a test."""

import json
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger"
TESTS = Path(__file__).parent

# File -> its members, each with how many cases it holds; a list that grows or appears must be looked at.
JSON_FILES = {
    "generated-cosign-proof-fork.json": {"vkeys": 3, "fork": 4, "tlog_proof": 721, "entry_11": 8},
    "go-sumdb-generated.json": {
        "checkpoints": 10, "consistency": 55, "inclusion": 69, "leaf_hashes_hex": 300, "roots_hex_by_size_1_to_n": 300,
        "tile_sha256_by_size_and_sumdb_path": 6, "vkey": 72, "origin": 18,
    },
    "rfc6962-reference.json": {"leaf_inputs_hex": 8, "roots_hex_by_size_0_to_8": 9, "hasher": 4},
    "signed-note.json": {"valid": 3, "no_known_key": 1, "invalid_signature": 1, "malformed": 7, "bad_vkeys": 2},
    "tile-paths.json": {"sumdb": 7, "c2sp_index": 1, "c2sp_tile_counts": 2},
    "tlog-proof.json": {"marshal": 3, "unmarshal_errors": 7},
}  # fmt: skip
ROWS = {
    "merkle-inclusion.jsonl": 98, "merkle-consistency.jsonl": 98, "merkle-subtreeinclusion.jsonl": 204,
    "merkle-subtreeconsistency.jsonl": 118,
}  # fmt: skip
SAID_ABOUT_THE_FILE = {"source", "generator", "leaf_data"}
OTHERS = {"cctv-ed25519.json", "litewitness-add-checkpoint.hurl", "tessera-log", "SOURCES.txt"}


def test_every_file_is_known() -> None:
    assert {path.name for path in VECTORS.iterdir()} == {*JSON_FILES, *ROWS, *OTHERS}
    assert {name: len((VECTORS / name).read_text().splitlines()) for name in ROWS} == ROWS
    assert len(json.loads((VECTORS / "cctv-ed25519.json").read_text())) == 914


def test_every_member_is_read_by_a_test() -> None:
    sources = "".join(path.read_text() for path in TESTS.glob("test_ledger_*.py") if path.name != Path(__file__).name)
    for name, members in JSON_FILES.items():
        document = json.loads((VECTORS / name).read_text())
        assert {member: len(value) for member, value in document.items() if member not in SAID_ABOUT_THE_FILE} == members
        assert name in sources
        assert [member for member in members if f'["{member}"]' not in sources] == []
    assert [name for name in (*ROWS, *OTHERS) if name not in sources and not name.startswith("merkle-")] == ["SOURCES.txt"]
