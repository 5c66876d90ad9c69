"""A small object store: a local folder, or a bucket of S3, Google Cloud or Azure that a URL names.

It keeps what never changes once it is written, such as the files of closed days::

    store = open_objects("s3://bucket/days")    # or a folder, file:///…, gs://…, az://container/…
    store.probe()                               # once at start: reachable, and create-only puts hold
    store.put("day=2026-09-02/a.parquet", Path("a.parquet"))   # raises Exists if the key is taken
    store.list("day=2026-09-02")                # [Stored(key, size)], sorted
    store.local("day=2026-09-02/a.parquet")     # where to read it in place; None if it is not on this disk
    store.fetch("day=2026-09-02/a.parquet", Path("cache/a.parquet"), sha256="…")
    store.get("manifest.json")                  # bytes, or a range of them

A key is a relative path with "/" between its parts; no part is empty or begins with a dot. ``list`` takes a folder
and not any prefix. Every failure is a ``StorageError`` with a hint: ``Exists`` for a key that is taken, ``Missing``
for an object that is not there, and otherwise the kind ``unavailable`` or ``damaged``. Credentials are never part of a
URL: each cloud's usual environment variables hold them. A create-only put whose reply was lost may have succeeded; who
repeats it and gets ``Exists`` compares ``sha256(key)`` with its own bytes. Every object is put in one request, so its
bytes are in memory for as long as that takes.

A store may be used from any thread, but a bucket not in a child that was forked after its first use, which is refused.
"""

from miniobserve.objects.open import check_place, open_objects, scheme_of
from miniobserve.objects.protocol import Exists, Missing, Objects, Stored

__all__ = ["Exists", "Missing", "Objects", "Stored", "check_place", "open_objects", "scheme_of"]
