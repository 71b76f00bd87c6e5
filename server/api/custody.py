"""Who holds your keys: take them from the server, or make new ones with its help. No private key ever comes here."""

import json
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.models import Account
from server.api.auth import me
from server.api.fields import Flag, Text
from server.api.operations import Resource, operation, read
from server.core import budget
from server.core.errors import Invalid, NotAllowed, NotFound
from server.identity import custody, queries
from server.identity.models import Identity

KEY_CHARACTERS_MAX = 64
PASSWORD_CHARACTERS_MAX = 4_096
TRIES_PER_MINUTE_MAX = 5
ENTRY_BYTES_MAX = 65_536


class OwnerKeysSerializer(serializers.Serializer):
    """The public halves of your new keys."""

    user_key = Text(max_length=KEY_CHARACTERS_MAX, help_text="The Multikey of `#user` (Ed25519).")
    box_key = Text(max_length=KEY_CHARACTERS_MAX, help_text="The Multikey of `#box` (X25519).")
    paper_key_hash = Text(max_length=KEY_CHARACTERS_MAX, help_text="What the log commits to for your next paper key.")
    with_recovery = Flag(
        required=False, help_text="May this server help when you have lost your words? Its key can never evict yours."
    )


class LogEntrySerializer(serializers.Serializer):
    """An entry of your key log without its proof."""

    entry = serializers.JSONField(help_text="Check that it names your keys, sign it with the new `#user` key, send both back.")


class FinishSerializer(serializers.Serializer):
    """The prepared entry, a proof that you hold its keys, and your password: a session that somebody found open is not enough."""

    entry = serializers.DictField(help_text="As it was prepared.")
    proof = serializers.DictField(help_text="An eddsa-jcs-2022 proof of the entry by the `#user` key that it names.")
    password = Text(max_length=PASSWORD_CHARACTERS_MAX, trim_whitespace=False)


class LogSerializer(serializers.Serializer):
    """Your key log."""

    custody = serializers.CharField(help_text="Who holds the keys now.")
    lines = serializers.ListField(child=serializers.CharField(), help_text="The did.jsonl. Verify it before you rely on it.")


class Prepare(Resource):
    """The first step."""

    @operation(
        "identity.prepare_custody",
        "Prepare the entry that puts the keys into your hands",
        body=OwnerKeysSerializer,
        answers={200: LogEntrySerializer},
        errors=(404, 409),
    )
    def post(self, request: Request) -> Response:
        """Nothing changes yet. Under owner custody this works only where the server keeps a key for recovery."""
        account = me(request)
        sent = read(OwnerKeysSerializer, request.data)
        return Response({"entry": custody.prepare(identity=_identity(account), wanted=custody.OwnerKeys(**sent))})


class Finish(Resource):
    """The second step."""

    @operation(
        "identity.finish_custody",
        "Put the keys into your hands",
        body=FinishSerializer,
        answers={200: LogSerializer},
        errors=(404, 409),
    )
    def post(self, request: Request) -> Response:
        """The server signs, publishes, and destroys the keys that it held."""
        account = me(request)
        sent = read(FinishSerializer, request.data)
        _check_password(account, sent["password"])
        # The nesting of what was sent is bounded by the parser; its size is bounded here.
        if len(json.dumps([sent["entry"], sent["proof"]])) > ENTRY_BYTES_MAX:
            raise Invalid("This is too large for an entry.", field="entry")
        kept = custody.finish(identity=_identity(account), entry=sent["entry"], possession=sent["proof"])
        body: dict[str, Any] = {"custody": kept.custody, "lines": queries.log_bytes(kept).decode().splitlines()}
        return Response(LogSerializer(body).data)


def _identity(account: Account) -> Identity:
    if not account.scid:
        raise NotFound("This account has no portable identity yet.")
    return queries.by_scid(account.scid)


def _check_password(account: Account, password: str) -> None:
    if not budget.spend(f"custody:{account.pk}", per_minute_max=TRIES_PER_MINUTE_MAX):
        raise NotAllowed("Too many tries. Wait a minute.")
    if account.user is None or not account.user.check_password(password):
        raise Invalid("This is not your password.", field="password")


prepare, finish = Prepare.as_view(), Finish.as_view()
