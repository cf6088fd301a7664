#!/bin/sh
# Does for the images that we build what the official images' entrypoint does: options alone start the server,
# and the server listens to the other side of the container's network.
set -eu
if command -v redis-server >/dev/null; then server=redis-server; else server=valkey-server; fi
case "${1:-}" in
  redis-server | valkey-server) shift ;;
  -* | '') ;;
  *) exec "$@" ;;
esac
cd /data
exec $server --bind 0.0.0.0 --protected-mode no "$@"
