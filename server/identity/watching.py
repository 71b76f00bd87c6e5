"""This instance as a did:webvh watcher: whose logs it keeps, what it says about them, and how an owner has a copy deleted.

Whatever is stored is served for ever, also when the home is gone. So it is bounded: only logs that somebody here has to do with,
so many for each home, and so many bytes in all (docs/reference/replicas.md).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Sum

from server.core import canonical, clock, hosts, limits, proofs
from server.core.errors import Invalid, NotAllowed, NotFound, TributaryError, WrongState
from server.identity import actions, keylog, queries
from server.identity.models import Identity, Tombstone, Watcher

PRESENTATION_BYTES_MAX = 16 * limits.KIB
PRESENTATION_SECONDS_MAX = 300
WEIGHED_SECONDS = 60


class NotWanted(TributaryError):
    """Nobody here follows this identity, and nothing is owed to it here: its log is not kept."""

    code, status, permanent = "not_wanted", 403, True


class QuotaFull(TributaryError):
    """There is no room for more copies of the logs of this home."""

    code, status = "quota_full", 507


def require_room(home: str) -> None:
    """Is there room for one more log of somebody who lives at the origin ``home``?

    Raises QuotaFull; NotWanted for one who says that she lives here, of which we know nothing.
    """
    if home == settings.ORIGIN:
        raise NotWanted
    if Identity.objects.filter(home_origin=home, is_home=False).count() >= limits.COPIES_PER_HOME_MAX:
        raise QuotaFull
    if (cache.get_or_set("replica-bytes", stored_bytes, WEIGHED_SECONDS) or 0) >= settings.REPLICA_BYTES_MAX:
        raise QuotaFull("This instance keeps as many copies of logs as it has room for.")


def stored_bytes() -> int:
    """What the logs of identities that live elsewhere take."""
    return Identity.objects.filter(is_home=False).aggregate(sum=Sum("log_bytes"))["sum"] or 0


def take_log(*, data: bytes, requested: str | None, is_wanted: bool, source: str = "") -> bytes:
    """Take a log that somebody brings, and answer with our receipt for its newest entry, in canonical bytes.

    ``is_wanted``: somebody here follows the identity, or the ledger names it; one that is kept already is always wanted.
    Raises NotWanted, QuotaFull, Tombstoned, KeyLogError (by the name of its rule); then nothing has changed, but the evidence of
    a fork is kept.
    """
    scid = keylog.claimed_scid(data)
    if not Identity.objects.filter(scid=scid).exists():
        if not is_wanted:
            raise NotWanted
        # Verified before the quotas are asked: the home is named by a log that holds.
        log = keylog.verify_policy(data, now=clock.now(), caps=keylog.SOFT, requested=requested, loopback=settings.ALLOW_LOOPBACK)
        require_room(actions.home_origin(keylog.read(log.head.entry.state)))
    identity = actions.accept_log(data=data, requested=requested, source=source)
    return own_receipt(identity)


def own_receipt(identity: Identity) -> bytes:
    """Our receipt for the newest entry of a log that is kept here."""
    found = identity.receipts.filter(replica=settings.ORIGIN, version_id=identity.head_version_id).first()
    if found is None:
        # It was kept before receipts were given.
        with transaction.atomic():
            actions.give_receipts(identity, queries.log_of(identity))
        found = identity.receipts.get(replica=settings.ORIGIN, version_id=identity.head_version_id)
    return bytes(found.document)


def log_for_all(scid: str) -> tuple[bytes, str]:
    """The log of an identity that is kept here, and the versionId of its newest entry. Raises NotFound, Tombstoned."""
    identity = Identity.objects.filter(scid=scid).first()
    if identity is None:
        deleted = Tombstone.objects.filter(scid=scid, until__gt=clock.now()).first()
        if deleted is not None:
            raise actions.Tombstoned
        raise NotFound("This identity is not known here.")
    return queries.log_bytes(identity), identity.head_version_id


@transaction.atomic
def delete_log(*, scid: str, data: bytes, is_owed: bool) -> None:
    """The owner of a log has our copy deleted; for 30 days nobody brings it back.

    Signed by the update key of the newest entry, where that is the key of highest priority: what a lower key may not end
    (V8b), it may not have forgotten either. ``data`` is a presentation bound to the SCID and to this instance, at most five
    minutes old. Raises NotFound, Invalid, NotAllowed; WrongState for an identity that lives here, that is owed something here,
    or that is contested: then the log is evidence.
    """
    identity = Identity.objects.select_for_update().filter(scid=scid).first()
    if identity is None:
        raise NotFound("This identity is not known here.")
    presentation = _presentation(data)
    log = queries.log_of(identity)
    _check_presentation(presentation, log)
    if identity.is_home or is_owed or identity.forks.exists():
        raise WrongState("This log is kept: its identity lives here, is owed something here, or has signed two histories.")
    Tombstone.objects.update_or_create(
        scid=scid,
        defaults={
            "version_id": identity.head_version_id,
            "until": clock.now() + timedelta(days=limits.TOMBSTONE_DAYS),
            "created_at": clock.now(),
        },
    )
    identity.delete()


def _presentation(data: bytes) -> Mapping[str, Any]:
    if len(data) > PRESENTATION_BYTES_MAX:
        raise Invalid("This is too large for a presentation.")
    try:
        value = canonical.parse(data, depth_max=8, fractions=False)
    except ValueError as error:
        raise Invalid(f"This is no presentation: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("proof"), dict):
        raise Invalid("A presentation has one proof.")
    return value


def _check_presentation(presentation: Mapping[str, Any], log: keylog.PolicyLog) -> None:
    proof = presentation["proof"]
    key = log.head.parameters.update_keys[0]
    if log.head.key_index:
        raise NotAllowed("The newest entry was signed by a key of lower priority, which may not have the log deleted.")
    if proof.get("verificationMethod") not in (f"did:key:{key}", f"did:key:{key}#{key}"):
        raise NotAllowed("This is not signed with the present key of the log.")
    try:
        verified = proofs.verify_proof(
            presentation,
            proof,
            public=canonical.multikey_ed25519_decode(key),
            now=clock.now(),
            purpose="authentication",
            bound={"challenge": log.scid, "domain": settings.ORIGIN},
        )
    except (proofs.BadProof, proofs.BadSignature) as error:
        raise NotAllowed(f"The proof does not hold: {error}") from error
    if verified.created is None or abs(clock.now() - verified.created) > timedelta(seconds=PRESENTATION_SECONDS_MAX):
        raise NotAllowed("The proof must say when it was made, and that must be now.")


def know_watcher(origin: str) -> Watcher:
    """Another instance that runs this software, or that somebody chose, keeps copies too. Idempotent."""
    watcher, _ = Watcher.objects.get_or_create(origin=origin)
    return watcher


def parse_origin(text: str) -> str:
    """An origin in its one spelling, ``https://host``. Raises Invalid."""
    try:
        url = hosts.parse_url(text.strip())
    except hosts.BadAddress as error:
        raise Invalid(str(error), field="origin") from error
    if url.target != "/" or url.fragment:
        raise Invalid("An origin is https://HOST and nothing more.", field="origin")
    return url.origin


def origin_of_replica(endpoint: str) -> str:
    """The origin of a watcher that a log names."""
    return endpoint.removesuffix(queries.WATCHER_PATH)


def as_json_list(documents: list[bytes]) -> bytes:
    """Stored documents as one JSON array, each byte for byte."""
    return b"[" + b",".join(documents) + b"]"


def read_documents(data: bytes, *, name: str, count_max: int) -> list[Mapping[str, Any]]:
    """The documents in ``{name: [...]}``. Raises Invalid for another shape."""
    try:
        value = canonical.parse(data, depth_max=8, fractions=False)
    except ValueError as error:
        raise Invalid(f"This is no JSON: {error}") from error
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list) or len(found) > count_max or not all(isinstance(one, dict) for one in found):
        raise Invalid(f"A list of at most {count_max} objects called {name} is needed.")
    return found
