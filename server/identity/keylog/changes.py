"""What happens to an identity, each as one log entry: its home's key changes, it moves, its keys change hands, it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nacl.signing import SigningKey

from server.identity.keylog import limits
from server.identity.keylog.append import append
from server.identity.keylog.did import make_did
from server.identity.keylog.document import Document, NumberedKey, build, read
from server.identity.keylog.replay import PolicyLog


@dataclass(frozen=True)
class Home:
    """A place where an identity lives: ``key`` is the Multikey the home server made for this one person."""

    host: str
    path: tuple[str, ...]
    actor: str
    acct: str
    key: str
    port: int | None = None

    def did(self, scid: str) -> str:
        """The did:webvh of ``scid`` at this home."""
        return make_did(scid, host=self.host, port=self.port, path=self.path)


def first_document(home: Home, *, user_key: str, custody: str, box_key: str | None = None) -> Document:
    """The document of a new identity at ``home``, for ``append.genesis``."""
    return Document(
        did=home.did("{SCID}"),
        actor=home.actor,
        acct=home.acct,
        user=NumberedKey(1, user_key),
        home=NumberedKey(1, home.key),
        box=NumberedKey(1, box_key) if box_key is not None else None,
        custody=custody,
    )


def rotate_home(
    log: PolicyLog, *, home_key: str, key: SigningKey, next_keys: Sequence[str], now: datetime, loopback: bool = False
) -> PolicyLog:
    """The home server's key becomes ``home_key``; what the old one signs from now on counts no more."""
    document = read(log.head.entry.state)
    changed = replace(document, home=document.home.after(home_key))
    return append(log, state=build(changed), key=key, next_keys=next_keys, now=now, loopback=loopback)


def rotate_user(
    log: PolicyLog, *, user_key: str, key: SigningKey, next_keys: Sequence[str], now: datetime, loopback: bool = False
) -> PolicyLog:
    """The person's key becomes ``user_key``. Payouts freeze (``waits.payout_freeze``)."""
    document = read(log.head.entry.state)
    changed = replace(document, user=document.user.after(user_key))
    return append(log, state=build(changed), key=key, next_keys=next_keys, now=now, loopback=loopback)


def name_replicas(
    log: PolicyLog,
    *,
    replicas: Sequence[str],
    key: SigningKey,
    next_keys: Sequence[str],
    now: datetime,
    loopback: bool = False,
) -> PolicyLog:
    """The identity names who keeps copies of its log: addresses of did:webvh watchers, as services and as ``watchers``."""
    changed = replace(read(log.head.entry.state), replicas=tuple(replicas))
    named = {"watchers": list(replicas)}
    return append(log, state=build(changed), key=key, next_keys=next_keys, now=now, changes=named, loopback=loopback)


def move(
    log: PolicyLog,
    *,
    home: Home,
    key: SigningKey,
    next_keys: Sequence[str],
    now: datetime,
    user_key: str | None = None,
    loopback: bool = False,
) -> PolicyLog:
    """The identity lives at ``home`` from now on: new id, the old one in alsoKnownAs, new home key (V10).

    Under server custody ``next_keys`` are the new server's, so that from the next entry on it alone can write.
    """
    document = read(log.head.entry.state)
    did = home.did(log.scid)
    # A name may come back when somebody returns to an earlier home; it is then no longer a prior one.
    prior = dict.fromkeys([*document.prior, document.did, document.actor])
    kept = [name for name in prior if name not in (did, home.actor)]
    changed = replace(
        document,
        did=did,
        actor=home.actor,
        acct=home.acct,
        prior=tuple(kept[-(limits.ALIASES_MAX - 2) :]),
        home=document.home.after(home.key),
        user=document.user if user_key is None else document.user.after(user_key),
    )
    return append(log, state=build(changed), key=key, next_keys=next_keys, now=now, loopback=loopback)


def give_to_owner(
    log: PolicyLog,
    *,
    user_key: str,
    box_key: str,
    key: SigningKey,
    next_keys: Sequence[str],
    now: datetime,
    loopback: bool = False,
) -> PolicyLog:
    """Custody changes from the server to the owner: the server signs with its last key, and commits to the owner's.

    ``next_keys``: the owner's paper key first, then a device key, then (if wanted) the server's as custodian, which the
    carry-over rule keeps from ever evicting the two before it.
    """
    document = read(log.head.entry.state)
    changed = replace(
        document,
        custody="owner",
        user=document.user.after(user_key),
        box=NumberedKey(1, box_key) if document.box is None else document.box.after(box_key),
    )
    return append(log, state=build(changed), key=key, next_keys=next_keys, now=now, loopback=loopback)


def deactivate(log: PolicyLog, *, key: SigningKey, now: datetime, loopback: bool = False) -> PolicyLog:
    """The identity ends. Only the key of highest priority can do this, and nothing can follow (V8b, V12)."""
    state = log.head.entry.state
    return append(log, state=state, key=key, next_keys=(), now=now, changes={"deactivated": True}, loopback=loopback)
