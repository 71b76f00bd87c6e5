"""Signing at a distance: the offer of another instance signed at home, and ours signed from another home; and every refusal."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from nacl.signing import SigningKey

from payouts import agreement, agreements, claiming, instance_keys, offers, peers, queries
from payouts.ledger import canonical
from payouts.ledger.multikey import multikey_bytes
from payouts.models import Acceptance, AccountHead, Agreement, LogEntry, PeerAgreement, PeerLog
from payouts.peers import PeerUnclear
from server.core import clock, keys
from server.core.errors import Conflict, NotFound, WrongState
from server.core.http import HttpError
from server.identity import actions, keylog
from server.identity import queries as identities
from server.identity.models import CustodyKey, Identity
from tests.payouts.ledger_world import alpha
from tests.payouts.neighbour import Neighbour
from tests.payouts.played_month import play_month
from tests.payouts.room import Room

pytestmark = pytest.mark.django_db
DOOR = "/ledger/1/agreements"


@pytest.fixture
def debtor(room: Room, neighbour: Neighbour) -> PeerLog:
    """The neighbour, who owes alice something that waits for her signature."""
    play_month(neighbour, room.alice.scid)
    neighbour.show_statement(room.alice.scid, [bytes(line.line) for line in room.alice.lines.order_by("number")])
    peer = peers.follow_log(instance_origin=neighbour.origin)
    peers.refresh_claims(room.alice.scid)
    return peer


# --- our creator, their offer ---


def test_the_offer_of_another_is_read_signed_and_kept_with_both_signatures(
    room: Room, neighbour: Neighbour, debtor: PeerLog
) -> None:
    (claim,) = queries.claims(room.alice.scid)
    assert (claim.unclaimed, claim.signed_at) == (1_300_000, None)
    offer = claiming.offer_of(debtor)
    signed = claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor, offer_id=offer.terms.id)
    terms = agreement.parse_agreement(bytes(signed.document))
    assert (terms.scope, terms.origin, terms.document["prev"]) == (room.alice.scid, debtor.origin, offer.terms.id)
    known = {
        f"{neighbour.instance.actor}#instance-1": bytes(neighbour.instance.instance_key.verify_key),
        **agreements.member(room.alice.scid).keys,
    }
    assert agreement.check_signed(terms, known.get) == ()
    (claim,) = queries.claims(room.alice.scid)
    assert claim.signed_at == signed.signed_at
    # Once: the second time nobody is asked to take anything.
    posts = neighbour.asked.count(DOOR)
    assert claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor) == signed
    assert (neighbour.asked.count(DOOR), PeerAgreement.objects.count()) == (posts, 1)
    # Charlie has signed nothing and sees nothing of hers.
    assert queries.signed_with_others(room.charlie.scid) == []


def no_offer(neighbour: Neighbour) -> None:
    neighbour.offer = None


def not_json(neighbour: Neighbour) -> None:
    neighbour.offer = b"<html>"


def changed_share(neighbour: Neighbour) -> None:
    assert neighbour.offer
    neighbour.offer = neighbour.offer.replace(b'"share_millionths":650000', b'"share_millionths":650001')


def signed_by_another(neighbour: Neighbour) -> None:
    document = offers.default_offer(
        neighbour.instance.origin, created="2026-10-01T00:00:00Z", effective_from="2026-11-01T00:00:00Z"
    )
    method = f"{neighbour.instance.actor}#instance-1"
    neighbour.offer = canonical.encode(
        offers.sign(document, key=SigningKey(b"\x05" * 32), verification_method=method, created=clock.now())
    )


def of_another(neighbour: Neighbour) -> None:
    from tests.payouts.ledger_world import offer

    neighbour.offer = offer(alpha.host).data


def refuses(neighbour: Neighbour) -> None:
    neighbour.take = lambda _: (422, b"invalid: not today\n")


def echoes(neighbour: Neighbour) -> None:
    neighbour.take = lambda body: (200, body)


def answers_other_terms(neighbour: Neighbour) -> None:
    def take(body: bytes) -> tuple[int, bytes]:
        document = {**json.loads(body), "notice_days": 31}
        changed = offers.draft({name: value for name, value in document.items() if name not in ("id", "proof", "v")})
        return 200, neighbour.countersigned(canonical.encode(changed))

    neighbour.take = take


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (no_offer, "shows no offer: status 404"),
        (not_json, "not_canonical|malformed|json"),
        (changed_share, "bad_agreement_id"),
        (signed_by_another, "bad_signature"),
        (of_another, "not its own offer"),
        (refuses, "422 invalid: not today"),
        (echoes, "agreement_unsigned"),
        (answers_other_terms, "other terms"),
    ],
)
def test_a_debtor_that_lies_gets_no_signature_and_nothing_is_kept(
    room: Room, neighbour: Neighbour, debtor: PeerLog, lie: Callable[[Neighbour], None], words: str
) -> None:
    lie(neighbour)
    with pytest.raises((PeerUnclear, Conflict), match=words):
        claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor)
    assert not PeerAgreement.objects.exists()
    assert queries.claims(room.alice.scid)[0].signed_at is None


def test_what_is_not_signed(room: Room, neighbour: Neighbour, debtor: PeerLog) -> None:
    with pytest.raises(Conflict, match="have changed"):
        claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor, offer_id="0" * 64)
    with pytest.raises(NotFound):
        claiming.accept_elsewhere(scid="Qm" + "1" * 44, peer=debtor)
    CustodyKey.objects.filter(identity=room.alice, role="user").delete()
    with pytest.raises(WrongState, match="not held here"):
        claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor)
    PeerLog.objects.update(forked_at=clock.now())
    debtor.refresh_from_db()
    with pytest.raises(WrongState, match="two histories"):
        claiming.accept_elsewhere(scid=room.bob.scid, peer=debtor)
    assert DOOR not in neighbour.asked
    assert not PeerAgreement.objects.exists()


def test_a_debtor_that_is_away(room: Room, neighbour: Neighbour, debtor: PeerLog) -> None:
    neighbour.close()
    from server.core import http

    http.forget_connections()
    with pytest.raises(HttpError):
        claiming.accept_elsewhere(scid=room.alice.scid, peer=debtor)
    assert not PeerAgreement.objects.exists()


def test_the_command_signs(room: Room, neighbour: Neighbour, debtor: PeerLog) -> None:
    def run(*arguments: str) -> Any:
        out = StringIO()
        call_command("ledger", "sign", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    assert run(room.alice.scid, "--debtor", debtor.origin)["agreement"] == PeerAgreement.objects.get().agreement_id
    assert run(room.alice.scid)["agreement"] == Acceptance.objects.get().agreement_id
    with pytest.raises(CommandError, match="not_found"):
        run(room.alice.scid, "--debtor", "nowhere.example/ledger/1")


# --- their creator, our offer ---


def from_home(room: Room, *, key: SigningKey | None = None, method: str = "", moment: timedelta = timedelta(0)) -> bytes:
    """What bob's home sends: our offer, signed for him."""
    who = agreements.member(room.bob.scid)
    at = clock.now() + moment
    offer = agreement.parse_agreement(Client().get("/ledger/1/offer").content)
    document = offers.channel_agreement(
        offer, scid=room.bob.scid, custody=who.custody, created=clock.iso(at), effective_from=clock.iso(at)
    )
    signer = key or identities.custody_key(room.bob, "user")
    return canonical.encode(offers.sign(document, key=signer, verification_method=method or who.method, created=at))


def hand_in(body: bytes) -> tuple[int, bytes]:
    answer = Client(enforce_csrf_checks=True).post(DOOR, body, content_type="application/json")
    return answer.status_code, answer.content


def state() -> tuple[Any, ...]:
    heads = AccountHead.objects.order_by("pk").values_list("scid", "balance", "unclaimed")
    return LogEntry.objects.count(), Agreement.objects.count(), Acceptance.objects.count(), list(heads)


def test_a_home_hands_in_a_signature_and_what_waited_is_payable(room: Room) -> None:
    assert Client().get("/ledger/1/offer").status_code == 404
    room.month()
    status, body = hand_in(from_home(room))
    assert status == 200
    signed = agreement.parse_agreement(body)
    ours = multikey_bytes(instance_keys.instance_public(), "ed25519")
    known = {**agreements.member(room.bob.scid).keys, instance_keys.instance_method(): ours}
    assert agreement.check_signed(signed, known.get) == ()
    head = AccountHead.objects.get(scid=room.bob.scid)
    assert (head.balance, head.unclaimed) == (3_600_000, 0)
    # Again, at another moment: the same answer, and not one entry more, however often a stranger repeats it.
    before = state()
    assert hand_in(from_home(room, moment=timedelta(seconds=5))) == (200, body)
    assert hand_in(from_home(room)) == (200, body)
    assert state() == before


def test_every_flipped_byte_of_what_is_handed_in_is_refused(room: Room) -> None:
    room.month()
    good = from_home(room)
    before = state()
    for place in range(0, len(good), 7):
        status, body = hand_in(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert status in (403, 404, 422), body
        assert body.partition(b":")[0].decode().replace("_", "").isalpha()
    for other in (b"", b"{}", b"x" * 20_000, good + b" "):
        assert hand_in(other)[0] == 422
    assert state() == before
    assert hand_in(good)[0] == 200


@pytest.mark.parametrize(
    ("creator", "operating", "why"),
    [(650_000, 349_999, "shares_do_not_sum"), (650_000, 350_001, "shares_do_not_sum"), (999_999, 1, "not the terms")],
)
def test_shares_that_do_not_sum_or_were_not_offered_change_nothing(room: Room, creator: int, operating: int, why: str) -> None:
    room.month()
    before = state()
    table = sorted([(room.bob.scid, creator), ("operating", operating)])
    rows = [{"to": to, "share_millionths": share} for to, share in table]
    document = {**json.loads(from_home(room)), "shares": {"contextual": rows, "personal": rows}}
    document = offers.draft({name: value for name, value in document.items() if name not in ("id", "proof", "v")})
    signed = offers.sign(
        document, key=identities.custody_key(room.bob, "user"), created=clock.now(),
        verification_method=agreements.member(room.bob.scid).method,
    )  # fmt: skip
    status, body = hand_in(canonical.encode(signed))
    assert (status, why in body.decode()) == (422, True), body
    assert state() == before


def test_only_whoever_is_owed_something_may_knock(room: Room) -> None:
    room.month()
    before = state()
    offer = agreement.parse_agreement(Client().get("/ledger/1/offer").content)
    now = clock.iso(clock.now())
    document = offers.channel_agreement(offer, scid=room.charlie.scid, custody="server", created=now, effective_from=now)
    signed = offers.sign(
        document, key=identities.custody_key(room.charlie, "user"), created=clock.now(),
        verification_method=agreements.member(room.charlie.scid).method,
    )  # fmt: skip
    assert hand_in(canonical.encode(signed))[0] == 404
    # Nor does charlie sign for bob, with his own key under bob's name or under his own.
    his = identities.custody_key(room.charlie, "user")
    assert hand_in(from_home(room, key=his))[0] == 422
    assert hand_in(from_home(room, key=his, method=agreements.member(room.charlie.scid).method))[0] == 422
    assert hand_in(from_home(room, moment=timedelta(hours=1)))[0] == 422
    assert state() == before


def test_a_key_that_was_replaced_signs_nothing_new(room: Room) -> None:
    """The old home kept a copy of the ``#user`` key; the log has replaced it since."""
    room.month()
    stolen, method = identities.custody_key(room.bob, "user"), agreements.member(room.bob.scid).method
    root = CustodyKey.objects.get(identity=room.bob, role="root")
    fresh, following = keys.make_ed25519(), keys.make_ed25519()
    rotated = keylog.rotate_user(
        identities.log_of(room.bob), user_key=fresh.public, key=SigningKey(keys.unseal(bytes(root.private_sealed))),
        next_keys=[keylog.key_hash(following.public)], now=clock.now() + timedelta(seconds=1), loopback=True,
    )  # fmt: skip
    actions.accept_log(data=rotated.data, requested=room.bob.scid)
    before = state()
    assert hand_in(from_home(room, key=stolen, method=method)) == (
        403, b"not_allowed: This agreement is not signed with the present key of the identity.\n",
    )  # fmt: skip
    assert state() == before
    assert hand_in(from_home(room, key=SigningKey(keys.unseal(fresh.private_sealed))))[0] == 200


def test_a_strangers_knock_asks_the_home_at_most_once_a_minute(room: Room, neighbour: Neighbour) -> None:
    room.month()
    elsewhere = f"did:webvh:{room.bob.scid}:localhost%3A{neighbour.server.server_port}:u:bob"
    Identity.objects.filter(pk=room.bob.pk).update(
        is_home=False, did=elsewhere, checked_at=clock.now() - timedelta(minutes=2)
    )  # fmt: skip
    good = from_home(room)
    for _ in range(3):
        hand_in(good.replace(b'"notice_days":30', b'"notice_days":31'))
        assert hand_in(good)[0] == 200
    assert neighbour.asked == ["/u/bob/did.jsonl"]
