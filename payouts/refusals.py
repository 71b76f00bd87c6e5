"""What another log can do wrong beyond its form: the names that refusals, verdicts and disputes carry. Pure."""

from payouts.ledger.errors import LedgerError


class LogForked(LedgerError):
    """This log has signed two histories: its key is trusted no more, and nothing of it is cosigned."""


class NotFollowed(LedgerError):
    """This log is not followed here."""


class MirrorDamaged(LedgerError):
    """Our copy of a log does not hash to the root that it had when it was stored."""


class MirrorFull(LedgerError):
    """Our copy of a log has reached the size that an administrator allows."""


class BlobMissing(LedgerError):
    """The log does not show the bytes that an entry names."""


class BlobWrong(LedgerError):
    """The bytes that the log shows do not have the hash that the entry names."""


class AgreementWrong(LedgerError):
    """The bytes of an agreement are not what its entry says of them."""


class NoticeTooShort(LedgerError):
    """Terms that take the place of others begin earlier than the notice allows, and not everybody signed them."""


class InputsDiffer(LedgerError):
    """The inputs of a close do not say what the log's own entries, or the agreements they name, say."""


class CloseDiffers(LedgerError):
    """The close, re-executed, does not give what its entry says."""


class PayeeDiffers(LedgerError):
    """A payee was credited with something else than the settlement function gives."""
