//! GPU functions that no kernel IR describes, for either target: the steps of sorting (`varying`, `tile`, `columns`, `scatter`), and writing to
//! places that are computed (`put`). What is launched when is decided in [`crate::device`].
//!
//! A function takes words of 64 bits as kernels do: addresses first, then numbers. No function has the order of its threads in
//! its results.

mod code;
mod columns;
mod order;
mod put;
mod scatter;
mod tile;
mod varying;

pub(crate) use columns::{ColumnsArguments, PART};
pub(crate) use order::{ORDER_WORDS, order_words};
pub(crate) use put::PutArguments;
pub(crate) use scatter::ScatterArguments;
pub(crate) use tile::{TILE, TileArguments};
pub(crate) use varying::VaryingArguments;

use crate::emit::machine::Target;
use fusewire_jit_llvm::instructions::{Emitted, Instructions};

/// Bits of an element's rank that a pass over device memory sorts by.
pub(crate) const DIGIT_BITS: u32 = 8;

/// How many values a digit has.
pub(crate) const DIGITS: u32 = 1 << DIGIT_BITS;

/// A function. Elements are known by their bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Function {
    /// Sorts the elements of each tile of a row by a digit of their ranks, and counts the digits.
    SortTiles {
        /// Of an element.
        bytes: u32,
        /// Do positions come along?
        pairs: bool,
    },
    /// Sorts rows of which a tile has several, by their whole ranks.
    SortRows {
        /// Of an element.
        bytes: u32,
        /// Is the result the positions, instead of the elements?
        positions: bool,
    },
    /// Makes of the counts of each tile where its elements with each digit belong.
    SumColumns,
    /// Moves the elements of sorted tiles to where they belong.
    Scatter {
        /// Of an element.
        bytes: u32,
        /// What is moved.
        moved: Moved,
    },
    /// Finds the bits that are not the same for the ranks of all elements.
    Varying {
        /// Of an element.
        bytes: u32,
    },
    /// Writes to each place that is named that nobody owns it.
    Release,
    /// Writes to each place that is named which of those who name it is the last.
    Claim,
    /// Writes the elements of those who are the last at their places.
    Put {
        /// Of an element.
        bytes: u32,
    },
}

/// What a pass of a sort moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Moved {
    /// Elements.
    Elements,
    /// Elements and their positions.
    Pairs,
    /// Positions, as the result.
    Positions,
}

impl Function {
    /// Every function.
    pub fn all() -> impl Iterator<Item = Function> {
        let of = |bytes: u32| {
            let sorts = [false, true].into_iter().flat_map(move |flag| {
                [Function::SortTiles { bytes, pairs: flag }, Function::SortRows { bytes, positions: flag }]
            });
            let moves = [Moved::Elements, Moved::Pairs, Moved::Positions];
            let others = moves.into_iter().map(move |moved| Function::Scatter { bytes, moved });
            sorts.chain(others).chain([Function::Varying { bytes }])
        };
        let puts = [1, 2, 4, 8, 16].map(|bytes| Function::Put { bytes });
        [1, 2, 4, 8]
            .into_iter()
            .flat_map(of)
            .chain([Function::SumColumns, Function::Release, Function::Claim])
            .chain(puts)
    }

    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Function::SortTiles { .. } => "sort-tiles",
            Function::SortRows { .. } => "sort-rows",
            Function::SumColumns => "sum-columns",
            Function::Scatter { .. } => "scatter",
            Function::Varying { .. } => "varying",
            Function::Release => "release",
            Function::Claim => "claim",
            Function::Put { .. } => "put",
        }
    }

    /// How many words its arguments are, and how many of them, in front, are addresses.
    pub(crate) fn words(self) -> (usize, usize) {
        match self {
            Function::SortTiles { .. } | Function::SortRows { .. } => (TileArguments::WORDS, TileArguments::ADDRESSES),
            Function::SumColumns => (ColumnsArguments::WORDS, ColumnsArguments::ADDRESSES),
            Function::Scatter { .. } => (ScatterArguments::WORDS, ScatterArguments::ADDRESSES),
            Function::Varying { .. } => (VaryingArguments::WORDS, VaryingArguments::ADDRESSES),
            Function::Release | Function::Claim | Function::Put { .. } => {
                (PutArguments::WORDS, PutArguments::ADDRESSES)
            }
        }
    }

    /// Bytes of memory that the threads of a block share.
    pub(crate) fn shared_bytes(self) -> u32 {
        match self {
            Function::SortTiles { bytes, pairs } => tile::shared_bytes(bytes, pairs),
            Function::SortRows { bytes, .. } => tile::shared_bytes(bytes, true),
            Function::Scatter { .. } => scatter::SHARED_BYTES,
            Function::Varying { .. } => varying::SHARED_BYTES,
            Function::SumColumns | Function::Release | Function::Claim | Function::Put { .. } => 0,
        }
    }

    /// Emits it as a function of this name.
    pub(crate) fn emit(self, i: &Instructions<'_>, target: Target, name: &str) -> Emitted<()> {
        let code = code::Code::begin(i, target, name, self.words().0 as u32, self.shared_bytes())?;
        match self {
            Function::SortTiles { bytes, pairs } => tile::digits(&code, bytes, pairs)?,
            Function::SortRows { bytes, positions } => tile::rows(&code, bytes, positions)?,
            Function::SumColumns => columns::emit(&code)?,
            Function::Scatter { bytes, moved } => scatter::emit(&code, bytes, moved)?,
            Function::Varying { bytes } => varying::emit(&code, bytes)?,
            Function::Release => put::release(&code)?,
            Function::Claim => put::claim(&code)?,
            Function::Put { bytes } => put::put(&code, bytes)?,
        }
        i.builder.build_return(None)?;
        Ok(())
    }
}

/// The words of a function's arguments, by name: addresses, then numbers, then what of an order is asked for.
macro_rules! arguments {
    ($(#[$about:meta])* $name:ident { $($address:ident),* ; $($number:ident),* ; $order:expr }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Default, Debug)]
        pub(crate) struct $name {
            $(pub $address: u64,)*
            $(pub $number: u64,)*
            pub order: [u64; $order],
        }

        impl $name {
            /// How many words are addresses.
            pub const ADDRESSES: usize = [$(stringify!($address)),*].len();
            /// Where the words of the order begin.
            pub const ORDER: usize = Self::ADDRESSES + [$(stringify!($number)),*].len();
            /// How many words there are, with one behind them that is 0: functions have no faults.
            pub const WORDS: usize = Self::ORDER + $order + 1;

            /// The words in the order in which the function takes them.
            pub fn words(&self) -> Vec<u64> {
                let mut words = vec![$(self.$address,)* $(self.$number,)*];
                words.extend(self.order);
                words.push(0);
                words
            }

            /// Where a word stands.
            fn place(name: &str) -> u32 {
                let names = [$(stringify!($address),)* $(stringify!($number),)*];
                names.iter().position(|known| *known == name).expect("the words have names") as u32
            }
        }
    };
}
use arguments;
