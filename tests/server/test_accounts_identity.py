"""A remote account's identity, once its log is kept here, is not changed by what its server says."""

import pytest

from server.accounts.actions import receive_remote_account
from server.accounts.models import Account
from server.accounts.remote import RemoteProfile
from server.identity.models import Identity

pytestmark = pytest.mark.django_db
REAL, OTHER = "Qm" + "a" * 44, "Qm" + "b" * 44


def told(scid: str) -> Account:
    uri = "https://peer.example/users/grace"
    return receive_remote_account(profile=RemoteProfile(uri=uri, handle="grace", domain="peer.example", scid=scid))


def test_a_claim_may_change_until_the_log_is_kept() -> None:
    assert told(OTHER).scid == OTHER
    assert told(REAL).scid == REAL
    assert told("").scid is None


@pytest.mark.parametrize("later", ["", OTHER])
def test_then_a_home_can_neither_drop_nor_swap_it(later: str) -> None:
    told(REAL)
    Identity.objects.create(
        scid=REAL,
        did=f"did:webvh:{REAL}:peer.example",
        actor_uri="https://peer.example/users/grace",
        home_origin="https://peer.example",
        custody="owner",
        head_number=1,
        head_version_id="1-x",
    )
    assert told(later).scid == REAL
    assert Account.objects.get(handle="grace").scid == REAL
