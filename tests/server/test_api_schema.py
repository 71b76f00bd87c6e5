"""The published description is precise, and a fuzzer that reads it finds no crash and no answer it does not name."""

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pytest_django.live_server_helper import LiveServer
from schemathesis import GenerationMode, checks

from server.accounts import actions as accounts
from server.api import programs
from server.videos import actions as videos
from tests import world as people

EXAMPLES_COUNT = int(os.environ.get("TRIBUTARY_FUZZ_EXAMPLES", "4"))
SEED = int(os.environ.get("TRIBUTARY_FUZZ_SEED", "0"))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]


def test_the_description_has_no_gap() -> None:
    out = io.StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=out)
    assert "openapi: 3.0.3" in out.getvalue()


def test_the_description_is_served_and_names_every_address(db: None) -> None:
    response = Client().get("/api/schema/", headers={"Accept": "text/html"})
    assert response["Content-Type"] == "application/json"
    found = response.json()
    paths = found["paths"]
    assert all(path.startswith("/api/tributary/v1/") for path in paths)
    operations = [(path, method, each) for path, methods in paths.items() for method, each in methods.items()]
    assert len({each["operationId"] for _, _, each in operations}) == len(operations) >= 43
    for path, method, each in operations:
        assert {"401", "403", "429"} <= set(each["responses"]), path
        scopes = [need["oauth2"] for need in each["security"] if "oauth2" in need]
        assert scopes == [["read"] if method == "get" else ["write"]], path
    public = {each["operationId"] for _, _, each in operations if {} in each["security"]}
    assert public == {
        "accounts.followers",
        "accounts.following",
        "accounts.show",
        "accounts.videos",
        "apps.register",
        "comments.list",
        "copies.missing",
        "copies.newest",
        "copies.offer",
        "copies.read",
        "copies.send",
        "feed.page",
        "identities.show",
        "instance.show",
        "ledger.disputes",
        "ledger.entries",
        "ledger.entry",
        "ledger.peer",
        "ledger.peers",
        "ledger.settlement",
        "ledger.settlements",
        "ledger.show",
        "reports.make",
        "search.all",
        "videos.list",
        "videos.show",
        "videos.view",
    }


def test_the_page_about_the_api_names_every_operation_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
    described = set()
    for path, methods in SchemaGenerator().get_schema(public=True)["paths"].items():
        for method, each in methods.items():
            who = "anyone" if {} in each["security"] else "you"
            scope = next(need["oauth2"][0] for need in each["security"] if "oauth2" in need)
            address = path.removeprefix("/api/tributary/v1/")
            described.add(f"| `{each['operationId']}` | `{method.upper()}` | `{address}` | {each['summary']} | {who} | {scope} |")
    written = {line for line in page.partition("## Operations")[2].splitlines() if line.startswith("| `")}
    assert written == described


def known(world: people.World) -> Mapping[str, str]:
    """Things that are there, so that the fuzzer gets past the 404s."""
    video = people.published(world.bob)
    comment = videos.comment(video=video, by=world.bob, text="hi")
    upload = videos.start_upload(account=world.bob, filename="a.mp4", bytes_expected=3)
    videos.append_upload(upload=upload, by=world.bob, offset=0, stream=io.BytesIO(b"abc"))
    world.bob.manually_approves_followers = True
    world.bob.save()
    follow = accounts.follow(follower=world.charlie, target=world.bob)
    return {
        "video_id": str(video.pk),
        "comment_id": str(comment.pk),
        "upload_id": str(upload.pk),
        "follow_id": str(follow.pk),
        "acct": "alice",
    }


def fuzz(url: str, token: str | None, there: Mapping[str, str], examples_count: int) -> int:
    """Call every operation with good and bad values. Returns the number of calls; raises what a check found."""
    schema = schemathesis.openapi.from_url(f"{url}/api/schema/")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    calls = 0

    def attack(operation: Any, mode: GenerationMode) -> None:
        @seed(SEED)
        @settings(max_examples=examples_count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def once(case: Any, real: bool) -> None:
            nonlocal calls
            calls += 1
            if real and case.path_parameters:
                case.path_parameters.update({name: there[name] for name in case.path_parameters if name in there})
            case.call_and_validate(headers=headers, checks=CHECKS)

        once()

    operations = [found.ok() for found in schema.get_all_operations()]
    # What deletes comes last, or the others would find nothing.
    for operation in sorted(operations, key=lambda each: each.method == "delete"):
        attack(operation, GenerationMode.POSITIVE)
        # Bytes cannot be wrong, so where they are all there is, the fuzzer has nothing bad to send.
        with contextlib.suppress(Unsatisfiable):
            attack(operation, GenerationMode.NEGATIVE)
    return calls


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_fuzzer_finds_no_crash_and_no_answer_that_is_not_described(live_server: LiveServer) -> None:
    world = people.make()
    there = known(world)
    token = programs.make_token(account=world.bob, scopes=["read", "write"], days=1)
    assert fuzz(live_server.url, None, there, 1) > 60
    assert fuzz(live_server.url, token, there, EXAMPLES_COUNT) > 200
