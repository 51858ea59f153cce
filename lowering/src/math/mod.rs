//! Expansions of the maths ops into primitive ops, used by every back end.

pub mod inverse_trig;
pub mod trig;
#[cfg(test)]
mod trig_accuracy;
