"""Who signs what leaves: a local account, or the instance itself."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from federation.wire import keys, signing
from server.accounts import queries
from server.accounts.models import Account, AccountKey
from server.core import clock, hosts, locators
from server.core.keys import instance_key, unseal
from server.core.models import InstanceKey

MAIN_KEY = "main-key"


@dataclass(frozen=True)
class Signer:
    """A key of ours and the id under which others find its public half."""

    key_id: str
    private_key: rsa.RSAPrivateKey

    def sign(self, method: str, url: hosts.Url, *, body: bytes | None = None, content_type: str = "") -> dict[str, str]:
        """The signed headers of a request that is sent now."""
        return signing.sign(
            method=method,
            url=url,
            key_id=self.key_id,
            key=self.private_key,
            now=clock.now(),
            body=body,
            content_type=content_type,
        )


def key_id(actor_uri: str) -> str:
    """The id of an actor's RSA key."""
    return f"{actor_uri}#{MAIN_KEY}"


def signer_of(account: Account | None) -> Signer:
    """The signer of a local account, or of the instance actor for None. Raises NotFound for an account without key."""
    if account is None:
        row: InstanceKey | AccountKey = instance_key(MAIN_KEY, "rsa")
        return Signer(key_id(locators.instance_actor_uri()), keys.load_private(unseal(bytes(row.private_sealed))))
    row = queries.signing_key(account)
    return Signer(key_id(account.uri), keys.load_private(unseal(bytes(row.private_sealed))))
