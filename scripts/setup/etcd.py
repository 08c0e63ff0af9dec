"""etcd 3.6 with etcdctl and etcdutl, built from its pinned modules; Debian's is 3.4."""

from .modules import build as build_modules

PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
}


def build():
    build_modules("etcd", PROGRAMS, "two minutes")
