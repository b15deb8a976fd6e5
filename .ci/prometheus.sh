#!/usr/bin/env bash
# Debian's Prometheus and promtool for the checks of the dashboards, unpacked into .prometheus/ and
# not installed: an installed package starts a server that listens on every address.
# Does nothing where both are there already. Where they can't be had, says so and succeeds: the
# tests that need them skip with a sentence.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/.prometheus
if { command -v prometheus && command -v promtool; } >/dev/null || [ -x "$folder/usr/bin/promtool" ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "No Prometheus and no apt-get; going on without it"
  exit 0
fi
spare=$(mktemp -d)
trap 'rm -rf "$spare"' EXIT
chmod 755 "$spare"
cd "$spare"
if ! timeout 300 apt-get -qq -o APT::Sandbox::User=root download prometheus 2>apt.log; then
  { [ "$(id -u)" = 0 ] && timeout 300 apt-get -qq update 2>>apt.log &&
    timeout 300 apt-get -qq -o APT::Sandbox::User=root download prometheus 2>>apt.log; } || {
    tail -3 apt.log
    echo "Prometheus could not be fetched; going on without it"
    exit 0
  }
fi
dpkg-deb --extract prometheus_*.deb unpacked
mkdir -p "$folder"
cp -r unpacked/usr "$folder/"
"$folder/usr/bin/promtool" --version 2>&1 | head -1
