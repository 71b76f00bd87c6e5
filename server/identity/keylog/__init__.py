"""The key log of an identity: did:webvh v1.0 with the rules of docs/reference/key-log.md.

Django-free: bytes and a clock reading in, verified values or a named error out. Whoever verifies may import it.

    genesis, append, changes    write entries
    verify_spec, verify_policy  read a log; extend adds one entry to a verified one
    check_pin                   V15: what was seen before is only extended
    find_fork, settle_fork      V16: two branches; prove_fork, check_fork: the two entries as a document that proves itself
    check_object, check_covered V17: could this key speak at that time, and did a head cover it (heads.py)
    payout_freeze, effect_wait  what waits after an entry; payouts_frozen_until, effects_held_until: until when
"""

from server.identity.keylog.append import append, draft_entry, genesis, key_hash, multikey_of, sign_entry
from server.identity.keylog.changes import (
    Home,
    deactivate,
    first_document,
    give_to_owner,
    move,
    name_replicas,
    rotate_home,
    rotate_user,
)
from server.identity.keylog.did import Did, make_did, parse_did
from server.identity.keylog.document import Document, NumberedKey, build, read
from server.identity.keylog.errors import KeyLogError
from server.identity.keylog.evidence import check_fork, parse_fork, prove_fork
from server.identity.keylog.forks import Branch, ForkEvidence, find_fork, settle_fork
from server.identity.keylog.heads import (
    Head,
    HeadRefused,
    SeenHead,
    check_covered,
    covered_at,
    digest_of,
    extend_heads,
    make_head,
    verify_head,
)
from server.identity.keylog.limits import HARD, SOFT, Caps
from server.identity.keylog.objects import check_object
from server.identity.keylog.pins import check_pin
from server.identity.keylog.replay import PolicyLog, SpecLog, claimed_scid, extend, verify_policy, verify_spec
from server.identity.keylog.rules import Version
from server.identity.keylog.waits import effect_wait, effects_held_until, payout_freeze, payouts_frozen_until

__all__ = [
    "HARD",
    "SOFT",
    "Branch",
    "Caps",
    "Did",
    "Document",
    "ForkEvidence",
    "Head",
    "HeadRefused",
    "Home",
    "KeyLogError",
    "NumberedKey",
    "PolicyLog",
    "SeenHead",
    "SpecLog",
    "Version",
    "append",
    "build",
    "check_covered",
    "check_fork",
    "check_object",
    "check_pin",
    "claimed_scid",
    "covered_at",
    "deactivate",
    "digest_of",
    "draft_entry",
    "effect_wait",
    "effects_held_until",
    "extend",
    "extend_heads",
    "find_fork",
    "first_document",
    "genesis",
    "give_to_owner",
    "key_hash",
    "make_did",
    "make_head",
    "move",
    "multikey_of",
    "name_replicas",
    "parse_did",
    "parse_fork",
    "payout_freeze",
    "payouts_frozen_until",
    "prove_fork",
    "read",
    "rotate_home",
    "rotate_user",
    "settle_fork",
    "sign_entry",
    "verify_head",
    "verify_policy",
    "verify_spec",
]
