#!/usr/bin/env bash
# Debian packages that some tests use: installs what is missing when it may, else says what is left out.
set -euo pipefail
wanted=(
  tmux prometheus # the plugin in a terminal, the metrics with a real Prometheus
  containerd runc containernetworking-plugins iptables nftables conntrack iproute2 util-linux # a real node
  busybox-static docker-registry skopeo mmdebstrap # its images, and our own
  chromium-headless-shell # the pages of the docs site
)
command -v dpkg-query >/dev/null || exit 0
missing=()
for package in "${wanted[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
    missing+=("$package")
done
[ "${#missing[@]}" = 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "tests are left out for want of Debian packages (as root they would be installed): ${missing[*]}"
  exit 0
fi
echo "installing Debian packages that tests use: ${missing[*]}"
# No service of theirs starts: the tests start what they need by themselves.
printf '#!/bin/sh\nexit 101\n' >/tmp/policy.$$ && chmod +x /tmp/policy.$$
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { mv /tmp/policy.$$ $policy; trap 'rm -f $policy' EXIT; }
rm -f /tmp/policy.$$
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
