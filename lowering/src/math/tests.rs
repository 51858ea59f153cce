//! Tests of the expansions.
