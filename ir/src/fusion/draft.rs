//! Regions while they grow: their variables, what they are known to read, and joining two into one.

use crate::{
    fusion::{
        Output,
        fit::Plan,
        index::{Index, Indices, Var},
        pieces::Piece,
    },
    graph::NodeId,
    shape::{Dim, SymShape},
};
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeSet;

/// A region that grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// The draft it was joined into.
    pub joined: Option<usize>,
    pub vars: SymShape,
    /// Empty: no loops inside an item yet.
    pub row: SmallVec<[Var; 2]>,
    /// May values over the row be computed from reductions over it?
    pub by_rows: bool,
    /// May values over the row be stored?
    pub stores_row: bool,
    pub outputs: Vec<Output>,
    pub members: BTreeSet<NodeId>,
    /// The pieces of long chains that it computes (part of).
    pub pieces: SmallVec<[Piece; 1]>,
    pub reads: BTreeSet<NodeId>,
    /// Nodes with demands of this region that wait to be placed; may name some twice.
    pub waiting: Vec<NodeId>,
    /// The library call that the region is.
    pub call: Option<NodeId>,
}

impl Draft {
    /// Do its loops never run?
    pub fn is_empty(&self) -> bool {
        self.vars.contains(&Dim::Zero)
    }

    /// The loops alone, to try a plan on.
    pub fn loops(&self) -> Draft {
        let Draft { vars, row, by_rows, stores_row, .. } = self;
        Draft { vars: vars.clone(), row: row.clone(), by_rows: *by_rows, stores_row: *stores_row, ..Draft::default() }
    }

    /// May it compute these pieces, as far as other pieces of the same chains are concerned?
    pub fn admits(&self, pieces: &[Piece]) -> bool {
        !self.pieces.iter().any(|own| pieces.iter().any(|other| own.parted(*other)))
    }

    /// It computes part of this piece too.
    pub fn enters(&mut self, piece: Piece) {
        if !self.pieces.contains(&piece) {
            self.pieces.push(piece);
        }
    }

    /// Changes the loops.
    pub fn apply(&mut self, plan: &Plan) {
        match plan {
            Plan::Keep => {}
            Plan::NewRow { extents, by_rows } => {
                self.row = (0..extents.len()).map(|i| (self.vars.len() + i) as Var).collect();
                self.vars.extend(extents.iter().copied());
                (self.by_rows, self.stores_row) = (*by_rows, *by_rows);
            }
            Plan::Row(vars) => {
                self.row = vars.clone();
                (self.by_rows, self.stores_row) = (true, true);
            }
            Plan::Running(var) => {
                self.row = smallvec![*var];
                self.by_rows = *var > 0 && *var as usize == self.vars.len() - 1;
                self.stores_row = true;
            }
        }
    }

    /// The variables that number the items.
    pub fn items(&self) -> SmallVec<[Var; 4]> {
        (0..self.vars.len() as Var).filter(|var| !self.row.contains(var)).collect()
    }

    /// The extents of some variables.
    pub fn extents(&self, vars: &[Var]) -> SymShape {
        vars.iter().map(|&v| self.vars[v as usize]).collect()
    }

    /// Does each element that the variables stand for get stored exactly once when the nodes's element at these indices is
    /// stored, and in a good order?
    pub fn covers(&self, at: &[Index], shape: &SymShape) -> bool {
        // A slice from the start needs the same indices as the whole, but fewer of them.
        let whole = |(index, dim): (&Index, &Dim)| index.as_var().filter(|&var| self.vars[var as usize] == *dim);
        let long = at.iter().zip(shape).filter(|(_, dim)| **dim != Dim::One);
        let Some(vars) = long.map(whole).collect::<Option<SmallVec<[Var; 4]>>>() else {
            return false;
        };
        vars == self.items() || self.whole_order().is_some_and(|order| order == vars)
    }

    /// The order of all variables in which an array over all of them may be stored, if it may.
    fn whole_order(&self) -> Option<SmallVec<[Var; 4]>> {
        let order = self.items().iter().chain(&self.row).copied().collect();
        (self.row.is_empty() || self.stores_row).then_some(order)
    }

    /// The ways in which the variables of `other` can be taken for variables of this draft: the new name of each. None where one
    /// region may not compute both.
    pub fn correspondences(&self, other: &Draft) -> SmallVec<[SmallVec<[Var; 4]>; 2]> {
        let mut found = SmallVec::new();
        if self.call.is_some() || other.call.is_some() || !self.admits(&other.pieces) {
            return found;
        }
        let (items, other_items) = (self.items(), other.items());
        let same_items = self.extents(&items) == other.extents(&other_items);
        if other.row.is_empty() {
            if same_items {
                found.push(items);
            }
            if !self.row.is_empty() && self.by_rows {
                found.extend(self.whole_order().filter(|order| self.extents(order) == other.vars));
            }
        } else if same_items && self.extents(&self.row) == other.extents(&other.row) {
            let mut map: SmallVec<[Var; 4]> = SmallVec::from_elem(0, other.vars.len());
            for (from, to) in other_items.iter().zip(&items).chain(other.row.iter().zip(&self.row)) {
                map[*from as usize] = *to;
            }
            found.push(map);
        }
        found
    }

    /// Takes over what `other` has, its variables renamed.
    pub fn absorb(&mut self, other: &mut Draft, map: &[Var]) {
        for output in other.outputs.drain(..) {
            self.outputs.push(Output { at: renamed(&output.at, map), ..output });
        }
        self.members.append(&mut other.members);
        other.pieces.drain(..).for_each(|piece| self.enters(piece));
        self.reads.append(&mut other.reads);
        self.waiting.append(&mut other.waiting);
        if !other.row.is_empty() {
            self.by_rows &= other.by_rows;
            self.stores_row &= other.stores_row;
        }
    }
}

/// Indices with their variables renamed.
pub(super) fn renamed(at: &[Index], map: &[Var]) -> Indices {
    at.iter().map(|index| index.renamed(map)).collect()
}
