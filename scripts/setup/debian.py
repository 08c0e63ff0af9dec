"""Debian packages, by apt-get: PostgreSQL 15, age, zstd and the daemons of Ceph's S3 server."""

import shutil
import subprocess
from pathlib import Path

from .shell import as_root, fail, run, say

PG15 = Path("/usr/lib/postgresql/15/bin")
CREATECLUSTER = Path("/etc/postgresql-common/createcluster.conf")
SAME_NAME = ("age", "zstd", "radosgw", "ceph-mon", "ceph-osd", "ceph-mgr")


def missing_packages():
    wanted = {
        "postgresql-15": (PG15 / "postgres").exists() and (PG15 / "pgbench").exists(),
        **{package: shutil.which(package) for package in SAME_NAME},
    }
    return [package for package, present in wanted.items() if not present]


def apt_get(*arguments):
    environment = ("env", "DEBIAN_FRONTEND=noninteractive")
    run("installing Debian packages", *as_root(*environment, "apt-get", "-q", "-y", *arguments))


def write_as_root(path, text):
    subprocess.run(as_root("tee", str(path)), input=text, text=True, stdout=subprocess.DEVNULL, check=True)


def install_postgresql():
    """Debian's package makes a cluster and starts it; the tests start their own, so it is told not to, for this once."""
    apt_get("install", "--no-install-recommends", "postgresql-common")
    before = CREATECLUSTER.read_text()
    write_as_root(CREATECLUSTER, before + "\ncreate_main_cluster = false\n")
    try:
        apt_get("install", "--no-install-recommends", "postgresql-15")
    finally:
        write_as_root(CREATECLUSTER, before)


def packages():
    missing = missing_packages()
    if not missing:
        return
    if not shutil.which("apt-get"):
        fail(f"{', '.join(missing)} missing, and this is no Debian machine (no apt-get): install them and run this again")
    say(f"installing {', '.join(missing)}")
    apt_get("update")
    others = [package for package in missing if package != "postgresql-15"]
    if others:
        apt_get("install", "--no-install-recommends", *others)
    if "postgresql-15" in missing:
        install_postgresql()
    still = missing_packages()
    if still:
        fail(f"apt-get installed {', '.join(still)} without an error, but the programs are not there")
