//! The brain of the roadside box: tracking, calibration, observations, rules.
