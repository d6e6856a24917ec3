#!/bin/sh
# Asks Kubernetes' own Go code again and writes kubernetes.json and workloads.json. Needs Go; the first build
# takes minutes. With --check: says whether the files are what Kubernetes answers, and writes nothing.
set -eu
cd "$(dirname "$0")"
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
CGO_ENABLED=0 GOFLAGS='' GOWORK=off go build -mod=readonly -trimpath -buildvcs=false -o "$answers/oracle" .
"$answers/oracle" >"$answers/kubernetes.json"
"$answers/oracle" workloads >"$answers/workloads.json"
for file in kubernetes.json workloads.json; do
  if [ "${1-}" = --check ]; then
    cmp "$answers/$file" "$file"
  else
    cp "$answers/$file" "$file"
  fi
done
