"""An account moves between two instances; a follower on a third is re-pointed by the log, the actor's document and the grant."""

import pytest

from tests.services import free_port
from tests.two_servers.conftest import befriend
from tests.two_servers.instance import Failed, Instance, Person, wait_for

pytestmark = pytest.mark.slow
TARGETS = """SELECT t.uri FROM accounts_follow f JOIN accounts_account t ON t.id = f.target_id
    JOIN accounts_account b ON b.id = f.follower_id WHERE b.handle = ? AND f.state = 'accepted'"""


def test_a_follower_on_a_third_instance_comes_along(pair: tuple[Instance, Instance]) -> None:
    old, third = pair
    new = Instance("Newhome", free_port())
    new.start()
    try:
        maker, viewer = befriend(old, third)
        wait_for(
            "her log learnt", lambda: third.rows("SELECT scid FROM identity_identity WHERE actor_uri LIKE ?", f"%/{maker.handle}")
        )
        moved = Person(new, maker.handle)
        moved.sign_up()
        with pytest.raises(Failed, match="404"):
            # Nobody expects her there yet: nothing is signed and nothing changes.
            maker.api("POST", "/me/identity/move", {"to_address": moved.address})
        before = maker.api("GET", "/me/identity")
        assert before["version"] == 1
        moved.api("POST", "/me/identity/expect", {"old_address": maker.address})
        maker.api("POST", "/me/identity/move", {"to_address": moved.address})
        after = moved.api("GET", "/me/identity")
        assert after["scid"] == before["scid"]
        wait_for(
            "the follow re-pointed",
            lambda: [row["uri"] for row in third.rows(TARGETS, viewer.handle)] == [f"{new.origin}/users/{maker.handle}"],
        )
        # The new home knows the follower as well: what she posts there arrives.
        wait_for("the follower known at the new home", lambda: new.rows(TARGETS, viewer.handle))
        # She cannot be moved a second time from the old home: its keys are gone.
        with pytest.raises(Failed, match="409"):
            maker.api("POST", "/me/identity/move", {"to_address": moved.address})
    finally:
        new.remove()
