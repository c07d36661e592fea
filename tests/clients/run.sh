#!/usr/bin/env bash
# Copies the example clients to target/clients, generates their code there and runs them against a running server. Needs buf (or
# npm, to install it into target/tools); a language whose tools are missing is skipped. Exits with 1 if a client fails.
#
#   ENCORE_ADDRESS=127.0.0.1:50051 tests/clients/run.sh [go] [python] [typescript] [java]
set -euo pipefail
cd "$(dirname "$0")/../.."
export ENCORE_ADDRESS=${ENCORE_ADDRESS:-127.0.0.1:50051}
export ENCORE_SERVICE_CONFIG=$PWD/docs/api/service-config.json
clients=target/clients
python=${PYTHON:-python3}
passed=0 failed=0 skipped=0

has() { type -P "$1" >/dev/null; }

install_buf() {
  export PATH=$PWD/target/tools/node_modules/.bin:$PATH
  has buf && return
  has npm && npm install --silent --no-fund --no-audit --prefix target/tools @bufbuild/buf@1.75.0 && has buf
}

generate() { buf generate --template $clients/"$1"/buf.gen.yaml -o $clients/"$1" --clean; }

missing_go() { has go || echo 'go is not installed'; }
run_go() {
  generate go
  go -C $clients/go run .
}

missing_python() {
  has "$python" && "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' || echo 'Python 3.10 or later is not installed'
}
run_python() {
  local venv=$PWD/$clients/python/.venv
  [ -x "$venv/bin/python3" ] || "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r $clients/python/requirements.txt
  PATH=$venv/bin:$PATH generate python
  "$venv/bin/python3" $clients/python/journey.py
}

missing_typescript() {
  has npm && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || echo 'Node 20 or later with npm is not installed'
}
run_typescript() {
  npm ci --silent --no-fund --no-audit --prefix $clients/typescript
  PATH=$PWD/$clients/typescript/node_modules/.bin:$PATH generate typescript
  npm run --silent --prefix $clients/typescript build
  npm run --silent --prefix $clients/typescript start
}

missing_java() {
  has javac && has mvn || echo 'a JDK and Maven are not installed'
}
run_java() { mvn --quiet --batch-mode --file $clients/java/pom.xml compile exec:java; }

[ $# -gt 0 ] || set -- go python typescript java
for language in "$@"; do
  reason=$(missing_$language)
  [ -n "$reason" ] || [ "$language" = java ] || install_buf || reason='buf is not installed, and there is no npm to install it'
  if [ -n "$reason" ]; then
    printf '==> %s: skipped, %s\n' "$language" "$reason"
    skipped=$((skipped + 1))
    continue
  fi
  printf '==> %s\n' "$language"
  mkdir -p $clients/"$language"
  cp -R tests/clients/"$language"/. $clients/"$language"
  # A shell of its own, so that the first command that fails ends the client.
  if bash -euo pipefail -c "$(declare -f); clients=$clients python=$python; run_$language"; then
    passed=$((passed + 1))
  else
    printf '==> %s: failed\n' "$language"
    failed=$((failed + 1))
  fi
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
