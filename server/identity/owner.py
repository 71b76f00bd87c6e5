"""What the holder of the words does to her identity, each as one log entry signed with a paper key. Pure.

``server/web/static/identity/owner.js`` does the same in the browser, to the byte. Every entry spends the paper key that the log
committed to and commits to the next one of the words; keys of lower priority (a device's, a custodian's) are dropped unless
they are asked for.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from server.core import canonical
from server.core.errors import Conflict, WrongState
from server.identity import hostgrant, keylog, mnemonic, moverequests
from server.identity.keylog import PolicyLog
from server.identity.offer import Offer


class NotTheseWords(WrongState):
    """These words do not hold the next key of this identity."""

    code = "not_these_words"


@dataclass(frozen=True)
class Standing:
    """Where the words stand in a log: the number of the paper key it waits for, and of the ``#user`` key it names, if any."""

    paper: int | None
    user: int | None


def standing(log: PolicyLog, seed: bytes) -> Standing:
    """What of ``log`` belongs to the words of ``seed``."""
    document = keylog.read(log.head.entry.state)
    # Each entry spends at most one key of a kind.
    numbers = range(len(log.versions) + 1)
    committed = log.head.parameters.next_key_hashes
    paper = (number for number in numbers if keylog.key_hash(paper_multikey(seed, number)) in committed)
    user = (number for number in numbers if keylog.multikey_of(mnemonic.user_key(seed, number)) == document.user.multikey)
    return Standing(next(paper, None), next(user, None))


def paper_multikey(seed: bytes, number: int) -> str:
    """The public half of the n-th paper key."""
    return keylog.multikey_of(mnemonic.paper_key(seed, number))


def box_multikey(box: PrivateKey) -> str:
    """The public half of a ``#box`` key."""
    return canonical.multikey_x25519(bytes(box.public_key))


def rotate(log: PolicyLog, *, seed: bytes, now: datetime, loopback: bool = False) -> PolicyLog:
    """Spend the paper key and commit to the next one; nothing else changes. Raises NotTheseWords."""
    key, following = _paper(log, seed)
    return keylog.append(log, state=log.head.entry.state, key=key, next_keys=[following], now=now, loopback=loopback)


def recover(log: PolicyLog, *, seed: bytes, now: datetime, loopback: bool = False) -> PolicyLog:
    """Take the identity back: a new ``#user`` key, custody with the owner. Raises NotTheseWords."""
    key, following = _paper(log, seed)
    user = standing(log, seed).user
    return keylog.give_to_owner(
        log,
        user_key=keylog.multikey_of(mnemonic.user_key(seed, 0 if user is None else user + 1)),
        box_key=box_multikey(mnemonic.box_key(seed)),
        key=key,
        next_keys=[following],
        now=now,
        loopback=loopback,
    )


def move(
    log: PolicyLog, *, seed: bytes, offer: Offer, now: datetime, with_recovery: bool = False, loopback: bool = False
) -> tuple[PolicyLog, dict[str, Any]]:
    """Move to the home of ``offer``: the log with the entry that says so, and the HostGrant for it.

    ``with_recovery``: the new home may help by e-mail when the words are lost; its key comes after the paper key, which it can
    never evict (V8b). Raises NotTheseWords, Conflict when the offer is for somebody else.
    """
    if offer.scid != log.scid:
        raise Conflict("This offer is for another identity.")
    key, following = _paper(log, seed)
    user = user_signer(log, seed)
    moved = keylog.move(
        log,
        home=offer.home,
        key=key,
        next_keys=[following, offer.root_key_hash] if with_recovery else [following],
        now=now,
        loopback=loopback,
    )
    return moved, hostgrant.make_host_grant(moved, audience=offer.audience, nonce=offer.nonce, key=user, now=now)


def user_signer(log: PolicyLog, seed: bytes) -> SigningKey:
    """The ``#user`` key that ``log`` names. Raises NotTheseWords when the words have another one."""
    user = standing(log, seed).user
    if user is None:
        raise NotTheseWords("The identity has another #user key than these words. Recover it first.")
    return mnemonic.user_key(seed, user)


def former_user_signer(log: PolicyLog, seed: bytes, *, actor: str) -> SigningKey:
    """The ``#user`` key of the account ``actor`` that ``log`` left. Raises NotTheseWords when the words have another one."""
    document = moverequests.document_naming(log, actor)
    keys = (mnemonic.user_key(seed, number) for number in range(len(log.versions) + 1))
    found = next((key for key in keys if document and keylog.multikey_of(key) == document.user.multikey), None)
    if found is None:
        raise NotTheseWords("The old account had another #user key than these words.")
    return found


def _paper(log: PolicyLog, seed: bytes) -> tuple[SigningKey, str]:
    """The key to sign the next entry with, and the hash of the one after it."""
    number = standing(log, seed).paper
    if number is None:
        raise NotTheseWords
    return mnemonic.paper_key(seed, number), keylog.key_hash(paper_multikey(seed, number + 1))
