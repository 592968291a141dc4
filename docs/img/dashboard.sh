#!/usr/bin/env bash
# Makes docs/img/dashboard.svg: the real dashboard of a real cluster, as
# `nodedbctl demo` opens it in a terminal of 160x48, while a node is drained.
# Needs bin/ (make build), tmux, and go; no network. With rsvg-convert on PATH,
# it makes a PNG to look at beside it, which is not kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

socket=$(mktemp -u)
screen() { tmux -S "$socket" -f /dev/null "$@"; }
trap 'screen send-keys q 2>/dev/null; sleep 3; screen kill-server 2>/dev/null || true' EXIT

# see WORD: waits until it is on the screen
see() {
  for _ in $(seq 300); do
    if screen capture-pane -p | grep -qF -- "$1"; then return; fi
    sleep 0.5
  done
  echo "no \"$1\" on the screen:" >&2
  screen capture-pane -p >&2
  exit 1
}

# Without TMUX in its environment the dashboard takes the terminal's word for 24-bit colour.
screen new-session -d -x 160 -y 48 \
  "env -u TMUX TERM=xterm-256color COLORTERM=truecolor NODEDBCTL_THEME=dark bin/nodedbctl demo --nodes 4 2>/dev/null"
screen set -g status off
screen resize-window -x 160 -y 48
see "nothing needs you"
sleep "${LOAD_SECONDS:-75}" # so that the charts have something to show
screen send-keys 2 ; see SESSIONS
screen send-keys / "node:n3" Enter ; see "esc clears"
screen send-keys D ; see "type n3 to drain"
screen send-keys n3 Enter ; see op-
screen send-keys Escape ; sleep 1
screen send-keys Escape ; sleep 1
screen send-keys 1 ; see "drain n3" ; sleep 2
screen capture-pane -peN |
  go run ./tui/shot -columns 160 -lines 48 -title "nodedbctl demo --nodes 4" > docs/img/dashboard.svg
if command -v rsvg-convert >/dev/null; then rsvg-convert docs/img/dashboard.svg -o docs/img/dashboard.png; fi
echo "docs/img/dashboard.svg is made"
