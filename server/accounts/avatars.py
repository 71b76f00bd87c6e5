"""A picture somebody uploads is never served: it is decoded, cropped square and written anew."""

import io

from django.db import transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from server.accounts.models import Account
from server.core import limits, storage
from server.core.errors import Invalid, TooLarge

FORMATS = ("JPEG", "PNG", "WEBP")


def encode(data: bytes) -> bytes:
    """The picture as a square JPEG without metadata. Raises TooLarge, or Invalid for what is not a JPEG, PNG or WebP picture."""
    if len(data) > limits.AVATAR_BYTES_MAX:
        raise TooLarge(f"A profile picture may have at most {limits.AVATAR_BYTES_MAX // limits.MIB} MiB.", field="avatar")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > limits.AVATAR_PIXELS_MAX:
                raise TooLarge("This picture has too many pixels.", field="avatar")
            # Transparent parts become white: JPEG is what every server and client can show.
            turned = ImageOps.exif_transpose(picture).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLarge("This picture has too many pixels.", field="avatar") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Invalid("A profile picture must be a JPEG, PNG or WebP file.", field="avatar") from error
    side = limits.AVATAR_SIDE_PIXELS
    square = ImageOps.fit(turned, (side, side))
    flat = Image.new("RGB", square.size, "white")
    flat.paste(square, mask=square.getchannel("A"))
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def store(data: bytes, *, instead_of: str) -> str:
    """Encode and keep a picture; the file it replaces goes when the transaction commits. Returns the file's name."""
    picture = encode(data)
    name = storage.put_bytes(picture, "jpg")
    storage.hold([name])
    # It may have gone before it was held; now it cannot.
    storage.put_bytes(picture, "jpg")
    if instead_of != name:
        forget(instead_of)
    return name


def forget(name: str) -> None:
    """Delete the file ``name`` when the transaction commits, unless another account shows the same picture.

    A crash in between leaves a file that nothing names: it costs room, and nobody can find it.
    """
    if name:
        transaction.on_commit(lambda: _delete_unused(name))


def _delete_unused(name: str) -> None:
    with transaction.atomic():
        storage.hold([name])
        if not Account.objects.filter(avatar_file=name).exists():
            storage.delete(name)
