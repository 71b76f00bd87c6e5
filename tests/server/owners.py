"""Somebody who takes her keys, as her browser does it: words, the two steps, the check of what comes back."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from server.accounts.models import Account
from server.core import clock, proofs
from server.identity import keylog, mnemonic, owner
from tests.server.calls import Answer, Api
from tests.world import PASSWORD


@dataclass
class Owner:
    """An account and the words that are hers alone."""

    account: Account
    words: str

    @property
    def seed(self) -> bytes:
        return mnemonic.seed(self.words)

    @property
    def keys(self) -> dict[str, str]:
        return {
            "user_key": keylog.multikey_of(mnemonic.user_key(self.seed, 0)),
            "box_key": owner.box_multikey(mnemonic.box_key(self.seed)),
            "paper_key_hash": keylog.key_hash(owner.paper_multikey(self.seed, 0)),
        }

    def prepare(self, **more: Any) -> dict[str, Any]:
        """The entry that the server prepares."""
        answer = Api(self.account).post("me/identity/custody", {**self.keys, **more})
        assert answer.status == 200, answer.body
        return answer.body["entry"]

    def proof(self, entry: dict[str, Any]) -> dict[str, Any]:
        method = next(one["id"] for one in entry["state"]["verificationMethod"] if "#user-" in one["id"])
        key = mnemonic.user_key(self.seed, 0)
        return proofs.create_proof(entry, key=key, verification_method=method, created=clock.now())

    def finish(self, prepared: dict[str, Any], **more: Any) -> Answer:
        """The second step, with what it is not: each try starts with a fresh budget of passwords."""
        cache.clear()
        return self.try_to_finish(prepared, **more)

    def try_to_finish(self, prepared: dict[str, Any], **more: Any) -> Answer:
        sent = {"entry": prepared, "proof": self.proof(prepared), "password": PASSWORD, **more}
        return Api(self.account).post("me/identity/custody/finish", sent)

    def take(self, **more: Any) -> Answer:
        """Both steps."""
        return self.finish(self.prepare(**more))


def owner_of(account: Account, name: str = "mine") -> Owner:
    return Owner(account, mnemonic.words(hashlib.sha256(name.encode()).digest()))
