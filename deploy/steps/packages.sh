# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# Debian packages: compilers, GStreamer with its plugins, OpenCV, ffmpeg.

_packages_run=(
  # to build
  ca-certificates gcc g++ libc6-dev make pkg-config clang libclang-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  libopencv-dev
  # to run: RTSP and parsers, H.264/H.265 decoders, muxers
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  # to prepare the model and the clip
  ffmpeg python3 python3-venv fonts-dejavu-core
)
# faketime: another clock for a program under test; torch: the workshop (deploy/workshop) trains a little when it is tested
_packages_test=(chromium mosquitto nginx faketime python3-torch python3-torchvision python3-psutil)
_packages_bench=(mosquitto)

_packages_wanted() {
  printf '%s\n' "${_packages_run[@]}"
  [[ $target != test ]] || printf '%s\n' "${_packages_test[@]}"
  [[ $target != bench ]] || printf '%s\n' "${_packages_bench[@]}"
}

_packages_missing() {
  comm -23 <(_packages_wanted | sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

packages_title() { echo "Debian packages ($(_packages_wanted | wc -l))"; }

packages_ready() {
  command -v dpkg-query >/dev/null && [[ -z $(_packages_missing) ]]
}

packages_advice() {
  local missing
  missing=$(_packages_missing | paste -sd' ')
  if ! command -v apt-get >/dev/null; then
    echo 'use Debian 12, or install by its own means what stands in deploy/steps/packages.sh'
  elif ((EUID == 0)) || command -v sudo >/dev/null; then
    echo "deploy/setup $target, which installs: $missing"
  else
    echo "as root: apt-get install --no-install-recommends $missing"
  fi
}

packages_install() {
  local missing as_root=()
  command -v apt-get >/dev/null || fail 'this machine has no apt-get' "$(packages_advice)"
  readarray -t missing < <(_packages_missing)
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "${#missing[@]} packages are missing and you are not root" "$(packages_advice)"
    say_note "sudo may ask for your password, to install: ${missing[*]}"
    sudo -v || fail 'sudo refused' "as root: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
  fi
  # On a fresh machine the lists may be absent or old; both end in "unable to locate".
  logged 'package lists' "$log" _packages_patiently "${as_root[@]}" apt-get update -q ||
    fail 'apt-get update failed' 'check the network and /etc/apt/sources.list, then run this again'
  logged "installing ${#missing[@]} packages" "$log" _packages_patiently "${as_root[@]}" \
    env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install: ${missing[*]}" 'mend what it says above (often by: apt-get -f install), then run this again'
}

# Three tries, since mirrors hiccup and a new machine often runs its own
# unattended upgrade, which holds the lock, in its first minutes.
_packages_patiently() {
  local try options=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  for try in 1 2 3; do
    if "$@" "${options[@]}"; then return 0; fi
    echo "try $try of 3 failed"
    ((try == 3)) || sleep $((try * 10))
  done
  return 1
}
