#!/bin/sh
# Stands in for the entrypoint of the official images: options alone start the server, which listens on all interfaces
# of the container.
set -eu
if command -v redis-server >/dev/null; then server=redis-server; else server=valkey-server; fi
case "${1:-}" in
  redis-server | valkey-server) shift ;;
  -* | '') ;;
  *) exec "$@" ;;
esac
cd /data
exec $server --bind 0.0.0.0 --protected-mode no "$@"
