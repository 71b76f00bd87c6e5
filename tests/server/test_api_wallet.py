"""The wallet over REST: who owes what, signing, and that nobody reads or signs for another."""

import pytest

from payouts import agreements, instance_keys
from payouts.models import Acceptance
from server.accounts.models import Account
from tests.server.calls import Api
from tests.server.test_pages_money import earned, staff
from tests.world import World

pytestmark = pytest.mark.django_db


def test_what_is_owed_is_read_and_signed_for(world: World) -> None:
    earned(staff("root"), world.alice)
    alice, ours = Api(world.alice), instance_keys.origin()
    (claim,) = alice.get("me/wallet").body["claims"]
    assert (claim["debtor"], claim["payable"], claim["unclaimed"], claim["signed_at"]) == (ours, "0", "18000000", None)
    stale = alice.post("me/wallet/sign", {"debtor": ours, "offer": "0" * 64})
    assert (stale.status, stale.body["code"]) == (409, "conflict")
    assert not Acceptance.objects.exists()
    (claim,) = alice.post("me/wallet/sign", {"debtor": ours, "offer": agreements.default_offer().id}).body["claims"]
    assert (claim["payable"], claim["unclaimed"]) == ("18000000", "0")
    assert claim["signed_at"]
    assert alice.post("me/wallet/refresh").body["claims"] == [claim]
    # Charlie sees his own wallet, which is empty, and cannot name another's.
    assert Api(world.charlie).get("me/wallet").body == {"claims": []}


def test_who_may_not(world: World) -> None:
    body = {"debtor": instance_keys.origin()}
    for method, address in (("GET", "me/wallet"), ("POST", "me/wallet/refresh"), ("POST", "me/wallet/sign")):
        assert Api(None).call(method, address, body if method == "POST" else None).status == 401
    assert Api(world.alice, "read").post("me/wallet/sign", body).status == 403
    assert Api(world.alice, "write").get("me/wallet").status == 403
    assert Api(world.alice).post("me/wallet/sign", {"debtor": "nowhere.example/ledger/1"}).status == 404
    assert Api(world.alice).post("me/wallet/sign", {}).fields == ["debtor"]
    Account.objects.filter(pk=world.bob.pk).update(scid=None)
    assert Api(world.bob).get("me/wallet").status == 404
    assert not Acceptance.objects.exists()
