"""Who calls: a bearer token with scopes, or a signed-in browser with its CSRF token. And what the caller may do."""

import hashlib
from typing import TYPE_CHECKING

from oauth2_provider.models import AbstractAccessToken, get_access_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from server.accounts.models import Account, User
from server.accounts.queries import is_active
from server.core import clock
from server.core.errors import NotAllowed

if TYPE_CHECKING:
    # rest_framework.views imports this file while it is itself being imported.
    from rest_framework.views import APIView

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
PUBLIC, ACCOUNT = "public", "account"


class InvalidToken(exceptions.AuthenticationFailed):
    """This token is unknown, expired or revoked, or its owner may not act."""

    default_detail = "This token is not valid."
    default_code = "invalid_token"


class MissingScope(exceptions.PermissionDenied):
    """The token was not given for this."""

    default_code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This token does not have the scope {scope}.")
        self.auth_header = f'Bearer realm="api", error="insufficient_scope", scope="{scope}"'


class BearerAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer <token>`` (RFC 6750), in the header only. The body is never touched: it may be a stream.

    A token that is not valid is an error also where nobody need sign in, so that a client notices.
    """

    def authenticate(self, request: Request) -> tuple[User, AbstractAccessToken] | None:
        """The user and the token, None without a bearer header. Raises InvalidToken."""
        scheme, _, token = authentication.get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        found = (
            get_access_token_model()
            .objects.select_related("user__account")
            .filter(token_checksum=hashlib.sha256(token.strip()).hexdigest())
            .first()
        )
        if found is None or found.user is None or clock.now() >= found.expires or not may_act(found.user):
            raise InvalidToken
        return found.user, found

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (the signature is the framework's)
        """The challenge of a 401."""
        return 'Bearer realm="api"'


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser that is signed in to the pages; unsafe methods need its CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """The user, None without a session. Raises InvalidToken for a suspended or closed account."""
        found = super().authenticate(request)
        if found is not None and not may_act(found[0]):
            raise InvalidToken("This account may not act.")
        return found


class Validator(OAuth2Validator):
    """What django-oauth-toolkit asks before it gives out tokens: nothing for people who may not act."""

    def validate_code(self, client_id, code, client, request, *args, **kwargs) -> bool:  # type: ignore[no-untyped-def]
        """As the library, and only while the user may act."""
        return super().validate_code(client_id, code, client, request, *args, **kwargs) and may_act(request.user)

    def validate_refresh_token(self, refresh_token, client, request, *args, **kwargs) -> bool:  # type: ignore[no-untyped-def]
        """As the library, and only while the user may act."""
        return super().validate_refresh_token(refresh_token, client, request, *args, **kwargs) and may_act(request.user)


class ScopedPermission(permissions.BasePermission):
    """Reading needs the scope ``read``, changing ``write``; what ``operation`` marks as public needs nobody signed in."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """True when the caller may go on. Raises MissingScope."""
        scope = READ if request.method in permissions.SAFE_METHODS else WRITE
        if isinstance(request.auth, AbstractAccessToken) and scope not in request.auth.scope.split():
            raise MissingScope(scope)
        # A method that does not exist is answered with 405, not with a demand to sign in.
        name = (request.method or "").lower()
        method = getattr(view, name, None) if name in view.http_method_names else None
        return method is None or getattr(method, "access", ACCOUNT) == PUBLIC or request.user.is_authenticated


def may_act(user: User) -> bool:
    """Neither the user nor her account is switched off."""
    account = getattr(user, "account", None)
    return user.is_active and (account is None or is_active(account))


def viewer(request: Request) -> Account | None:
    """The account that looks; None for nobody, and for a user who has not opened one."""
    return getattr(request.user, "account", None) if request.user.is_authenticated else None


def me(request: Request) -> Account:
    """The account that acts. Raises NotAllowed for a user who has not opened one."""
    account = viewer(request)
    if account is None:
        raise NotAllowed("Open an account on the web pages first.")
    return account
