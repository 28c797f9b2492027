//! Heads against their authors' formulas, against what real networks said of
//! real pictures, and against tensors that no network would give.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small tensors

mod support;

mod reference;

mod real;

mod refusals;

mod hostile;

mod labels;
