"""The key log of an identity: did:webvh v1.0 with the rules of docs/reference/key-log.md.

Django-free: bytes and a clock reading in, verified values or a named error out. Whoever verifies may import it.

    genesis, append, changes    write entries
    verify_spec, verify_policy  read a log; extend adds one entry to a verified one
    check_pin                   V15: what was seen before is only extended
    find_fork, settle_fork      V16: two branches
    check_object                V17: could this key speak at that time
    payout_freeze, effect_wait  what waits after an entry
"""

from server.identity.keylog.append import append, draft_entry, genesis, key_hash, multikey_of, sign_entry
from server.identity.keylog.changes import (
    Home,
    deactivate,
    first_document,
    give_to_owner,
    move,
    rotate_home,
    rotate_user,
)
from server.identity.keylog.did import Did, make_did, parse_did
from server.identity.keylog.document import Document, NumberedKey, build, read
from server.identity.keylog.errors import KeyLogError
from server.identity.keylog.forks import Branch, ForkEvidence, find_fork, settle_fork
from server.identity.keylog.limits import HARD, SOFT, Caps
from server.identity.keylog.objects import check_object
from server.identity.keylog.pins import check_pin
from server.identity.keylog.replay import PolicyLog, SpecLog, extend, verify_policy, verify_spec
from server.identity.keylog.rules import Version
from server.identity.keylog.waits import effect_wait, payout_freeze

__all__ = [
    "HARD",
    "SOFT",
    "Branch",
    "Caps",
    "Did",
    "Document",
    "ForkEvidence",
    "Home",
    "KeyLogError",
    "NumberedKey",
    "PolicyLog",
    "SpecLog",
    "Version",
    "append",
    "build",
    "check_object",
    "check_pin",
    "deactivate",
    "draft_entry",
    "effect_wait",
    "extend",
    "find_fork",
    "first_document",
    "genesis",
    "give_to_owner",
    "key_hash",
    "make_did",
    "move",
    "multikey_of",
    "parse_did",
    "payout_freeze",
    "read",
    "rotate_home",
    "rotate_user",
    "settle_fork",
    "sign_entry",
    "verify_policy",
    "verify_spec",
]
