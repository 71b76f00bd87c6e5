"""The life of a video as one table, read by code, tests, pages and docs alike. An illegal step raises and changes nothing."""

from server.core.errors import WrongState

UPLOADING, PROCESSING, READY, PUBLISHED, FAILED, DELETED = "uploading", "processing", "ready", "published", "failed", "deleted"
STATES = (UPLOADING, PROCESSING, READY, PUBLISHED, FAILED, DELETED)

STEPS = {
    (UPLOADING, "finish"): PROCESSING,
    (UPLOADING, "delete"): DELETED,
    (PROCESSING, "transcoded"): READY,
    (PROCESSING, "fail"): FAILED,
    (PROCESSING, "delete"): DELETED,
    (FAILED, "retry"): PROCESSING,
    (FAILED, "delete"): DELETED,
    (READY, "publish"): PUBLISHED,
    (READY, "delete"): DELETED,
    (PUBLISHED, "unpublish"): READY,
    (PUBLISHED, "delete"): DELETED,
}


def move(state: str, step: str) -> str:
    """The state after ``step``. Raises WrongState when the table has no such step."""
    try:
        return STEPS[state, step]
    except KeyError:
        raise WrongState(f"A video that is {state} cannot {step}.") from None
