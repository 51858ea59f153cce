//! The readable form of a partition, for `dump-ir` and for tests. It is not read back.
