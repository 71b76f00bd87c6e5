"""Accounts elsewhere that are you too: the old one stands here before you move from it."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import aliases
from server.accounts.models import Account
from server.api import lookups
from server.api.auth import me
from server.api.operations import Resource, operation


class AliasesSerializer(serializers.Serializer):
    """Your other accounts."""

    aliases = serializers.ListField(child=serializers.CharField(), help_text="Their ActivityPub ids, as your actor lists them.")


def _answer(account: Account) -> Response:
    account.refresh_from_db()
    return Response({"aliases": account.also_known_as})


class Aliases(Resource):
    """The list."""

    @operation("aliases.list", "Your other accounts", answers={200: AliasesSerializer})
    def get(self, request: Request) -> Response:
        """The oldest first."""
        return _answer(me(request))


class Alias(Resource):
    """One of them."""

    @operation("aliases.add", "This account is you too", answers={200: AliasesSerializer}, errors=(404, 422, 502, 503, 504))
    def put(self, request: Request, acct: str) -> Response:
        """Its server is asked. Then begin the move there: your followers come to this account."""
        account = me(request)
        aliases.add_alias(account=account, by=account, address=acct)
        return _answer(account)

    @operation("aliases.remove", "That account is not you", answers={200: AliasesSerializer}, errors=(404, 409))
    def delete(self, request: Request, acct: str) -> Response:
        """One that is not on the list is no error."""
        account = me(request)
        aliases.remove_alias(account=account, by=account, uri=lookups.account(acct).uri)
        return _answer(account)


many, one = Aliases.as_view(), Alias.as_view()
