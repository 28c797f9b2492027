//! The roadside box: from camera to signed, explained events.
