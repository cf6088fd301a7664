#!/bin/sh
# Provides the images of the container tests: pulls them when a registry answers, or else builds them from Debian
# packages. Usage: build-images.sh [mysql] [mariadb] [redis] [valkey] [node] [haproxy] [prometheus]
# (default: the four stores)
#
# A build bootstraps no system: apt resolves the dependencies of the server, the packages are unpacked without running
# their scripts, and the tree becomes an image. Mirror and keys come from the apt configuration of the machine. The image of
# Node is made of the repository's own Node and npm's package.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/images.XXXXXX")
trap 'rm -rf "$work"' EXIT
say() { echo "build-images: $*" >&2; }

# Packages that the entrypoints and the scripts of MariaDB need besides the server.
base="base-files dash bash coreutils sed grep findutils hostname debianutils libc-bin"
resolve_seconds=15
pull_seconds=600

# A pull prints its first line once the registry answers. Without a network it may hang for minutes before that.
pull() { # pull TAG
  : >"$work/pull-$2"
  docker pull "$1" >"$work/pull-$2" 2>&1 &
  pull=$!
  left=$((resolve_seconds * 4))
  while kill -0 $pull 2>/dev/null && ! grep -q 'Pulling from' "$work/pull-$2"; do
    left=$((left - 1))
    [ $left -gt 0 ] || { kill $pull; return 1; }
    sleep 0.25
  done
  left=$((pull_seconds * 4))
  while kill -0 $pull 2>/dev/null; do
    left=$((left - 1))
    [ $left -gt 0 ] || { kill $pull; return 1; }
    sleep 0.25
  done
  wait $pull
}

# The first Debian archive that apt is configured with (deb822 or one-line style), whatever its suite.
mirror() {
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p' | grep '/debian/*$' | head -n 1
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' | grep '/debian/*$' | head -n 1
}

apt() { # apt STATE SUITE ARGUMENT...: apt-get with a separate state in which no package is installed
  state=$1 suite=$2
  shift 2
  mkdir -p "$state"
  : >"$state/status"
  apt-get -q -y -o Dir::Etc::SourceList="$work/$suite.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/$suite/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false -o Acquire::Languages=none \
    -o Acquire::Check-Valid-Until=false "$@"
}

update() { # update SUITE
  mkdir -p "$work/$1/lists/partial"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -f $keys ] || { say "Debian's archive keys are missing ($keys)"; return 1; }
  found=$(mirror | head -n 1)
  [ -n "$found" ] || { say "apt is not configured with a Debian archive"; return 1; }
  echo "deb [signed-by=$keys] $found $1 main" >"$work/$1.list"
  apt "$work/$1/cache" "$1" update >"$work/$1.log" 2>&1 || { cat "$work/$1.log" >&2; return 1; }
}

tree() { # tree NAME SUITE PACKAGE...: unpacks the packages and their dependencies
  name=$1 suite=$2
  shift 2
  root=$work/$name/root
  mkdir -p "$work/$name/cache/archives/partial" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
  for directory in bin sbin lib lib64; do ln -s usr/$directory "$root/$directory"; done
  # shellcheck disable=SC2086 -- a list of packages
  apt "$work/$name/cache" "$suite" install --download-only $base "$@" >"$work/$name.log" 2>&1 ||
    { tail -n 20 "$work/$name.log" >&2; return 1; }
  for package in "$work/$name"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
      tar -C "$root" -x --keep-directory-symlink --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
        --exclude='./usr/share/locale/*' --exclude='./usr/share/perl/*'
  done
  [ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
  mkdir -p "$root/tmp" "$root/data" "$root/var/lib/mysql" "$root/var/lib/mysql-files" "$root/var/run/mysqld"
  chmod 1777 "$root/tmp"
  printf 'root:x:0:0:root:/root:/bin/sh\nmysql:x:999:999::/var/lib/mysql:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nmysql:x:999:\n' >"$root/etc/group"
  chown 999:999 "$root/var/lib/mysql" "$root/var/lib/mysql-files" "$root/var/run/mysqld"
}

import() { # import NAME TAG INSTRUCTION...
  name=$1 tag=$2
  shift 2
  for instruction in "$@" 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'; do
    printf '%s\n' "$instruction"
  done >"$work/$name/instructions"
  set --
  while read -r instruction; do set -- "$@" -c "$instruction"; done <"$work/$name/instructions"
  tar -C "$work/$name/root" -c . | docker import "$@" - "$tag" >/dev/null
  say "$tag built from packages"
}

import_store() { # import_store NAME TAG ENTRYPOINT COMMAND PORT
  install -D -m 755 "$here/images/$3" "$work/$1/root/usr/local/bin/docker-entrypoint.sh"
  import "$1" "$2" 'ENTRYPOINT ["docker-entrypoint.sh"]' "CMD [\"$4\"]" "EXPOSE $5"
}

# Where the machine trusts further authorities, an installation inside of the image has to trust them as well.
import_node() {
  root=$work/node/root
  install -D -m 755 "$here/../../node_modules/node/bin/node" "$root/usr/local/bin/node"
  npm install --silent --no-audit --no-fund --global --prefix "$root/usr/local" npm@11 >/dev/null
  trust='ENV NODE_VERSION=24'
  if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
    install -D -m 644 "$NODE_EXTRA_CA_CERTS" "$root/etc/ssl/certs/machine.pem"
    trust='ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/machine.pem'
  fi
  import node node:24-slim "$trust" 'CMD ["node"]'
}

import_prometheus() {
  install -d -o 65534 -g 65534 "$work/prometheus/root/prometheus"
  import prometheus prom/prometheus:v3.5.0 'ENTRYPOINT ["prometheus", "--storage.tsdb.path=/prometheus"]' \
    'WORKDIR /prometheus' 'USER 65534' 'EXPOSE 9090'
}

build() { # build NAME
  case $1 in
    mysql) tree mysql sid mysql-server-core mysql-client-core && import_store mysql mysql:9.7 sql-entrypoint.sh mysqld 3306 ;;
    mariadb)
      tree mariadb trixie mariadb-server-core mariadb-client-core &&
        import_store mariadb mariadb:11.8 sql-entrypoint.sh mariadbd 3306
      ;;
    redis) tree redis trixie redis-server && import_store redis redis:8 redis-entrypoint.sh redis-server 6379 ;;
    valkey) tree valkey trixie valkey-server && import_store valkey valkey:8 redis-entrypoint.sh valkey-server 6379 ;;
    node) tree node trixie libstdc++6 ca-certificates && import_node ;;
    haproxy)
      tree haproxy trixie haproxy && import haproxy haproxy:3.2 'USER 65534' \
        'CMD ["haproxy", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
      ;;
    prometheus) tree prometheus trixie prometheus && import_prometheus ;;
  esac
}

tag_of() {
  case $1 in
    mysql) echo mysql:9.7 ;;
    mariadb) echo mariadb:11.8 ;;
    redis) echo redis:8 ;;
    valkey) echo valkey:8 ;;
    node) echo node:24-slim ;;
    haproxy) echo haproxy:3.2 ;;
    prometheus) echo prom/prometheus:v3.5.0 ;;
    *) say "unknown image: $1 (known: mysql mariadb redis valkey node haproxy prometheus)"; exit 2 ;;
  esac
}

suite_of() { [ "$1" = mysql ] && echo sid || echo trixie; }

# for_each FUNCTION ARGUMENT...: calls the function with each argument in parallel; fails when one call fails.
for_each() {
  function=$1
  shift
  jobs=
  for argument in "$@"; do
    $function "$argument" &
    jobs="$jobs $!"
  done
  failed=0
  for job in $jobs; do wait "$job" || failed=1; done
  return $failed
}

obtain() { # obtain NAME: pulls the image, or marks it to be built
  if pull "$(tag_of "$1")" "$1"; then say "$(tag_of "$1") pulled"; else touch "$work/build-$1"; fi
}

began=$(date +%s)
[ $# -gt 0 ] || set -- mysql mariadb redis valkey
missing=
for name in "$@"; do
  tag=$(tag_of "$name")
  if docker image inspect "$tag" >/dev/null 2>&1; then say "$tag is present"; else missing="$missing $name"; fi
done
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086 -- a list of names
for_each obtain $missing
build=$(cd "$work" && for mark in build-*; do [ ! -e "$mark" ] || echo "${mark#build-}"; done)
if [ -n "$build" ]; then
  [ "$(id -u)" = 0 ] || { say "no registry answers, and only root can build images"; exit 1; }
  # shellcheck disable=SC2046,SC2086 -- lists of names
  for_each update $(for name in $build; do suite_of "$name"; done | sort -u)
  # shellcheck disable=SC2086 -- a list of names
  for_each build $build
fi
say "done after $(($(date +%s) - began)) s"
