"""Agreements: who gets which share of what a work or a channel earns. Pure: documents in, checked values or an error out.

An agreement's id is the hash of its text without ``id`` and ``proof``; every party signs exactly that text
(eddsa-jcs-2022). Parties are named by SCID, the instance by its origin. See docs/reference/agreement-format.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from payouts.ledger import canonical
from payouts.ledger.errors import (
    AgreementProofUnexpected,
    AgreementUnsigned,
    BadAgreement,
    BadAgreementId,
    BadSignature,
    LedgerError,
    SharesDoNotSum,
)
from payouts.ledger.fields import (
    check_members,
    check_version,
    is_ascending,
    is_hex_hash,
    is_integer,
    is_list,
    is_text,
    is_time,
)
from payouts.ledger.money import NAME, ORIGIN, SCID
from server.core import proofs

AGREEMENT_BYTES_MAX: Final = 16_384
WHOLE: Final = 1_000_000
NOTICE_DAYS_MIN: Final = 30
PARTIES_MAX: Final = 16

# Kind -> what its scope names: nothing, a channel's SCID, a work.
KINDS: Final = {"default": r"\*", "channel": SCID, "work": r"[!-~]{1,300}"}
# Receivers that are no party: places in the books of the instance.
PLACES: Final = frozenset({"contributors", "operating", "reserve", "viewers"})
CREATOR: Final = "creator"
TABLES: Final = ("contextual", "personal")

MEMBERS: Final = frozenset({
    "v", "id", "kind", "origin", "scope", "prev", "created", "effective_from", "notice_days",
    "parties", "shares", "holds", "losses", "proof",
})  # fmt: skip
PROOF_MEMBERS: Final = frozenset({"type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue"})

_is_scid = is_text(SCID)
_is_origin = is_text(ORIGIN)
_is_name = is_text(NAME)
_is_share = is_integer(1, WHOLE)
_is_notice = is_integer(NOTICE_DAYS_MIN, 366)
_is_days = is_integer(0, 366)
_is_rate = is_integer(0, WHOLE)
_SCOPES = {kind: is_text(scope) for kind, scope in KINDS.items()}
_METHOD = re.compile(rf"did:webvh:({SCID}):[!-~]+\?versionId=[1-9][0-9]*-{SCID}#user-[1-9][0-9]*")
_INSTANCE_METHOD = re.compile(r"https?://[!-~]+#instance-1")

# Verification method -> public key, or None when the caller does not know the party's log.
KeyOf = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A well-formed agreement. ``parties`` are the SCIDs that must sign, ``shares`` the tables: receiver -> millionths."""

    id: str
    kind: str
    origin: str
    scope: str
    effective_from: str
    parties: tuple[str, ...]
    shares: Mapping[str, Mapping[str, int]]
    document: Mapping[str, Any]
    data: bytes

    @property
    def signed_text(self) -> bytes:
        """What every party signs, and what the id is the hash of."""
        return _text(self.document)


def agreement_id(document: Mapping[str, Any]) -> str:
    """The id of a document, whatever its ``id`` and ``proof`` say."""
    return sha256(_text(document)).hexdigest()


def parse_agreement(data: bytes) -> Agreement:
    """The agreement in canonical bytes; signatures are for ``check_signed``.

    Raises BadAgreement, BadAgreementId, SharesDoNotSum, the errors of canonical.decode and of members.
    """
    document = canonical.decode(data, bytes_max=AGREEMENT_BYTES_MAX)
    check_members(document, MEMBERS, "agreement")
    check_version(document)
    if document["id"] != agreement_id(document):
        raise BadAgreementId
    _check_head(document)
    parties = _check_parties(document)
    check_members(document["shares"], frozenset(TABLES), "shares")
    shares = {table: _parse_table(document["shares"][table], table, document["kind"], parties) for table in TABLES}
    _check_holds(document)
    return Agreement(
        document["id"], document["kind"], document["origin"], document["scope"], document["effective_from"],
        parties, shares, document, data,
    )  # fmt: skip


def check_signed(agreement: Agreement, key_of: KeyOf, *, by_instance: bool = True) -> tuple[str, ...]:
    """Verify the proofs; the parties (SCIDs) whose keys the caller does not know are returned, their proofs unverified.

    ``by_instance`` is False for what the parties hand in: the instance signs last, and only what they have signed.
    Raises AgreementUnsigned when the proof of a party or of the instance is missing, AgreementProofUnexpected, BadSignature.
    """
    missing = {*agreement.parties, *([agreement.origin] if by_instance else [])}
    unknown = []
    signers = [_signer(proof, agreement.origin) for proof in agreement.document["proof"]]
    if not is_ascending(proof["verificationMethod"] for proof in agreement.document["proof"]):
        raise AgreementProofUnexpected("proofs are not sorted by verification method")
    for proof, signer in zip(agreement.document["proof"], signers, strict=True):
        if signer not in missing:
            raise AgreementProofUnexpected(signer)
        missing.remove(signer)
        public = key_of(proof["verificationMethod"])
        if public is not None:
            _check_proof(agreement, proof, public)
        elif signer == agreement.origin:
            raise AgreementUnsigned("the instance signs with a key that is not its own")
        else:
            unknown.append(signer)
    if missing:
        raise AgreementUnsigned(", ".join(sorted(missing)))
    return tuple(unknown)


def _text(document: Mapping[str, Any]) -> bytes:
    return canonical.encode({name: value for name, value in document.items() if name not in ("id", "proof")})


def _check_head(document: dict[str, Any]) -> None:
    kind = document["kind"]
    scope = _SCOPES.get(kind) if type(kind) is str else None
    rules = {
        "kind and scope": scope is not None and scope(document["scope"]),
        "origin": _is_origin(document["origin"]),
        "prev": is_hex_hash(document["prev"]),
        "created": is_time(document["created"]),
        "effective_from": is_time(document["effective_from"]) and str(document["effective_from"]) >= str(document["created"]),
        "notice_days": _is_notice(document["notice_days"]),
        "proof": type(document["proof"]) is list and len(document["proof"]) <= PARTIES_MAX + 1,
    }
    _refuse_false(rules)


def _check_parties(document: dict[str, Any]) -> tuple[str, ...]:
    parties = document["parties"]
    if not is_list(lambda party: type(party) is dict, count_max=PARTIES_MAX)(parties):
        raise BadAgreement("parties")
    for party in parties:
        check_members(party, frozenset({"scid", "role", "custody"}), "party")
        _refuse_false({
            "party.scid": _is_scid(party["scid"]),
            "party.role": party["role"] in ("creator", "contributor"),
            "party.custody": party["custody"] in ("owner", "server"),
        })  # fmt: skip
    scids = tuple(party["scid"] for party in parties)
    _refuse_false({
        "parties are not sorted by scid": is_ascending(scids),
        "a default offer has no party but the instance, others have some": (document["kind"] == "default") == (not parties),
        "the channel is no party": document["kind"] != "channel" or document["scope"] in scids,
    })  # fmt: skip
    return scids


def _parse_table(value: Any, table: str, kind: str, parties: tuple[str, ...]) -> dict[str, int]:
    if not is_list(lambda share: type(share) is dict, count_max=PARTIES_MAX + len(PLACES), count_min=1)(value):
        raise BadAgreement(f"shares.{table}")
    receivers = PLACES | ({CREATOR} if kind == "default" else set(parties))
    for share in value:
        check_members(share, frozenset({"to", "share_millionths"}), "share")
        _refuse_false({
            f"shares.{table}: {str(share['to'])[:60]} is no receiver": type(share["to"]) is str and share["to"] in receivers,
            f"shares.{table}: share_millionths": _is_share(share["share_millionths"]),
        })  # fmt: skip
    shares = {share["to"]: share["share_millionths"] for share in value}
    _refuse_false({
        f"shares.{table} is not sorted by receiver": is_ascending(share["to"] for share in value),
        f"shares.{table} gives nothing to the creator": bool(shares.keys() - PLACES),
    })  # fmt: skip
    if sum(shares.values()) != WHOLE:
        raise SharesDoNotSum(f"shares.{table}: {sum(shares.values())}")
    return shares


def _check_holds(document: dict[str, Any]) -> None:
    holds, losses = document["holds"], document["losses"]
    if not is_list(lambda hold: type(hold) is dict, count_max=16)(holds):
        raise BadAgreement("holds")
    for hold in holds:
        check_members(hold, frozenset({"rail", "days", "rate_millionths"}), "hold")
        if not (_is_name(hold["rail"]) and _is_days(hold["days"]) and _is_rate(hold["rate_millionths"])):
            raise BadAgreement("holds")
    _refuse_false({
        "holds are not sorted by rail": is_ascending(hold["rail"] for hold in holds),
        "losses": losses in (["reserve", "operating"], ["operating", "reserve"]),
    })  # fmt: skip


def _signer(proof: Any, origin: str) -> str:
    """The party that a proof is of, as its verification method says."""
    try:
        check_members(proof, PROOF_MEMBERS, "proof")
    except LedgerError as error:
        raise BadSignature(str(error)) from error
    method = proof["verificationMethod"]
    found = _METHOD.fullmatch(method) if type(method) is str else None
    if found is not None:
        return found[1]
    if type(method) is str and _INSTANCE_METHOD.fullmatch(method):
        return origin
    raise AgreementProofUnexpected(f"{str(method)[:100]} is no key of a party")


def _check_proof(agreement: Agreement, proof: Mapping[str, Any], public: bytes) -> None:
    try:
        # A proof cannot expire here: the member ``expires`` is refused, so the time given does not matter.
        proofs.verify_canonical(
            agreement.signed_text, proof, public=public, now=datetime.min.replace(tzinfo=UTC), purpose="assertionMethod"
        )
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise BadSignature(f"{proof['verificationMethod']}: {error}") from error


def _refuse_false(rules: Mapping[str, bool]) -> None:
    for name, right in rules.items():
        if not right:
            raise BadAgreement(name)
