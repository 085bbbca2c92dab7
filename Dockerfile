# syntax=docker/dockerfile:1
# One image with both programs: /manager, the controller, and /access-management.
#
#   docker buildx build --platform linux/amd64,linux/arm64 .

# The toolchain of rust-toolchain.toml, on the Debian release of the image below: what is linked here is there.
ARG RUST_VERSION=1.95.0
ARG DEBIAN=trixie
ARG DEBIAN_NUMBER=13

# On the machine's own architecture, with a compiler for that of the image: emulation would take ten times as long.
FROM --platform=$BUILDPLATFORM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
ARG RUST_VERSION
ARG TARGETARCH
ARG CARGO_AUDITABLE_VERSION=0.7.7
# Not what rust-toolchain.toml names besides: lints and formatting are not needed here.
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION}
WORKDIR /src

RUN <<SH
set -eu
case "$TARGETARCH" in
amd64) triple=x86_64-unknown-linux-gnu; gcc=x86-64-linux-gnu; libc=amd64 ;;
arm64) triple=aarch64-unknown-linux-gnu; gcc=aarch64-linux-gnu; libc=arm64 ;;
*) echo "no build for architecture $TARGETARCH: amd64 and arm64 are supported" >&2; exit 1 ;;
esac
linker=cc
if [ "$(dpkg --print-architecture)" != "$libc" ]; then
  apt-get update
  apt-get install -y --no-install-recommends "gcc-$gcc" "libc6-dev-$libc-cross"
  rm -rf /var/lib/apt/lists/*
  linker="$(echo "$gcc" | sed s/x86-64/x86_64/)-gcc"
fi
rustup target add "$triple"
variable="$(echo "$triple" | tr a-z- A-Z_)"
cat >/build.env <<ENV
export CARGO_BUILD_TARGET=$triple
export CARGO_TARGET_${variable}_LINKER=$linker
export CC_$(echo "$triple" | tr - _)=$linker
ENV
SH

# So that the list of crates in the programs is there for scanners, which find no packages in such an image otherwise.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install cargo-auditable --version "$CARGO_AUDITABLE_VERSION" --locked

COPY . .
# The same input gives the same programs: no path of this machine, nothing but what Cargo.lock names.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,id=target-${TARGETARCH} <<SH
set -eu
. /build.env
export CARGO_TARGET_DIR=/target
export RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo/registry=registry"
cargo auditable build --release --locked -p profile-controller -p kfam
mkdir /out
cp "/target/$CARGO_BUILD_TARGET/release/profile-controller" /out/manager
cp "/target/$CARGO_BUILD_TARGET/release/kfam" /out/access-management
SH

# Has the C library and libgcc that the programs are linked with, and in /etc/ssl/certs the certificates by which they know the
# clouds' addresses; no shell. Its user is 65532.
FROM gcr.io/distroless/cc-debian${DEBIAN_NUMBER}:nonroot
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="profile-controller" \
      org.opencontainers.image.description="Turns Kubeflow Profiles into namespaces with access rules, and lets users share them" \
      org.opencontainers.image.source="https://github.com/kubeflow/profile-controller" \
      org.opencontainers.image.documentation="https://github.com/kubeflow/profile-controller/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/ /
USER 65532:65532
EXPOSE 8080 8081 9876
ENTRYPOINT ["/manager"]
