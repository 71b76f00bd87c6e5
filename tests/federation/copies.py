"""Grace, who holds her own keys, and her log: for the tests of copies, forks and receipts."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.accounts.models import Account, Follow
from server.core import canonical, clock, proofs
from server.identity import keylog
from tests.pure.identities import box, commit, key, public

ROOT = "/.well-known/webvh"


class Grace:
    """``log`` is her log; each verb gives a longer one and stores nothing. Her paper key comes before her device key."""

    def __init__(self, host: str = "peer.example", *, port: int | None = None, past: timedelta = timedelta(days=10)) -> None:
        self.host, self.port = host, port
        self.past = clock.now() - past
        self.log = keylog.genesis(
            document=keylog.first_document(self.home(host, "home-1"), user_key=public("user-1"), custody="owner", box_key=box("box")),
            key=key("root-1"), next_keys=commit("paper-1", "device-1"), now=self.past, loopback=True,
        )  # fmt: skip

    def home(self, host: str, home_key: str) -> keylog.Home:
        scheme = "http" if self.port else "https"
        authority = f"{host}:{self.port}" if self.port else host
        return keylog.Home(
            host=host, port=self.port, path=("u", "grace"), key=public(home_key),
            actor=f"{scheme}://{authority}/users/grace", acct=f"acct:grace@{authority}",
        )  # fmt: skip

    @property
    def scid(self) -> str:
        return self.log.scid

    def change(
        self, home_key: str, *, by: str = "paper-1", after: keylog.PolicyLog | None = None, at: datetime | None = None
    ) -> keylog.PolicyLog:
        """Her home's key becomes ``home_key``, which makes each change another; signed by ``by``."""
        name, number = by.split("-")
        return keylog.rotate_home(
            after or self.log, home_key=public(home_key), key=key(by),
            next_keys=commit(f"{name}-{int(number) + 1}", *(["device-1"] if name == "paper" else [])),
            now=at or self.past + timedelta(days=1), loopback=True,
        )  # fmt: skip

    def move(self, host: str, *, by: str = "paper-1", after: keylog.PolicyLog | None = None) -> keylog.PolicyLog:
        """She lives at ``host``."""
        return keylog.move(
            after or self.log, home=self.home(host, "home-9"), key=key(by), next_keys=commit("paper-2", "device-1"),
            now=self.past + timedelta(days=2), loopback=True,
        )  # fmt: skip

    def names(self, *endpoints: str) -> keylog.PolicyLog:
        """Her log names replicas."""
        return keylog.name_replicas(
            self.log, replicas=endpoints, key=key("paper-1"), next_keys=commit("paper-2", "device-1"),
            now=self.past + timedelta(days=1), loopback=True,
        )  # fmt: skip

    def followed_by(self, follower: Account) -> Account:
        """Somebody here follows her."""
        uri = f"https://{self.host}/users/grace"
        account, _ = Account.objects.get_or_create(uri=uri, defaults={"handle": "grace", "domain": self.host, "scid": self.scid})
        Follow.objects.get_or_create(follower=follower, target=account, defaults={"state": "accepted", "uri": f"{uri}/f"})
        return account


def presentation(signer: SigningKey, *, challenge: str, domain: str, at: datetime, **changes: Any) -> bytes:
    """What the owner signs to have a copy deleted."""
    multikey = keylog.multikey_of(signer)
    document = {"@context": ["https://www.w3.org/ns/credentials/v2"], "type": "VerifiablePresentation"}
    config = {
        "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "verificationMethod": f"did:key:{multikey}",
        "proofPurpose": "authentication", "created": canonical.time_text(at), "challenge": challenge, "domain": domain,
        "@context": document["@context"], **changes,
    }  # fmt: skip
    signed = proofs._hash_data(canonical.jcs(document), config)
    return json.dumps(
        {**document, "proof": {**config, "proofValue": canonical.multibase(signer.sign(signed).signature)}}
    ).encode()


def instance_key(actor: Mapping[str, Any]) -> bytes:
    """The ``#instance-1`` that an instance actor lists."""
    (method,) = actor["assertionMethod"]
    assert (method["id"], method["controller"]) == (f"{actor['id']}#instance-1", actor["id"])
    return canonical.multikey_ed25519_decode(method["publicKeyMultibase"])
