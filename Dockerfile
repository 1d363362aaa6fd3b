# syntax=docker/dockerfile:1

# The image holds the program, the four libraries that it is linked with, CA certificates and nothing else: no shell, no
# package manager, no root. It is built with BuildKit, whose cache mounts keep compiled dependencies between builds.

FROM rust:1.95-slim-bookworm AS build
# Debian's current version is wanted: these are the certificates that the gateway trusts.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The queries were checked against .sqlx/ (see `make prepare`): no database is needed here.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin tillgate \
    && mkdir -p /image/etc/ssl/certs \
    && cp target/release/tillgate /image/tillgate

# Beside the program: its dynamic loader and libraries, at the places where it looks for them (the list is `ldd`'s, so that it
# cannot go stale), whom it trusts, how names are resolved, and a name for its user.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN ldd /image/tillgate | grep -o '/[^ ]*' | xargs -I '{}' cp --parents --dereference '{}' /image/ \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
    && echo 'tillgate:x:65532:65532:tillgate:/:/sbin/nologin' >/image/etc/passwd \
    && echo 'tillgate:x:65532:' >/image/etc/group \
    && cp -r config /image/config \
    && chroot --userspec=65532:65532 /image /tillgate --version

FROM scratch
COPY --from=build /image/ /
# A number, so that Kubernetes can see that it is not root (`runAsNonRoot`).
USER 65532:65532
WORKDIR /
# 8080: the API, callbacks and pages. 9090: probes and metrics, for the cluster alone.
ENV TILLGATE__SERVER__BIND=0.0.0.0:8080 \
    TILLGATE__SERVER__MANAGEMENT_BIND=0.0.0.0:9090
EXPOSE 8080 9090
# No HEALTHCHECK: Kubernetes ignores it and asks /livez and /readyz on port 9090 itself; there is no shell to run one either.
ENTRYPOINT ["/tillgate"]
CMD ["serve"]
