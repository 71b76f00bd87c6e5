"""Your portable identity, and moving house with it."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import moving
from server.api import serializers as show
from server.api.auth import me
from server.api.fields import Text
from server.api.identities import ReplicaSerializer
from server.api.operations import Resource, operation, read
from server.core.errors import NotFound
from server.identity import queries

ADDRESS_CHARACTERS_MAX = 320


class IdentitySerializer(serializers.Serializer):
    """Who you are, wherever you live."""

    scid = serializers.CharField(help_text="The key of your identity. It never changes.")
    did = serializers.CharField(help_text="Your did:webvh at your present home.")
    custody = serializers.ChoiceField(choices=["owner", "server"], help_text="Who holds the keys.")
    version = serializers.IntegerField(help_text="How many entries your key log has.")
    names = serializers.ListField(child=serializers.CharField(), help_text="Your names at earlier homes.")
    key_log_url = serializers.CharField()
    contested = serializers.BooleanField(help_text="Your keys signed two histories, and it is not settled which one counts.")
    replicas = ReplicaSerializer(many=True, help_text="Which instances keep copies of your key log.")


class ExpectMoveSerializer(serializers.Serializer):
    """Bring an identity here."""

    old_address = Text(max_length=ADDRESS_CHARACTERS_MAX, help_text="Your address at the old home, such as `alice@old.example`.")


class MoveAwaySerializer(serializers.Serializer):
    """Take your identity elsewhere."""

    to_address = Text(max_length=ADDRESS_CHARACTERS_MAX, help_text="Your address at the new home, where the move is expected.")


class ExpectedMoveSerializer(serializers.Serializer):
    """What happens next."""

    scid = serializers.CharField()
    address = serializers.CharField(help_text="What to enter at the old home.")


class Identity(Resource):
    """Your identity."""

    @operation("identity.show", "Your portable identity", answers={200: IdentitySerializer}, errors=(404,))
    def get(self, request: Request) -> Response:
        """As its key log says, checked now."""
        account = me(request)
        if not account.scid:
            raise NotFound("This account has no portable identity yet.")
        identity = queries.by_scid(account.scid)
        document = queries.document_of(identity)
        body: dict[str, Any] = {
            "scid": identity.scid,
            "did": identity.did,
            "custody": document.custody,
            "version": identity.head_number,
            "names": list(document.prior),
            "key_log_url": show.absolute(f"/u/{account.handle}/did.jsonl"),
            "contested": identity.contested_at is not None,
            "replicas": [vars(one) for one in queries.replicas_of(identity)],
        }
        return Response(IdentitySerializer(body).data)


class Expect(Resource):
    """Bring an identity here."""

    @operation(
        "identity.expect",
        "Expect your identity from another home",
        body=ExpectMoveSerializer,
        answers={200: ExpectedMoveSerializer},
        errors=(404, 409, 502, 503, 504),
    )
    def post(self, request: Request) -> Response:
        """Good for one day. Then move away at the old home, to the address in the answer."""
        account = me(request)
        offer = moving.expect_move(
            account=account, by=account, old_address=read(ExpectMoveSerializer, request.data)["old_address"]
        )
        return Response({"scid": offer.scid, "address": offer.home.acct.removeprefix("acct:")})


class Away(Resource):
    """Move away."""

    @operation(
        "identity.move",
        "Move to another home",
        body=MoveAwaySerializer,
        answers={200: show.AccountSummarySerializer},
        errors=(404, 409, 502, 503, 504),
    )
    def post(self, request: Request) -> Response:
        """Your followers are told, and your earnings follow the identity. This account stays as a signpost."""
        account = me(request)
        new = moving.move_away(account=account, by=account, to_address=read(MoveAwaySerializer, request.data)["to_address"])
        return Response(show.people([new])[0])


one, expect, away = Identity.as_view(), Expect.as_view(), Away.as_view()
