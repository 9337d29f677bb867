#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml in compose/secrets (or in the folder $1); those that are there stay. Not for Git.
set -euo pipefail
folder=${1:-$(dirname "${BASH_SOURCE[0]}")/secrets}

# The folder keeps others out. The files are read in containers by users of theirs.
mkdir -p "$folder"
chmod 700 "$folder"
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
make() { # NAME VALUE, where there is none yet
  [ ! -s "$folder/$1" ] || return 0
  printf %s "$2" >"$folder/$1"
  chmod 444 "$folder/$1"
  echo "secrets: made $folder/$1"
}
make mysql_password "$(random)"
make mysql_root_password "$(random)"
make mysql_url "mysql://gochat:$(cat "$folder/mysql_password")@mysql:3306/gochat"
# A line a key; the first signs. A second one below it stays valid: that is how keys are rotated.
make signing_keys "first: $(head -c 32 /dev/urandom | base64 -w 0)"
make grafana_password "$(random)"
