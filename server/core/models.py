"""Rows that everything stands on: background work, the instance's own keys, and a cell of shared state."""

from django.db import models


class Task(models.Model):
    """One thing that must happen: a fact to be handed to one subscriber. The row is the truth, a message only rings.

    A worker claims it by compare-and-set on ``lease_until``, runs the subscriber, and deletes the row, or sets
    ``next_try_at``; after too many tries, or a permanent error, ``dead_at`` is set and an administrator decides.
    """

    fact_id = models.UUIDField()
    fact = models.CharField(max_length=80)
    subscriber = models.CharField(max_length=120)
    payload = models.JSONField()
    queue = models.CharField(max_length=20)
    created_at = models.DateTimeField()
    next_try_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True, db_index=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fact_id", "subscriber"], name="task_once_per_fact_and_subscriber")]
        indexes = [
            models.Index(fields=["queue", "next_try_at"], name="task_due", condition=models.Q(dead_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.fact} -> {self.subscriber}"


class InstanceKey(models.Model):
    """A key of this instance: ``name`` is its fragment or role; the private half is sealed with the data directory's secret."""

    name = models.CharField(max_length=80, unique=True)
    algorithm = models.CharField(max_length=20)
    public = models.TextField()
    private_sealed = models.BinaryField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
