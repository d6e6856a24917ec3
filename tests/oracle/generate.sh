#!/bin/sh
# Asks Kubernetes' own Go code again and writes kubernetes.json. Needs Go; the first build takes
# minutes. With --check: says whether the file is what Kubernetes answers, and writes nothing.
set -eu
cd "$(dirname "$0")"
answers=$(mktemp)
trap 'rm -f "$answers"' EXIT
CGO_ENABLED=0 GOFLAGS='' GOWORK=off go run -mod=readonly -trimpath -buildvcs=false . >"$answers"
if [ "${1-}" = --check ]; then
  cmp "$answers" kubernetes.json
else
  cp "$answers" kubernetes.json
fi
