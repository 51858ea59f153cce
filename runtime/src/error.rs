//! What can go wrong while computing. Mistakes of users were raised when the call was recorded; what is left are the
//! machine's limits, interruption, and our own mistakes.

use std::fmt;

/// Why a computation ended without a result. The arrays it was asked for stay as they were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// So many bytes could not be had (MemoryError).
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
    },
    /// The caller asked to stop (KeyboardInterrupt).
    Interrupted,
    /// An index that was computed is outside its axis (IndexError). Back ends leave the words to `evaluate.rs`, which finds out
    /// which index it was.
    OutOfBounds(String),
    /// A routine of linear algebra has no result for these values, in words (LinAlgError).
    LinearAlgebra(String),
    /// Something that a device cannot do yet, in words (NotImplementedError).
    Unsupported(String),
    /// The device failed, or found that a kernel did what it must not, in words (RuntimeError).
    Device(String),
    /// A mistake of ours, in words (RuntimeError).
    Internal(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OutOfMemory { bytes } => write!(f, "could not allocate {bytes} bytes"),
            Error::Interrupted => f.write_str("interrupted"),
            Error::OutOfBounds(message) => f.write_str(message),
            Error::LinearAlgebra(message) | Error::Unsupported(message) | Error::Device(message) => {
                f.write_str(message)
            }
            Error::Internal(message) => write!(f, "internal error, please report it: {message}"),
        }
    }
}

impl std::error::Error for Error {}
