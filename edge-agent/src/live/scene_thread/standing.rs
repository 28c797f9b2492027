//! How a camera is: all that is wrong with it at once, the worst first.
//!
//! Several things can be wrong together, and each ends by itself: an overloaded camera
//! whose model then fails on every picture must not go on to say "overloaded", and what
//! is always true ("one of its cascades did not load") must not hide what is worse. So
//! each has its own place here, and the camera's health follows from all of them.

use protocol::event::Words;
use protocol::status::CameraHealth;

/// The connection to the camera.
#[derive(Debug, Default)]
pub(super) enum Link {
    /// It was never there, and nobody has said why.
    #[default]
    Connecting,
    /// There are pictures.
    Connected,
    /// There are none, and this is why.
    Lost(Words),
}

/// What is wrong with a camera now.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) link: Link,
    /// Connected, but no picture reaches the rules.
    pub(super) unseen: Option<Words>,
    /// Pictures come, but they are none, with every decoder.
    pub(super) garbage: Option<Words>,
    /// The same picture again and again.
    pub(super) frozen: Option<Words>,
    /// The model fails on every picture.
    pub(super) blind: Option<Words>,
    /// The picture has another shape than that in which the calibration was made.
    pub(super) misfit: Option<Words>,
    /// The picture is not good enough to judge places by.
    pub(super) picture: Option<Words>,
    /// Too few pictures are looked at.
    pub(super) load: Option<Words>,
    /// A part of the rules has no model.
    pub(super) partial: Option<Words>,
    /// A model judges that is not the wanted one.
    pub(super) instead: Option<Words>,
    /// What proves events is not made any more.
    pub(super) evidence: Option<Words>,
    /// What is to be known after a restart is not kept.
    pub(super) kept: Option<Words>,
}

impl Standing {
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.link, Link::Lost(_))
    }

    /// Whether the stream itself says that its pictures show nothing new.
    pub(super) const fn is_stopped(&self) -> bool {
        self.garbage.is_some() || self.frozen.is_some()
    }

    /// A new connection, or none any more: what was wrong with its pictures is over.
    pub(super) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.unseen = None;
        self.garbage = None;
        self.frozen = None;
    }

    /// For the camera's status.
    pub(super) fn health(&self) -> (CameraHealth, Option<Words>) {
        let wrong = match &self.link {
            // Since there was no picture pictures have come, and none of them was good. So there is
            // something to be said before the first one is, and why there were none says nothing any more.
            Link::Lost(_) | Link::Connecting if self.garbage.is_some() => {
                vec![self.garbage.as_ref(), self.blind.as_ref()]
            }
            Link::Lost(why) => return (CameraHealth::Lost, Some(why.clone())),
            // A model that fails is known before the first picture is through.
            Link::Connecting if self.blind.is_none() => return (CameraHealth::Connecting, None),
            Link::Connecting => vec![self.blind.as_ref()],
            Link::Connected => vec![
                self.unseen.as_ref(),
                self.garbage.as_ref(),
                self.frozen.as_ref(),
                self.blind.as_ref(),
                self.misfit.as_ref(),
                self.picture.as_ref(),
                self.load.as_ref(),
                self.partial.as_ref(),
                self.instead.as_ref(),
                self.evidence.as_ref(),
                self.kept.as_ref(),
            ],
        };
        let reasons: Vec<&Words> = wrong.into_iter().flatten().collect();
        if reasons.is_empty() {
            return (CameraHealth::Watching, None);
        }
        let join = |word: fn(&Words) -> &str| {
            let words: Vec<&str> = reasons.iter().map(|words| word(words)).collect();
            words.join("; ")
        };
        let words = Words::new(join(|words| &words.vi), join(|words| &words.en));
        (CameraHealth::Degraded, Some(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(word: &str) -> Words {
        Words::new(word, word)
    }

    fn told(standing: &Standing) -> (CameraHealth, String) {
        let (health, reason) = standing.health();
        (health, reason.map(|reason| reason.en).unwrap_or_default())
    }

    #[test]
    fn all_that_is_wrong_is_said_worst_first_and_each_ends_by_itself() {
        let mut camera = Standing::default();
        assert_eq!(told(&camera), (CameraHealth::Connecting, String::new()));
        camera.set_link(Link::Connected);
        assert_eq!(told(&camera), (CameraHealth::Watching, String::new()));
        camera.instead = Some(words("last week's model"));
        camera.partial = Some(words("no helmets"));
        camera.load = Some(words("overloaded"));
        camera.blind = Some(words("model fails"));
        let all = "model fails; overloaded; no helmets; last week's model".to_owned();
        assert_eq!(told(&camera), (CameraHealth::Degraded, all));
        camera.blind = None;
        camera.load = None;
        camera.partial = None;
        let left = "last week's model".to_owned();
        assert_eq!(told(&camera), (CameraHealth::Degraded, left));
        camera.set_link(Link::Lost(words("gone")));
        assert_eq!(told(&camera), (CameraHealth::Lost, "gone".to_owned()));
    }

    /// Half a second of garbage thawed a frozen camera, whose copies then were looks.
    #[test]
    fn the_end_of_garbage_is_not_the_end_of_a_freeze() {
        let mut camera = Standing::default();
        camera.set_link(Link::Connected);
        camera.frozen = Some(words("frozen"));
        camera.garbage = Some(words("garbage"));
        let both = "garbage; frozen".to_owned();
        assert_eq!(told(&camera), (CameraHealth::Degraded, both));
        camera.garbage = None;
        assert!(camera.is_stopped());
        assert_eq!(told(&camera).1, "frozen");
        // A new connection has neither.
        camera.set_link(Link::Connected);
        assert!(!camera.is_stopped());
    }

    /// A camera whose every picture was green from the first one on was "connecting" for ever, and
    /// one that came back so was lost for the reason of last time.
    #[test]
    fn a_stream_of_which_no_picture_was_good_yet_is_called_garbage() {
        let mut camera = Standing {
            garbage: Some(words("green pictures")),
            ..Standing::default()
        };
        let green = "green pictures".to_owned();
        assert_eq!(told(&camera), (CameraHealth::Degraded, green.clone()));
        camera.set_link(Link::Lost(words("refused")));
        assert_eq!(told(&camera), (CameraHealth::Lost, "refused".to_owned()));
        camera.garbage = Some(words("green pictures"));
        assert_eq!(told(&camera), (CameraHealth::Degraded, green));
        camera.set_link(Link::Connected);
        assert_eq!(told(&camera), (CameraHealth::Watching, String::new()));
    }

    #[test]
    fn a_model_that_fails_is_said_before_the_first_picture_is_through() {
        let camera = Standing {
            blind: Some(words("model fails")),
            load: Some(words("overloaded")),
            ..Standing::default()
        };
        let said = "model fails".to_owned();
        assert_eq!(told(&camera), (CameraHealth::Degraded, said));
    }
}
