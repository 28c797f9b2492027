//! Number plates of Vietnam, from recognised characters to a plate that may be
//! stated, and to the vehicle that carries it.
//!
//! 1. [`provinces`] and [`grammar`]: which texts are plates, as data with sources;
//! 2. [`rows`]: lines of text on a plate, joined by where they are;
//! 3. [`reading`]: one look. Characters are changed only where no plate could
//!    have them; every change is logged. What fits nothing is refused;
//! 4. [`votes`]: many looks of one track. What they do not agree on is `?`;
//! 5. [`mounting`]: whose plate it is, or nobody's.
//!
//! It refuses to guess. Somebody is fined because of a plate, and a wrong
//! character makes it somebody else. It looks at no pixels, knows no time and
//! chooses no looks: a caller that hands over the same picture five times gets
//! five votes that are worth one.

pub mod provinces;

pub mod grammar;

pub mod rows;

pub mod reading;

pub mod votes;

pub mod mounting;

pub use grammar::{Carriers, Form, Grammar, PlateColour, PlateKind};
pub use mounting::{Carrier, Nobody, carrier};
pub use reading::{Candidate, Cause, Circumstances, Correction, Reading, Refusal, read};
#[cfg(feature = "networks")]
pub use rows::may_have_more;
pub use rows::{Glyph, Patch, Rows};
pub use votes::{Ballot, Quorum, Unstated, Verdict};
