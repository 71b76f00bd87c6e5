"""Programs that act for people: registering one, and tokens made by hand for one's own scripts."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import (
    AbstractApplication,
    clear_expired,
    get_access_token_model,
    get_application_model,
    set_token_value,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle

from server.accounts.models import Account
from server.api import redirects
from server.api.auth import PUBLIC, SCOPES, may_act
from server.api.fields import Text
from server.api.operations import Resource, operation, read
from server.core import clock
from server.core.errors import Invalid, NotAllowed

COMMAND_LINE = "Command line"
UNUSED_DAYS_MAX = 30


class ProgramWriteSerializer(serializers.Serializer):
    """A program that wants to act for people here."""

    name = Text(max_length=100, help_text="Shown to the user who is asked.")
    redirect_uris = serializers.ListField(
        child=Text(trim_whitespace=False, max_length=redirects.CHARACTERS_MAX),
        min_length=1,
        max_length=10,
        help_text="Where codes are sent: https, a loopback address, a private scheme with a dot, or urn:ietf:wg:oauth:2.0:oob.",
    )

    def validate_redirect_uris(self, uris: list[str]) -> list[str]:
        """Refuse addresses that could leak a code."""
        if wrong := [uri for uri in uris if not redirects.is_acceptable(uri)]:
            message = f"This cannot be a redirect address: {wrong[0][:100]}"
            raise serializers.ValidationError(message)
        return uris


class ProgramSerializer(serializers.Serializer):
    """A registered program. It has no secret: it proves itself by PKCE (S256)."""

    client_id = serializers.CharField()
    name = serializers.CharField()
    redirect_uris = serializers.SerializerMethodField()
    scopes = serializers.SerializerMethodField(help_text="What it may ask for.")

    def get_redirect_uris(self, program: AbstractApplication) -> list[str]:
        """As registered."""
        return str(program.redirect_uris).split()

    def get_scopes(self, program: AbstractApplication) -> list[str]:  # noqa: ARG002 (the signature is the framework's)
        """The same for every program."""
        return list(SCOPES)


class Programs(Resource):
    """Programs."""

    throttle_scope = "apps"
    throttle_classes = [*Resource.throttle_classes, ScopedRateThrottle]

    @operation(
        "apps.register", "Register a program", access=PUBLIC, body=ProgramWriteSerializer, answers={201: ProgramSerializer}
    )
    def post(self, request: Request) -> Response:
        """Then send the user to `/oauth/authorize`."""
        sent = read(ProgramWriteSerializer, request.data)
        made = _register(name=sent["name"], redirect_uris=" ".join(sent["redirect_uris"]))
        return Response(ProgramSerializer(made).data, status=201)


def _register(**fields: Any) -> AbstractApplication:
    application = get_application_model()
    return application.objects.create(
        client_type=application.CLIENT_PUBLIC,
        authorization_grant_type=application.GRANT_AUTHORIZATION_CODE,
        client_secret="",
        hash_client_secret=False,
        **fields,
    )


@transaction.atomic
def make_token(*, account: Account, scopes: list[str], days: int) -> str:
    """A token for the scripts of ``account``; only its hash is kept, so it is shown once. Raises Invalid, NotAllowed."""
    if unknown := set(scopes) - set(SCOPES):
        raise Invalid(f"There is no scope {unknown.pop()}.", field="scope")
    if account.user is None or not may_act(account.user):
        raise NotAllowed("This account may not act.")
    program = get_application_model().objects.filter(name=COMMAND_LINE, user=account.user).first()
    program = program or _register(name=COMMAND_LINE, user=account.user, redirect_uris=redirects.OUT_OF_BAND)
    text: str = generate_client_secret()
    expires = clock.now() + timedelta(days=days)
    token = get_access_token_model()(user=account.user, application=program, scope=" ".join(scopes), expires=expires)
    set_token_value(token, text)
    token.save()
    return text


def forget_expired() -> None:
    """Remove expired tokens and codes, and programs nobody ever let act."""
    clear_expired()
    get_application_model().objects.filter(
        user=None, accesstoken=None, refreshtoken=None, grant=None, created__lt=clock.now() - timedelta(days=UNUSED_DAYS_MAX)
    ).delete()


register = Programs.as_view()
