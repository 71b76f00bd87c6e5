"""A witness that is no Tributary: C2SP tlog-witness, tlog-cosignature and RFC 6962 from their texts, and nothing of our code."""

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

NOW = 1_800_000_000


class Refused(Exception):
    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


class C2spWitness:
    """``logs``: origin -> verifier key. ``monitoring``: does it show what it has seen? ``answers``: statuses it gave."""

    def __init__(self, name: str = "witness.example/w1", *, monitoring: bool = False) -> None:
        self.name, self.monitoring = name, monitoring
        self.key = SigningKey(hashlib.sha256(name.encode()).digest())
        self.logs: dict[str, str] = {}
        self.heads: dict[str, tuple[int, bytes, bytes]] = {}
        self.answers: list[int] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/w"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def vkey(self) -> str:
        data = b"\x04" + bytes(self.key.verify_key)
        return f"{self.name}+{key_id(self.name, data).hex()}+{base64.b64encode(data).decode()}"

    def add_checkpoint(self, body: bytes) -> str:
        header, _, note = body.partition(b"\n\n")
        first, *proof = header.decode().split("\n")
        if not first.startswith("old ") or len(proof) > 63:
            raise Refused(400)
        old = int(first.removeprefix("old "))
        text, _, signatures = note.decode().rpartition("\n\n")
        text += "\n"
        origin, size_line, root_line, *_ = text.split("\n")
        size, root = int(size_line), base64.b64decode(root_line)
        if origin not in self.logs:
            raise Refused(404)
        check_signature(self.logs[origin], text, signatures)
        if old > size:
            raise Refused(400)
        with self.lock:
            known, known_root, _ = self.heads.get(origin, (0, b"", b""))
            if old != known or (size == known and known and root != known_root):
                raise Refused(409, f"{known}\n")
            if not is_consistent(known, size, known_root, root, [base64.b64decode(line) for line in proof]):
                raise Refused(422)
            self.heads[origin] = size, root, note
        stamp = NOW.to_bytes(8, "big")
        signed = self.key.sign(f"cosignature/v1\ntime {NOW}\n{text}".encode()).signature
        data = b"\x04" + bytes(self.key.verify_key)
        return f"\u2014 {self.name} {base64.b64encode(key_id(self.name, data) + stamp + signed).decode()}\n"

    def shown(self, digest: str) -> bytes:
        for origin, (_, _, note) in self.heads.items():
            if self.monitoring and hashlib.sha256(origin.encode()).hexdigest() == digest:
                return note
        raise Refused(404)


def key_id(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]


def check_signature(vkey: str, text: str, signatures: str) -> None:
    name, _, rest = vkey.partition("+")
    data = base64.b64decode(rest.partition("+")[2])
    for line in signatures.splitlines():
        _, who, value = line.split(" ")
        signed = base64.b64decode(value)
        if who == name and signed[:4] == key_id(name, data):
            try:
                VerifyKey(data[1:]).verify(text.encode(), signed[4:])
            except BadSignatureError:
                raise Refused(403) from None
            return
    raise Refused(403)


def is_consistent(first: int, second: int, first_root: bytes, second_root: bytes, proof: list[bytes]) -> bool:
    """RFC 9162 2.1.4.2."""
    if first == 0:
        return not proof
    if first == second:
        return not proof and first_root == second_root
    if not proof:
        return False
    if first & (first - 1) == 0:
        proof = [first_root, *proof]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for one in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(one, fr), node(one, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, one)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr, sn) == (first_root, second_root, 0)


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _handler(witness: C2spWitness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._say(lambda: witness.add_checkpoint(body).encode() if self.path == "/w/add-checkpoint" else b"")

        def do_GET(self) -> None:
            self._say(lambda: witness.shown(self.path.split("/")[-2]))

        def _say(self, answer: Any) -> None:
            status, body, kind = 200, b"", "text/plain"
            try:
                body = answer()
            except Refused as refusal:
                status, body = refusal.status, refusal.body.encode()
                kind = "text/x.tlog.size" if status == 409 else kind
            witness.answers.append(status)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
