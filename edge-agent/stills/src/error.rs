//! What can go wrong with a still.

/// A still could not be made. The event itself is not affected by it.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    /// A picture nobody can look at, or too large to hold.
    #[error(
        "a picture of {width} by {height} cannot be a still; sides must be 1 to {} and the area at most {} pixels: check what the camera announces",
        crate::MAX_SIDE,
        crate::MAX_PIXELS
    )]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A plane's rows are narrower than the picture.
    #[error(
        "rows of plane {plane} are {stride} bytes apart, but {width} are needed; the decoder's format is not I420"
    )]
    Stride {
        /// Which of Y, U and V.
        plane: char,
        /// Bytes from one row to the next.
        stride: usize,
        /// Bytes in a row.
        width: usize,
    },
    /// A plane ends before the picture does.
    #[error(
        "plane {plane} has {has} bytes, but the picture needs {needs}; the decoder's format is not I420 or the frame is cut short"
    )]
    PlaneTooShort {
        /// Which of Y, U and V.
        plane: char,
        /// Bytes needed.
        needs: usize,
        /// Bytes there.
        has: usize,
    },
    /// Planes that are no picture, in a way that was not foreseen.
    #[error("the frame of {width} by {height} cannot be converted; report this: {source}")]
    Planes {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What is wrong.
        source: yuv::YuvError,
    },
    /// Bytes that are no picture.
    #[error("is no picture that opencv can read: {source}")]
    Unreadable {
        /// What it said.
        source: opencv::Error,
    },
    /// OpenCV failed.
    #[error(
        "opencv could not {doing} a still of {width} by {height}; free some memory, then report this: {source}"
    )]
    OpenCv {
        /// What it was asked for.
        doing: &'static str,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What it said.
        source: opencv::Error,
    },
}
