# bkp with the programs that it starts: PostgreSQL's client and server tools (a restore replays on a private server), age and zstd.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY scripts/build.mjs scripts/build.mjs
COPY src src
RUN npm run build

FROM node:24-bookworm-slim
# The package would make a cluster; nothing here wants one.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-common \
 && echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends age ca-certificates postgresql-15 tini zstd \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 bkp \
 && useradd --uid 10001 --gid bkp --home-dir /var/lib/bkp --create-home --shell /usr/sbin/nologin bkp
WORKDIR /opt/bkp
COPY package.json LICENSE README.md ./
COPY bin bin
COPY docs docs
COPY --from=build /src/dist dist
RUN ln -s /opt/bkp/bin/bkp.js /usr/local/bin/bkp
ENV PATH=/usr/lib/postgresql/15/bin:$PATH NODE_ENV=production
USER 10001:10001
WORKDIR /var/lib/bkp
ENTRYPOINT ["tini", "--", "bkp"]
CMD ["--help"]
