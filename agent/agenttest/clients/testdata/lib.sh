# Sourced by the scripts of clients. $WORK is a directory that is theirs alone and is removed after them.
# What cannot be installed ends the script with 77: skipped, for the reason that it prints.
set -eu
export TMPDIR="$WORK"

skip() { echo "skip: $*"; exit 77; }

# debs PACKAGE...: unpacks Debian's packages into $WORK/root, without touching the machine's own.
debs() {
	mkdir -p "$WORK/debs"
	apt-cache show "$1" >"$WORK/apt.log" 2>&1 || timeout 120 apt-get update >"$WORK/apt.log" 2>&1 || true
	(cd "$WORK/debs" && timeout 300 apt-get download "$@") >"$WORK/apt.log" 2>&1 || skip "apt: $(grep -m 1 '^E' "$WORK/apt.log" || tail -n 1 "$WORK/apt.log")"
	for deb in "$WORK"/debs/*.deb; do dpkg -x "$deb" "$WORK/root"; done
}

# module NAME MODULE@VERSION...: builds go/NAME.go in a module of its own as $WORK/client.
module() {
	mkdir -p "$WORK/module"
	cp "$LIB/go/$1.go" "$LIB/go/steps.go" "$WORK/module/"
	shift
	cd "$WORK/module"
	{ go mod init client && timeout 300 go get "$@" github.com/jackc/pgx/v5@v5.12.0 && timeout 300 go mod tidy; } >"$WORK/get.log" 2>&1 || skip "go: $(tail -n 1 "$WORK/get.log")"
	go build -o "$WORK/client" .
}

# packages NAME@VERSION...: installs npm packages into $WORK, beside the programs of js.
packages() {
	command -v npm >/dev/null || skip "no npm"
	cp "$LIB"/js/* "$WORK"
	cd "$WORK"
	{ npm init -y && timeout 300 npm install --no-audit --no-fund "$@"; } >"$WORK/npm.log" 2>&1 || skip "npm: $(grep -m 1 'npm error' "$WORK/npm.log" || tail -n 1 "$WORK/npm.log")"
}
