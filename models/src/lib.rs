//! Which networks exist and how to read their outputs: catalogue, letterbox, heads, non-maximum suppression.
