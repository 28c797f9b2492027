//! OpenCV where it earns its place: homographies from surveyed points, and annotated stills.
