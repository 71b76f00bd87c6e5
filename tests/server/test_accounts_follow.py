"""Following, answering, blocking, muting and moving, here and across servers; charlie may touch none of it."""

import pytest

from server.accounts import actions, queries
from server.accounts.models import Account, Follow, Mute
from server.core.errors import Conflict, Invalid, NotAllowed, NotFound
from server.core.models import Task
from tests import world as people
from tests.world import World

FOLLOW = "https://peer.example/follows/1"


def facts(name: str) -> list[dict[str, object]]:
    """What was said, once each however many listen."""
    rows = Task.objects.filter(fact=name).order_by("id")
    return list({row.fact_id: row.payload for row in rows}.values())


def manual(account: Account) -> Account:
    account.manually_approves_followers = True
    account.save()
    return account


def test_local_follow_is_accepted_at_once_and_twice_is_once(world: World) -> None:
    first = actions.follow(follower=world.bob, target=world.alice)
    assert (first.state, actions.follow(follower=world.bob, target=world.alice)) == ("accepted", first)
    assert first.uri.startswith("http://localhost:8000/users/bob/follows/")
    assert list(queries.accepted_followers(world.alice)) == [world.bob]
    assert not Task.objects.filter(fact__startswith="Follow").exists()
    actions.unfollow(follower=world.bob, target=world.alice)
    actions.unfollow(follower=world.bob, target=world.alice)
    assert not queries.accepted_followers(world.alice).exists()


def test_nobody_follows_herself_a_stranger_may_not_answer(world: World) -> None:
    with pytest.raises(Invalid):
        actions.follow(follower=world.bob, target=world.bob)
    asked = actions.follow(follower=world.bob, target=manual(world.alice))
    assert asked.state == "pending"
    assert list(queries.follow_requests(world.alice)) == [asked]
    with pytest.raises(NotAllowed):
        actions.answer_follow(follow=asked, by=world.charlie, accept=True)
    with pytest.raises(NotAllowed):
        actions.answer_follow(follow=asked, by=world.bob, accept=True)
    assert not queries.accepted_followers(world.alice).exists()
    actions.answer_follow(follow=asked, by=world.alice, accept=True)
    assert list(queries.accepted_followers(world.alice)) == [world.bob]
    actions.answer_follow(follow=asked, by=world.alice, accept=False)
    assert not Follow.objects.exists()
    with pytest.raises(NotFound):
        actions.answer_follow(follow=asked, by=world.alice, accept=True)


def test_a_remote_target_is_asked_and_only_she_answers(world: World) -> None:
    asked = actions.follow(follower=world.alice, target=world.dora)
    actions.follow(follower=world.alice, target=world.dora)
    assert asked.state == "pending"
    assert facts("FollowRequested") == [{"follow_id": asked.pk}]
    other = people.remote("mallory", "evil.example")
    for wrong in (other, world.charlie):
        with pytest.raises(NotAllowed):
            actions.receive_follow_answer(follow_uri=asked.uri, target=wrong, accepted=True)
    with pytest.raises(NotFound):
        actions.receive_follow_answer(follow_uri=asked.uri + "0", target=world.dora, accepted=True)
    assert queries.relationship(world.alice, world.dora).requested
    actions.receive_follow_answer(follow_uri=asked.uri, target=world.dora, accepted=True)
    actions.receive_follow_answer(follow_uri=asked.uri, target=world.dora, accepted=True)
    assert queries.relationship(world.alice, world.dora).following
    actions.receive_follow_answer(follow_uri=asked.uri, target=world.dora, accepted=False)
    assert not Follow.objects.exists()


def test_a_local_follow_cannot_be_answered_from_outside(world: World) -> None:
    asked = actions.follow(follower=world.bob, target=manual(world.alice))
    with pytest.raises(NotAllowed):
        actions.receive_follow_answer(follow_uri=asked.uri, target=world.alice, accepted=True)


def test_unfollowing_a_remote_account_tells_her(world: World) -> None:
    asked = actions.follow(follower=world.alice, target=world.dora)
    actions.unfollow(follower=world.alice, target=world.dora)
    actions.unfollow(follower=world.alice, target=world.dora)
    expected = {"follower_id": world.alice.pk, "target_id": world.dora.pk, "follow_uri": asked.uri}
    assert facts("FollowWithdrawn") == [expected]


def answer(world: World, uri: str, *, accepted: bool) -> dict[str, object]:
    return {"target_id": world.alice.pk, "follower_id": world.dora.pk, "follow_uri": uri, "accepted": accepted}


def test_a_remote_follow_is_answered_each_time_it_is_asked(world: World) -> None:
    actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW)
    actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW)
    actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW + "0")
    assert Follow.objects.get().uri == FOLLOW + "0"
    wanted = [answer(world, uri, accepted=True) for uri in (FOLLOW, FOLLOW, FOLLOW + "0")]
    assert facts("FollowAnswered") == wanted
    actions.receive_unfollow(follower=world.dora, target=world.alice)
    actions.receive_unfollow(follower=world.dora, target=world.alice)
    assert not Follow.objects.exists()


def test_a_remote_follow_waits_where_the_target_approves_by_hand(world: World) -> None:
    asked = actions.receive_follow(follower=world.dora, target=manual(world.alice), uri=FOLLOW)
    assert asked is not None
    assert asked.state == "pending"
    assert facts("FollowAnswered") == []
    actions.answer_follow(follow=asked, by=world.alice, accept=True)
    actions.answer_follow(follow=asked, by=world.alice, accept=True)
    assert facts("FollowAnswered") == [answer(world, FOLLOW, accepted=True)]
    actions.answer_follow(follow=asked, by=world.alice, accept=False)
    assert facts("FollowAnswered")[-1] == answer(world, FOLLOW, accepted=False)


def test_remote_follows_that_make_no_sense_are_refused(world: World) -> None:
    with pytest.raises(NotAllowed):
        actions.receive_follow(follower=world.bob, target=world.alice, uri=FOLLOW)
    with pytest.raises(NotAllowed):
        actions.receive_follow(follower=world.dora, target=people.remote("eve"), uri=FOLLOW)
    with pytest.raises(NotAllowed):
        actions.receive_unfollow(follower=world.bob, target=world.alice)
    actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW)
    with pytest.raises(Conflict):
        actions.receive_follow(follower=world.dora, target=world.bob, uri=FOLLOW)
    actions.close_account(account=world.bob, by=world.bob)
    with pytest.raises(NotFound):
        actions.receive_follow(follower=world.dora, target=world.bob, uri=FOLLOW + "2")
    assert Follow.objects.count() == 1


def test_a_block_ends_follows_both_ways_and_refuses_new_ones(world: World) -> None:
    actions.follow(follower=world.bob, target=world.alice)
    actions.follow(follower=world.alice, target=world.bob)
    actions.block(account=world.alice, target=world.bob)
    actions.block(account=world.alice, target=world.bob)
    assert not Follow.objects.exists()
    assert queries.is_blocked(world.alice, world.bob)
    assert not queries.is_blocked(world.bob, world.alice)
    for follower, target in ((world.bob, world.alice), (world.alice, world.bob)):
        with pytest.raises(NotAllowed):
            actions.follow(follower=follower, target=target)
    assert actions.follow(follower=world.charlie, target=world.alice).state == "accepted"
    actions.unblock(account=world.alice, target=world.bob)
    assert actions.follow(follower=world.bob, target=world.alice).state == "accepted"
    with pytest.raises(Invalid):
        actions.block(account=world.alice, target=world.alice)


def test_a_block_across_servers_tells_the_other_side(world: World) -> None:
    ours = actions.follow(follower=world.alice, target=world.dora)
    actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW)
    actions.block(account=world.alice, target=world.dora)
    assert facts("FollowWithdrawn") == [{"follower_id": world.alice.pk, "target_id": world.dora.pk, "follow_uri": ours.uri}]
    assert facts("FollowAnswered")[-1] == answer(world, FOLLOW, accepted=False)
    assert actions.receive_follow(follower=world.dora, target=world.alice, uri=FOLLOW) is None
    assert facts("FollowAnswered")[-1] == answer(world, FOLLOW, accepted=False)
    assert not Follow.objects.exists()


def test_a_block_from_outside_ends_follows_silently(world: World) -> None:
    actions.follow(follower=world.alice, target=world.dora)
    Task.objects.all().delete()
    actions.block(account=world.dora, target=world.alice)
    assert not Follow.objects.exists()
    assert not Task.objects.exists()
    with pytest.raises(NotAllowed):
        actions.follow(follower=world.alice, target=world.dora)


def test_a_mute_is_between_me_and_myself(world: World) -> None:
    actions.mute(account=world.alice, target=world.bob)
    actions.mute(account=world.alice, target=world.bob)
    assert Mute.objects.count() == 1
    assert queries.relationship(world.alice, world.bob).muting
    assert queries.relationship(world.bob, world.alice) == queries.Relationship()
    actions.unmute(account=world.alice, target=world.bob)
    assert not Mute.objects.exists()


def test_relationship_says_it_from_the_viewers_side(world: World) -> None:
    actions.follow(follower=world.bob, target=world.alice)
    assert queries.relationship(world.bob, world.alice) == queries.Relationship(following=True)
    assert queries.relationship(world.alice, world.bob) == queries.Relationship(followed_by=True)
    assert queries.relationship(world.charlie, world.alice) == queries.Relationship()
    assert queries.relationship(None, world.alice) == queries.Relationship()
    assert queries.relationship(world.alice, world.alice) == queries.Relationship()


def test_followers_of_a_moved_account_follow_the_new_one(world: World) -> None:
    new = people.remote("dora", "new.example")
    for follower in (world.alice, world.bob, world.charlie):
        actions.follow(follower=follower, target=world.dora)
    actions.block(account=world.charlie, target=new)
    with pytest.raises(NotAllowed):
        actions.repoint_follows(old=world.dora, new=new)
    new.also_known_as = [world.dora.uri]
    new.save()
    Task.objects.all().delete()
    assert actions.repoint_follows(old=world.dora, new=new) == 2
    assert actions.repoint_follows(old=world.dora, new=new) == 0
    assert {row.follower.handle for row in Follow.objects.filter(target=new)} == {"alice", "bob"}
    assert not Follow.objects.filter(target=world.dora).exists()
    assert len(facts("FollowRequested")) == 2
    assert len(facts("FollowWithdrawn")) == 3
    world.dora.refresh_from_db()
    assert world.dora.moved_to == new


def test_a_move_to_a_local_account_is_accepted_at_once_and_no_loop_is_followed(world: World) -> None:
    actions.follow(follower=world.bob, target=world.dora)
    world.alice.also_known_as = [world.dora.uri]
    world.alice.moved_to = world.dora
    world.alice.save()
    with pytest.raises(NotAllowed):
        actions.repoint_follows(old=world.dora, new=world.alice)
    world.alice.moved_to = None
    world.alice.save()
    assert actions.repoint_follows(old=world.dora, new=world.alice) == 1
    assert queries.relationship(world.bob, world.alice).following
