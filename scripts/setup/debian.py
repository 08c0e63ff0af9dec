"""Debian packages, by apt-get: PostgreSQL 15, age, zstd, the daemons of Ceph's S3 server, Prometheus and its pushgateway."""

import shutil
import subprocess
from pathlib import Path

from .shell import as_root, fail, run, say

PG15 = Path("/usr/lib/postgresql/15/bin")
CREATECLUSTER = Path("/etc/postgresql-common/createcluster.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
SERVICES = ("prometheus", "prometheus-pushgateway")
SAME_NAME = ("age", "zstd", "radosgw", "ceph-mon", "ceph-osd", "ceph-mgr", *SERVICES)


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


def install_quietly(*packages):
    """Debian's packages start what they install, now and at each boot; the tests start their own, so these are told not to."""
    ours = not POLICY.exists()
    if ours:
        write_as_root(POLICY, "#!/bin/sh\nexit 101\n")
        run("forbidding services to start", *as_root("chmod", "755", str(POLICY)))
    try:
        apt_get("install", "--no-install-recommends", *packages)
    finally:
        if ours:
            run("allowing services to start", *as_root("rm", str(POLICY)))
    services = [package for package in packages if package in SERVICES]
    if services and shutil.which("systemctl"):
        run("keeping services from the next boot", *as_root("systemctl", "disable", *services))


def can_install(missing):
    """Whether something is missing; apt then knows what there is."""
    if not missing:
        return False
    if not shutil.which("apt-get"):
        fail(f"{', '.join(missing)} missing, and this is no Debian machine (no apt-get): install them and run this again")
    say(f"installing {', '.join(missing)}")
    apt_get("update")
    return True


def packages():
    missing = missing_packages()
    if not can_install(missing):
        return
    others = [package for package in missing if package != "postgresql-15"]
    if others:
        install_quietly(*others)
    if "postgresql-15" in missing:
        install_postgresql()
    still = missing_packages()
    if still:
        fail(f"apt-get installed {', '.join(still)} without an error, but the programs are not there")
