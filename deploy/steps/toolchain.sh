# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# The Rust toolchain. It is looked for, not installed: people have their own ways
# (rustup, a distribution's packages), and Debian 12's own rustc is too old.

_toolchain_wanted=1.92

_toolchain_found() {
  command -v cargo >/dev/null && rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'
}

toolchain_title() {
  if toolchain_ready; then echo "Rust $(_toolchain_found)"; else echo "Rust $_toolchain_wanted or newer"; fi
}

toolchain_ready() {
  local found
  found=$(_toolchain_found) && [[ -n $found ]] &&
    printf '%s\n%s\n' "$_toolchain_wanted" "$found" | sort --check=quiet --version-sort
}

toolchain_advice() {
  echo "install Rust with rustup (see https://rustup.rs), or \`rustup update stable\` if you have it, and put ~/.cargo/bin on PATH"
}

# deploy/setup cannot: it only says what to do.
toolchain_install() {
  fail "cargo and rustc $_toolchain_wanted or newer are needed; found: $(_toolchain_found || echo none)" "$(toolchain_advice)"
}
