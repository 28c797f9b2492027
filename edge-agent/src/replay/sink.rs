//! Between a replay and its scenes: what they are told is recorded, and what they say goes into
//! the files that were asked for.

use edge_core::{Input, Output, Scene};
use edge_video::Frame;
use protocol::Event;
use protocol::id::CascadeId;

use super::ReplayRequest;
use super::evidence::Cases;
use super::outputs::Files;
use crate::coverage::CoverageTable;
use crate::scene_setup::DetectorIdentity;
use crate::summary::Summary;

/// Where a scene's inputs and outputs go during a replay.
pub(super) struct Sink {
    pub(super) files: Files,
    pub(super) summary: Summary,
    pub(super) coverage: CoverageTable,
    /// Where evidence is asked for.
    pub(super) cases: Option<Cases>,
    outputs: Vec<Output>,
}

impl Sink {
    /// Prepares the files that were asked for.
    pub(super) fn create(request: &ReplayRequest) -> anyhow::Result<Self> {
        Ok(Self {
            files: Files::create(request)?,
            summary: Summary::default(),
            coverage: CoverageTable::default(),
            cases: None,
            outputs: Vec::new(),
        })
    }

    /// This detector sees what will be recorded, and these cascades.
    pub(super) fn begin(
        &mut self,
        detector: &DetectorIdentity,
        cascades: Option<&[CascadeId]>,
    ) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.files.recorder {
            recorder.begin(detector, cascades)?;
        }
        Ok(())
    }

    /// `frame`, which is shown at `shown` (µs), is looked at next.
    pub(super) fn roll(&mut self, frame: &Frame, shown: Option<i64>) -> anyhow::Result<()> {
        let cases = self.cases.as_mut();
        cases.map_or(Ok(()), |cases| cases.show(frame, shown))
    }

    /// Makes the evidence that can be made by now.
    pub(super) fn prove(&mut self) {
        if let Some(cases) = &mut self.cases {
            cases.go_on();
        }
    }

    /// `frame` is the picture that the input is about, where it is about one.
    pub(super) fn handle(
        &mut self,
        scene: &mut Scene,
        input: Input,
        frame: Option<&Frame>,
    ) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.files.recorder {
            recorder.write(&input)?;
        }
        let looked = Cases::looked(&input);
        scene.handle(input, &mut self.outputs);
        if let (Some(cases), Some(looked)) = (&self.cases, looked) {
            cases.note(looked, scene);
        }
        self.tell(scene, frame)
    }

    /// The same of several that are about no picture, in their order.
    pub(super) fn handle_all(
        &mut self,
        scene: &mut Scene,
        inputs: impl IntoIterator<Item = Input>,
    ) -> anyhow::Result<()> {
        for input in inputs {
            self.handle(scene, input, None)?;
        }
        Ok(())
    }

    /// Whether scenes are to say what nearly was an event.
    pub(super) fn prepare(&self, scene: &mut Scene) {
        if self.files.near_misses.is_some() {
            scene.tell_near_misses();
        }
    }

    /// No more is coming of this scene: what it has not accounted for yet.
    pub(super) fn leave(&mut self, scene: &Scene) -> anyhow::Result<()> {
        self.outputs
            .extend(scene.coverage_now().map(Output::Coverage));
        self.tell(scene, None)
    }

    fn tell(&mut self, scene: &Scene, frame: Option<&Frame>) -> anyhow::Result<()> {
        let mut told: Vec<Event> = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Event(event) => {
                    self.summary.add(&event);
                    self.files.events.write(&event)?;
                    if let Some(cases) = &self.cases {
                        cases.event(&event);
                        told.push(event);
                    }
                }
                Output::Speed(measured) => {
                    if let Some(lines) = &mut self.files.speeds {
                        lines.write(&measured)?;
                    }
                }
                Output::NearMiss(miss) => {
                    if let Some(lines) = &mut self.files.near_misses {
                        lines.write(&miss)?;
                    }
                }
                Output::Coverage(hour) => {
                    self.coverage.add(&hour);
                    if let Some(lines) = &mut self.files.coverage {
                        lines.write(&hour)?;
                    }
                }
                Output::Evidence(request) => {
                    if let Some(cases) = &self.cases
                        && let Some(event) = told.iter().find(|event| event.id == request.event)
                    {
                        cases.prove(scene, event, request, frame);
                    }
                }
            }
        }
        Ok(())
    }
}
