# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# The demo clip: `vtest.avi` of Debian's opencv-doc (people on a campus road, 768×576,
# 10 frames/s, 795 frames; PETS 2009), and the same in H.264, as a camera would send it.

_clips_dir=$local_dir/clips
_clips_avi=$_clips_dir/vtest.avi
_clips_avi_sha256=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf
_clips_mp4=$_clips_dir/vtest.mp4
_clips_stamp=$_clips_dir/.vtest.mp4.stamp
# - one slice per picture and no repeated headers inside one: some RTP depayloaders
#   take a new slice header for a new picture (docs of rtph264depay 1.22);
# - no B-frames, as surveillance cameras send none, and their RTP carries no DTS;
# - a key frame every 2 s, the usual setting of a camera;
# - one thread and no version strings, so that the same x264 gives the same bytes.
_clips_encoder=(
  -an -map_metadata -1 -fflags +bitexact -flags:v +bitexact -threads 1
  -c:v libx264 -preset medium -crf 22 -pix_fmt yuv420p -bf 0 -g 20 -keyint_min 20
  -x264-params sliced-threads=0:slices=1:scenecut=0:threads=1 -movflags +faststart
)

clips_title() { echo 'demo clip vtest (.local/clips)'; }

# What the encoded clip depends on, and its own hash: the encoder is not ours, so
# the hash cannot be pinned as the others are.
_clips_key() {
  printf '%s\n' "$_clips_avi_sha256" "${_clips_encoder[*]}"
  sha256sum <"$_clips_mp4"
}

clips_ready() {
  file_is "$_clips_avi" "$_clips_avi_sha256" && [[ -f $_clips_mp4 && -f $_clips_stamp ]] &&
    [[ $(_clips_key) == "$(<"$_clips_stamp")" ]]
}

clips_install() {
  mkdir -p -- "$_clips_dir"
  file_is "$_clips_avi" "$_clips_avi_sha256" || _clips_fetch
  logged 'encoding the clip to H.264' "$log" \
    ffmpeg -nostdin -hide_banner -y -i "$_clips_avi" "${_clips_encoder[@]}" "$scratch/vtest.mp4" ||
    fail 'ffmpeg could not encode the demo clip' "look into $log; \`ffmpeg -encoders | grep libx264\` should find one"
  mv -- "$scratch/vtest.mp4" "$_clips_mp4"
  _clips_key >"$_clips_stamp"
}

_clips_fetch() {
  local inside=./usr/share/doc/opencv-doc/examples/data/vtest.avi
  logged 'fetching the demo clip (package opencv-doc, 96 MB)' "$log" _clips_download ||
    fail 'the package opencv-doc could not be fetched' \
      "check the network, then run this again; or put vtest.avi (SHA-256 $_clips_avi_sha256) into .local/clips/ yourself"
  dpkg-deb --fsys-tarfile "$scratch"/opencv-doc_*.deb | tar -xO "$inside" >"$scratch/vtest.avi" ||
    fail "the package opencv-doc holds no $inside" 'this Debian release ships another one; use Debian 12'
  file_is "$scratch/vtest.avi" "$_clips_avi_sha256" ||
    fail 'vtest.avi of opencv-doc is not the file that we know (its SHA-256 differs)' 'use Debian 12, whose package has it'
  mv -- "$scratch/vtest.avi" "$_clips_avi"
}

# The package is unpacked, not installed: it is 96 MB of documentation around one file.
_clips_download() {
  cd -- "$scratch" || return 1
  local try
  for try in 1 2 3; do
    if apt-get download -q -o Acquire::Retries=3 -o APT::Sandbox::User=root opencv-doc; then return 0; fi
    # Lists that are absent or older than the mirror: only root can renew them.
    ((EUID != 0)) || apt-get update -q || true
    ((try == 3)) || sleep $((try * 5))
  done
  return 1
}
