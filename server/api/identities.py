"""Portable identities as machines see them: key logs, host grants, and moves between homes. The documents prove themselves."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts import moving, queries
from server.api import problems
from server.api.auth import PUBLIC
from server.api.operations import Resource, operation
from server.core.errors import NotFound, TributaryError
from server.identity import actions
from server.identity import queries as identities
from server.identity.models import Identity
from server.identity.offer import offer_document


def _identity(handle: str) -> Identity:
    account = queries.local_by_handle(handle)
    if not account.scid:
        raise NotFound("This account has no portable identity.")
    return identities.by_scid(account.scid)


def _refused(error: TributaryError) -> HttpResponse:
    body = problems.problem(error.status, error.code, str(error))
    return HttpResponse(json.dumps(body), status=error.status, content_type=problems.MEDIA_TYPE)


@require_safe
def key_log(request: HttpRequest, handle: str) -> HttpResponse:
    """The did.jsonl. It is also here after the identity has moved on: any copy of a log is as good as another."""
    try:
        data = identities.log_bytes(_identity(handle))
    except TributaryError as error:
        return _refused(error)
    return HttpResponse(
        data, content_type="text/jsonl", headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=60"}
    )


@require_safe
def host_grant(request: HttpRequest, handle: str) -> HttpResponse:
    """The grant with which this home was taken. 404 for an identity that began here."""
    try:
        grant = _identity(handle).host_grant
        if grant is None:
            raise NotFound("This identity began here; nobody had to grant it.")
    except TributaryError as error:
        return _refused(error)
    return JsonResponse(grant)


@require_safe
def move_offer(request: HttpRequest, handle: str) -> HttpResponse:
    """What this home asks of the old one. 404 unless the owner of the account expects a move."""
    try:
        offer = actions.open_offer(actor_uri=queries.local_by_handle(handle).uri)
    except TributaryError as error:
        return _refused(error)
    return JsonResponse(offer_document(offer))


@csrf_exempt  # no session counts here: the grant in the body is the credential
@require_POST
def receive_move(request: HttpRequest, handle: str) -> HttpResponse:
    """The old home hands the identity over, or its owner does, from the recovery tool on her disk."""
    try:
        account = moving.receive_move(handle=handle, body=request.read(moving.MOVE_BYTES_MAX + 1))
    except TributaryError as error:
        answer = _refused(error)
    else:
        answer = JsonResponse({"scid": account.scid, "actor": account.uri})
    # No cookie counts here, so any page may read the answer.
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


class ReplicaSerializer(serializers.Serializer):
    """An instance that keeps a copy of the key log, or is to keep one."""

    origin = serializers.CharField()
    is_named = serializers.BooleanField(help_text="Does the log itself name it?")
    version = serializers.IntegerField(help_text="The newest entry that it has; 0 for none yet.")
    receipt_at = serializers.DateTimeField(allow_null=True, help_text="When it first saw that entry, by its own signature.")
    tried_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="What it last refused or failed with; empty when it did not.")


class KeptIdentitySerializer(serializers.Serializer):
    """What is known here of an identity, wherever it lives."""

    scid = serializers.CharField()
    did = serializers.CharField()
    actor = serializers.CharField()
    custody = serializers.ChoiceField(choices=["owner", "server"])
    version = serializers.IntegerField()
    version_id = serializers.CharField()
    lives_here = serializers.BooleanField()
    contested = serializers.BooleanField(help_text="Its keys signed two histories, and it is not settled which one counts.")
    forks = serializers.IntegerField(help_text="How many forks are known here; the evidence is at `fork_url`.")
    payouts_frozen_until = serializers.DateTimeField(allow_null=True)
    effects_held_until = serializers.DateTimeField(allow_null=True, help_text="Until when what cannot be taken back waits.")
    receipts = serializers.IntegerField(help_text="How many other instances say that they have seen the newest entry.")
    replicas = ReplicaSerializer(many=True, help_text="For an identity that lives here.")
    log_url = serializers.CharField()
    receipts_url = serializers.CharField()
    fork_url = serializers.CharField()


def describe(identity: Identity) -> dict[str, Any]:
    """The fields of KeptIdentitySerializer."""
    door = f"{settings.ORIGIN}{identities.WATCHER_PATH}"
    return {
        "scid": identity.scid,
        "did": identity.did,
        "actor": identity.actor_uri,
        "custody": identity.custody,
        "version": identity.head_number,
        "version_id": identity.head_version_id,
        "lives_here": identity.is_home,
        "contested": identity.contested_at is not None,
        "forks": identity.forks.count(),
        "payouts_frozen_until": identity.payouts_frozen_until,
        "effects_held_until": identities.effects_held_until(identity.scid),
        "receipts": identities.receipts_for_head(identity),
        "replicas": [vars(one) for one in identities.replicas_of(identity)],
        **{f"{name}_url": f"{door}/{name}?scid={identity.scid}" for name in ("log", "receipts", "fork")},
    }


class KeptIdentity(Resource):
    """One identity."""

    @operation(
        "identities.show", "A portable identity, as it is known here", access=PUBLIC,
        answers={200: KeptIdentitySerializer}, errors=(404,),
    )  # fmt: skip
    def get(self, request: Request, scid: str) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """From the copy of its key log that is kept here, checked now."""
        return Response(KeptIdentitySerializer(describe(identities.by_scid(scid))).data)


kept = KeptIdentity.as_view()

urlpatterns = [
    path("u/<slug:handle>/did.jsonl", key_log),
    path("users/<slug:handle>/host-grant", host_grant),
    path("users/<slug:handle>/move-offer", move_offer),
    path("users/<slug:handle>/move", receive_move),
]
