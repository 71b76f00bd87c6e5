"""The ledger: append, proofs, witness, statements, a whole mirror, and what an append costs as the log grows.

The machine's own limits are measured beside each: hashing and encoding on one core, syncs of the disk, the primitive.
"""

import contextlib
import gc
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path

from bench import Measurement, at_least, at_most
from payouts.ledger import canonical

LEAVES = 1_000_000
APPENDED = 20_000
PROOFS = 20_000
MIRROR_BYTES_MAX = 500_000_000
SEED = 2026
WITNESSED_LOGS, REQUESTS_EACH = 4, 150


def measure() -> list[Measurement]:
    """All metrics of the ledger. Takes some minutes, and 1.5 GB of disk for a while."""
    folder = Path(tempfile.mkdtemp(prefix="tributary-bench-ledger-"))
    try:
        _settle_django(folder)
        from bench.ledger_world import write_log

        statement = _statement(folder)
        witness = _witness()
        append = _append()
        edge = write_log(folder / "log", LEAVES)
        return [
            *append,
            *_proofs(folder / "log", edge),
            *witness,
            *statement,
            *_mirror(folder / "log", edge),
            *_growth(folder / "log", edge),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle_django(data: Path) -> None:
    os.environ |= {
        "TRIBUTARY_DATA_DIR": str(data / "data"),
        "DJANGO_SETTINGS_MODULE": "server.settings",
        "TRIBUTARY_LOG_FORMAT": "console",
    }
    from server.secrets import ensure

    ensure(data / "data")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _rate(count: int, work: Callable[[], object], tries: int = 3) -> float:
    """The best of some tries: how many a second."""
    best = 0.0
    for _ in range(tries):
        started = time.perf_counter()
        work()
        best = max(best, count / (time.perf_counter() - started))
    return best


def _syncs(folder: Path) -> float:
    """How often a second this disk makes a small file durable."""
    path = folder / "sync"
    with path.open("wb") as file:
        started = time.perf_counter()
        for _ in range(100):
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - started
    path.unlink()
    return 100 / seconds


# Append.


def _append() -> list[Measurement]:
    from bench.ledger_world import accrual_drafts
    from payouts import instance_keys, log, store
    from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
    from payouts.ledger.entries import write_batch
    from payouts.ledger.growth import grow, read_edge
    from payouts.store import DiskTiles, HeadCell

    log.begin_log()
    origin, signer = instance_keys.origin(), instance_keys.signer("ledger")
    rates, rounds = [], 0
    for rounds in range(2):
        drafts = accrual_drafts(APPENDED, rounds)
        started = time.perf_counter()
        head = store.read_head()
        batch = write_batch(drafts, origin=origin, first_index=head.size, at="2026-12-01T09:00:00Z", heads={})
        edge, entries = read_edge(DiskTiles(), head.size), batch.entries
        growth = grow(edge, [entry.data for entry in entries], [entry.leaf for entry in entries])
        store.write_files(growth.files)
        size, root = growth.edge.size, growth.edge.root()
        assert read_edge(DiskTiles(), size).root() == root
        store.move_head(head, HeadCell(size, root, sign_checkpoint(Checkpoint(origin, size, root), signer)))
        rates.append(APPENDED / (time.perf_counter() - started))
    # The rows follow from the files; the pen makes them in the caller's transaction.
    started = time.perf_counter()
    log.begin_log()
    rows = APPENDED * (rounds + 1) / (time.perf_counter() - started)
    documents = [json.loads(entry.data) for entry in batch.entries]
    limit = _rate(APPENDED, lambda: [sha256(b"\0" + canonical._encode(one).encode()).digest() for one in documents])
    reference = (
        f"JSON encoding and SHA-256 alone, one core: {limit:,.0f}/s; rows of the database read back from the files: {rows:,.0f}/s"
    )
    return [at_least("append_entries_per_s", max(rates), "1/s", 20_000, reference)]


# Proofs.


def _proofs(folder: Path, edge: object) -> list[Measurement]:
    from bench.ledger_world import FolderTiles
    from payouts.ledger.growth import Edge
    from payouts.ledger.merkle import check_consistency, check_inclusion, prove_consistency, prove_inclusion, tree_root
    from payouts.ledger.tiles import TreeReader

    assert isinstance(edge, Edge)
    nodes = TreeReader(FolderTiles(folder), LEAVES)
    chance = random.Random(SEED)  # noqa: S311 - which leaves are proven is no secret, and the same in every run
    root, half = edge.root(), PROOFS // 2
    indices = [chance.randrange(LEAVES) for _ in range(half)]
    olds = [chance.randrange(1, LEAVES) for _ in range(half)]
    for number in range(0, LEAVES, 256):
        nodes(0, number)
    built: list[tuple[bytes, ...]] = []

    def build() -> None:
        built[:] = [prove_inclusion(nodes, index, LEAVES) for index in indices]
        built.extend(prove_consistency(nodes, old, LEAVES) for old in olds)

    building = _rate(PROOFS, build)
    leaves, old_roots = [nodes(0, index) for index in indices], [tree_root(nodes, old) for old in olds]

    def check() -> None:
        for index, leaf, proof in zip(indices, leaves, built[:half], strict=True):
            check_inclusion(leaf, index, LEAVES, proof, root)
        for old, old_root, proof in zip(olds, old_roots, built[half:], strict=True):
            check_consistency(old, old_root, LEAVES, root, proof)

    checking = _rate(PROOFS, check)
    length = sum(map(len, built)) / PROOFS
    block = b"\1" + bytes(64)
    hashing = _rate(200_000, lambda: [sha256(block).digest() for _ in range(200_000)]) / length
    reference = f"SHA-256 of the {length:.0f} nodes of a proof alone: {hashing:,.0f}/s; half inclusion, half consistency"
    return [
        at_least("proof_build_per_s", building, "1/s", 10_000, f"{reference}; tiles in memory"),
        at_least("proof_check_per_s", checking, "1/s", 10_000, reference),
    ]


# The witness, over HTTP.


def _witness() -> list[Measurement]:
    from tests.payouts.neighbour import Neighbour
    from tests.services import free_port
    from tests.two_servers.instance import Instance

    instance = Instance("bench", free_port(), environment={"TRIBUTARY_THROTTLE_ANON": "1000000/min"})
    neighbours = [Neighbour() for _ in range(WITNESSED_LOGS)]
    try:
        instance.start()
        for neighbour in neighbours:
            instance.manage("ledger", "follow", neighbour.origin)
        bodies = [_requests(neighbour) for neighbour in neighbours]
        started = time.perf_counter()
        with ThreadPoolExecutor(WITNESSED_LOGS) as pool:
            statuses = [status for found in pool.map(lambda body: _post_all(instance.port, body), bodies) for status in found]
        rate = len(statuses) / (time.perf_counter() - started)
        assert statuses == [200] * len(statuses), sorted(set(statuses))
        syncs = _syncs(instance.data)
        judged = _judged(neighbours[0], bodies[0])
    finally:
        for neighbour in neighbours:
            neighbour.close()
        instance.remove()
    reference = (
        f"syncs of this disk: {syncs:,.0f}/s; judging and signing alone, one core: {judged:,.0f}/s; SQLite, {WITNESSED_LOGS} logs"
    )
    return [at_least("witness_requests_per_s", rate, "1/s", 300, reference)]


def _requests(neighbour: object) -> list[bytes]:
    """add-checkpoint bodies, each of one entry more."""
    from payouts.ledger.entries import Draft
    from payouts.ledger.fields import to_base64
    from payouts.ledger.merkle import prove_consistency
    from tests.payouts.ledger_world import digest, draft_id
    from tests.payouts.neighbour import Neighbour

    assert isinstance(neighbour, Neighbour)
    bodies = []
    for number in range(REQUESTS_EACH):
        old = neighbour.log.edge.size
        neighbour.log.append("2026-12-02T09:00:00Z", Draft("will", draft_id("bench", number), {"document": digest("w")}, {}))
        proof = prove_consistency(neighbour.log.nodes(), old, old + 1)
        lines = [f"old {old}", *map(to_base64, proof), "", ""]
        bodies.append("\n".join(lines).encode() + neighbour.log.checkpoint().data)
    return bodies


def _post_all(port: int, bodies: list[bytes]) -> list[int]:
    with contextlib.closing(HTTPConnection("localhost", port, timeout=60)) as connection:
        statuses = []
        for body in bodies:
            connection.request("POST", "/ledger/witness/add-checkpoint", body, {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        return statuses


def _judged(neighbour: object, bodies: list[bytes]) -> float:
    from payouts.ledger.follower import Pin
    from payouts.ledger.merkle import tree_root
    from payouts.ledger.witness import judge, parse_request
    from tests.payouts.neighbour import Neighbour

    assert isinstance(neighbour, Neighbour)
    own, nodes = neighbour.instance, neighbour.log.nodes()
    first = parse_request(bodies[0]).old_size
    pins = [Pin(own.origin, first + number, tree_root(nodes, first + number)) for number in range(len(bodies))]

    def work() -> None:
        for body, pin in zip(bodies, pins, strict=True):
            judge(parse_request(body), pin=pin, log_keys=[own.ledger.verifier], signer=own.witness, timestamp=1)

    return _rate(len(bodies), work)


# Statements.


def _statement(folder: Path) -> list[Measurement]:
    from bench.ledger_world import years_statement
    from payouts.ledger import container
    from payouts.ledger.__main__ import check_agreement, verify_identity_log
    from payouts.ledger.statement import parse_statement
    from payouts.ledger.verdict import verify

    data = years_statement()
    file = folder / "year.statement.json.gz"
    file.write_bytes(data)
    text = container.unpack(data)
    entries = sum(len(one.entries) for one in parse_statement(data).debtors[0].ranges)

    def work() -> None:
        verify(data, verify_log=verify_identity_log, check_agreement=check_agreement)

    # As the command does, and for its reason.
    gc.disable()
    try:
        inside_ms = 1000 / _rate(1, work, tries=30)
        cpu_ms = min(_cpu_ms(work) for _ in range(30))
        floor_ms = min(_cpu_ms(_statement_floor(data)) for _ in range(30))
    finally:
        gc.enable()
    argv = [sys.executable, "-m", "payouts.ledger", "verify", str(file)]
    whole = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True)
        whole.append((time.perf_counter() - started) * 1000)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import nacl.signing, json, argparse, dataclasses"], check=True)
    bare_ms = (time.perf_counter() - started) * 1000
    size = f"{entries:,} entries, 6 signatures, {len(text) / 1e6:.1f} MB of JSON"
    return [
        at_most(
            "statement_process_ms", min(whole), "ms", 400, f"{size}; Python and PyNaCl started and nothing done: {bare_ms:.0f} ms"
        ),
        at_most(
            "statement_verify_ms",
            inside_ms,
            "ms",
            20,
            f"{size}; of it on the processor: {cpu_ms:.1f} ms; calls into C alone (inflate, base64, SHA-256, one expression for "
            f"an entry, Ed25519): {floor_ms:.1f} ms",
        ),
    ]


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def _statement_floor(data: bytes) -> Callable[[], object]:
    """What no verifier in Python goes below: the calls into C that a statement needs, each once for each entry."""
    from nacl.signing import SigningKey

    from payouts.ledger import container
    from payouts.ledger.shapes import SHAPES
    from payouts.ledger.statement import parse_statement

    entries = [entry for one in parse_statement(data).debtors[0].ranges for entry in one.entries]
    written = [b2a_base64(entry) for entry in entries]
    matches = [(SHAPES[json.loads(entry)["type"]].fullmatch, entry.decode()) for entry in entries]
    node, key = bytes(65), SigningKey(bytes(32))
    signed = key.sign(node)

    def work() -> None:
        container.unpack(data)
        for text in written:
            a2b_base64(text)
        for entry in entries:
            sha256(entry).digest()
            sha256(node).digest()
        for fullmatch, text in matches:
            fullmatch(text)
        for _ in range(9):
            key.verify_key.verify(signed)

    return work


# A whole mirror.

MIRROR = """
import resource, sys, time
from pathlib import Path
from bench.ledger_world import FolderTiles, bench
from payouts.ledger.checkpoint import Checkpoint
from payouts.ledger.replay import Replay
from payouts.ledger.whole import read_whole
started = time.perf_counter()
replay = Replay(bench.origin)
for data in read_whole(FolderTiles(Path(sys.argv[1])), Checkpoint(bench.origin, int(sys.argv[2]), bytes.fromhex(sys.argv[3]))):
    replay.add(data)
assert replay.at_rest and replay.size == int(sys.argv[2])
print(time.perf_counter() - started, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def _mirror(folder: Path, edge: object) -> list[Measurement]:
    """Every tile, bundle, entry and rule, in a process of its own so that its memory is its own."""
    from payouts.ledger.growth import Edge

    assert isinstance(edge, Edge)
    argv = [sys.executable, "-c", MIRROR, str(folder), str(LEAVES), edge.root().hex()]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    seconds, cpu, peak_bytes = map(float, done.stdout.split())
    sizes = [path.stat().st_size for path in (folder / "tile").rglob("*") if path.is_file()]
    started = time.perf_counter()
    for path in (folder / "tile").rglob("*"):
        if path.is_file():
            sha256(path.read_bytes()).digest()
    plain = time.perf_counter() - started
    size = f"{LEAVES:,} entries, {sum(sizes) / 1e6:,.0f} MB"
    reference = f"{size}; {cpu:.1f} s of it on the processor; reading and hashing the files alone: {plain:.1f} s"
    return [
        at_most("mirror_verify_s", seconds, "s", 60, reference),
        at_most("mirror_verify_bytes", peak_bytes, "B", MIRROR_BYTES_MAX, "the most memory that process had"),
    ]


# What one append costs.


def _growth(large: Path, edge: object) -> list[Measurement]:
    from bench.ledger_world import whole_log
    from payouts.ledger.growth import EMPTY, Edge, grow

    assert isinstance(edge, Edge)
    small = grow(EMPTY, list(whole_log(1_000))).edge
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = _append_once(Path(name) / "small", small), _append_once(Path(name) / "large", edge)
        pairs = [(next(ours), next(theirs)) for _ in range(300)]
        syncs = _syncs(Path(name))
    thousand, million = (statistics.median(times) for times in zip(*pairs, strict=True))
    costs = f"one entry at 10^3 leaves: {thousand * 1e3:.2f} ms, at 10^6: {million * 1e3:.2f} ms"
    reference = f"{costs}; one sync of this disk: {1000 / syncs:.2f} ms"
    return [at_most("append_growth_ratio", million / thousand, "x", 1.2, reference)]


def _append_once(folder: Path, edge: object) -> Iterator[float]:
    """The seconds of one durable append after the other: edge, tiles, head."""
    from bench.ledger_world import bench
    from payouts import store
    from payouts.ledger.checkpoint import Checkpoint, sign_checkpoint
    from payouts.ledger.growth import Edge, grow
    from payouts.store import HeadCell

    assert isinstance(edge, Edge)
    from django.test import override_settings

    entry, cell = b'{"a line of":"a log"}' * 20, None
    while True:
        with override_settings(LEDGER_DIR=folder):
            folder.mkdir(parents=True, exist_ok=True)
            started = time.perf_counter()
            growth = grow(edge, [entry])
            store.write_files(growth.files)
            edge, root = growth.edge, growth.edge.root()
            after = HeadCell(edge.size, root, sign_checkpoint(Checkpoint(bench.origin, edge.size, root), bench.ledger))
            store.move_head(cell or store.read_head(), after)
            cell = after
            seconds = time.perf_counter() - started
        yield seconds
