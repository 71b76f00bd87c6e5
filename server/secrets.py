"""Make the secrets of a data directory, with safe file modes. Run before settings are read: ``python -m server.secrets``."""

import os
import secrets
import sys
from pathlib import Path

# 32 bytes each: Django's signing key, and the key that seals private keys in the database.
NAMES = ("secret_key", "sealing_key")


def ensure(data_dir: Path) -> list[Path]:
    """Create what is missing under ``data_dir`` (directories 0700, secrets 0600) and return the paths of new secrets.

    Never overwrites: losing the sealing key would lose every private key of the instance.
    """
    for folder in (data_dir, data_dir / "secrets", data_dir / "media", data_dir / "uploads", data_dir / "broker"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name in NAMES:
        path = data_dir / "secrets" / name
        if path.exists():
            continue
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        made.append(path)
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TRIBUTARY_DATA_DIR", "data")).resolve()
    for new in ensure(target):
        sys.stdout.write(f"made {new}\n")
