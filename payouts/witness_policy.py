"""Our policy of witnesses as entries of our own log: which witnesses counted, and how many were enough, from which entry on.

What is shown at ``/ledger/1/policy`` can be changed without a trace; what was logged cannot (LEDGER 7.3, ``policy.witness``).
"""

from hashlib import sha256

from payouts import log, witnesses
from payouts.ledger.entries import Draft, Entry, parse_entry
from payouts.models import LogEntry

TYPE = "policy.witness"


def logged() -> Entry | None:
    """The newest policy that stands in the log."""
    row = LogEntry.objects.filter(type=TYPE).order_by("-index").first()
    return parse_entry(bytes(row.data)) if row is not None else None


def log_policy() -> Entry | None:
    """The chore: write the policy in force into the log, if it is another than the one that stands there.

    A log that never had a witness says so by having no such entry. One that is too long for an entry is only shown, and
    ``witnesses.find_problems`` says so. Raises the errors of the pen; then it is written later.
    """
    last, text = logged(), witnesses.policy()
    is_said = last is not None and last.body["policy"] == text
    if is_said or not witnesses.fits_an_entry(text) or (last is None and not witnesses.active()):
        return None
    # Named after the entry whose place it takes: to go back to an older policy is a new wish.
    name = log.make_id(TYPE, last.index if last is not None else "", sha256(text.encode()).hexdigest())
    (entry,) = log.append([Draft(TYPE, name, {"policy": text}, {})])
    return entry
