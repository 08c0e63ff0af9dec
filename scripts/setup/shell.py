"""How every step talks to the person and runs commands, and where it keeps what it makes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


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
    """Where built and unpacked tools lie. Run as root, servers run as user postgres, who may not be able to enter the checkout."""
    named = os.environ.get("BKP_TEST_CACHE")
    if named:
        return Path(named)
    return Path("/var/cache/bkp-test") if os.geteuid() == 0 else ROOT / ".cache"
