"""The shared signed ledger as pure functions: PyNaCl, the key log package and the standard library, nothing else.

One file per idea, pure maths below, storage and network above, behind ``tiles.TileReader``. Nothing here reads a clock,
a file or chance; only ``__main__`` (the offline verifier) opens the files it is given.
"""
