#!/usr/bin/env bash
# Debian's Prometheus with promtool, and its Alertmanager, for the checks of the dashboards and of
# the desk's webhook; unpacked into .prometheus/ and not installed: an installed package starts a
# server that listens on every address.
# Does nothing where all are there already. Where they can't be had, says so and succeeds: the
# tests that need them skip with a sentence.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/.prometheus

is_there() { command -v "$1" >/dev/null || [ -x "$folder/usr/bin/$1" ]; }

wanted=()
{ is_there prometheus && is_there promtool; } || wanted+=(prometheus)
is_there prometheus-alertmanager || wanted+=(prometheus-alertmanager)
[ "${#wanted[@]}" -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "No ${wanted[*]} and no apt-get; going on without"
  exit 0
fi
spare=$(mktemp -d)
trap 'rm -rf "$spare"' EXIT
chmod 755 "$spare"
cd "$spare"
download() { timeout 300 apt-get -qq -o APT::Sandbox::User=root download "${wanted[@]}"; }
if ! download 2>apt.log; then
  { [ "$(id -u)" = 0 ] && timeout 300 apt-get -qq update 2>>apt.log && download 2>>apt.log; } || {
    tail -3 apt.log
    echo "${wanted[*]} could not be fetched; going on without"
    exit 0
  }
fi
mkdir -p "$folder"
for package in *.deb; do
  dpkg-deb --extract "$package" unpacked
done
cp -r unpacked/usr "$folder/"
ls "$folder/usr/bin"
