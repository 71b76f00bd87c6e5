"""The caller's money: who owes it, the offer that a debtor publishes, and her signature under it."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from payouts import agreements, claiming, instance_keys, peers, queries
from payouts.ledger import canonical
from payouts.ledger.errors import LedgerError
from server.accounts.models import Account
from server.api.auth import me
from server.api.fields import Moment, Text
from server.api.operations import Resource, operation, read
from server.core.errors import Invalid, NotFound

ORIGIN_CHARACTERS_MAX = 300


class ClaimSerializer(serializers.Serializer):
    """What one instance owes you, in millionths of the currency unit (as text: they are large)."""

    debtor = serializers.CharField(help_text="The name of its ledger, such as `peer.example/ledger/1`.")
    is_ours = serializers.BooleanField(help_text="Is it this instance?")
    currency = serializers.CharField()
    payable = serializers.CharField()
    held = serializers.CharField()
    unclaimed = serializers.CharField(help_text="Waits until you sign the debtor's agreement.")
    as_of_index = serializers.IntegerField(allow_null=True, help_text="The entry of its ledger up to which this is proven.")
    as_of = Moment(allow_null=True)
    witnesses = serializers.ListField(child=serializers.CharField())
    signed_at = Moment(allow_null=True, help_text="When you signed.")
    doubt = serializers.CharField(help_text="Why its books are in doubt; empty when they are not.")


class WalletSerializer(serializers.Serializer):
    """Who owes you what."""

    claims = ClaimSerializer(many=True)


class SignSerializer(serializers.Serializer):
    """Whose offer you sign."""

    debtor = Text(max_length=ORIGIN_CHARACTERS_MAX, help_text="As in the list of claims.")
    offer = Text(
        required=False, allow_blank=True, max_length=64, help_text="The `id` of the terms you read. Others are then not signed."
    )

    document = serializers.DictField(
        required=False, help_text="What `wallet.prepare` gave, with your proof in it: needed when you hold your keys yourself."
    )


class PreparedSerializer(serializers.Serializer):
    """What to sign."""

    document = serializers.JSONField(help_text="The agreement. Sign it without `id` and `proof`, put the proof into `proof`.")
    verification_method = serializers.CharField(help_text="What your proof must name.")


class Wallet(Resource):
    """Your money."""

    @operation("wallet.show", "Who owes you what", answers={200: WalletSerializer}, errors=(404,))
    def get(self, request: Request) -> Response:
        """What this instance knows; `wallet.refresh` asks the others."""
        return Response(_show(_scid(me(request))))


class Refresh(Resource):
    """The others."""

    @operation("wallet.refresh", "Ask the other instances what they owe you", answers={200: WalletSerializer}, errors=(404,))
    def post(self, request: Request) -> Response:
        """Each instance whose ledger is followed here; an answer that does not verify changes nothing."""
        scid = _scid(me(request))
        peers.refresh_claims(scid)
        return Response(_show(scid))


class Prepare(Resource):
    """What you sign yourself."""

    @operation(
        "wallet.prepare",
        "Prepare an agreement for your own signature",
        body=SignSerializer,
        answers={200: PreparedSerializer},
        errors=(404, 409, 502, 503, 504),
    )
    def post(self, request: Request) -> Response:
        """Needed when you hold your keys yourself; then send it signed to `wallet.sign`."""
        scid, sent = _scid(me(request)), read(SignSerializer, request.data)
        debtor, offer_id = sent["debtor"], sent.get("offer", "")
        if debtor == instance_keys.origin():
            document = agreements.prepare_acceptance(scid=scid, offer_id=offer_id)
        else:
            document = claiming.prepare_elsewhere(scid=scid, peer=claiming.peer_called(debtor), offer_id=offer_id)
        return Response({"document": document, "verification_method": agreements.member(scid).method})


class Sign(Resource):
    """Your signature."""

    @operation(
        "wallet.sign",
        "Sign the agreement that a debtor offers",
        body=SignSerializer,
        answers={200: WalletSerializer},
        errors=(404, 409, 502, 503, 504),
    )
    def post(self, request: Request) -> Response:
        """With the key this server holds for you, or with your own (`document`). What waited becomes payable; twice is once."""
        scid, sent = _scid(me(request)), read(SignSerializer, request.data)
        debtor, offer_id = sent["debtor"], sent.get("offer", "")
        signed = _bytes(sent["document"]) if "document" in sent else b""
        if debtor != instance_keys.origin():
            claiming.accept_elsewhere(scid=scid, peer=claiming.peer_called(debtor), offer_id=offer_id, signed=signed)
        elif signed:
            agreements.accept_signed(scid=scid, data=signed)
        else:
            agreements.accept_default(scid=scid, offer_id=offer_id)
        return Response(_show(scid))


def _bytes(document: dict[str, Any]) -> bytes:
    try:
        return canonical.encode(document)
    except LedgerError as error:
        raise Invalid(f"{error.code}: {error}", field="document") from error


def _show(scid: str) -> dict[str, Any]:
    return dict(WalletSerializer({"claims": queries.claims(scid)}).data)


def _scid(account: Account) -> str:
    if not account.scid:
        raise NotFound("This account has no portable identity yet.")
    return account.scid


one, refresh, prepare, sign = Wallet.as_view(), Refresh.as_view(), Prepare.as_view(), Sign.as_view()
