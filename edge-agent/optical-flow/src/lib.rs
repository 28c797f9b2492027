//! Where boxes of one picture are in the next, by the motion of the pixels in them.
//!
//! A detector says what is in a picture; between two of its looks the same things move a
//! few pixels, and finding those pixels again costs a tenth of a look. Points on a grid in
//! each box are found again with the pyramidal method of Lucas and Kanade (B. D. Lucas,
//! T. Kanade: *An iterative image registration technique*, IJCAI 1981; J.-Y. Bouguet:
//! *Pyramidal implementation of the Lucas Kanade feature tracker*, Intel 2000); a box moves by the
//! median of its points and grows by the median of their distances, as in Median Flow
//! (Z. Kalal, K. Mikolajczyk, J. Matas: *Forward-backward error*, ICPR 2010).
//!
//! Pure: no clock, no thread, the same bytes in and out on every machine.

mod boxes;
mod lucas_kanade;
mod pyramid;
mod search;

pub use boxes::moved;
pub use pyramid::Pyramid;
