"""How fast identity logs are verified, beside another implementation on the same logs; and how soon a hostile one is refused."""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from bench import Measurement, archive, at_most
from bench.recovery import recover_dead_home
from server.core import canonical
from server.identity import keylog
from server.identity.keylog import HARD, SOFT, KeyLogError
from server.identity.keylog.limits import PROOFS_MAX
from tests.differential import peers

LOGS = 10_000
PROCESSES = 2
# The other implementation gets a part of the same logs; its time is worked out for all of them.
PEER_LOGS = 400
HOSTILE_ENTRIES = 1_000
TIMES = 3
HOSTS = ("alpha", "alpha", "beta", "beta")
START = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=365)


def measure() -> list[Measurement]:
    """The rows of the identity: its key log, its archive, and coming back from a dead home."""
    return [verify_many(), refuse_hostile(), *archive.measure(), recover_dead_home()]


def verify_many() -> Measurement:
    """10,000 different logs of four entries (server's custody, a new home key, a move, a new home key there), by policy."""
    with multiprocessing.Pool(PROCESSES) as pool:
        logs = pool.map(make_log, range(LOGS), chunksize=100)
        began = time.perf_counter()
        accepted = sum(pool.imap_unordered(verify, logs, chunksize=100))
        seconds = time.perf_counter() - began
    assert accepted == LOGS
    reference = f"{os.cpu_count()} cores, 4 entries each; {beside(logs[:PEER_LOGS])}"
    return at_most("verify_10k_logs_s", seconds, "s", 15, reference)


def beside(logs: list[bytes]) -> str:
    """What PyPI did-webvh takes for the same logs, worked out for all of them and as many processes."""
    questions = [{"log": log.decode(), "requested": json.loads(log.splitlines()[-1])["state"]["id"]} for log in logs]
    peers.judge(peers.PYPI, questions[:1])
    began = time.perf_counter()
    peers.judge(peers.PYPI, questions[:1])
    start_s = time.perf_counter() - began
    began = time.perf_counter()
    verdicts = peers.judge(peers.PYPI, questions)
    each_s = (time.perf_counter() - began - start_s) / len(questions)
    assert all(one["accepted"] for one in verdicts)
    return f"{peers.PYPI} 1.0.1 needs {each_s * LOGS / PROCESSES:.0f} s for them on {PROCESSES} cores ({len(logs)} measured)"


def refuse_hostile() -> Measurement:
    """CPU time for the worst of five logs of 1,000 entries that break a rule in the last line only, read by the widest caps."""
    seconds = {}
    for name, log in hostile_logs():
        took = []
        for _ in range(TIMES):
            began = time.process_time()
            try:
                keylog.verify_policy(log, now=NOW, caps=HARD)
            except KeyLogError:
                took.append(time.process_time() - began)
        assert len(took) == TIMES, f"{name} was accepted"
        seconds[name] = sorted(took)[TIMES // 2]
    began = time.process_time()
    for number in range(HOSTILE_ENTRIES):
        signed = key("plain", number).sign(b"x" * 64)
        key("plain", number).verify_key.verify(signed)
    reference = f"{HOSTILE_ENTRIES} signatures made and checked: {time.process_time() - began:.2f} s"
    all_of_them = ", ".join(f"{name} {took:.2f} s" for name, took in seconds.items())
    return at_most("hostile_log_s", max(seconds.values()), "s", 1, f"CPU time; {all_of_them}; {reference}")


def hostile_logs() -> Iterator[tuple[str, bytes]]:
    """Small entries; as many proofs as an entry may have; nearly as many bytes as the log may have, in dear forms."""
    small = {"alsoKnownAs": ["x"]}
    # Names whose order must be worked out by UTF-16, and as many lists; as many numbers; as many objects.
    names = {f"{n:x}\ufb33\U0001f600": [[n]] for n in range(190)}
    forms: list[tuple[str, dict[str, Any], int]] = [
        ("small", small, 1),
        ("proofs", small, PROOFS_MAX),
        ("names", names, 1),
        ("numbers", {"x": [1] * 2_200}, 1),
        ("objects", {"x": [{}] * 1_400}, 1),
    ]
    for name, state, proofs in forms:
        lines = list(entries(name, [state] * HOSTILE_ENTRIES, proofs=proofs))
        last = json.loads(lines[-1])
        last["proof"][-1]["proofValue"] = json.loads(lines[-2])["proof"][-1]["proofValue"]
        log = b"\n".join([*lines[:-1], canonical.jcs_whole(last)])
        assert len(log) <= HARD.bytes_max
        yield name, log


def verify(log: bytes) -> bool:
    """One log, as a peer judges a stranger's."""
    return len(keylog.verify_policy(log, now=NOW, caps=SOFT).versions) == len(HOSTS)


def make_log(number: int) -> bytes:
    """The log of one person, with keys and an identity of her own."""
    name, states = f"person {number}", []
    for entry, host in enumerate(HOSTS, start=1):
        home = keylog.Home(
            host=f"{host}.example",
            path=("u", f"p{number}"),
            actor=f"https://{host}.example/users/p{number}",
            acct=f"acct:p{number}@{host}.example",
            key=public(name, 100 + entry),
        )
        state = keylog.build(keylog.first_document(home, user_key=public(name, 99), custody="server"))
        moved = [f"did:webvh:{{SCID}}:alpha.example:u:p{number}"] if host == "beta" else []
        states.append({**state, "alsoKnownAs": [*moved, *state["alsoKnownAs"]]})
    return b"\n".join(entries(name, states)) + b"\n"


def entries(name: str, states: list[dict[str, Any]], *, proofs: int = 1) -> Iterator[bytes]:
    """Signed lines with these documents, one key after another; much faster than the product, which judges what it writes."""
    scid = before = "{SCID}"
    for number, given in enumerate(states, start=1):
        state = {"id": "did:webvh:{SCID}:alpha.example:u:x", **given}
        parameters: dict[str, Any] = {
            "updateKeys": [public(name, number)],
            "nextKeyHashes": [keylog.key_hash(public(name, number + 1))],
        }
        if number == 1:
            parameters |= {"method": "did:webvh:1.0", "scid": "{SCID}", "portable": True}
        entry = {
            "versionId": before,
            "versionTime": canonical.time_text(START + timedelta(hours=number)),
            "parameters": parameters,
            "state": state,
        }
        if number == 1:
            scid = canonical.multihash_sha256(canonical.jcs_whole(entry))
        data = canonical.jcs_whole(entry).decode().replace("{SCID}", scid).encode()
        entry = json.loads(data)
        before = entry["versionId"] = f"{number}-{canonical.multihash_sha256(data)}"
        yield canonical.jcs_whole({**entry, "proof": [sign(entry, name, number, one) for one in range(proofs)]})


def sign(entry: Mapping[str, Any], name: str, number: int, second: int) -> dict[str, Any]:
    """One proof of an entry."""
    multikey = public(name, number)
    config = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": f"did:key:{multikey}#{multikey}",
        "created": canonical.time_text(START + timedelta(hours=number, seconds=second)),
        "proofPurpose": "assertionMethod",
    }
    hashed = hashlib.sha256(canonical.jcs_whole(config)).digest() + hashlib.sha256(canonical.jcs_whole(entry)).digest()
    return {**config, "proofValue": canonical.multibase(key(name, number).sign(hashed).signature)}


def key(name: str, number: int) -> SigningKey:
    """The n-th key of somebody."""
    return SigningKey(hashlib.sha256(f"{name} {number}".encode()).digest())


def public(name: str, number: int) -> str:
    """Its Multikey."""
    return keylog.multikey_of(key(name, number))
