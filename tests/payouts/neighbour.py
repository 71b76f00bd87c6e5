"""Another instance's ledger behind real HTTP: a log in memory, its files, its statements and its witness."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from payouts import offers
from payouts.ledger import canonical
from payouts.ledger.checkpoint import open_checkpoint
from payouts.ledger.follower import Pin, first_pin
from payouts.ledger.note import VerifierKey
from payouts.ledger.witness import judge, parse_request
from tests.payouts.ledger_world import NOW as TIME
from tests.payouts.ledger_world import Instance, Log, statement_of

NOW = 1_800_000_000


class Neighbour:
    """Serves ``log``; what it shows can be changed by a test: ``note`` (a checkpoint) and ``files``."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.origin = f"http://{self.host}"
        self.instance = Instance(self.host)
        self.log = Log(self.instance)
        self.note: bytes | None = None
        self.statements: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        # Paths (without /) of its other files: its copies of others' logs, for one.
        self.shown: dict[str, bytes] = {}
        # Where it says its ledger is: in NodeInfo, in its actor's document, or nowhere.
        self.tells = "nodeinfo"
        # Of the logs that it witnesses: origin -> (keys, pin), and the note it last cosigned.
        self.pins: dict[str, tuple[list[VerifierKey], Pin]] = {}
        self.seen: dict[str, bytes] = {}
        self.asked: list[str] = []
        # Its default agreement, as it publishes it; and what it answers to whoever signed that (``countersigned`` by default).
        self.offer: bytes | None = None
        self.take: Callable[[bytes], tuple[int, bytes]] = lambda body: (200, self.countersigned(body))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def follow(self, origin: str, vkey: VerifierKey) -> None:
        self.pins[origin] = ([vkey], first_pin(origin))

    def checkpoint(self) -> bytes:
        return self.note if self.note is not None else self.log.checkpoint().data

    def show_statement(self, scid: str, lines: Any) -> bytes:
        self.statements[scid] = statement_of(scid, lines, self.log)
        return self.statements[scid]

    def _tell(self, path: str) -> bytes:
        if path == "/.well-known/nodeinfo":
            rel = "http://nodeinfo.diaspora.software/ns/schema/2.1"
            links = [
                {"rel": rel, "href": f"{self.origin}/nodeinfo/2.1"},
                {"rel": "https://www.w3.org/ns/activitystreams#Application", "href": f"{self.origin}/actor"},
            ]
            return json.dumps({"links": links}).encode()
        ledger = {"origin": self.instance.origin, "url": f"{self.origin}/ledger/1", "vkey": str(self.instance.ledger.verifier)}
        told = {"ledger": ledger} if path == f"/{self.tells}" or (path, self.tells) == ("/nodeinfo/2.1", "nodeinfo") else {}
        return json.dumps({"metadata": told} if path == "/nodeinfo/2.1" else told).encode()

    def get(self, path: str) -> tuple[int, bytes]:
        if path in ("/.well-known/nodeinfo", "/nodeinfo/2.1", "/actor"):
            return 200, self._tell(path)
        if path == "/ledger/1/checkpoint":
            return 200, self.checkpoint()
        name = path.removeprefix("/ledger/1/")
        if name in self.log.files:
            return 200, self.log.files[name]
        if name.removeprefix("blob/") in self.blobs:
            return 200, self.blobs[name.removeprefix("blob/")]
        if name == "offer" and self.offer is not None:
            return 200, self.offer
        if path.removeprefix("/") in self.shown:
            return 200, self.shown[path.removeprefix("/")]
        scid = name.removeprefix("statement/")
        if scid in self.statements:
            return 200, self.statements[scid]
        for origin, note in self.seen.items():
            from hashlib import sha256

            if path == f"/ledger/peers/{sha256(origin.encode()).hexdigest()}/checkpoint":
                return 200, note
        return 404, b"not here\n"

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/ledger/1/agreements":
            return self.take(body)
        if path != "/ledger/witness/add-checkpoint":
            return 404, b""
        request = parse_request(body)
        keys, pin = self.pins.get(request.origin, ([], first_pin(request.origin)))
        answer = judge(request, pin=pin, log_keys=keys, signer=self.instance.witness, timestamp=NOW)
        if answer.pin is not None:
            self.pins[request.origin] = keys, answer.pin
            self.seen[request.origin] = request.note
        return answer.status, answer.body.encode()

    def countersigned(self, body: bytes) -> bytes:
        """The agreement with the signature of this instance as well."""
        method = f"{self.instance.actor}#instance-1"
        return canonical.encode(
            offers.sign(json.loads(body), key=self.instance.instance_key, verification_method=method, created=TIME)
        )

    def sees(self, note: bytes, keys: list[VerifierKey], origin: str) -> None:
        """It has seen this head of a log."""
        signed = open_checkpoint(note, origin=origin, log_keys=keys)
        self.pins[origin] = keys, Pin(origin, signed.checkpoint.size, signed.checkpoint.root)
        self.seen[origin] = note

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(neighbour: Neighbour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            neighbour.asked.append(self.path)
            self._say(*neighbour.get(self.path))

        def do_POST(self) -> None:
            neighbour.asked.append(self.path)
            self._say(*neighbour.post(self.path, self.rfile.read(int(self.headers["content-length"]))))

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
