"""What a mirror asks of another's entries: every rule of ``replay``, and that agreements are what their entries say.

An entry that breaks a rule is evidence: it is kept, and whatever is behind it too. The rules stop there, because what a log owes
after a broken entry is nobody's to guess; what a close is made of is noted behind it too, for a close can be run again from its
own parts.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from payouts.agreement import NOTICE_DAYS_MIN, Agreement, check_signed, parse_agreement
from payouts.ledger.entries import Entry, parse_entry
from payouts.ledger.errors import CloseBatchCut, LedgerError
from payouts.ledger.fields import ZERO_HASH
from payouts.ledger.replay import Replay
from payouts.refusals import AgreementWrong, NoticeTooShort

# Verification method of a person -> her key, or None when her identity log is not known here.
KeyOf = Callable[[str], bytes | None]
# Type -> the member of its body that names a published blob. Lines of accruals follow from the inputs of their close.
BLOBS = {"agreement": "blob", "close": "inputs", "meter": "works", "accounts.root": "blob"}


class Judge:
    """The state of another's log after the entries that kept every rule. ``add`` takes the next one."""

    def __init__(self, origin: str) -> None:
        self.replay = Replay(origin)
        self.actor = ""
        # Agreement id -> the SHA-256 of its bytes and the index of its first entry.
        self.agreements: dict[str, tuple[str, int]] = {}
        # Works blob -> index of its meter entry.
        self.meters: dict[str, int] = {}
        self.closes: list[int] = []
        # How many entries were looked at: those that were judged, and behind a broken one those that were only noted.
        self.noted = 0
        # Up to where what entries behind a broken one name was asked for.
        self.fetched = 0

    @property
    def size(self) -> int:
        """How many entries were judged and found right."""
        return self.replay.size

    def add(self, data: bytes) -> Entry:
        """The next entry, when it keeps every rule. Raises its named error and changes nothing."""
        entry = self.replay.add(data)
        if entry.index == 0:
            self.actor = entry.body["actor"]
        self._note(entry)
        return entry

    def note(self, data: bytes) -> Entry | None:
        """The next entry, at or behind one that broke a rule: only what closes are made of is taken. None when it is no entry."""
        try:
            entry = parse_entry(data, origin=self.replay.origin, index=self.noted)
        except LedgerError:
            self.noted += 1
            return None
        self._note(entry)
        return entry

    def _note(self, entry: Entry) -> None:
        self.noted = entry.index + 1
        if entry.type == "agreement":
            self.agreements.setdefault(entry.body["agreement"], (entry.body["blob"], entry.index))
        elif entry.type == "meter":
            self.meters[entry.body["works"]] = entry.index
        elif entry.type == "close":
            self.closes.append(entry.index)

    def check_end(self) -> None:
        """Refuse a checkpoint that ends here, inside the batch of a close. Raises CloseBatchCut."""
        if not self.replay.at_rest:
            raise CloseBatchCut(f"the checkpoint of size {self.size} cuts a close in two")

    def check_agreement(self, entry: Entry, data: bytes, key_of: KeyOf) -> Agreement:
        """The agreement that an entry names, signed by the instance and by every party whose key is known.

        Raises AgreementWrong, NoticeTooShort, and the errors of agreement.parse_agreement and check_signed.
        """
        keys = self.replay.keys
        assert keys is not None

        def all_keys(method: str) -> bytes | None:
            return keys.instance if method == f"{self.actor}#instance-1" else key_of(method)

        terms = parse_agreement(data)
        said = {"agreement": terms.id, "kind": terms.kind, "prev": terms.document["prev"], "effective_from": terms.effective_from}
        wrong = sorted(name for name, value in said.items() if entry.body[name] != value)
        if wrong or terms.origin != entry.origin:
            raise AgreementWrong(", ".join(wrong) or f"of {terms.origin}")
        check_signed(terms, all_keys)
        if terms.kind == "default" and terms.document["prev"] != ZERO_HASH:
            notice = timedelta(days=max(NOTICE_DAYS_MIN, terms.document["notice_days"]))
            if datetime.fromisoformat(terms.effective_from) < datetime.fromisoformat(entry.at) + notice:
                raise NoticeTooShort(f"announced {entry.at}, in force {terms.effective_from}")
        return terms


def rule_of(error: LedgerError) -> str:
    """The name of a rule as it stands in ``audit.dispute``."""
    return error.code.replace("_", "-")
