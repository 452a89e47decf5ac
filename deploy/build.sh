#!/usr/bin/env bash
# Builds the files of the container image, reproducibly: the same source, Go
# version and VERSION give the same bytes on every machine.
#
#   deploy/build.sh                       # then: docker build -t fieldseal .
#   VERSION=1.2.3 GOARCH=arm64 deploy/build.sh
#
# OUT       folder to fill (default dist)
# VERSION   what `fieldseal version` says (default: the version in the source)
# CA_CERTS  PEM bundle for outbound TLS (default: the bundle of this machine)
#
# The Dockerfile starts from scratch and copies OUT/rootfs, so no base image
# has to be trusted or pinned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${OUT:-dist}
ca=${CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
ldflags="-s -w -buildid="
[ -z "${VERSION:-}" ] || ldflags+=" -X github.com/fieldseal/fieldseal/internal/app.Version=$VERSION"

if [ ! -r "$ca" ]; then
  echo "build.sh: no CA bundle at $ca; name one with CA_CERTS" >&2
  exit 1
fi

rm -rf "$out/rootfs" "$out/state"
mkdir -p "$out/rootfs/etc/ssl/certs" "$out/state"/{data,keystore,witness}
CGO_ENABLED=0 GOOS=linux GOFLAGS=-mod=readonly \
  go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$out/rootfs/fieldseal" ./cmd/fieldseal
cp "$ca" "$out/rootfs/etc/ssl/certs/ca-certificates.crt"
printf 'fieldseal:x:65532:65532:Fieldseal:/:/sbin/nologin\n' > "$out/rootfs/etc/passwd"
printf 'fieldseal:x:65532:\n' > "$out/rootfs/etc/group"
chmod 0555 "$out/rootfs/fieldseal"
chmod 0444 "$out/rootfs/etc/passwd" "$out/rootfs/etc/group" "$out/rootfs/etc/ssl/certs/ca-certificates.crt"
chmod 0700 "$out/state"/*
touch -d @0 "$out/rootfs/fieldseal" "$out/rootfs/etc/passwd" "$out/rootfs/etc/group" "$out/rootfs/etc/ssl/certs/ca-certificates.crt"
sha256sum "$out/rootfs/fieldseal"
