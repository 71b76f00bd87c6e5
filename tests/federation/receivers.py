"""Other software as it receives a Move, after its code: faithful doubles that answer real HTTP. The old home is never reached.

Sources, read in the stored repositories:

- Mastodon 4.7 (and 3.4): ``app/lib/signed_request.rb`` (signature, date, ``expires``, digest), ``app/lib/activitypub/activity/
  move.rb`` (only the actor herself; a lock of 7 days that a refused Move lets go; only the target is fetched and must list the
  origin), ``app/services/activitypub/process_collection_service.rb`` (``different_actor?``: relayed by somebody else, it counts only
  by a proof), ``app/lib/activitypub/object_integrity_proof.rb`` (eddsa-jcs-2022 by a key that the actor listed).
- GoToSocial: ``internal/processing/workers/fromfediapi_move.go`` (a Move whose object is the requester; 5 minutes after an attempt
  and 7 days after a success for either URI; target refreshed, not moved on, aliased back).
- Misskey: ``ApInboxService.move`` ends in ``updatePerson(actor.uri)``, which fetches the *old* actor.
- PeerTube: ``server/core/lib/activitypub/inbox`` has 15 handlers; none for Move.

Nothing of ``federation.wire`` is used here: a mistake made twice in the same way would prove nothing.
"""

import base64
import hashlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import base58
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

WEEK = timedelta(days=7)
ACTIVITY = "application/activity+json"
_PARAMETER = re.compile(r'([A-Za-z]+)=(?:"([^"]*)"|([0-9]+))')


class Refused(Exception):
    """Why a request counts for nothing. ``status`` is what the sender is told."""

    def __init__(self, reason: str, status: int = 401) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Known:
    """A remote account as it was when it was fetched last: its keys by id, its names, whom it moved to."""

    uri: str
    rsa: dict[str, str] = field(default_factory=dict)
    ed25519: dict[str, str] = field(default_factory=dict)
    also_known_as: list[str] = field(default_factory=list)
    moved_to: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Known":
        """What is kept of an actor document."""
        key = document["publicKey"]
        methods = document.get("assertionMethod") or []
        return cls(
            uri=document["id"],
            rsa={key["id"]: key["publicKeyPem"]},
            ed25519={each["id"]: each["publicKeyMultibase"] for each in methods if each["controller"] == document["id"]},
            also_known_as=list(document.get("alsoKnownAs") or []),
            moved_to=document.get("movedTo") or "",
        )


class Receiver:
    """A server with an inbox. ``follows``: (local follower, whom). ``clock``: what it takes for now."""

    relayed = False

    def __init__(self, *known: Mapping[str, Any], follower: str = "bob") -> None:
        self.known = {document["id"]: Known.of(document) for document in known}
        self.follows = {(follower, uri) for uri in self.known}
        self.log: list[str] = []
        self.clock = lambda: datetime.now(UTC)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = receiver.receive(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.host = f"localhost:{self.http.server_address[1]}"
        self.inbox = f"http://{self.host}/inbox"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self.http.shutdown()
        self.http.server_close()

    def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """One request; the status of the answer."""
        try:
            signer = self.signer(path, headers, body)
            self.process(signer, json.loads(body))
        except Refused as error:
            self.log.append(str(error))
            return error.status
        return 202

    def process(self, signer: Known, activity: Mapping[str, Any]) -> None:
        """What the software does with an activity whose request ``signer`` signed."""
        raise NotImplementedError

    # --- app/lib/signed_request.rb; GoToSocial verifies the same draft with fewer demands ---

    def signer(self, path: str, headers: Mapping[str, str], body: bytes) -> Known:
        """Who signed the request: by the key in the cache, asked for again only when it does not fit."""
        parameters = {name: quoted or number for name, quoted, number in _PARAMETER.findall(headers.get("signature", ""))}
        if not parameters.get("keyId") or not parameters.get("signature"):
            raise Refused("not signed")
        self._check_time(parameters, headers)
        covered = parameters.get("headers", "date").lower().split()
        if "date" not in covered or "digest" not in covered or "(request-target)" not in covered or "host" not in covered:
            raise Refused("covers too little")
        if parameters.get("algorithm", "hs2019") not in {"rsa-sha256", "hs2019"}:
            raise Refused("unsupported algorithm")
        if headers.get("digest") != "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode():
            raise Refused("another body")
        if headers["host"] != self.host:
            raise Refused("for another host")
        text = "\n".join(
            f"(request-target): post {path}" if name == "(request-target)" else f"{name}: {headers[name]}" for name in covered
        )
        account = self._owner(parameters["keyId"])
        pem = account.rsa.get(parameters["keyId"], "")
        if not pem or not _rsa_holds(pem, text.encode(), base64.b64decode(parameters["signature"])):
            account = self._fetch(account.uri)
            pem = account.rsa.get(parameters["keyId"], "")
            if not pem or not _rsa_holds(pem, text.encode(), base64.b64decode(parameters["signature"])):
                raise Refused("the signature does not hold")
        return account

    def _check_time(self, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
        created = parsedate_to_datetime(headers["date"])
        expires = created + timedelta(minutes=5)
        if "expires" in parameters:
            expires = datetime.fromtimestamp(int(parameters["expires"]), UTC)
        expires = min(expires, created + timedelta(hours=12))
        now, skew = self.clock(), timedelta(hours=1)
        if created > now + skew or now > expires + skew:
            raise Refused("date outside the window")

    def _owner(self, key_id: str) -> Known:
        found = [account for account in self.known.values() if key_id in account.rsa or key_id in account.ed25519]
        return found[0] if found else self._fetch(key_id.partition("#")[0])

    def _fetch(self, uri: str) -> Known:
        """The actor as her own server describes her now. Raises Refused when it does not answer."""
        request = urllib.request.Request(uri, headers={"Accept": ACTIVITY})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                document = json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise Refused(f"{uri} cannot be fetched: {error}") from error
        self.known[uri] = Known.of(document)
        return self.known[uri]

    def repoint(self, old: str, new: str) -> None:
        """Each local follower of the old account follows the new one."""
        for follower, target in list(self.follows):
            if target == old:
                self.follows.discard((follower, old))
                self.follows.add((follower, new))


class Mastodon(Receiver):
    """``version`` 4.7 believes a FEP-8b32 proof in what somebody else relays; before, only an LD signature, which is never sent."""

    def __init__(self, *known: Mapping[str, Any], version: tuple[int, int] = (4, 7), **more: Any) -> None:
        super().__init__(*known, **more)
        self.version = version
        self.locked: dict[str, datetime] = {}

    def process(self, signer: Known, activity: Mapping[str, Any]) -> None:
        actor = signer if activity["actor"] == signer.uri else self._proven(activity)
        if actor is None:
            # Its answer is 202 all the same: ProcessActivityService returns without a word.
            self.log.append("relayed, and not proven")
            return
        if activity["type"] == "Move":
            self._move(actor, activity)

    def _proven(self, activity: Mapping[str, Any]) -> Known | None:
        """object_integrity_proof.rb, by a key from the cache."""
        proof = activity.get("proof")
        if self.version < (4, 7) or not isinstance(proof, dict) or proof.get("cryptosuite") != "eddsa-jcs-2022":
            return None
        if proof.get("type") != "DataIntegrityProof" or proof.get("proofPurpose") != "assertionMethod":
            return None
        owner = self._owner(str(proof["verificationMethod"]))
        multikey = owner.ed25519.get(str(proof["verificationMethod"]), "")
        unsecured = {name: value for name, value in activity.items() if name != "proof"}
        options = {name: value for name, value in proof.items() if name != "proofValue"}
        if options.get("@context"):
            context = unsecured["@context"]
            if not isinstance(context, list) or context[: len(options["@context"])] != options["@context"]:
                return None
            unsecured["@context"] = options["@context"]
        signed = b"".join(hashlib.sha256(rfc8785.dumps(part)).digest() for part in (options, unsecured))
        try:
            key = ed25519.Ed25519PublicKey.from_public_bytes(base58.b58decode(multikey[1:])[2:])
            key.verify(base58.b58decode(proof["proofValue"][1:]), signed)
        except (ValueError, InvalidSignature):
            return None
        return owner if owner.uri == activity["actor"] else None

    def _move(self, origin: Known, activity: Mapping[str, Any]) -> None:
        """move.rb, line by line."""
        if origin.uri != activity["object"]:
            return
        if self.locked.get(origin.uri, datetime.min.replace(tzinfo=UTC)) > self.clock():
            self.log.append("a Move in the last 7 days")
            return
        self.locked[origin.uri] = self.clock() + WEEK
        try:
            target = self._fetch(activity["target"])
        except Refused:
            del self.locked[origin.uri]
            raise
        if origin.uri not in target.also_known_as:
            self.log.append("the target does not name the origin")
            del self.locked[origin.uri]
            return
        origin.moved_to = target.uri
        self.repoint(origin.uri, target.uri)


class GoToSocial(Receiver):
    """Takes an activity from nobody but its actor; inboxes are personal."""

    def __init__(self, *known: Mapping[str, Any], **more: Any) -> None:
        super().__init__(*known, **more)
        self.inbox = f"http://{self.host}/users/bob/inbox"
        self.attempted: list[tuple[datetime, str, str]] = []
        self.succeeded: list[tuple[datetime, str, str]] = []

    def process(self, signer: Known, activity: Mapping[str, Any]) -> None:
        if activity["actor"] != signer.uri:
            raise Refused("the requester is not the actor", 403)
        if activity["type"] != "Move":
            return
        origin, target_uri = activity["object"], activity["target"]
        if origin != signer.uri:
            raise Refused("object is not the requester", 403)
        for limit, moves in ((timedelta(minutes=5), self.attempted), (WEEK, self.succeeded)):
            if any({origin, target_uri} & {one, two} and self.clock() - at < limit for at, one, two in moves):
                self.log.append("rate limited")
                return
        self.attempted.append((self.clock(), origin, target_uri))
        target = self._fetch(target_uri)
        if target.moved_to or origin not in target.also_known_as:
            self.log.append("the target has moved, or is not aliased to the origin")
            return
        self.repoint(origin, target_uri)
        self.succeeded.append((self.clock(), origin, target_uri))


class Misskey(Receiver):
    """Asks the old actor, whatever the signature says."""

    def process(self, signer: Known, activity: Mapping[str, Any]) -> None:
        if activity["type"] != "Move" or activity["actor"] != signer.uri:
            return
        old = self._fetch(signer.uri)
        if old.moved_to:
            self.repoint(old.uri, old.moved_to)


class PeerTube(Receiver):
    """Has no handler for Move."""

    def process(self, signer: Known, activity: Mapping[str, Any]) -> None:
        if activity["type"] == "Move":
            self.log.append("unknown activity type")


def _rsa_holds(pem: str, text: bytes, signature: bytes) -> bool:
    key: Any = serialization.load_pem_public_key(pem.encode())
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
