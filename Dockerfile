# bkp with the programs that it starts: PostgreSQL's client and server tools (a restore replays on a private server), age and zstd.
# Node 24 comes from the npm package `node`, as in the tests; the machine's own only starts npm.
ARG BASE=debian:12.12-slim

FROM ${BASE} AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates nodejs npm
WORKDIR /src
# Behind a proxy with an authority of its own: the path of its PEM file, mounted into the build.
ARG NODE_EXTRA_CA_CERTS
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error && node_modules/.bin/node --version | grep '^v24'
COPY scripts/build.mjs scripts/bundle.ts scripts/
COPY src src
RUN npm run build

FROM ${BASE}
# Debian's package would make a cluster; nothing here wants one.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-common \
 && echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends age ca-certificates postgresql-15 restic tini zstd \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 bkp \
 && useradd --uid 10001 --gid bkp --home-dir /var/lib/bkp --create-home --shell /usr/sbin/nologin bkp
COPY --from=build /src/node_modules/node/bin/node /usr/local/bin/node
WORKDIR /opt/bkp
COPY package.json LICENSE README.md ./
COPY bin bin
COPY docs docs
COPY --from=build /src/dist dist
RUN ln -s /opt/bkp/bin/bkp.js /usr/local/bin/bkp
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin NODE_ENV=production
USER 10001:10001
WORKDIR /var/lib/bkp
ENTRYPOINT ["tini", "--", "bkp"]
CMD ["--help"]
