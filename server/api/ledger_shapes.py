"""The shapes in which the API says what stands in the ledger."""

from rest_framework import serializers

from payouts import peer_reports

AMOUNT = "Millionths of the currency unit, as a decimal text."
START_MAX = 10**9


def _amount() -> serializers.CharField:
    return serializers.CharField(help_text=AMOUNT)


class CosignerSerializer(serializers.Serializer):
    """Who cosigned a head, in which role: witness, auditor or mirror."""

    name = serializers.CharField()
    role = serializers.CharField()
    at = serializers.DateTimeField()


class HeadSerializer(serializers.Serializer):
    """A signed head."""

    origin = serializers.CharField()
    size = serializers.IntegerField()
    root = serializers.CharField(help_text="SHA-256, hex.")  # type: ignore[assignment]  # Field has a property of this name
    signed_at = serializers.DateTimeField()
    cosigners = CosignerSerializer(many=True)


class DaySerializer(serializers.Serializer):
    """Entries of one day (UTC)."""

    day = serializers.DateField()
    entries = serializers.IntegerField()


class WitnessSerializer(serializers.Serializer):
    """Who is shown our heads, and how many entries it has not cosigned yet."""

    name = serializers.CharField()
    saw_size = serializers.IntegerField()
    lag = serializers.IntegerField()
    has_cosigned = serializers.BooleanField()
    answered_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


class AuditSerializer(serializers.Serializer):
    """An auditor that has run every close below `size` again and found it equal; the newest word of each."""

    name = serializers.CharField()
    size = serializers.IntegerField()
    at = serializers.DateTimeField()


class OverviewSerializer(serializers.Serializer):
    """The ledger at a glance. `state`: `empty`, `writable` or `read_only`; `head` is null before the first entry."""

    state = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    head = HeadSerializer(allow_null=True)
    is_witnessed = serializers.BooleanField()
    quorum = serializers.IntegerField()
    witnesses = WitnessSerializer(many=True)
    audits = AuditSerializer(many=True)
    days = DaySerializer(many=True)
    accounts = serializers.IntegerField()
    followed = serializers.IntegerField()
    mirrored = serializers.IntegerField()
    forked = serializers.IntegerField()


class ListedEntrySerializer(serializers.Serializer):
    """An entry in a list."""

    index = serializers.IntegerField()
    type = serializers.CharField()
    title = serializers.CharField()
    at = serializers.DateTimeField()


class PostingSerializer(serializers.Serializer):
    """What moves on one account; a debit is positive."""

    account = serializers.CharField()
    currency = serializers.CharField()
    amount = _amount()


class ChainedSerializer(serializers.Serializer):
    """An identity's account that the entry touches, with the entries that touched it last and next."""

    scid = serializers.CharField()
    currency = serializers.CharField()
    seq = serializers.IntegerField()
    balance_after = _amount()
    held_after = _amount()
    before = serializers.IntegerField(allow_null=True)
    after = serializers.IntegerField(allow_null=True)


class InclusionSerializer(serializers.Serializer):
    """That the entry stands in the newest signed tree (RFC 6962): hashes from the leaf up, hex."""

    leaf = serializers.CharField()
    hashes = serializers.ListField(child=serializers.CharField())
    head = HeadSerializer()


class EntrySerializer(ListedEntrySerializer):
    """An entry. `body` is as it stands in the log."""

    body = serializers.DictField()
    postings = PostingSerializer(many=True)
    accounts = ChainedSerializer(many=True)
    proof = InclusionSerializer()


class CloseSerializer(serializers.Serializer):
    """A period that was shared. `auditors`: who ran it again and found it equal, as far as this instance was told."""

    index = serializers.IntegerField()
    at = serializers.DateTimeField()
    period = serializers.CharField()
    currency = serializers.CharField()
    pool = serializers.CharField()
    algorithm = serializers.CharField()
    code = serializers.CharField()
    inputs = serializers.CharField(help_text="SHA-256 of the file at /ledger/1/blob/.")
    inputs_shown = serializers.BooleanField()
    outputs = serializers.CharField(help_text="Root over the shares, hex.")
    amount = _amount()
    carry = _amount()
    accruals = serializers.IntegerField()
    auditors = CosignerSerializer(many=True)


class ChargeSerializer(serializers.Serializer):
    """What came in."""

    index = serializers.IntegerField()
    campaign = serializers.CharField()
    impressions = serializers.IntegerField()
    price_per_thousand = _amount()
    amount = _amount()


class ShareSerializer(serializers.Serializer):
    """What one identity got."""

    index = serializers.IntegerField()
    scid = serializers.CharField()
    amount = _amount()
    unclaimed = _amount()


class PlaceSerializer(serializers.Serializer):
    """What went to no identity."""

    account = serializers.CharField()
    amount = _amount()


class SettlementSerializer(CloseSerializer):
    """A close, added up. `next_share`: where the next page of shares starts, null at the end."""

    is_right = serializers.BooleanField()
    came_in = _amount()
    went_out = _amount()
    carried_in = _amount()
    shared = _amount()
    unclaimed = _amount()
    charges = ChargeSerializer(many=True)
    places = PlaceSerializer(many=True)
    shares = ShareSerializer(many=True)
    next_share = serializers.IntegerField(allow_null=True)


class SettlementQuery(serializers.Serializer):
    """Which of its shares."""

    start = serializers.IntegerField(required=False, min_value=0, max_value=START_MAX, default=0, help_text="From this one on.")


class VerdictSerializer(serializers.Serializer):
    """What our auditor found about a close: `equal`, `differs`, `unavailable` or `unknown_algorithm`."""

    index = serializers.IntegerField()
    period = serializers.CharField()
    algorithm = serializers.CharField()
    verdict = serializers.CharField()
    rule = serializers.CharField(allow_blank=True)
    payee = serializers.CharField(allow_blank=True)
    works = serializers.IntegerField()
    sampled = serializers.IntegerField()


class PeerLedgerSerializer(serializers.Serializer):
    """The ledger of another instance. `name` is the SHA-256 of its origin, as in `/ledger/peers/`."""

    name = serializers.CharField()
    origin = serializers.CharField()
    url = serializers.CharField()
    size = serializers.IntegerField()
    copied = serializers.IntegerField()
    judged = serializers.IntegerField()
    audited = serializers.IntegerField()
    missing = serializers.IntegerField()
    state = serializers.ChoiceField(choices=peer_reports.STATES)
    error = serializers.CharField(allow_blank=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    forked_at = serializers.DateTimeField(allow_null=True)
    cosigned = serializers.ListField(child=serializers.CharField())
    disputes = serializers.IntegerField()
    verdicts = VerdictSerializer(many=True)


class PeersSerializer(serializers.Serializer):
    """Every ledger that is followed."""

    results = PeerLedgerSerializer(many=True)


class DisputeSerializer(serializers.Serializer):
    """A rule that a ledger broke. `document` is at `/ledger/disputes/` of the one who says so."""

    by = serializers.CharField()
    origin = serializers.CharField()
    index = serializers.IntegerField()
    rule = serializers.CharField()
    document = serializers.CharField()


class ForkSerializer(serializers.Serializer):
    """A ledger that signed two histories; the proof is at `/ledger/forks/` and its name."""

    name = serializers.CharField()
    origin = serializers.CharField()
    forked_at = serializers.DateTimeField()
    vkeys = serializers.ListField(child=serializers.CharField())


class DisputesSerializer(serializers.Serializer):
    """Disputes that we raised, those in the ledgers that we copy, and forks."""

    raised = DisputeSerializer(many=True)
    told = DisputeSerializer(many=True)
    forks = ForkSerializer(many=True)
