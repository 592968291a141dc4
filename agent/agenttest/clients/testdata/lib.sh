# Sourced by the scripts of clients. $WORK is a directory that is theirs alone and is removed after them.
# What cannot be installed ends the script with 77: skipped, for the reason that it prints.
set -eu
export HOME="$WORK" TMPDIR="$WORK"

skip() { echo "skip: $*"; exit 77; }

# debs PACKAGE...: unpacks Debian's packages into $WORK/root, without touching the machine's own.
debs() {
	mkdir -p "$WORK/debs"
	apt-cache show "$1" >"$WORK/apt.log" 2>&1 || apt-get update >"$WORK/apt.log" 2>&1 || true
	(cd "$WORK/debs" && apt-get download "$@") >"$WORK/apt.log" 2>&1 || skip "apt: $(grep -m 1 '^E' "$WORK/apt.log" || tail -n 1 "$WORK/apt.log")"
	for deb in "$WORK"/debs/*.deb; do dpkg -x "$deb" "$WORK/root"; done
}

# module GO-FILE MODULE@VERSION...: builds one file in a module of its own as $WORK/client.
module() {
	mkdir -p "$WORK/module"
	cp "$1" "$WORK/module/main.go"
	shift
	(cd "$WORK/module" && go mod init client && go get "$@") >"$WORK/get.log" 2>&1 || skip "go get: $(tail -n 1 "$WORK/get.log")"
	(cd "$WORK/module" && go mod tidy && go build -o "$WORK/client" .) || exit 1
}

# packages NAME@VERSION...: installs npm packages into $WORK/node_modules.
packages() {
	command -v npm >/dev/null || skip "no npm"
	(cd "$WORK" && npm init -y && npm install --no-audit --no-fund "$@") >"$WORK/npm.log" 2>&1 || skip "npm: $(grep -m 1 'npm error' "$WORK/npm.log" || tail -n 1 "$WORK/npm.log")"
}
