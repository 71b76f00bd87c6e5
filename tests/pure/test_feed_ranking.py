"""The order of For You: newer first, lifted by what people did, authors spread out."""

from hypothesis import given
from hypothesis import strategies as st

from server.feed.ranking import Candidate, rank, score

candidates = st.lists(
    st.builds(
        Candidate,
        video_id=st.integers(1, 10**6),
        account_id=st.integers(1, 5),
        age_hours=st.floats(-10, 10_000, allow_nan=False),
        likes=st.integers(0, 10**6),
        comments=st.integers(0, 10**6),
        shares=st.integers(0, 10**6),
    ),
    max_size=40,
    unique_by=lambda each: each.video_id,
)


def made(number: int, *, author: int | None = None, age: float = 1.0, likes: int = 0) -> Candidate:
    return Candidate(video_id=number, account_id=author or number, age_hours=age, likes=likes)


def test_newer_beats_older():
    assert rank([made(1, age=30), made(2, age=1), made(3, age=5)]) == [2, 3, 1]


def test_likes_lift_an_older_video_above_a_newer_one_but_not_for_ever():
    liked = made(1, age=10, likes=20)
    assert rank([liked, made(2, age=2)]) == [1, 2]
    assert rank([made(1, age=200, likes=20), made(2, age=2)]) == [2, 1]


def test_a_share_counts_more_than_a_comment_and_a_comment_more_than_a_like():
    base = {"account_id": 1, "age_hours": 3.0}
    like, comment, share = (score(Candidate(video_id=1, **base, **{kind: 1})) for kind in ("likes", "comments", "shares"))
    assert like < comment < share


def test_an_age_below_zero_gains_nothing():
    assert score(made(1, age=-100)) == score(made(1, age=0))


def test_two_videos_of_one_author_do_not_stand_side_by_side_while_there_is_another():
    order = rank([made(1, author=7, age=1), made(2, author=7, age=2), made(3, author=8, age=50)])
    assert order == [1, 3, 2]


def test_a_lone_author_is_still_shown_in_full():
    assert rank([made(1, author=7, age=2), made(2, author=7, age=1)]) == [2, 1]


@given(candidates)
def test_every_candidate_comes_exactly_once(found: list[Candidate]):
    assert sorted(rank(found)) == sorted(each.video_id for each in found)


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_they_came(found: list[Candidate], chance):
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert rank(shuffled) == rank(found)


@given(candidates)
def test_neighbours_share_an_author_only_when_nobody_else_is_left(found: list[Candidate]):
    by_id = {each.video_id: each.account_id for each in found}
    authors = [by_id[number] for number in rank(found)]
    for place in range(1, len(authors)):
        if authors[place] == authors[place - 1]:
            assert set(authors[place:]) == {authors[place]}
