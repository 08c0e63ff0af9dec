#!/usr/bin/python3 -S
"""A stand-in for K3s, which cannot be had here: the commands that bkp calls, over a real etcd, as its documentation and sources tell.

Beside it lies `stub.json`: `tools` (directory of etcd's programs), `endpoint` (an etcd that plays K3s's own), `token` (with which the
datastore is encrypted), `mode` (what goes wrong), `s3` (its config.yaml says `etcd-s3: true`), and `list` (`old` = an array, as older releases print). Every call is written to
`calls.log` with its arguments; `kubectl` works on the objects in `cluster.json`.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
STUB = json.loads((HERE / "stub.json").read_text())
MODE = STUB.get("mode", "")


def log(text):
    print(f'time="2026-01-15T02:00:00Z" level=info msg="{text}"', file=sys.stderr)


def fail(text):
    print(f'time="2026-01-15T02:00:00Z" level=fatal msg="{text}"', file=sys.stderr)
    sys.exit(1)


def option(args, name, default=None):
    for at, arg in enumerate(args):
        if arg.startswith(f"{name}="):
            return arg.split("=", 1)[1]
        if arg == name:
            return args[at + 1]
    return default


def folder(args):
    return pathlib.Path(option(args, "--data-dir", "/var/lib/rancher/k3s")) / "server/db/snapshots"


def tool(name, *args):
    env = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
    subprocess.run((f"{STUB['tools']}/{name}", *args), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


def save(args):
    if MODE == "drop-once" and not (HERE / "dropped").exists():
        (HERE / "dropped").touch()
        fail("error reading from server: read tcp 127.0.0.1:50001->127.0.0.1:2379: read: connection reset by peer")
    name = f"{option(args, '--name', 'on-demand')}-node1-{int(time.time())}"
    path = folder(args) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if MODE == "silent":
        return
    if MODE == "part":
        path.with_name(f"{name}.part").write_bytes(b"half")
        return
    if MODE == "says-saved":
        log(f"Snapshot {name} saved.")
        return
    tool("etcdctl", f"--endpoints={STUB['endpoint']}", "snapshot", "save", str(path))
    if MODE == "zip":
        with zipfile.ZipFile(f"{path}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, name)
        path.unlink()
    log(f"Snapshot {name} saved.")


def files(args):
    found = sorted(folder(args).glob("*")) if folder(args).exists() else []
    return [path for path in found if not path.name.endswith(".part")]


def stamp(path):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(path.stat().st_mtime))


def resource(path):
    spec = {"snapshotName": path.name, "nodeName": "node1", "location": f"file://{path}"}
    status = {"size": str(path.stat().st_size), "creationTime": stamp(path), "readyToUse": True}
    return {"apiVersion": "k3s.cattle.io/v1", "kind": "ETCDSnapshotFile", "spec": spec, "status": status}


def old(path):
    return {"name": path.name, "nodeName": "node1", "location": f"file://{path}", "size": path.stat().st_size, "createdAt": stamp(path)}


def ls(args):
    if STUB.get("list") == "old":
        print(json.dumps([old(path) for path in files(args)]))
    else:
        elsewhere = {"spec": {"snapshotName": "s3-copy-node1-1", "nodeName": "s3", "location": "s3://bucket/s3-copy-node1-1"}, "status": {}}
        print(json.dumps({"kind": "List", "apiVersion": "v1", "items": [elsewhere, *(resource(path) for path in files(args))]}))


def delete(args):
    (folder(args) / args[-1]).unlink()


def reset(args):
    if STUB.get("s3") and option(args, "--etcd-s3") != "false":
        fail("starting kubernetes: preparing server: failed to download snapshot from S3: The specified key does not exist.")
    data = pathlib.Path(option(args, "--data-dir")) / "server"
    if os.environ.get("K3S_TOKEN") != STUB["token"]:
        fail("bootstrap data already found and encrypted with different token")
    if (data / "token").read_text().strip() != STUB["token"]:
        fail("the token file is of another cluster")
    if (data / "db/reset-flag").exists():
        fail("Managed etcd cluster membership was previously reset, please remove the cluster-reset flag")
    tool("etcdutl", "snapshot", "restore", option(args, "--cluster-reset-restore-path"), "--data-dir", str(data / "db/etcd"))
    (data / "db/reset-flag").touch()
    if MODE == "reset-fails":
        fail("starting kubernetes: preparing server: etcd: snapshot path does not exist")
    log("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now.")


def server(args):
    if "--cluster-reset" in args:
        return reset(args)
    if "--disable-agent" not in args:
        fail("a node would join")
    (HERE / "up").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            time.sleep(60)
    finally:
        (HERE / "up").unlink()


def objects():
    return json.loads((HERE / "cluster.json").read_text())


def kubectl(args):
    if not (HERE / "up").exists():
        print("The connection to the server 127.0.0.1:6443 was refused", file=sys.stderr)
        sys.exit(1)
    cluster = objects()
    verb, kind = args[0], args[1]
    if args[:2] == ["get", "--raw"]:
        return print("ok")
    if verb == "get":
        return print(json.dumps({"kind": "List", "items": cluster.get(kind, [])}))
    if verb == "delete":
        cluster[f"{kind}s"] = [each for each in cluster[f"{kind}s"] if each["metadata"]["name"] != args[2]]
    else:
        namespace = option(args, "--namespace")
        [one] = [each for each in cluster[kind] if (each["metadata"]["name"], each["metadata"]["namespace"]) == (args[2], namespace)]
        change = json.loads(option(args, "--patch"))["spec"] if verb == "patch" else {"replicas": int(option(args, "--replicas"))}
        one["spec"].update(change)
    (HERE / "cluster.json").write_text(json.dumps(cluster))


def main():
    args = sys.argv[1:]
    with open(HERE / "calls.log", "a") as calls:
        calls.write(json.dumps(["k3s", *args]) + "\n")
    if args == ["--version"]:
        return print("k3s version v1.34.1+k3s1 (24fc436e)\ngo version go1.24.6")
    if args[0] == "kubectl":
        return kubectl(args[1:])
    if args[0] == "server":
        return server(args[1:])
    if re.fullmatch("save|ls|delete", args[1]):
        return {"save": save, "ls": ls, "delete": delete}[args[1]](args[2:])
    fail(f"no such command: {args}")


main()
