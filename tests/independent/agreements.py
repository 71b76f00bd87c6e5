"""Agreements (docs/reference/agreement-format.md): a second implementation from the reference pages, without product code."""

from tests.independent import check_identity as identity
from tests.independent.basics import (
    HASH,
    NAME,
    ORIGIN,
    SCID,
    decode,
    each,
    encode,
    is_time,
    members,
    need,
    number,
    rising,
    sha256,
    text,
)


def check_agreement(data, key_of):
    doc = decode(data, 16384)
    members(
        doc,
        {
            "v",
            "id",
            "kind",
            "origin",
            "scope",
            "prev",
            "created",
            "effective_from",
            "notice_days",
            "parties",
            "shares",
            "holds",
            "losses",
            "proof",
        },
    )
    need("unknown_version", type(doc["v"]) is int and doc["v"] == 1)
    signed = {name: value for name, value in doc.items() if name not in ("id", "proof")}
    need("bad_agreement_id", doc["id"] == sha256(encode(signed)).hex())
    scopes = {"default": r"\*", "channel": SCID, "work": "[!-~]{1,300}"}
    need(
        "bad_agreement",
        lambda: text(scopes[doc["kind"]], doc["scope"]),
        text(ORIGIN, doc["origin"]),
        text(HASH, doc["prev"]),
        number(doc["notice_days"], 30, 366),
    )
    need(
        "bad_agreement",
        lambda: is_time(doc["created"]) and is_time(doc["effective_from"]) and doc["effective_from"] >= doc["created"],
        each(lambda _: True, doc["proof"], 17),
    )
    need("bad_agreement", each(lambda one: type(one) is dict, doc["parties"], 16))
    for one in doc["parties"]:
        members(one, {"scid", "role", "custody"})
        need(
            "bad_agreement",
            text(SCID, one["scid"]),
            one["role"] in ("creator", "contributor"),
            one["custody"] in ("owner", "server"),
        )
    scids = [one["scid"] for one in doc["parties"]]
    need(
        "bad_agreement",
        rising(scids),
        (doc["kind"] == "default") == (not scids),
        doc["kind"] != "channel" or doc["scope"] in scids,
    )
    members(doc["shares"], {"contextual", "personal"})
    places = {"contributors", "operating", "reserve", "viewers"}
    for table in (doc["shares"]["contextual"], doc["shares"]["personal"]):
        need("bad_agreement", each(lambda one: type(one) is dict, table, 20, 1))
        for one in table:
            members(one, {"to", "share_millionths"})
            need(
                "bad_agreement",
                type(one["to"]) is str and one["to"] in places | set(scids or ["creator"]),
                number(one["share_millionths"], 1, 1_000_000),
            )
        need("bad_agreement", rising(one["to"] for one in table), any(one["to"] not in places for one in table))
        need("shares_do_not_sum", sum(one["share_millionths"] for one in table) == 1_000_000)
    need("bad_agreement", each(lambda one: type(one) is dict, doc["holds"], 16))
    for one in doc["holds"]:
        members(one, {"rail", "days", "rate_millionths"})
        need("bad_agreement", text(NAME, one["rail"]), number(one["days"], 0, 366), number(one["rate_millionths"], 0, 1_000_000))
    need(
        "bad_agreement",
        rising(one["rail"] for one in doc["holds"]),
        doc["losses"] in (["reserve", "operating"], ["operating", "reserve"]),
    )
    signers = []
    for proof in doc["proof"]:
        need("bad_signature", type(proof) is dict and proof.keys() == identity.SIX)
        person = text(rf"did:webvh:{SCID}:[!-~]+\?versionId=[1-9][0-9]*-{SCID}#user-[1-9][0-9]*", proof["verificationMethod"])
        need("agreement_proof_unexpected", person or text("https?://[!-~]+#instance-1", proof["verificationMethod"]))
        signers.append(proof["verificationMethod"].split(":")[2] if person else doc["origin"])
    need("agreement_proof_unexpected", rising(proof["verificationMethod"] for proof in doc["proof"]))
    missing, unchecked = {doc["origin"], *scids}, []
    for proof, signer in zip(doc["proof"], signers, strict=True):
        need("agreement_proof_unexpected", signer in missing)
        missing.remove(signer)
        public = key_of(proof["verificationMethod"])
        need("agreement_unsigned", public or signer != doc["origin"])
        unchecked += [] if public else [signer]
        need(
            "bad_signature",
            lambda proof=proof, public=public: (
                not public or (identity.is_proof(proof) and identity.signed(signed, proof, public))
            ),
        )
    need("agreement_unsigned", not missing)
    return {"id": doc["id"], "origin": doc["origin"], "parties": scids, "unchecked": unchecked}
