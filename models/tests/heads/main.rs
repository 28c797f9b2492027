//! Heads against their authors' code on what networks said of real pictures
//! (`authors`, `real`), against formulas on numbers made up (`reference`), and
//! against tensors that no network would give.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small tensors

mod support;

mod reference;

mod real;

mod authors;

mod prepared;

mod page;

mod refusals;

mod hostile;

mod labels;
