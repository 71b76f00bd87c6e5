"""Calls of the API as a program makes them, with a token or without; every error must be a problem document."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from server.accounts.models import Account
from server.api import programs

BASE = "/api/tributary/v1/"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """Status, JSON body and headers of an answer."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def fields(self) -> list[str]:
        """The names of the fields a problem complains about."""
        return [each["field"] for each in self.body.get("errors", [])]


class Api:
    """One caller. ``Api(None)`` is nobody."""

    def __init__(self, account: Account | None, *scopes: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers: dict[str, str] = {}
        if account is not None:
            token = programs.make_token(account=account, scopes=list(scopes or ("read", "write")), days=1)
            self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, address: str, body: Any = None, **headers: str) -> Answer:
        """``address`` is relative to the API, or whole."""
        whole = address if address.startswith(("/", "http")) else BASE + address
        data = json.dumps(body) if body is not None and not isinstance(body, bytes) else body or b""
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.generic(
            method, whole, data, content_type=sent.pop("Content-Type", kind), headers={**self.headers, **sent}
        )
        found = response.headers.get("Content-Type", "")
        answer = Answer(response.status_code, json.loads(response.content) if response.content else None, dict(response.headers))
        if answer.status >= 400:
            assert found == PROBLEM, found
            assert answer.body["status"] == answer.status
            assert {"type", "title", "code", "detail"} <= set(answer.body)
        elif answer.status != 204:
            assert found == "application/json", found
        return answer

    def get(self, address: str, **headers: str) -> Answer:
        return self.call("GET", address, **headers)

    def post(self, address: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", address, body, **headers)

    def put(self, address: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PUT", address, body, **headers)

    def patch(self, address: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PATCH", address, body, **headers)

    def delete(self, address: str, **headers: str) -> Answer:
        return self.call("DELETE", address, **headers)
