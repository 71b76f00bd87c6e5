"""Somebody whose home is gone: her log, her words, and what her tool makes of them. The home need not exist any more."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import SigningKey

from server.core import clock
from server.identity import hostgrant, keylog, mnemonic, owner
from server.identity.keylog import PolicyLog
from server.identity.offer import Offer


@dataclass
class Wanderer:
    """Her newest log and the seed of her words."""

    log: PolicyLog
    seed: bytes

    @property
    def scid(self) -> str:
        return self.log.scid

    def move(self, offer: Offer, **more: Any) -> dict[str, Any]:
        """What her tool posts to the new home: the log with one more entry, and the grant. She has not moved by that."""
        log, grant = owner.move(self.log, seed=self.seed, offer=offer, now=clock.now(), loopback=True, **more)
        return {"log": log.data.decode().splitlines(), "grant": grant}

    def move_with(self, device: SigningKey, offer: Offer) -> dict[str, Any]:
        """As ``move``, but signed by a key of lower priority than her words, in the hands of whoever has it (and #user)."""
        log = keylog.move(self.log, home=offer.home, key=device, next_keys=[offer.root_key_hash], now=clock.now(), loopback=True)
        user = mnemonic.user_key(self.seed, 0)
        grant = hostgrant.make_host_grant(log, audience=offer.audience, nonce=offer.nonce, key=user, now=clock.now())
        return {"log": log.data.decode().splitlines(), "grant": grant}


def wanderer(
    name: str = "alice", *, origin: str = "http://localhost:8001", custody: str = "owner", device: SigningKey | None = None
) -> Wanderer:
    """``name`` lived at ``origin`` and has the keys herself; ``device`` is a key of lower priority than her words."""
    seed = mnemonic.seed(mnemonic.words(hashlib.sha256(name.encode()).digest()))
    host, _, port = origin.removeprefix("http://").partition(":")
    home = keylog.Home(
        host=host, port=int(port), path=("u", name), actor=f"{origin}/users/{name}", acct=f"acct:{name}@{host}:{port}",
        key=keylog.multikey_of(mnemonic.user_key(seed, 99)),
    )  # fmt: skip
    document = keylog.first_document(
        home, user_key=keylog.multikey_of(mnemonic.user_key(seed, 0)), custody=custody,
        box_key=owner.box_multikey(mnemonic.box_key(seed)),
    )  # fmt: skip
    log = keylog.genesis(
        document=document,
        key=mnemonic.paper_key(seed, 0),
        next_keys=[
            keylog.key_hash(owner.paper_multikey(seed, 1)),
            *([keylog.key_hash(keylog.multikey_of(device))] if device is not None else []),
        ],
        now=_past(),
        loopback=True,
    )
    return Wanderer(log, seed)


def _past() -> datetime:
    return clock.now() - timedelta(days=2)


def body_of(sent: dict[str, Any]) -> bytes:
    return json.dumps(sent).encode()
