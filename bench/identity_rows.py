"""Bench group identity: the SHA of a gigabyte on all cores, compared with other hashers on as many cores.

`python bench/identity_rows.py --mb 256` measures only this group, on less data.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rows import Row, median, show

from modelspine.identity.bundle import read_bundle

TENSOR = 8 * 2**20


def rows(mb: int = 1024) -> Iterator[Row]:
    """Yield the rows of this group; the peers hash one file per core, all at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    giga = mb * 2**20 / 1e9
    with tempfile.TemporaryDirectory(dir=_roomy(2 * mb)) as folder:
        bundle, parts = make(Path(folder), mb, cores)

        def speed(call: Callable[[], object], runs: int = 3) -> float:
            return giga / median(call, runs=runs)

        spine = speed(lambda: read_bundle(bundle))
        what = f"SHA of {giga:.2f} GB on {cores} cores"
        summed = speed(lambda: together(["sha256sum"], parts))
        yield Row(what, spine, "GB/s", round(0.9 * summed, 2), f"sha256sum, {cores} at once", summed, "more")
        if shutil.which("openssl"):
            openssl = speed(lambda: together(["openssl", "dgst", "-sha256"], parts))
            yield Row(what, spine, "GB/s", None, f"openssl dgst -sha256, {cores} at once", openssl, "more")
        try:
            signing = speed(lambda: model_signing(bundle, cores), runs=2)
        except ImportError as exc:  # model-signing does not declare all of its dependencies
            yield Row(what, spine, "GB/s", None, f"model-signing does not import: {exc}", None, "more")
        else:
            yield Row(what, spine, "GB/s", None, f"model-signing, sharded, {cores} workers", signing, "more")
        single = speed(lambda: read_bundle(bundle, threads=1), runs=2)
        yield Row("the same on one thread", single, "GB/s", None, "", None, "more")
        small, _ = make(Path(folder) / "small", 4, 1)
        quick = 1000 * median(lambda: read_bundle(small), runs=20)
        peer = 1000 * median(lambda: together(["sha256sum"], [small / "model.safetensors"]), runs=20)
        yield Row("SHA of a 4 MiB bundle", quick, "ms", None, "sha256sum", peer)


def make(folder: Path, mb: int, parts: int) -> tuple[Path, list[Path]]:
    """Create a bundle of ``mb`` mebibytes in equal tensors, and the same file split into ``parts``."""
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    size = min(TENSOR, mb * 2**20 // 4)
    count = mb * 2**20 // size
    tensor = {"dtype": "F32", "shape": [size // 4]}
    entries = {f"t{i}": {**tensor, "data_offsets": [i * size, (i + 1) * size]} for i in range(count)}
    header = json.dumps(entries).encode()
    block = os.urandom(size)
    with (bundle / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for i in range(count):
            file.write(i.to_bytes(8, "little") + block[8:])
    (bundle / "config.json").write_text("{}")
    total = (bundle / "model.safetensors").stat().st_size
    paths = []
    with (bundle / "model.safetensors").open("rb") as file:
        for i in range(parts):
            paths.append(folder / f"part{i}")
            with paths[-1].open("wb") as part:
                left = total * (i + 1) // parts - total * i // parts
                while left:
                    left -= part.write(file.read(min(left, 2**20)))
    return bundle, paths


def together(command: Sequence[str], paths: Sequence[Path]) -> None:
    """Run one process per path, all at the same time."""
    running = [subprocess.Popen([*command, str(path)], stdout=subprocess.DEVNULL) for path in paths]
    if any(process.wait() for process in running):
        raise RuntimeError(f"{command[0]} failed")


def model_signing(bundle: Path, cores: int) -> None:
    """Hash with model-signing, sharded by the tensor size so that it can use every core."""
    from model_signing.hashing import Config

    Config().use_shard_serialization(max_workers=cores, shard_size=TENSOR).hash(bundle)


def _roomy(mb: int) -> Path | None:
    """Return a folder in memory if it has room for twice the bytes, so that the disk is not measured."""
    ram = Path("/dev/shm")
    return ram if ram.is_dir() and shutil.disk_usage(ram).free > 2 * mb * 2**20 else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1024)
    for line in rows(parser.parse_args().mb):
        print(show(line), flush=True)
