"""What the statement verifier of the browser is asked, and what Python says to the same: files, policies, keys."""

import contextlib
import io
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from playwright.sync_api import Page

from payouts.ledger import container
from payouts.ledger.__main__ import main
from payouts.ledger.note import ML_DSA_44, VerifierKey
from tests.payouts import corpus

VECTORS = Path(__file__).parent.parent / "vectors"
GOLDEN = VECTORS / "golden"
FILE_FLIPS, TEXT_FLIPS, CHANGES = 24, 80, 160
SEED = 20261201
QUANTUM = f"witness q {VerifierKey('pq.example/w1', ML_DSA_44, bytes(1312))}\nquorum none\n"
# Values that are nearly right, or that two languages see differently.
ODD = [
    "",
    None,
    True,
    0,
    -1,
    2**53 - 1,
    2**53,
    1.5,
    "\u00e9",
    "e\u0301",
    "\ud800",
    "AAAA",
    "0",
    "-0",
    [],
    {},
    [[[[[[[]]]]]]],
    "\0",
]

RUN = """async ({ module, name, calls }) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpack = (value) => {
    if (Array.isArray(value)) return value.map(unpack);
    if (value === null || typeof value !== "object") return value;
    if ("$bytes" in value) return bytes(value.$bytes);
    if ("$map" in value) return new Map(Object.entries(value.$map).map(([key, one]) => [key, unpack(one)]));
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unpack(one)]));
  };
  const judge = (await import(module))[name];
  const said = [];
  for (const call of calls) {
    try {
      said.push([null, (await judge(...call.map(unpack))) ?? null]);
    } catch (error) {
      if (error.code === undefined || error.name !== "Refused") throw error;
      said.push([error.code, null]);
    }
  }
  return JSON.stringify(said, (_, value) =>
    typeof value === "bigint" ? String(value) : value instanceof Map ? Object.fromEntries(value) : value);
}"""
BATCH = 40


def data(value: bytes) -> dict[str, str]:
    """Bytes as an argument of ``ask``."""
    return {"$bytes": b64encode(value).decode()}


def ask(page: Page, module: str, name: str, calls: list[list[Any]]) -> list[tuple[str | None, Any]]:
    """What a function of the verifier says to each list of arguments: (the reason's name, the value). The page has its own origin."""
    address = staticfiles_storage.url(f"ledger-verifier/{module}.js")
    said: list[tuple[str | None, Any]] = []
    for at in range(0, len(calls), BATCH):
        found = page.evaluate(RUN, {"module": address, "name": name, "calls": calls[at : at + BATCH]})
        said += [(reason, value) for reason, value in json.loads(found)]
    return said


def shared() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The corpus that every verifier of ours is held against, and the report that each case asks."""
    for case in json.loads((GOLDEN / "verifier.json").read_text())["cases"]:
        given = {"data": corpus.data_of(case, GOLDEN), "policy": case.get("policy"), "keys": case.get("keys", [])}
        yield {"name": case["name"], "run": case["run"], **given}, case["report"]


def cases() -> Iterator[dict[str, Any]]:
    """``run`` (the command), ``data``, and the reader's ``policy`` or ``keys``."""
    for run, name in (("verify", "statement"), ("verify-fork", "fork")):
        vectors = json.loads((GOLDEN / "ledger" / f"{name}.json").read_text())
        for vector in [*vectors["good"], *vectors["bad"]]:
            given = b64decode(vector["base64"]) if "base64" in vector else vector["text"].encode()
            yield {
                "name": vector["name"],
                "run": run,
                "data": given,
                "policy": vector.get("policy"),
                "keys": vector.get("keys", []),
            }
    for vector in json.loads((GOLDEN / "ledger" / "fork.json").read_text())["good"]:
        for keys in ([], ["not a key"], [vector["keys"][0][:-1] + "A"]):
            if keys:
                yield {
                    "name": f"fork by {keys}",
                    "run": "verify-fork",
                    "data": vector["text"].encode(),
                    "policy": None,
                    "keys": keys,
                }
    for policy in (
        "",
        "quorum none\n",
        "quorum none\r\n",
        "witness w x\n",
        "log a\nquorum none\n",
        "# nothing\n",
        "quorum nobody\n",
    ):
        yield {"name": f"policy {policy!r}", "run": "verify", "data": good_statement(), "policy": policy or None, "keys": []}
    yield from flips()
    yield from changes()
    for name, given in (
        ("nothing", b""),
        ("a text", b"VERIFIED"),
        ("cut off", good_statement()[:-1]),
        ("longer", good_statement() + b"\0"),
    ):
        yield {"name": name, "run": "verify", "data": given, "policy": None, "keys": []}
    for name, given in (("deep", container.pack(b"[" * 900 + b"]" * 900)), ("more than 32 MiB in 33 KiB", bomb())):
        yield {"name": name, "run": "verify", "data": given, "policy": None, "keys": []}


def bomb() -> bytes:
    """A file that is small until it is unpacked."""
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    body = deflate.compress(bytes(container.TEXT_BYTES_MAX + 1)) + deflate.flush() + bytes(8)
    return container.HEADER + sha256(body).digest() + body


def flips() -> Iterator[dict[str, Any]]:
    """One bit each: in the file, which the digest finds; and in the text, packed again, which the proofs must find."""
    packed, text = good_statement(), container.unpack(good_statement())
    for name, whole, count in (("file", packed, FILE_FLIPS), ("text", text, TEXT_FLIPS)):
        for number in range(count):
            changed, at = bytearray(whole), len(whole) * number // count
            changed[at] ^= 1 << number % 8
            given = bytes(changed) if name == "file" else container.pack(bytes(changed))
            yield {"name": f"byte {at} of the {name}", "run": "verify", "data": given, "policy": None, "keys": []}


def changes() -> Iterator[dict[str, Any]]:
    """Golden statements with one thing changed at a random place: members, list items, letters; also inside of what is base64."""
    chance = Random(SEED)
    golden = json.loads((GOLDEN / "ledger" / "statement.json").read_text())["good"]
    texts = [container.unpack(b64decode(vector["base64"])) for vector in golden]
    for number in range(CHANGES):
        document = json.loads(chance.choice(texts))
        place = change(document, chance)
        yield {
            "name": f"change {number} of seed {SEED}: {place}",
            "run": "verify",
            "data": container.pack(compact(document)),
            "policy": None,
            "keys": [],
        }


def compact(value: Any) -> bytes:
    """As canonical JSON is written, also where the value is outside of the profile."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def change(document: Any, chance: Random) -> str:
    """Change one thing below ``document``; its path."""
    path = chance.choice([path for path in paths(document) if path])
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    name, value = path[-1], parent[path[-1]]
    inner = inside(value)
    if inner is not None and chance.random() < 0.9:
        below = change(inner, chance)
        text = compact(inner)
        parent[name] = text.decode("utf-8", "surrogatepass") if value.startswith("{") else b64encode(text).decode()
        return f"{path} -> {below}"
    kind = chance.randrange(6)
    if kind == 0:
        del parent[name]
    elif kind == 1 and isinstance(parent, dict):
        parent[chance.choice(["zz", "__proto__", "\u00e9", ""])] = chance.choice(ODD)
    elif kind == 1:
        parent.insert(name, json.loads(json.dumps(value)))
    elif isinstance(value, str) and value and kind > 2:
        at = chance.randrange(len(value))
        parent[name] = value[:at] + chance.choice("aZ09+/=\n -{") + value[at + chance.randrange(2) :]
    elif type(value) is int and kind > 2:
        parent[name] = value + chance.choice([1, -1, 2**40])
    else:
        parent[name] = chance.choice(ODD)
    return str(path)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield from paths(below, (*path, step))


def inside(value: Any) -> Any:
    """The document in a line of a key log, or in the base64 of an entry or an agreement; None for another value."""
    if not isinstance(value, str) or len(value) < 100:
        return None
    try:
        text = value.encode() if value.startswith("{") else b64decode(value, validate=True)
        return json.loads(text)
    except ValueError:
        return None


def good_statement() -> bytes:
    """The first golden statement."""
    return b64decode(json.loads((GOLDEN / "ledger" / "statement.json").read_text())["good"][0]["base64"])


def python_says(case: dict[str, Any], folder: Path) -> str:
    """What ``python -m payouts.ledger ... --json`` prints about a case."""
    file, policy = folder / "file", folder / "policy"
    file.write_bytes(case["data"])
    more = [word for key in case["keys"] for word in ("--key", key)]
    if case["policy"] is not None:
        policy.write_bytes(case["policy"].encode())
        more += ["--policy", str(policy)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main([case["run"], str(file), "--json", *more])
    assert status == (0 if json.loads(said.getvalue())["verified"] else 1)
    return said.getvalue()
