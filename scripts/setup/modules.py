"""Programs built from pinned modules: a go.mod names the versions, and a go.sum fixes every file that is built in."""

import hashlib
import shutil

from .cached import fresh, is_current
from .go import environment, toolchain
from .shell import ROOT, cache_dir, run, say

LEAST_GO = (1, 26)
FLAGS = ("-mod=readonly", "-trimpath", "-ldflags", "-s -w")


def stamp_of(name):
    """One hash over the pins: another version is another stamp."""
    folder = ROOT / "scripts/setup" / name
    return hashlib.sha256(b"".join((folder / file).read_bytes() for file in ("go.mod", "go.sum"))).hexdigest()


def build(name, programs, length):
    """Builds programs (name to package) into the folder `name` of the cache, unless they are there; Go refuses what go.sum does not list."""
    stamp = stamp_of(name)
    if is_current(name, stamp):
        return
    go = toolchain(LEAST_GO)
    say(f"building {', '.join(programs)} into {cache_dir() / name} ({length})")
    with fresh(name, stamp) as (home, scratch):
        pins = scratch / "pins"
        shutil.copytree(ROOT / "scripts/setup" / name, pins)
        (home / "bin").mkdir()
        for program, package in programs.items():
            command = (go, "build", *FLAGS, "-o", str(home / "bin" / program), package)
            run(f"building {program}", *command, env=environment(scratch), cwd=pins)
