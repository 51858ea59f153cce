//! Mistakes of users, found when a call is recorded.

use std::fmt;

/// Which Python exception a mistake becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// ValueError: shapes that do not fit, empty reductions.
    Value,
    /// TypeError: dtypes that do not fit.
    Type,
    /// IndexError: indices out of range.
    Index,
    /// NumPy's AxisError, an IndexError and a ValueError: axes out of range.
    Axis,
    /// OverflowError: a Python integer outside the dtype.
    Overflow,
    /// MemoryError: more elements than can be addressed.
    Memory,
}

/// A mistake with its explanation, which names op, shapes and dtypes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordError {
    /// Which exception.
    pub mistake: Mistake,
    /// What does not fit.
    pub message: String,
}

impl RecordError {
    /// A mistake in words.
    pub fn new(mistake: Mistake, message: impl Into<String>) -> RecordError {
        RecordError { mistake, message: message.into() }
    }

    /// A ValueError.
    pub fn value(message: impl Into<String>) -> RecordError {
        RecordError::new(Mistake::Value, message)
    }

    /// A TypeError.
    pub fn dtype(message: impl Into<String>) -> RecordError {
        RecordError::new(Mistake::Type, message)
    }

    /// An IndexError.
    pub fn index(message: impl Into<String>) -> RecordError {
        RecordError::new(Mistake::Index, message)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RecordError {}

/// The result of recording.
pub type Recorded<T> = Result<T, RecordError>;
