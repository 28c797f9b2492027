//! YUV4MPEG2, the simplest stream of raw pictures: what `ffmpeg -f yuv4mpegpipe` writes.

use std::io::{self, BufRead, BufReader, Read};

use models::{ColourMatrix, ColourRange, I420View};

/// Reads pictures one after another into one buffer.
pub(crate) struct Reader<R> {
    stream: BufReader<R>,
    width: u32,
    height: u32,
    picture: Vec<u8>,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(stream: R) -> io::Result<Self> {
        let mut stream = BufReader::with_capacity(1 << 20, stream);
        let mut header = String::new();
        stream.read_line(&mut header)?;
        let mut words = header.split_ascii_whitespace();
        if words.next() != Some("YUV4MPEG2") {
            return Err(invalid(
                "the stream is not YUV4MPEG2; pipe `ffmpeg -pix_fmt yuv420p -f yuv4mpegpipe -`",
            ));
        }
        let (mut width, mut height) = (0_u32, 0_u32);
        for word in words {
            let (key, value) = word.split_at(1);
            match key {
                "W" => width = value.parse().map_err(|_| invalid("no width"))?,
                "H" => height = value.parse().map_err(|_| invalid("no height"))?,
                "C" if !value.starts_with("420") => {
                    return Err(invalid(format!("pixels are {value}; use -pix_fmt yuv420p")));
                }
                _ => {}
            }
        }
        let chroma = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
        let length = width as usize * height as usize + 2 * chroma;
        Ok(Self {
            stream,
            width,
            height,
            picture: vec![0; length],
        })
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The next picture; `None` at the end.
    pub(crate) fn next_picture(&mut self) -> io::Result<Option<I420View<'_>>> {
        let mut header = Vec::new();
        self.stream.read_until(b'\n', &mut header)?;
        if header.is_empty() {
            return Ok(None);
        }
        if !header.starts_with(b"FRAME") {
            return Err(invalid("a picture does not begin with FRAME"));
        }
        self.stream.read_exact(&mut self.picture)?;
        let (y, chroma) = self
            .picture
            .split_at(self.width as usize * self.height as usize);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let half = self.width.div_ceil(2) as usize;
        Ok(Some(I420View {
            width: self.width,
            height: self.height,
            y,
            y_stride: self.width as usize,
            u,
            u_stride: half,
            v,
            v_stride: half,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        }))
    }
}
