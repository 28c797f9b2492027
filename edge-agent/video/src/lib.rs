//! Pictures from cameras and clips, through GStreamer.
