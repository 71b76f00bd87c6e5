"""The doorbells of an instance without Redis: one small file per bell in the directory ``broker`` of the data directory.

Kombu's ``filesystem`` transport with the two places changed where one process could read what another had half written.
A bell may be lost, as any: the sweep rings again.
"""

import json
import os
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """Writes a bell under a name nobody looks for and renames it; reads it before anybody may take it away."""

    def get_table(self, exchange: str) -> list[filesystem.exchange_queue_t]:
        """Every queue has the exchange of its own name, so no file needs to remember which belongs to which."""
        return [filesystem.exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:  # noqa: ARG002 (the parent calls it so)
        if not exchange == routing_key == queue:
            msg = f"a bell goes to the queue of its name, not from {exchange} by {routing_key} to {queue}"
            raise ChannelError(msg)

    def _delete(self, queue: str, *_: object, **__: object) -> None:
        self._purge(queue)  # type: ignore[no-untyped-call]

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:  # type: ignore[override] # the parents disagree
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000):015}_{uuid.uuid4()}"
        passing = folder / f".{name}"
        try:
            passing.write_text(json.dumps(message))
            passing.rename(folder / f"{name}.{queue}.msg")
        except OSError as error:
            passing.unlink(missing_ok=True)
            msg = f"cannot ring in {folder}: {error}"
            raise ChannelError(msg) from error

    def _get(self, queue: str, timeout: object = None) -> dict[str, Any]:  # noqa: ARG002 (the parent calls it so)
        for name in sorted(os.listdir(self.data_folder_in)):  # noqa: PTH208 (names only, as the parent does)
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            path = Path(self.data_folder_in, name)
            try:
                text = path.read_text()
                # Whoever removes the file has the bell; the other one goes on to the next.
                path.unlink()
                payload: dict[str, Any] = json.loads(text)
            except (FileNotFoundError, ValueError):
                # Taken by another worker, or torn by a crash of the machine.
                continue
            return payload
        raise Empty


class Transport(filesystem.Transport):
    """What ``bells://`` in ``CELERY_BROKER_URL`` means."""

    Channel = Channel
    driver_name = "bells"
