#!/bin/sh
# Provides a running Docker engine and its `compose`: installs the packages of Debian or Ubuntu when needed, and starts it.
# Needs root only when no engine answers. Prints how long it took. The engine listens on DOCKER_HOST when that is set.
set -eu

answers() { docker info >/dev/null 2>&1; }
say() { echo "start-docker: $*" >&2; }

compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

if answers && compose; then
  say "an engine answers already"
  exit 0
fi
[ "$(id -u)" = 0 ] || { say "no engine answers, and only root can start one"; exit 1; }

began=$(date +%s)
log=${TMPDIR:-/tmp}/dockerd.log
export DEBIAN_FRONTEND=noninteractive

install() { apt-get install -y -q --no-install-recommends "$@" >>"$log" 2>&1; }

if ! command -v dockerd >/dev/null; then
  say "installing the engine of the distribution"
  # Tolerate unreachable third-party sources: the packages come from the distribution.
  install docker.io iptables || { apt-get update -q >>"$log" 2>&1 || true; install docker.io iptables; } || {
    tail -n 20 "$log" >&2
    say "docker.io could not be installed"
    exit 1
  }
fi
# Debian 13 and later ship the command in a separate package.
command -v docker >/dev/null || install docker-cli
compose || install docker-compose || { apt-get update -q >>"$log" 2>&1 || true; install docker-compose; }

# The service of the package may have started the engine.
if ! answers; then
  setsid dockerd ${DOCKER_HOST:+-H "$DOCKER_HOST"} >>"$log" 2>&1 </dev/null &
fi
left=120
until answers; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { tail -n 20 "$log" >&2; say "dockerd does not answer"; exit 1; }
  sleep 0.25
done
say "ready after $(($(date +%s) - began)) s"
