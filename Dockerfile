# bkp with every program that it starts, for each kind of target. It runs as uid 10001 on a read-only root with one writable directory,
# /var/lib/bkp. docs/how-to/container.md says how to build and run it.
ARG BASE=docker.io/library/debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171
ARG GO=docker.io/library/golang:1.27.1-bookworm@sha256:69a7b9788769bec032d238959b61854e9ae87f57be9029ec04e9885fabf99195

# etcd 3.6 and kubectl, from modules that go.sum fixes: Debian's are 3.4 and 1.20.
FROM ${GO} AS tools
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
WORKDIR /pins/etcd
COPY scripts/setup/etcd ./
RUN set -eu; \
    for program in server:etcd etcdctl:etcdctl etcdutl:etcdutl; do \
      go build -ldflags '-s -w' -o "/tools/${program#*:}" "go.etcd.io/etcd/${program%:*}/v3"; \
    done
WORKDIR /pins/kubectl
COPY scripts/setup/kubectl ./
RUN version="$(go list -m -f '{{.Version}}' k8s.io/kubernetes)" \
 && go build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=${version}" -o /tools/kubectl k8s.io/kubernetes/cmd/kubectl

# WAL-G's own release. An empty WALG_VERSION leaves it out.
FROM ${BASE} AS wal-g
ARG WALG_VERSION=3.0.9
ARG WALG_SHA256_AMD64=d6795c663894d836ba20840bffe8970aed81bbe25d3151bd4951f6f9c362def9
ARG WALG_SHA256_ARM64=072eb4a4a119f817e1fa888c64a776b01e3453b2e0d967a67d149adb18fde652
WORKDIR /tools
RUN set -eu; \
    if [ -z "${WALG_VERSION}" ]; then exit 0; fi; \
    case "$(dpkg --print-architecture)" in \
      amd64) name=wal-g-pg-22.04-amd64; sum="${WALG_SHA256_AMD64}" ;; \
      arm64) name=wal-g-pg-22.04-aarch64; sum="${WALG_SHA256_ARM64}" ;; \
      *) echo 'WAL-G has no release for this architecture: build with an empty WALG_VERSION' >&2; exit 1 ;; \
    esac; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates curl; \
    rm -rf /var/lib/apt/lists/*; \
    curl -fsSL --retry 3 -o wal-g "https://github.com/wal-g/wal-g/releases/download/v${WALG_VERSION}/${name}"; \
    echo "${sum}  wal-g" > /tmp/wal-g.sha256; \
    sha256sum -c /tmp/wal-g.sha256; \
    chmod 755 wal-g; \
    ./wal-g --version

# bkp's one file, around the Node that package-lock.json fixes; Debian's only starts npm.
FROM ${BASE} AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY scripts/onefile.mjs scripts/*.ts scripts/
COPY scripts/onefile scripts/onefile
COPY bin bin
COPY src src
ARG REVISION=
RUN BKP_COMMIT="${REVISION}" npm run onefile

FROM ${BASE}
# Majors whose clusters can be backed up and restored, the newest last: a restore replays on a server of the backup's own major.
ARG POSTGRESQL="15 16 17 18"
# The project's own apt repository, by the script and the key in Debian's package; `no` where the base's sources have these majors.
ARG PGDG=yes
# Every locale: a database whose own is missing cannot be opened in a restored copy. Debian would make a cluster; nothing wants one.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates postgresql-common; \
    echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf; \
    if [ "${PGDG}" = yes ]; then /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; fi; \
    for major in ${POSTGRESQL}; do set -- "$@" "postgresql-${major}"; done; \
    apt-get install -y --no-install-recommends "$@" \
      acl age attr bzip2 iproute2 krb5-user ldb-tools locales-all openssh-client openssl redis-server redis-tools restic \
      samba samba-ad-provision samba-dsdb-modules samba-vfs-modules smbclient sqlite3 tini tzdata winbind zstd; \
    rm -rf /var/lib/apt/lists/* /var/log/* /etc/ssl/private/ssl-cert-snakeoil.key; \
    groupadd --gid 10001 bkp; \
    useradd --uid 10001 --gid bkp --home-dir /var/lib/bkp --create-home --shell /usr/sbin/nologin bkp; \
    mkdir -p /opt/bkp; \
    ln -s "/usr/lib/postgresql/${major}" /opt/bkp/postgresql
COPY --from=tools /tools /usr/local/bin/
COPY --from=wal-g /tools /usr/local/bin/
WORKDIR /opt/bkp
COPY LICENSE README.md ./
COPY docs docs
# `bkp render kubernetes --restore` copies this file from here into the pod of a database.
COPY --from=build /src/build/bkp /src/build/LICENCES.txt ./
RUN ln -s /opt/bkp/bkp /usr/local/bin/bkp
ARG VERSION=0.1.0
ARG REVISION=
ARG BASE
LABEL org.opencontainers.image.title="bkp" \
      org.opencontainers.image.description="Backs up, prunes, restores and proves the restore of a K3s platform's data" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
ENV PATH=/opt/bkp/postgresql/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    HOME=/var/lib/bkp \
    TMPDIR=/var/lib/bkp \
    NODE_ENV=production
USER 10001:10001
WORKDIR /var/lib/bkp
ENTRYPOINT ["/usr/bin/tini", "--", "bkp"]
CMD ["--help"]
