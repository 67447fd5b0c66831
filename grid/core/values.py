"""`dataclass` for plain values that are made by the thousand: `frozen` is held by the type checker, not at run time.

A frozen dataclass writes each of its fields through `object.__setattr__`, which makes a value of forty fields cost
more than what is done with it. Here the class is the same to its readers and to mypy, compares and hashes the same,
and is filled by plain assignment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses

    def dataclass(cls=None, /, *, frozen=False, eq=True, **options):
        """As `dataclasses.dataclass`; of a frozen class only the hash is kept."""

        def made(plain):
            hashed = frozen and eq and "__hash__" not in plain.__dict__
            return dataclasses.dataclass(plain, eq=eq, unsafe_hash=hashed, **options)

        return made if cls is None else made(cls)


__all__ = ["dataclass"]
