#!/bin/sh
# Provides Chromium for the browser tests: installs the package of the distribution when no browser is found.
# Needs root only to install. Set CHROMIUM to test with another browser.
set -eu

say() { echo "install-chromium: $*" >&2; }

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then
    say "$("$name" --version 2>/dev/null) is present"
    exit 0
  fi
done
[ "$(id -u)" = 0 ] || { say "no Chromium found, and only root can install it"; exit 1; }

began=$(date +%s)
log=${TMPDIR:-/tmp}/install-chromium.log
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends chromium >>"$log" 2>&1; }

# Tolerate unreachable third-party sources: the package comes from the distribution.
install || { apt-get update -q >>"$log" 2>&1 || true; install; } || {
  tail -n 20 "$log" >&2
  say "chromium could not be installed"
  exit 1
}
say "installed $(chromium --version) in $(($(date +%s) - began)) s"
