"""Coming back with your own keys when the old home is gone, and telling servers that know no key logs."""

import json
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import bringing, moving, telling
from server.accounts.models import SignedMove
from server.api.auth import me
from server.api.fields import Moment, Text
from server.api.operations import Resource, operation, read
from server.core import clock, limits
from server.core.errors import NotFound
from server.identity import moverequests
from server.identity.keylog import SOFT
from server.identity.offer import offer_document

NAME_CHARACTERS_MAX = 512


class BringSerializer(serializers.Serializer):
    """Whose keys you hold."""

    named = Text(
        max_length=NAME_CHARACTERS_MAX, required=False, default="", allow_blank=True,
        help_text="The identity (`Qm...`) or your address at an earlier home. May be left out when `log` is there.",
    )  # fmt: skip
    log = serializers.ListField(
        child=Text(max_length=SOFT.bytes_max), max_length=SOFT.entries_max, required=False,
        help_text="Your own copy of the did.jsonl, line by line, for when nobody we know has one.",
    )  # fmt: skip


class BroughtSerializer(serializers.Serializer):
    """What your tool needs."""

    scid = serializers.CharField()
    offer = serializers.JSONField(help_text="The HomeOffer to be signed. Also at `<your actor>/move-offer`.")
    log = serializers.ListField(child=serializers.CharField(), help_text="The log that the next entry extends.")


class FormerFollowerSerializer(serializers.Serializer):
    """Somebody who followed you at your former home: a line of `graph/followers.jsonl` in your archive."""

    actor = Text(max_length=limits.URL_CHARACTERS_MAX)
    inbox = Text(max_length=limits.URL_CHARACTERS_MAX)
    sharedInbox = Text(max_length=limits.URL_CHARACTERS_MAX, required=False)  # noqa: N815 (as it stands in the archive)


class FollowersSerializer(serializers.Serializer):
    """Who followed you."""

    followers = serializers.ListField(child=FormerFollowerSerializer(), max_length=limits.FORMER_FOLLOWERS_COUNT_MAX)


class KnownFollowersSerializer(serializers.Serializer):
    """How many are known."""

    added = serializers.IntegerField()
    known = serializers.IntegerField()


class MoveRequestsSerializer(serializers.Serializer):
    """What your tool is to sign (docs/reference/move-requests.md), member by member."""

    v = serializers.IntegerField()
    type = serializers.CharField()
    scid = serializers.CharField()
    audience = serializers.CharField()
    oldActor = serializers.CharField()  # noqa: N815 (the names of the format)
    newActor = serializers.CharField()  # noqa: N815
    keyId = serializers.CharField()  # noqa: N815
    userMethod = serializers.CharField()  # noqa: N815
    activity = serializers.DictField()
    inboxes = serializers.ListField(child=serializers.CharField())


class SignedSerializer(serializers.Serializer):
    """The Move as you signed it (docs/reference/move-requests.md)."""

    signed = serializers.DictField(help_text="The whole SignedMoveRequests document.")


class ProgressSerializer(serializers.Serializer):
    """How far the Move got: servers in each state."""

    signed_at = Moment()
    waiting = serializers.IntegerField()
    delivered = serializers.IntegerField()
    dead = serializers.IntegerField()


class ProofSerializer(serializers.Serializer):
    """An identity proof (FEP-c390)."""

    proof = serializers.DictField(help_text="The VerifiableIdentityStatement about this account, signed with your `#user` key.")


class Bring(Resource):
    """Come back with your own keys."""

    @operation(
        "identity.bring",
        "Bring an identity whose keys you hold",
        body=BringSerializer,
        answers={200: BroughtSerializer},
        errors=(404, 409, 502, 503, 504),
    )
    def post(self, request: Request) -> Response:
        """Good for one day. Sign the offer with your words, and post log and grant to `<your actor>/move`."""
        account, sent = me(request), read(BringSerializer, request.data)
        lines = sent.get("log")
        log = None if lines is None else "".join(f"{line}\n" for line in lines).encode()
        offer = bringing.bring(account=account, by=account, named=sent["named"], log=log)
        kept = bringing.log_for(offer).decode().splitlines()
        return Response({"scid": offer.scid, "offer": offer_document(offer), "log": kept})


class Followers(Resource):
    """Those who followed you at your former home."""

    @operation(
        "identity.add_followers",
        "Say who followed you at your former home",
        body=FollowersSerializer,
        answers={200: KnownFollowersSerializer},
    )
    def post(self, request: Request) -> Response:
        """They are told where you live now."""
        account = me(request)
        rows = [dict(row) for row in read(FollowersSerializer, request.data)["followers"]]
        added = bringing.keep_followers(account=account, rows=rows)
        return Response({"added": added, "known": account.former_followers.count()})


class MoveRequests(Resource):
    """The Move for servers that know no key logs."""

    @operation(
        "identity.move_requests",
        "What to sign for servers without key logs",
        answers={200: MoveRequestsSerializer},
        errors=(404, 409, 503),
    )
    def get(self, request: Request) -> Response:
        """A MoveRequests document, for your tool."""
        account = me(request)
        return Response(moverequests.requests_document(telling.ask_signatures(account=account, by=account)))

    @operation(
        "identity.send_move",
        "Have a signed Move sent",
        body=SignedSerializer,
        answers={200: ProgressSerializer},
        errors=(404, 409, 503),
    )
    def post(self, request: Request) -> Response:
        """Exactly your bytes go out, once in seven days."""
        account = me(request)
        data = json.dumps(read(SignedSerializer, request.data)["signed"]).encode()
        return Response(_progress(telling.take_signed(account=account, by=account, data=data)))


class Progress(Resource):
    """How far the Move got."""

    @operation("identity.move_progress", "How far the signed Move got", answers={200: ProgressSerializer}, errors=(404,))
    def get(self, request: Request) -> Response:
        """Counted every few seconds."""
        move = telling.last_signed(me(request))
        if move is None:
            raise NotFound("No Move was signed for this account.")
        return Response(_progress(move))


class Proof(Resource):
    """An identity proof of your account."""

    @operation("identity.prove", "Attach an identity proof", body=ProofSerializer, answers={204: None}, errors=(404,))
    def put(self, request: Request) -> Response:
        """Servers without key logs know two accounts with proofs by one key for one person's."""
        account = me(request)
        moving.prove_account(account=account, proof=read(ProofSerializer, request.data)["proof"])
        return Response(status=204)


def _progress(move: SignedMove) -> dict[str, Any]:
    return {
        "signed_at": clock.iso(move.signed_at),
        "waiting": move.waiting,
        "delivered": move.delivered,
        "dead": move.dead,
    }


bring, followers, move_requests = Bring.as_view(), Followers.as_view(), MoveRequests.as_view()
move_progress, proof = Progress.as_view(), Proof.as_view()
