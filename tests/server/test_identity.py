"""Identities: made at sign-up, grown only by what their logs prove, moved only with both homes' keys."""

from datetime import timedelta

import pytest

from server.core import clock, keys
from server.core.errors import Conflict, NotFound, WrongState
from server.identity import actions, hostgrant, keylog, queries
from server.identity.models import CustodyKey, HomeOffer, Identity, KeyLogLine

pytestmark = pytest.mark.django_db
OLD, NEW = "http://localhost:8001", "http://localhost:8002"


def at(settings: object, origin: str) -> None:
    """Pretend to be the instance at ``origin``: in these tests both share one database."""
    settings.ORIGIN, settings.HOST = origin, origin.removeprefix("http://")


def born(settings: object) -> Identity:
    at(settings, OLD)
    return actions.create_identity(handle="alice", home_key=keys.make_ed25519().public)


def test_an_identity_begins_with_a_log_that_says_who_holds_the_keys(settings: object) -> None:
    identity = born(settings)
    document = queries.document_of(identity)
    assert identity.did == f"did:webvh:{identity.scid}:localhost%3A8001:u:alice"
    assert (document.custody, document.actor, document.acct) == ("server", f"{OLD}/users/alice", "acct:alice@localhost:8001")
    assert identity.is_home
    assert identity.payouts_frozen_until is None
    assert {key.role for key in identity.custody_keys.all()} == {"root", "user"}


def forget_as_the_other_server_would(identity: Identity) -> None:
    """Remove the rows that only the old home has; the new one starts with nothing but what it is sent."""
    Identity.objects.filter(scid=identity.scid).delete()


def moved(settings: object) -> tuple[bytes, dict, Identity]:
    """The bytes an old home sends: the log that names the new home, and the grant."""
    identity = born(settings)
    at(settings, NEW)
    offer = actions.offer_home(
        scid=identity.scid, handle="alice", actor_uri=f"{NEW}/users/alice", home_key=keys.make_ed25519().public
    )
    at(settings, OLD)
    log, grant = actions.sign_move(identity=identity, offer=offer)
    assert queries.by_scid(identity.scid).head_number == 1, "signing stores nothing"
    return log.data, grant, identity


def test_a_move_passes_the_identity_and_all_its_keys(settings: object) -> None:
    data, grant, identity = moved(settings)
    forget_as_the_other_server_would(identity)
    at(settings, NEW)
    arrived = actions.arrive(data=data, grant=grant)
    assert arrived.scid == identity.scid
    assert arrived.is_home
    assert arrived.home_origin == NEW
    log = queries.log_of(arrived)
    assert [version.did.host for version in log.versions] == ["localhost"] * 3
    document = queries.document_of(arrived)
    assert identity.did in document.prior
    assert f"{OLD}/users/alice" in document.prior
    # The grant is evidence for whoever follows.
    hostgrant.check_host_grant(arrived.host_grant, log=log, audience=NEW, now=clock.now())
    # The old home's #user key is no longer the identity's.
    assert document.user.multikey == keylog.multikey_of(queries.custody_key(arrived, "user"))
    assert arrived.payouts_frozen_until > clock.now() + timedelta(days=6)


def test_a_later_entry_never_shortens_a_freeze(settings: object) -> None:
    data, grant, identity = moved(settings)
    until = clock.now() + timedelta(days=30)
    Identity.objects.filter(pk=identity.pk).update(payouts_frozen_until=until)
    at(settings, NEW)
    assert actions.arrive(data=data, grant=grant).payouts_frozen_until == until


def test_the_old_home_keeps_the_log_and_destroys_its_keys(settings: object) -> None:
    data, _, identity = moved(settings)
    at(settings, OLD)
    left = actions.leave_home(identity=identity, data=data)
    assert not left.is_home
    assert not CustodyKey.objects.filter(identity=left).exists()
    with pytest.raises(WrongState):
        queries.custody_key(left, "user")


def test_a_grant_is_good_once(settings: object) -> None:
    data, grant, identity = moved(settings)
    forget_as_the_other_server_would(identity)
    at(settings, NEW)
    actions.arrive(data=data, grant=grant)
    before = KeyLogLine.objects.count()
    with pytest.raises((hostgrant.WrongNonce, hostgrant.GrantRefused)):
        actions.arrive(data=data, grant=grant)
    assert KeyLogLine.objects.count() == before


def test_a_grant_expires_after_a_quarter_of_an_hour(settings: object) -> None:
    data, grant, identity = moved(settings)
    forget_as_the_other_server_would(identity)
    at(settings, NEW)
    with clock.moved(timedelta(minutes=16)), pytest.raises(hostgrant.Expired):
        actions.arrive(data=data, grant=grant)
    assert not Identity.objects.exists()
    assert HomeOffer.objects.get().claimed_at is None


def test_a_move_without_the_old_key_is_refused_by_name(settings: object) -> None:
    identity = born(settings)
    at(settings, NEW)
    offer = actions.offer_home(
        scid=identity.scid, handle="alice", actor_uri=f"{NEW}/users/alice", home_key=keys.make_ed25519().public
    )
    CustodyKey.objects.filter(identity=identity, role="root").delete()
    thief = actions.new_key("root")
    thief.identity = identity
    thief.save()
    with pytest.raises(WrongState):
        actions.sign_move(identity=identity, offer=offer)
    assert queries.by_scid(identity.scid).head_number == 1


def test_charlie_cannot_take_an_offer_meant_for_somebody_else(settings: object) -> None:
    identity = born(settings)
    stranger = actions.create_identity(handle="charlie", home_key=keys.make_ed25519().public)
    at(settings, NEW)
    offer = actions.offer_home(
        scid=identity.scid, handle="alice", actor_uri=f"{NEW}/users/alice", home_key=keys.make_ed25519().public
    )
    at(settings, OLD)
    with pytest.raises(Conflict):
        actions.sign_move(identity=stranger, offer=offer)
    with pytest.raises(NotFound):
        actions.arrive(data=queries.log_bytes(stranger), grant={"nonce": "guessed"})


def test_what_was_pinned_is_only_extended(settings: object) -> None:
    data, _, identity = moved(settings)
    longer = actions.accept_log(data=data)
    assert longer.head_number == 2
    # A shorter prefix is stale, the same log is fine, a changed byte is refused by rule.
    with pytest.raises(keylog.errors.V15Stale):
        actions.accept_log(data=data.split(b"\n")[0] + b"\n")
    assert actions.accept_log(data=data).head_number == 2
    with pytest.raises(keylog.KeyLogError):
        actions.accept_log(data=data.replace(b"alice", b"alicf", 1))
    assert queries.by_scid(identity.scid).head_number == 2
