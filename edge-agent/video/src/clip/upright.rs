//! Pictures of a phone that was held upright: it writes them lying, and a tag that says so.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::elements::make;

/// Turns pictures as the tags of their stream say; `None` where GStreamer has no such element.
///
/// Pictures that need no turning pass as they are, not copied.
pub(super) fn upright() -> Option<gst::Element> {
    let flip = make("videoflip").ok()?;
    // It lets pictures pass only once its mind was changed: told `auto` alone it copies each.
    for direction in ["180", "auto"] {
        flip.set_property_from_str("video-direction", direction);
    }
    Some(flip)
}

#[cfg(test)]
mod tests {
    use gstreamer_app as gst_app;

    use super::*;

    /// What becomes of a picture of 8×4, the first row of which counts 0, 1, 2 …, and what came in.
    fn shown(orientation: Option<&str>) -> (gst::Sample, gst::Buffer) {
        crate::init().unwrap();
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "GRAY8")
            .field("width", 8)
            .field("height", 4)
            .field("framerate", gst::Fraction::new(25, 1))
            .build();
        let source = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .build();
        let sink = gst_app::AppSink::builder().sync(false).build();
        let tags = make("taginject").unwrap();
        if let Some(orientation) = orientation {
            let list = format!("image-orientation={orientation}");
            tags.set_property_from_str("tags", &list);
        }
        let pipeline = gst::Pipeline::new();
        let chain = [
            source.clone().upcast(),
            tags,
            upright().unwrap(),
            sink.clone().upcast(),
        ];
        pipeline.add_many(&chain).unwrap();
        gst::Element::link_many(&chain).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let picture = gst::Buffer::from_slice((0..32).collect::<Vec<u8>>());
        source.push_buffer(picture.clone()).unwrap();
        source.end_of_stream().unwrap();
        let sample = sink.pull_sample().unwrap();
        pipeline.set_state(gst::State::Null).unwrap();
        (sample, picture)
    }

    fn size(sample: &gst::Sample) -> (i32, i32) {
        let structure = sample.caps().unwrap().structure(0).unwrap();
        let side = |name| structure.get(name).unwrap();
        (side("width"), side("height"))
    }

    fn place(buffer: &gst::BufferRef) -> *const u8 {
        buffer.map_readable().unwrap().as_ptr()
    }

    #[test]
    fn pictures_that_stand_are_passed_on_and_not_copied() {
        for orientation in [None, Some("rotate-0")] {
            let (sample, picture) = shown(orientation);
            assert_eq!(size(&sample), (8, 4), "{orientation:?}");
            let passed = sample.buffer().unwrap();
            assert_eq!(place(passed), place(&picture), "{orientation:?}");
        }
    }

    #[test]
    fn pictures_that_lie_are_turned_as_their_tag_says() {
        for (orientation, shape, corner) in [
            ("rotate-90", (4, 8), 24),
            ("rotate-180", (8, 4), 31),
            ("rotate-270", (4, 8), 7),
            ("flip-rotate-0", (8, 4), 7),
        ] {
            let (sample, _) = shown(Some(orientation));
            assert_eq!(size(&sample), shape, "{orientation}");
            let first = sample.buffer().unwrap().map_readable().unwrap()[0];
            assert_eq!(first, corner, "{orientation}");
        }
    }
}
