//! Detections from pictures, through ONNX Runtime; the store of installed models.
