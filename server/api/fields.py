"""Kinds of values that go in and out: ids are strings, times end in Z, and nothing is guessed from another type."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.core import clock


@extend_schema_field({"type": "string", "pattern": "^[0-9]{1,19}$", "example": "117462953984000001"})
class Id(serializers.CharField):
    """An id: a number too large for JavaScript, so a string."""

    def to_internal_value(self, data: Any) -> str:
        """The digits. Raises ValidationError."""
        if not (isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= len(str(2**63))):
            raise serializers.ValidationError("This is not an id.")
        return data


class Moment(serializers.DateTimeField):
    """A point in time as ``YYYY-MM-DDTHH:MM:SSZ``."""

    def to_representation(self, value: datetime) -> str:
        """The text."""
        return clock.iso(value)


class Text(serializers.CharField):
    """Text that was sent as text."""

    def to_internal_value(self, data: Any) -> str:
        """The text. Raises ValidationError for numbers and other things."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """``true`` or ``false``, not ``"yes"`` or 1."""

    def to_internal_value(self, data: Any) -> bool:
        """The flag. Raises ValidationError."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Number(serializers.IntegerField):
    """A whole number that was sent as a number."""

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(str(data)))
