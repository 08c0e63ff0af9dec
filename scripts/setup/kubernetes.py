"""kube-apiserver, built from its pinned modules. That takes long, so it is begun beside everything else and waited for by who needs it."""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager

from .cached import is_current
from .modules import build as build_modules
from .modules import stamp_of
from .shell import ROOT, cache_dir, say

PROGRAMS = {"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}


@contextmanager
def alone():
    """One build at a time; who comes second waits, and then finds it done. The kernel lifts the lock of a build that was killed."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / "kubernetes.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build():
    """Builds it unless it is there; waits for a build that is under way."""
    with alone():
        build_modules("kubernetes", PROGRAMS, "five to twelve minutes")


def start():
    """Begins the build in a process of its own with the lowest claim on the processors, which goes on after the set-up has ended."""
    if is_current("kubernetes", stamp_of("kubernetes")):
        return
    cache_dir().mkdir(parents=True, exist_ok=True)
    log = cache_dir() / "kubernetes.log"
    say(f"building kube-apiserver beside everything else (five to twelve minutes; {log})")
    with open(log, "w") as out:
        command = (sys.executable, str(ROOT / "scripts/setup.py"), "kubernetes")
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=lambda: os.nice(10))
