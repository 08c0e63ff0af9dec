"""Debian packages, by apt-get: PostgreSQL 15, Redis, etcd 3.4, Samba, sshd, age, zstd, restic, shells, systemd's own checks, the daemons of Ceph's S3 server, Prometheus' tools."""

import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from .shell import as_root, fail, run, say

PG15 = Path("/usr/lib/postgresql/15/bin")
CREATECLUSTER = Path("/etc/postgresql-common/createcluster.conf")
TRIPLET = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
POLICY = Path("/usr/sbin/policy-rc.d")
SAME_NAME = ("age", "zstd", "radosgw", "ceph-mon", "ceph-osd", "ceph-mgr", "prometheus", "prometheus-pushgateway", "redis-server", "smbclient", "openssl", "bzip2", "zsh", "fish", "mandoc", "restic", "jq", "xxd", "less")
# Package, and a file that only it brings.
BY_FILE = {
    "etcd-server": "/usr/bin/etcd",
    "etcd-client": "/usr/bin/etcdctl",
    "openssh-server": "/usr/sbin/sshd",
    "samba": "/usr/sbin/samba",
    "samba-ad-provision": "/usr/share/samba/setup/provision.ldif",
    "samba-dsdb-modules": "/usr/lib/{triplet}/samba/ldb/samba_dsdb.so",
    "samba-vfs-modules": "/usr/lib/{triplet}/samba/vfs/acl_xattr.so",
    "winbind": "/usr/sbin/winbindd",
    "ldb-tools": "/usr/bin/ldbsearch",
    "krb5-user": "/usr/bin/kinit",
    "attr": "/usr/bin/setfattr",
    "acl": "/usr/bin/setfacl",
    "systemd": "/usr/bin/systemd-analyze",
    "gnupg": "/usr/bin/gpg",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdint.h",
}
# What Debian starts at each boot once a package is there.
SERVICES = {
    "prometheus": ("prometheus",),
    "prometheus-pushgateway": ("prometheus-pushgateway",),
    "redis-server": ("redis-server",),
    "etcd-server": ("etcd",),
    "openssh-server": ("ssh",),
    "samba": ("samba-ad-dc", "smbd", "nmbd"),
    "winbind": ("winbind",),
    "podman": ("podman.socket", "podman.service", "podman-auto-update.timer"),
}


def missing_packages():
    wanted = {
        "postgresql-15": (PG15 / "postgres").exists() and (PG15 / "pgbench").exists(),
        **{package: shutil.which(package) for package in SAME_NAME},
        **{package: Path(file.format(triplet=TRIPLET)).exists() for package, file in BY_FILE.items()},
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
    services = [service for package in packages for service in SERVICES.get(package, ())]
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
