"""The ledger as the pages show it: open to anyone. Its own formats, for whoever verifies, stand at ``/ledger/1/``."""

from collections.abc import Iterable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from payouts import closes, entry_reports, overview, peer_reports, words
from payouts.closes import Arithmetic, Close
from payouts.entry_reports import EntryReport
from payouts.heads import Cosigner, Head, newest_head
from payouts.ledger.money import format_amount
from payouts.models import LogEntry
from payouts.peer_reports import PeerReport
from server.api import ledger_shapes as shape
from server.api import pagination
from server.api.auth import PUBLIC
from server.api.operations import Resource, operation, read

NEWEST = pagination.Order(("index",))


class Ledger(Resource):
    """The ledger of this instance."""

    @operation("ledger.show", "The ledger at a glance", access=PUBLIC, answers={200: shape.OverviewSerializer})
    def get(self, request: Request) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """Head, growth, witnesses and their lag."""
        found = overview.overview()
        told = {name: getattr(found, name) for name in _names(shape.OverviewSerializer) if name != "head"}
        told |= {"witnesses": list(map(vars, found.witnesses)), "days": list(map(vars, found.days))}
        told |= {"audits": [{"name": one.cosigner.name, "size": one.size, "at": one.cosigner.at} for one in found.audits]}
        return Response({**told, "head": _head(found.head) if found.head else None})


class Entries(Resource):
    """Entries."""

    @operation(
        "ledger.entries",
        "Entries of the ledger, the newest first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: pagination.page_of(shape.ListedEntrySerializer)},
    )
    def get(self, request: Request) -> Response:
        """What was written."""
        return pagination.answer(request, LogEntry.objects.defer("data"), NEWEST, lambda rows: list(map(_listed, rows)))


class Entry(Resource):
    """One entry."""

    @operation("ledger.entry", "An entry and its proof", access=PUBLIC, answers={200: shape.EntrySerializer}, errors=(404, 503))
    def get(self, request: Request, index: int) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """What it says, and that it stands in the newest signed tree."""
        return Response(_entry(entry_reports.report(index)))


class Settlements(Resource):
    """Closes."""

    @operation(
        "ledger.settlements",
        "Periods that were shared, the newest first",
        access=PUBLIC,
        query=pagination.PageQuery,
        answers={200: pagination.page_of(shape.CloseSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Inputs, algorithm, outputs and totals of each."""
        rows = LogEntry.objects.filter(type=closes.CLOSE)
        return pagination.answer(request, rows, NEWEST, lambda found: list(map(_close, closes.of_rows(found))))


class Settlement(Resource):
    """One close."""

    @operation(
        "ledger.settlement",
        "A period, added up",
        access=PUBLIC,
        query=shape.SettlementQuery,
        answers={200: shape.SettlementSerializer},
        errors=(404,),
    )
    def get(self, request: Request, index: int) -> Response:
        """What came in and where it went, to the last millionth; a hundred shares at a time."""
        query = read(shape.SettlementQuery, request.query_params.dict())
        return Response(_settlement(closes.arithmetic(index, start=query["start"])))


class Disputes(Resource):
    """Disputes and forks."""

    @operation(
        "ledger.disputes", "Disputes and forks that are known here", access=PUBLIC, answers={200: shape.DisputesSerializer}
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """Raised by us, told by the ledgers that we copy, and convicted."""
        head = newest_head()
        raised = [
            {
                "by": head.origin if head else "",
                "origin": one.origin,
                "index": one.index,
                "rule": one.rule,
                "document": one.digest,
            }
            for one in peer_reports.list_disputes()
        ]
        told = [
            {"by": one.by, "origin": one.about, "index": one.index, "rule": one.rule, "document": one.evidence}
            for one in peer_reports.told_by_others()
        ]
        return Response({"raised": raised, "told": told, "forks": list(map(vars, peer_reports.convicted()))})


class Peers(Resource):
    """The ledgers of others."""

    @operation("ledger.peers", "Ledgers of others that are followed", access=PUBLIC, answers={200: shape.PeersSerializer})
    def get(self, request: Request) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """Our copies of them, and what our auditor found."""
        return Response({"results": list(map(_peer, peer_reports.list_peers()))})


class Peer(Resource):
    """One of them."""

    @operation(
        "ledger.peer", "A ledger that is followed", access=PUBLIC, answers={200: shape.PeerLedgerSerializer}, errors=(404,)
    )
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002 (the signature is the framework's)
        """By the SHA-256 of its origin."""
        return Response(_peer(peer_reports.peer_report(name)))


def _names(serializer: type[Serializer]) -> list[str]:
    """The members of a shape, where a value has them under the same names."""
    return list(serializer().get_fields())


def _head(head: Head) -> dict[str, Any]:
    return {
        "origin": head.origin, "size": head.size, "root": head.root.hex(), "signed_at": head.signed_at,
        "cosigners": _cosigners(head.cosigners),
    }  # fmt: skip


def _cosigners(cosigners: Iterable[Cosigner]) -> list[dict[str, Any]]:
    return [{"name": one.name, "role": one.role, "at": one.at} for one in cosigners]


def _listed(row: LogEntry) -> dict[str, Any]:
    return {"index": row.index, "type": row.type, "title": words.title(row.type), "at": row.at}


def _amounts(row: object, names: Iterable[str], amounts: Iterable[str]) -> dict[str, Any]:
    """Members of a value as they are, and its amounts as texts."""
    told = {name: getattr(row, name) for name in names}
    return told | {name: format_amount(getattr(row, name)) for name in amounts}


def _entry(report: EntryReport) -> dict[str, Any]:
    entry, proof = report.entry, report.proof
    chain = ("scid", "currency", "seq", "before", "after")
    return {
        "index": entry.index, "type": entry.type, "title": report.title, "at": report.at, "body": dict(entry.body),
        "postings": [_amounts(one, ("account", "currency"), ("amount",)) for one in report.postings],
        "accounts": [_amounts(one, chain, ("balance_after", "held_after")) for one in report.accounts],
        "proof": {"leaf": proof.leaf.hex(), "hashes": [one.hex() for one in proof.hashes], "head": _head(proof.head)},
    }  # fmt: skip


def _close(close: Close) -> dict[str, Any]:
    names = ("index", "at", "period", "currency", "pool", "algorithm", "code", "inputs", "outputs", "accruals")
    told = _amounts(close, names, ("amount", "carry"))
    return {**told, "inputs_shown": close.has_inputs, "auditors": _cosigners(close.auditors)}


def _settlement(found: Arithmetic) -> dict[str, Any]:
    charge, share = ("index", "campaign", "impressions"), ("index", "scid")
    return {
        **_close(found.close),
        **_amounts(found, ("is_right", "next_share"), ("came_in", "went_out", "carried_in", "shared", "unclaimed")),
        "charges": [_amounts(one, charge, ("price_per_thousand", "amount")) for one in found.charges],
        "places": [_amounts(one, ("account",), ("amount",)) for one in found.places],
        "shares": [_amounts(one, share, ("amount", "unclaimed")) for one in found.shares],
    }  # fmt: skip


def _peer(report: PeerReport) -> dict[str, Any]:
    names = [name for name in _names(shape.PeerLedgerSerializer) if name != "verdicts"]
    members = _names(shape.VerdictSerializer)
    verdicts = [{name: getattr(one, name) for name in members} for one in report.verdicts]
    return {**{name: getattr(report, name) for name in names}, "verdicts": verdicts}


show, entries, entry = Ledger.as_view(), Entries.as_view(), Entry.as_view()
settlements, settlement = Settlements.as_view(), Settlement.as_view()
disputes, peers, peer = Disputes.as_view(), Peers.as_view(), Peer.as_view()
