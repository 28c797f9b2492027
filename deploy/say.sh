# shellcheck shell=bash
# How the scripts of this folder talk: one line per step, colours on a terminal
# only, long commands with their output in a log and a sign of life on the screen.
#
# Sourced, never run. Everything that a person reads goes to standard error, so
# that standard output stays free for what another program may want to read.

if [[ -t 2 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' yellow='' plain=''
fi

say() { printf '%s\n' "$*" >&2; }
say_done() { printf '  %s✓%s %s\n' "$green" "$plain" "$*" >&2; }
say_doing() { printf '  %s…%s %s\n' "$yellow" "$plain" "$*" >&2; }
say_note() { printf '  %s!%s %s\n' "$yellow" "$plain" "$*" >&2; }
heading() { printf '%s%s%s\n' "$bold" "$*" "$plain" >&2; }

# fail WHAT NEXT_STEP: ends the script.
fail() {
  printf '%sfailed:%s %s\n' "$red" "$plain" "$1" >&2
  [[ -z ${2-} ]] || printf '  what to do: %s\n' "$2" >&2
  exit 1
}

# show_tail FILE [LINES]: the end of a log, indented.
show_tail() {
  [[ -s $1 ]] || return 0
  printf '%slast lines of %s:%s\n' "$dim" "$1" "$plain" >&2
  tail -n "${2-15}" -- "$1" | sed 's/^/    | /' >&2
}

# Says every few seconds that something is still going on: on a terminal with the
# log's last line, elsewhere (CI) with a plain line now and then.
_sign_of_life() {
  local what=$1 log=$2 started=$SECONDS passed last width
  while sleep 1; do
    passed=$((SECONDS - started))
    if [[ -t 2 ]]; then
      width=$(($(tput cols 2>/dev/null || echo 80) - 24 - ${#what}))
      last=$(tail -c 2000 -- "$log" 2>/dev/null | tr '\r' '\n' | grep -av '^[[:space:]]*$' | tail -n 1 || true)
      ((width > 10)) || last=''
      printf '\r\e[K  %s…%s %s %s%d s  %s%s' "$yellow" "$plain" "$what" "$dim" "$passed" "${last:0:width}" "$plain" >&2
    elif ((passed % 20 == 0)); then
      printf '    still at it: %s (%d s)\n' "$what" "$passed" >&2
    fi
  done
}

# logged WHAT LOG COMMAND…: runs the command in the foreground (so that Ctrl-C reaches
# it), output to LOG. Returns the command's status; on failure shows the log's end.
logged() {
  local what=$1 log=$2 status=0 life
  shift 2
  [[ -t 2 ]] || say_doing "$what"
  # 9 is setup's lock: neither of the two below, nor a service that a package
  # starts, may inherit and so hold it.
  printf '\n=== %s: %s\n' "$(date -u +%FT%TZ)" "$*" >>"$log"
  _sign_of_life "$what" "$log" 9>&- &
  life=$!
  "$@" >>"$log" 2>&1 </dev/null 9>&- || status=$?
  kill "$life" 2>/dev/null || true
  wait "$life" 2>/dev/null || true
  [[ ! -t 2 ]] || printf '\r\e[K' >&2
  ((status == 0)) || show_tail "$log"
  return "$status"
}

# file_is FILE SHA256: whether the file is there and has that hash.
file_is() {
  [[ -f $1 ]] && [[ $(sha256sum <"$1") == "$2  -" ]]
}
