"""Other servers, played: people with keys who sign requests, and a real HTTP server that answers for them.

The signing here is written anew, straight from the draft, and shares nothing with ``federation.wire``: a mistake made
twice in the same way would prove nothing.
"""

import base64
import functools
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.world import rsa_pair

OUR_HOST = "localhost:8000"
ACTIVITY = "application/activity+json"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
AS = "https://www.w3.org/ns/activitystreams"


@dataclass
class Request:
    """A POST about to be sent; tests spoil one part of it."""

    path: str
    body: bytes
    headers: dict[str, str]

    def send(self, client: Any) -> Any:
        """Through Django's whole request cycle, as the bytes it is."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"content-type", "content-length"}}
        return client.post(self.path, data=self.body, content_type=self.headers.get("Content-Type", ""), headers=headers)


@dataclass
class Person:
    """Somebody on another server who can sign."""

    uri: str
    name: str
    key_id: str = ""

    def __post_init__(self) -> None:
        self.key_id = self.key_id or f"{self.uri}#main-key"

    @property
    def origin(self) -> str:
        return "/".join(self.uri.split("/")[:3])

    def activity(self, kind: str, object_: Any, **fields: Any) -> dict[str, Any]:
        """An activity with an id nobody has used."""
        number = hashlib.sha256(f"{kind}{object_}{fields}{self.uri}{threading.get_ident()}{next(_numbers)}".encode()).hexdigest()[
            :16
        ]
        return {
            "@context": AS,
            "id": f"{self.origin}/activities/{number}",
            "type": kind,
            "actor": self.uri,
            "object": object_,
            "to": [PUBLIC],
            **fields,
        }

    def note(self, slug: str, **fields: Any) -> dict[str, Any]:
        """A public Note of hers with a video."""
        return {
            "id": f"{self.uri}/posts/{slug}",
            "type": "Note",
            "attributedTo": self.uri,
            "content": "<p>From afar <a href='https://peer.example/tags/sea'>#sea</a></p>",
            "url": f"{self.uri}/posts/{slug}/page",
            "published": "2026-11-20T10:00:00Z",
            "to": [PUBLIC],
            "cc": [f"{self.uri}/followers"],
            "attachment": [
                {
                    "type": "Document",
                    "mediaType": "video/mp4",
                    "url": f"{self.origin}/media/{slug}.mp4",
                    "name": "Waves",
                    "width": 1080,
                    "height": 1920,
                    "duration": "PT12S",
                    "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
                    "icon": {"type": "Image", "url": f"{self.origin}/media/{slug}.jpg"},
                }
            ],
            "tag": [{"type": "Hashtag", "name": "#sea", "href": f"{self.origin}/tags/sea"}],
            **fields,
        }

    def sign(self, text: bytes) -> str:
        return base64.b64encode(_private(self.name).sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()

    def request(
        self,
        activity: Mapping[str, Any] | bytes,
        *,
        path: str = "/inbox",
        host: str = OUR_HOST,
        at: datetime | None = None,
        covered: str = "(request-target) host date digest content-type",
        key_id: str | None = None,
        algorithm: str | None = "rsa-sha256",
        method: str = "post",
        values: Mapping[str, str] | None = None,
        extra: str = "",
    ) -> Request:
        """A signed POST of ``activity``; ``values`` replaces header values before signing."""
        body = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        headers = {
            "Host": host,
            "Date": format_datetime((at or datetime.now(UTC)).replace(microsecond=0), usegmt=True),
            "Digest": "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode(),
            "Content-Type": ACTIVITY,
            **(values or {}),
        }
        lower = {name.lower(): value for name, value in headers.items()}
        lines = [
            f"(request-target): {method} {path}" if name == "(request-target)" else f"{name}: {lower[name]}"
            for name in covered.split()
            if name in lower or name == "(request-target)"
        ]
        signature = self.sign("\n".join(lines).encode())
        named = f'algorithm="{algorithm}",' if algorithm else ""
        headers["Signature"] = f'keyId="{key_id or self.key_id}",{named}headers="{covered}",{extra}signature="{signature}"'
        return Request(path, body, headers)

    def document(self, **changes: Any) -> dict[str, Any]:
        """Her actor document."""
        return {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": self.uri,
            "type": "Person",
            "preferredUsername": self.name,
            "name": self.name.title(),
            "summary": "<p>Hello<script>alert(1)</script></p>",
            "url": f"{self.origin}/@{self.name}",
            "inbox": f"{self.uri}/inbox",
            "outbox": f"{self.uri}/outbox",
            "followers": f"{self.uri}/followers",
            "endpoints": {"sharedInbox": f"{self.origin}/inbox"},
            "publicKey": {"id": self.key_id, "owner": self.uri, "publicKeyPem": rsa_pair(self.name)[1]},
            **changes,
        }


@functools.cache
def _private(name: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(rsa_pair(name)[0].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


_numbers = itertools.count()


def dora() -> Person:
    """Dora of the test world, whose actor is known here."""
    return Person("https://peer.example/users/dora", "dora")


@dataclass
class Answer:
    """What the played server says at one path."""

    body: bytes = b""
    status: int = 200
    content_type: str = ACTIVITY
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Received:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _ManyAtOnce(ThreadingHTTPServer):
    request_queue_size = 128


class Server:
    """A real HTTP server on loopback. ``host`` is ``NAME.localhost:PORT``, so several servers may live in one."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer | Callable[[Received], Answer]] = {}
        self.received: list[Received] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Received(
                    self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)
                )
                played.received.append(request)
                answer = played.find(request)
                self.send_response(answer.status)
                for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do  # noqa: N815 (the names that the standard library calls)

            def log_message(self, *args: object) -> None:
                pass

        self.http = _ManyAtOnce(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def find(self, request: Received) -> Answer:
        answer = self.answers.get((request.headers.get("host", ""), request.path)) or self.answers.get(("", request.path))
        if answer is None:
            return Answer(b"no such thing", 404, "text/plain")
        return answer if isinstance(answer, Answer) else answer(request)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def host(self, name: str = "peer") -> str:
        return f"{name}.localhost:{self.port}"

    def url(self, path: str, name: str = "peer") -> str:
        return f"http://{self.host(name)}{path}"

    def serve(
        self, url_or_path: str, document: Mapping[str, Any], *, content_type: str = ACTIVITY, status: int = 200, **headers: str
    ) -> None:
        """Answer ``document`` at a path (of one host, when a whole URL is given)."""
        host, path = "", url_or_path
        if "://" in url_or_path:
            host, _, path = url_or_path.partition("://")[2].partition("/")
            path = f"/{path}"
        self.answers[host, path] = Answer(json.dumps(document).encode(), status, content_type, dict(headers))

    def person(self, handle: str, *, on: str = "peer", **changes: Any) -> Person:
        """Somebody who lives here: actor document and WebFinger are served."""
        person = Person(self.url(f"/users/{handle}", on), handle)
        self.serve(person.uri, person.document(**changes))
        self.webfinger(handle, person.uri, on=on)
        return person

    def webfinger(self, name: str, uri: str, *, on: str = "peer", subject: str = "") -> None:
        self.serve(
            self.url(f"/.well-known/webfinger?resource=acct:{name}@{self.host(on)}", on),
            {"subject": subject or f"acct:{name}@{self.host(on)}", "links": [{"rel": "self", "type": ACTIVITY, "href": uri}]},
            content_type="application/jrd+json",
        )

    def posts(self) -> list[Received]:
        return [request for request in self.received if request.method == "POST"]

    def gets(self, path: str = "") -> list[Received]:
        return [request for request in self.received if request.method == "GET" and request.path.startswith(path)]


def old(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)
