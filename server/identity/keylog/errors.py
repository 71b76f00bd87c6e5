"""The refusals of a key log, one class for each rule of docs/reference/key-log.md."""

from server.core.errors import TributaryError


class KeyLogError(TributaryError):
    """The identity log is not valid."""

    code, status, permanent = "key_log", 422, True
    rule = ""

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(f"{self.rule}: {message or type(self).__doc__}", field=field)


class V1Form(KeyLogError):
    """A line is not strict JSON with exactly the five members, or a parameter is unknown or of the wrong kind."""

    code, rule = "v1_form", "V1"


class V2Method(KeyLogError):
    """The method is not did:webvh:1.0."""

    code, rule = "v2_method", "V2"


class V3VersionId(KeyLogError):
    """A versionId is not written n-hash, or the numbers do not count up from 1."""

    code, rule = "v3_version_id", "V3"


class V4EntryHash(KeyLogError):
    """The hash in a versionId is not the hash of its entry and of the versionId before it."""

    code, rule = "v4_entry_hash", "V4"


class V5Scid(KeyLogError):
    """The SCID is not the hash of the first entry, or a later entry names one."""

    code, rule = "v5_scid", "V5"


class V6Proof(KeyLogError):
    """A proof is missing, of another form, not by an active update key, or not valid."""

    code, rule = "v6_proof", "V6"


class V7Genesis(KeyLogError):
    """The identity is not portable, or its first entry does not commit to a next key."""

    code, rule = "v7_genesis", "V7"


class V8PreRotation(KeyLogError):
    """The update keys are not those the entry before committed to."""

    code, rule = "v8_pre_rotation", "V8"


class V8bCarryOver(KeyLogError):
    """A key tried to do what only a key of higher priority may do."""

    code, rule = "v8b_carry_over", "V8b"


class V9Did(KeyLogError):
    """The document's id is not a did:webvh with this SCID at an allowed host and path."""

    code, rule = "v9_did", "V9"


class V10Move(KeyLogError):
    """The id changed, but the identity is not portable or does not list the id before in alsoKnownAs."""

    code, rule = "v10_move", "V10"


class V11Time(KeyLogError):
    """A versionTime is not later than the one before, or lies in the future."""

    code, rule = "v11_time", "V11"


class V12Deactivated(KeyLogError):
    """An entry follows after the identity was deactivated."""

    code, rule = "v12_deactivated", "V12"


class V13Witness(KeyLogError):
    """The witnesses are not well-formed, or too few of them approved an entry."""

    code, rule = "v13_witness", "V13"


class V14Requested(KeyLogError):
    """This is the log of another identity than the one asked for."""

    code, rule = "v14_requested", "V14"


class V15Pin(KeyLogError):
    """The log does not extend the one seen before."""

    code, rule = "v15_pin", "V15"


class V15Stale(V15Pin):
    """The log is shorter than the one seen before."""

    code = "v15_stale"


class V15Fork(V15Pin):
    """The log differs from the one seen before at ``number``."""

    code = "v15_fork"

    def __init__(self, message: str = "", *, number: int) -> None:
        super().__init__(message or f"the log differs from the one seen before at entry {number}")
        self.number = number


class V16Fork(KeyLogError):
    """The two logs are not two branches of one identity."""

    code, rule = "v16_fork", "V16"


class V17Object(KeyLogError):
    """The key was not this identity's key when it signed, or nobody can show that it signed in time."""

    code, rule = "v17_object", "V17"


class BadDocument(KeyLogError):
    """The identity document has not the form this server writes and reads."""

    code, rule = "bad_document", "document"


class NotCommitted(KeyLogError):
    """This key is not among those the last entry committed to."""

    code, rule = "not_committed", "append"
