"""The home is killed with kill -9 and its data removed; she comes back elsewhere with her kit, and a follower comes along."""

import json

import pytest

from server.identity import keylog
from tests.services import free_port
from tests.two_servers import homeless
from tests.two_servers.conftest import befriend
from tests.two_servers.instance import Instance, Person, fetch, wait_for

pytestmark = pytest.mark.slow


def test_she_comes_back_with_her_kit_alone(capsys: pytest.CaptureFixture[str]) -> None:
    third = Instance("Third", free_port())
    replicas = {"TRIBUTARY_REPLICAS": third.origin}
    old, new = (Instance(name, free_port(), environment=replicas) for name in ("Old", "New"))
    try:
        for instance in (third, old, new):
            instance.start()
        maker, viewer = befriend(old, third)
        kit = homeless.take_keys(maker)
        heads = "SELECT head_number AS n, custody FROM identity_identity WHERE scid = ?"
        wait_for(
            "her log at the third instance, with the keys in her hands",
            lambda: [row["custody"] for row in third.rows(heads, kit.scid)] == ["owner"],
        )
        homeless.destroy(old)
        moved = Person(new, maker.handle)
        moved.sign_up()
        live_s, all_s = homeless.recover(moved, kit, [(third, 1)])
        with capsys.disabled():
            print(f"\nidentity live after {live_s:.1f} s, its follower re-pointed after {all_s:.1f} s")
        # The follower did nothing, and follows nobody else.
        assert third.rows("SELECT count(*) AS n FROM accounts_follow WHERE state <> 'accepted'")[0]["n"] == 0
        follow = "SELECT t.uri FROM accounts_follow f JOIN accounts_account t ON t.id = f.target_id JOIN accounts_account b ON b.id = f.follower_id WHERE b.handle = ?"
        assert [row["uri"] for row in third.rows(follow, viewer.handle)] == [f"{new.origin}/users/{maker.handle}"]
        # The new home holds none of her keys, and what it publishes is hers.
        assert new.rows("SELECT count(*) AS n FROM identity_custodykey WHERE identity_id = ?", kit.scid)[0]["n"] == 0
        served = fetch(f"{new.origin}/u/{maker.handle}/did.jsonl").body
        assert [json.loads(line)["parameters"]["nextKeyHashes"] for line in served.splitlines()][-1] == [
            keylog.key_hash(homeless.owner.paper_multikey(kit.seed, 1))
        ]
        # What she posts from now on arrives at her follower's server.
        assert new.rows(homeless.TARGETS, f"{new.origin}/users/{maker.handle}")[0]["n"] == 1
    finally:
        for instance in (third, old, new):
            if instance.process is not None:
                instance.remove()
