#!/bin/sh
# Makes sure that there is a Chromium for the browser tests: installs the distribution's where there is none.
# Needs root only when it has something to do. CHROMIUM, where set, names another browser to test with.
set -eu

say() { echo "install-chromium: $*" >&2; }

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then
    say "$("$name" --version 2>/dev/null) is there"
    exit 0
  fi
done
[ "$(id -u)" = 0 ] || { say "there is no Chromium, and only root can install one"; exit 1; }

began=$(date +%s)
log=${TMPDIR:-/tmp}/install-chromium.log
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends chromium >>"$log" 2>&1; }

# One unreachable third-party source must not keep us from the distribution's own packages.
install || { apt-get update -q >>"$log" 2>&1 || true; install; } || {
  tail -n 20 "$log" >&2
  say "chromium could not be installed"
  exit 1
}
say "installed $(chromium --version) in $(($(date +%s) - began)) s"
