#!/bin/sh
# Stands in for the entrypoint of the official images: initialises an empty data directory, creates the user and the
# database that the MYSQL_* or MARIADB_* variables name, then runs the server.
set -eu

data=/var/lib/mysql
run=/var/run/mysqld
socket=$run/mysqld.sock
if command -v mariadbd >/dev/null; then server=mariadbd client=mariadb; else server=mysqld client=mysql; fi

root_password=${MYSQL_ROOT_PASSWORD:-${MARIADB_ROOT_PASSWORD:-}}
database=${MYSQL_DATABASE:-${MARIADB_DATABASE:-}}
user=${MYSQL_USER:-${MARIADB_USER:-}}
password=${MYSQL_PASSWORD:-${MARIADB_PASSWORD:-}}

initialise() {
  # An interrupted first start leaves an incomplete data directory.
  rm -rf "${data:?}"/*
  if [ $server = mysqld ]; then
    mysqld --no-defaults --initialize-insecure --user=mysql --datadir=$data "$@"
  else
    mariadb-install-db --no-defaults --user=mysql --datadir=$data --skip-test-db \
      --auth-root-authentication-method=normal "$@" >/dev/null
  fi
  setup >"$run/setup.sql"
  $server --no-defaults --user=mysql --datadir=$data --skip-networking --socket=$socket "$@" &
  until $client --no-defaults --socket=$socket -uroot -e 'SELECT 1' >/dev/null 2>&1; do
    kill -0 $! || exit 1
    sleep 0.05
  done
  $client --no-defaults --socket=$socket -uroot <"$run/setup.sql"
  rm "$run/setup.sql"
  kill $!
  wait $!
  touch $data/.ready
}

setup() {
  echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '$root_password';"
  echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
  [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
  if [ -n "$user" ]; then
    echo "CREATE USER '$user'@'%' IDENTIFIED BY '$password';"
    [ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO '$user'@'%';"
  fi
  echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$root_password';"
}

case "${1:-}" in
  mysqld | mariadbd) shift ;;
  -* | '') ;;
  *) exec "$@" ;;
esac
mkdir -p $data $run
chown -R mysql:mysql $data $run
[ -f $data/.ready ] || initialise "$@"
exec $server --no-defaults --user=mysql --datadir=$data --socket=$socket --bind-address=0.0.0.0 "$@"
