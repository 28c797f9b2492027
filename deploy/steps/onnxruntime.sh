# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# The ONNX Runtime shared library, taken out of its wheel. The agent loads it at run
# time; it does not depend on Python.

_onnxruntime_dir=$local_dir/onnxruntime
_onnxruntime_version=1.31.1
_onnxruntime_file=libonnxruntime.so.$_onnxruntime_version
# Of the library inside the wheels of runtime-requirements.txt.
declare -A _onnxruntime_sha256=(
  [x86_64]=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3
  [aarch64]=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467
)

onnxruntime_title() {
  if [[ -n ${NGATU_ONNXRUNTIME-} ]]; then
    echo "ONNX Runtime at $NGATU_ONNXRUNTIME (NGATU_ONNXRUNTIME)"
  else
    echo "ONNX Runtime $_onnxruntime_version (.local/onnxruntime)"
  fi
}

onnxruntime_ready() {
  if [[ -n ${NGATU_ONNXRUNTIME-} ]]; then
    [[ -f $NGATU_ONNXRUNTIME ]]
  else
    local wanted=${_onnxruntime_sha256[$(uname -m)]-}
    [[ -n $wanted && -e $_onnxruntime_dir/libonnxruntime.so ]] &&
      file_is "$_onnxruntime_dir/$_onnxruntime_file" "$wanted"
  fi
}

onnxruntime_advice() {
  if [[ -n ${NGATU_ONNXRUNTIME-} ]]; then
    echo 'name the libonnxruntime.so itself, or unset the variable to have one fetched'
  elif [[ -z ${_onnxruntime_sha256[$(uname -m)]-} ]]; then
    echo 'install ONNX Runtime 1.24 or newer yourself and set NGATU_ONNXRUNTIME to its libonnxruntime.so'
  else
    echo "deploy/setup $target"
  fi
}

onnxruntime_install() {
  [[ -z ${NGATU_ONNXRUNTIME-} ]] || fail "NGATU_ONNXRUNTIME names $NGATU_ONNXRUNTIME, which is not a file" \
    "$(onnxruntime_advice)"
  [[ -n ${_onnxruntime_sha256[$(uname -m)]-} ]] || fail "no ONNX Runtime is known here for $(uname -m)" \
    "$(onnxruntime_advice)"
  logged "fetching ONNX Runtime $_onnxruntime_version" "$log" fetch_wheel "$here/runtime-requirements.txt" "$scratch" ||
    fail 'the ONNX Runtime wheel could not be fetched, or its hash differs' \
      'check the network, then run this again; or set NGATU_ONNXRUNTIME to a libonnxruntime.so that you have'
  "$venv_python" -m zipfile -e "$scratch"/onnxruntime-*.whl "$scratch/onnxruntime"
  rm -rf -- "$_onnxruntime_dir" && mkdir -p -- "$_onnxruntime_dir"
  mv -- "$scratch/onnxruntime/onnxruntime/capi/$_onnxruntime_file" \
    "$scratch/onnxruntime/onnxruntime"/{LICENSE,ThirdPartyNotices.txt} "$_onnxruntime_dir/"
  ln -s "$_onnxruntime_file" "$_onnxruntime_dir/libonnxruntime.so"
}
