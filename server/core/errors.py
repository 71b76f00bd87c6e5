"""Errors that tell three people three things: the log all, the caller a safe sentence and a status, a worker if it may retry."""


class TributaryError(Exception):
    """Base of every error we raise on purpose.

    ``code`` is stable and machine-readable, ``status`` is the HTTP status a door answers with, ``permanent``
    tells a worker not to try again. The message is safe to show to the caller.
    """

    code = "error"
    status = 500
    permanent = False

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message or type(self).__doc__ or self.code)
        self.field = field


class Invalid(TributaryError):
    """What was sent does not make sense; ``field`` names the part."""

    code, status, permanent = "invalid", 422, True


class NotAuthenticated(TributaryError):
    """Sign in first."""

    code, status, permanent = "not_authenticated", 401, True


class NotAllowed(TributaryError):
    """You may not do this."""

    code, status, permanent = "not_allowed", 403, True


class NotFound(TributaryError):
    """There is no such thing here."""

    code, status, permanent = "not_found", 404, True


class WrongState(TributaryError):
    """This step is not possible from the present state."""

    code, status, permanent = "wrong_state", 409, True


class Conflict(TributaryError):
    """Somebody else was first, or the same id came with another content."""

    code, status, permanent = "conflict", 409, True


class TooLarge(TributaryError):
    """This is larger than the limit."""

    code, status, permanent = "too_large", 413, True


class StorageFull(TributaryError):
    """The server's disk is full; nothing was stored. Try again later."""

    code, status, permanent = "storage_full", 507, False


class Unavailable(TributaryError):
    """This cannot be done right now; try again later."""

    code, status, permanent = "unavailable", 503, False
