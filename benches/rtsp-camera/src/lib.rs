//! A loopback RTSP camera that loops clips, and misbehaves on demand.
