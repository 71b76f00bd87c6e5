"""A large form on its way in: refused early, never held in memory, never left half-read."""

from typing import IO, Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, TemporaryFileUploadHandler
from django.http import HttpRequest

from server.core import limits, storage
from server.core.errors import StorageFull, TooLarge, TributaryError

# What the words and the multipart wrapping around the file may take.
FORM_BYTES_MAX = 1 * limits.MIB
# Up to this multiple of the limit we read a file to its end and drop it, so that the browser gets to see our answer:
# a connection closed in the middle of an upload shows as "network error".
PATIENCE = 4


class Doorkeeper(FileUploadHandler):
    """Stands before the handler that writes the file: drops what is too large or does not fit on the disk, and remembers why."""

    def __init__(self, request: HttpRequest, bytes_max: int) -> None:
        super().__init__(request)
        self.bytes_max = bytes_max
        self.refusal: TributaryError | None = None
        self._received = 0

    def handle_raw_input(
        self,
        input_data: IO[bytes],  # noqa: ARG002 (Django's signature, as in the rest of this class)
        META: dict[str, str],  # noqa: ARG002, N803
        content_length: int,
        boundary: str,  # noqa: ARG002
        encoding: str | None = None,  # noqa: ARG002
    ) -> None:
        """Look at the announced length before the first byte."""
        if content_length > self.bytes_max + FORM_BYTES_MAX:
            self.refusal = too_large(self.bytes_max)
        elif storage.free_bytes(settings.UPLOAD_DIR) - content_length < settings.FREE_DISK_BYTES_MIN:
            self.refusal = StorageFull(field="file")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:  # noqa: ARG002
        """Pass a chunk on, or skip the rest of the file."""
        self._received += len(raw_data)
        if self._received > self.bytes_max:
            self.refusal = too_large(self.bytes_max)
        if self.refusal is not None:
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The next handler makes the file."""


def too_large(bytes_max: int) -> TooLarge:
    """The one sentence for a file over the limit."""
    mib = bytes_max // limits.MIB
    return TooLarge(f"The file is larger than {mib} MiB, the most this server takes.", field="file")


def stand_at(request: HttpRequest, *, bytes_max: int | None = None) -> Doorkeeper:
    """Let the request's files pass a doorkeeper and go to the disk. Call it before anything reads ``request.POST``.

    ``bytes_max``: the largest file; that of a video when nothing is said.

    Raises TooLarge at once for a form so large that reading it to the end would only waste the line.
    """
    bytes_max = settings.UPLOAD_BYTES_MAX if bytes_max is None else bytes_max
    announced = str(request.META.get("CONTENT_LENGTH") or "0")
    if announced.isdigit() and int(announced) > PATIENCE * bytes_max + FORM_BYTES_MAX:
        raise too_large(bytes_max)
    keeper = Doorkeeper(request, bytes_max)
    disk: Any = TemporaryFileUploadHandler(request)
    request.upload_handlers = [keeper, disk]
    return keeper
