# shellcheck shell=bash
# shellcheck disable=SC2154 # root, local_dir, log come from deploy/setup
# What `make bench-edge` compares the box with: a Python of its own with OpenCV, supervision and Norfair.
# Only for the bench; nothing of it is part of the product.

_peers_venv=$local_dir/bench-venv
_peers_requirements=$root/benches/peers/requirements.txt
_peers_stamp=$_peers_venv/.ngatu-stamp

# The hashes are those of one Python on one kind of machine, the one whose figures are in the results.
# Elsewhere the bench leaves this part out, and says so.
_peers_possible() {
  /usr/bin/python3 -c 'import sys, platform; sys.exit((sys.version_info[:2], platform.machine()) != ((3, 11), "x86_64"))' 2>/dev/null
}

peers_title() {
  if _peers_possible; then
    echo 'Python programs that the bench compares with (.local/bench-venv)'
  else
    echo 'no programs to compare the bench with: they are pinned for Python 3.11 on x86-64 (Debian 12)'
  fi
}

_peers_key() {
  sha256sum <"$_peers_requirements"
  "$_peers_venv/bin/python" --version
}

peers_ready() {
  _peers_possible || return 0
  [[ -x $_peers_venv/bin/python && -f $_peers_stamp ]] && [[ $(_peers_key 2>/dev/null) == "$(<"$_peers_stamp")" ]]
}

peers_install() {
  rm -rf -- "$_peers_venv"
  logged 'making .local/bench-venv' "$log" /usr/bin/python3 -m venv "$_peers_venv" ||
    fail '/usr/bin/python3 could not make .local/bench-venv' 'apt-get install python3-venv'
  # filterpy comes as source only, and is built by what the machine has.
  logged 'installing OpenCV, supervision and Norfair (150 MB)' "$log" \
    "$_peers_venv/bin/python" -m pip install --disable-pip-version-check --retries 5 --no-deps --require-hashes \
    --no-build-isolation -r "$_peers_requirements" ||
    fail 'pip could not install benches/peers/requirements.txt' 'check the network, then run this again'
  _peers_key >"$_peers_stamp"
}
