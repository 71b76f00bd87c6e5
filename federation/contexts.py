"""The ``@context`` of each kind of document: what its terms mean, and no more. A signed document carries it twice."""

from collections.abc import Mapping
from typing import Any

# vc-data-integrity asks for the second in everything that carries a proof.
PLAIN: list[Any] = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v2"]

# FEP-ef61, "Media": as the data integrity context itself has it.
_DIGEST = {
    "digestMultibase": {"@id": "https://w3id.org/security#digestMultibase", "@type": "https://w3id.org/security#multibase"}
}

_MIGRATION = {"migration": {"@id": "https://w3id.org/fep/1580/migration", "@type": "@id"}}

ACTOR: list[Any] = [
    *PLAIN,
    "https://w3id.org/security/v1",
    "https://w3id.org/security/multikey/v1",
    {
        "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
        "movedTo": {"@id": "as:movedTo", "@type": "@id"},
        "alsoKnownAs": {"@id": "as:alsoKnownAs", "@type": "@id"},
        "toot": "http://joinmastodon.org/ns#",
        "discoverable": "toot:discoverable",
        "indexable": "toot:indexable",
        **_DIGEST,
        **_MIGRATION,
        # A portable identity (docs/reference/key-log.md): its key, its log, the grant for its present home, and its heads.
        "tributary": "urn:tributary:ns#",
        "scid": "tributary:scid",
        "keyLog": {"@id": "tributary:keyLog", "@type": "@id"},
        "hostGrant": {"@id": "tributary:hostGrant", "@type": "@id"},
        "heads": {"@id": "tributary:heads", "@type": "@id"},
        # Identity proofs (FEP-c390).
        "fep": "https://w3id.org/fep#",
        "VerifiableIdentityStatement": "fep:VerifiableIdentityStatement",
        "subject": "fep:subject",
        # The ledger of an instance (docs/reference/ledger-endpoints.md).
        "ledger": "tributary:ledger",
    },
]

# A map of old and new ids (FEP-1580).
MIGRATION: list[Any] = [*PLAIN, {"migrationComplete": "https://w3id.org/fep/1580/migrationComplete"}]

NOTE: list[Any] = [
    *PLAIN,
    {
        "sensitive": "as:sensitive",
        "Hashtag": "as:Hashtag",
        "toot": "http://joinmastodon.org/ns#",
        "blurhash": "toot:blurhash",
        **_DIGEST,
        "gts": "https://gotosocial.org/ns#",
        "interactionPolicy": {"@id": "gts:interactionPolicy", "@type": "@id"},
        "canLike": {"@id": "gts:canLike", "@type": "@id"},
        "canReply": {"@id": "gts:canReply", "@type": "@id"},
        "canAnnounce": {"@id": "gts:canAnnounce", "@type": "@id"},
        "canQuote": {"@id": "gts:canQuote", "@type": "@id"},
        "automaticApproval": {"@id": "gts:automaticApproval", "@type": "@id"},
        "manualApproval": {"@id": "gts:manualApproval", "@type": "@id"},
    },
]

OF_KIND: Mapping[str, list[Any]] = {"Person": ACTOR, "Application": ACTOR, "Note": NOTE}


def with_context(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` as it stands alone: its ``@context`` first, the one of its kind unless it has its own."""
    return {"@context": OF_KIND.get(document["type"], PLAIN), **document}
