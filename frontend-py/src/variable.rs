//! The node that a handle has at the moment, and what it shares with other handles: an array and the views of it see each other's
//! assignments, as NumPy's do, though nodes are values. When an array has a new node, its views make themselves anew of it; what is
//! assigned to a view goes into the array that it is a view of, and so on (`assignment.rs`).
//!
//! Python's lock guards all of it: every access is attached to the interpreter, and to begin with mostly is, which makes it
//! cheaper than any lock of ours on the path of every operator.

use crate::views::Step;
use fusewire_ir::lazy::Lazy;
use pyo3::Python;
use std::{
    cell::UnsafeCell,
    mem,
    sync::{Arc, Weak, atomic::AtomicU32},
};

/// A node that assignment exchanges.
pub struct Variable(UnsafeCell<State>);

struct State {
    node: Arc<Lazy>,
    /// `None` as long as there are neither views of it nor an array that it is a view of.
    place: Option<Arc<Place>>,
}

/// Elements that a handle and its views share. It outlives the handle, for the views: `x[1:][2:] = 0` is an assignment to `x`.
pub struct Place {
    /// What it is a view of, and how.
    pub whole: Option<(Arc<Place>, Step)>,
    /// How many assignments to elements were recorded since one was made in memory.
    pub assignments: AtomicU32,
    latest: UnsafeCell<Latest>,
    /// How many views of views it is away from an array.
    depth: u32,
}

struct Latest {
    /// How often the elements have changed other than with those of the whole.
    changes: u64,
    /// The version of the whole that the node belongs to.
    seen: u64,
    /// The version that the handle has seen.
    handle: u64,
    /// The handle has the node. The place does not keep it: nobody may want to compute all of it.
    held: Weak<Lazy>,
    /// But the handle does not have what was assigned through a view, until it is asked for its node.
    written: Option<Arc<Lazy>>,
}

/// No version.
const STALE: u64 = 0;

/// Views of so many views are arrays of their own, so that loops of `x = x[1:]` do not keep all that they have left behind.
const DEEPEST: u32 = 32;

// SAFETY: the cell is read and written by threads that are attached to the interpreter only. The module keeps Python's
// lock (`gil_used`), so they take turns, and no access calls anything that would give the turn away.
unsafe impl Sync for Variable {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Variable {
    /// A variable with that node.
    pub fn new(node: Arc<Lazy>) -> Variable {
        Variable(UnsafeCell::new(State { node, place: None }))
    }

    #[expect(clippy::mut_from_ref, reason = "Python's lock guards it")]
    fn state(&self, _attached: Python<'_>) -> &mut State {
        // SAFETY: as said above; each method takes the reference once.
        unsafe { &mut *self.0.get() }
    }

    /// The node.
    #[inline]
    pub fn get(&self, attached: Python<'_>) -> Arc<Lazy> {
        let State { node, place } = self.state(attached);
        if let Some(place) = place {
            place.refresh(attached, node);
        }
        node.clone()
    }

    /// Exchanges the node. Its views see that; what it is a view of is returned, and does not.
    pub fn set(&self, attached: Python<'_>, node: Arc<Lazy>) -> Option<Arc<Place>> {
        let State { node: own, place } = self.state(attached);
        let old = mem::replace(own, node);
        let place = place.clone();
        if let Some(place) = &place {
            place.changed(attached, own);
            place.hold(attached, own);
        }
        drop(old);
        place.filter(|place| place.whole.is_some())
    }

    /// Something was written into the node's memory. Its views see that; what it is a view of is returned, and may have other memory.
    pub fn changed(&self, attached: Python<'_>) -> Option<Arc<Place>> {
        let State { node, place } = self.state(attached);
        let place = place.clone()?;
        place.changed(attached, node);
        place.hold(attached, node);
        Some(place).filter(|place| place.whole.is_some())
    }

    /// Makes `view`, a new variable, a view of this one.
    pub fn link(&self, attached: Python<'_>, view: &Variable, step: Step) {
        let State { node, place } = self.state(attached);
        let whole = place.get_or_insert_with(|| Place::new(attached, node, None));
        if whole.depth < DEEPEST {
            let other = view.state(attached);
            other.place = Some(Place::new(attached, &other.node, Some((Arc::clone(whole), step))));
        }
    }

    /// Is `view` what the step makes of this one, with the values that this one has there?
    pub fn has_view(&self, attached: Python<'_>, view: &Variable, step: impl FnOnce() -> Option<Step>) -> bool {
        let Some(own) = self.state(attached).place.clone() else { return false };
        let Some(place) = view.state(attached).place.clone() else { return false };
        let is_current = place.latest(attached).handle == place.version(attached);
        let made = place.whole.as_ref().filter(|(whole, _)| is_current && Arc::ptr_eq(whole, &own));
        made.is_some_and(|(_, made)| step().as_ref() == Some(made))
    }

    /// Do the elements lie as if it were an array of its own: has it been reshaped, at most?
    pub fn is_dense(&self, attached: Python<'_>) -> bool {
        let mut place = self.state(attached).place.as_ref();
        while let Some((whole, step)) = place.and_then(|place| place.whole.as_ref()) {
            if !matches!(step, Step::Reshape(_)) {
                return false;
            }
            place = Some(whole);
        }
        true
    }
}

impl Drop for Variable {
    /// What views have not seen yet stays for them.
    #[inline]
    fn drop(&mut self) {
        let State { node, place } = self.0.get_mut();
        if let Some(place) = place {
            Python::attach(|attached| place.keep(attached, node));
        }
    }
}

impl Place {
    fn new(attached: Python<'_>, node: &Arc<Lazy>, whole: Option<(Arc<Place>, Step)>) -> Arc<Place> {
        let (depth, seen) = whole.as_ref().map_or((0, STALE), |(whole, _)| (whole.depth + 1, whole.version(attached)));
        let changes = STALE + 1;
        let latest = Latest { changes, seen, handle: changes + seen, held: Arc::downgrade(node), written: None };
        Arc::new(Place { whole, assignments: AtomicU32::new(0), latest: UnsafeCell::new(latest), depth })
    }

    #[expect(clippy::mut_from_ref, reason = "Python's lock guards it")]
    fn latest(&self, _attached: Python<'_>) -> &mut Latest {
        // SAFETY: as for variables.
        unsafe { &mut *self.latest.get() }
    }

    /// Grows whenever elements change.
    fn version(&self, attached: Python<'_>) -> u64 {
        self.latest(attached).changes + self.whole.as_ref().map_or(0, |(whole, _)| whole.version(attached))
    }

    /// The elements' node, as long as it can be told: what nobody can assign to has not changed.
    pub fn current(&self, attached: Python<'_>) -> Option<Arc<Lazy>> {
        let latest = self.latest(attached);
        let known = || latest.written.clone().or_else(|| latest.held.upgrade());
        let Some((whole, step)) = &self.whole else { return known() };
        let made = || whole.current(attached).and_then(|whole| step.made(&whole).ok());
        if latest.seen == whole.version(attached) { known().or_else(made) } else { made().or_else(known) }
    }

    /// Gives the handle the node that the elements have by now.
    fn refresh(&self, attached: Python<'_>, node: &mut Arc<Lazy>) {
        if self.latest(attached).handle != self.version(attached) {
            let current = self.current(attached).unwrap_or_else(|| node.clone());
            let before = mem::replace(node, current);
            self.hold(attached, node);
            drop(before);
        }
    }

    /// The handle has the node, which belongs to the present version.
    fn hold(&self, attached: Python<'_>, node: &Arc<Lazy>) {
        let version = self.version(attached);
        let latest = self.latest(attached);
        (latest.seen, latest.handle) = (version - latest.changes, version);
        latest.held = Arc::downgrade(node);
        drop(latest.written.take());
    }

    /// The handle is gone, and with it the node, unless its elements have changed since there are views.
    fn keep(&self, attached: Python<'_>, node: &Arc<Lazy>) {
        let latest = self.latest(attached);
        if latest.changes > STALE + 1 && latest.written.is_none() {
            latest.written = Some(node.clone());
        }
    }

    /// The elements get another node through a view.
    pub fn write(&self, attached: Python<'_>, node: Arc<Lazy>) {
        let latest = self.latest(attached);
        latest.changes += 1;
        drop(latest.written.replace(node));
    }

    /// Something was written into the memory of the elements' node.
    pub fn changed(&self, attached: Python<'_>, node: &Arc<Lazy>) {
        let latest = self.latest(attached);
        latest.changes += 1;
        // The handle may have one of before.
        if latest.written.is_none() && latest.held.as_ptr() != Arc::as_ptr(node) {
            latest.written = Some(node.clone());
        }
    }

    /// The whole has these elements now, which the handle has if they were assigned there; or it has not, and they are those of the
    /// whole again.
    pub fn settle(&self, attached: Python<'_>, assigned: bool, by_handle: bool) {
        let version = self.version(attached);
        let latest = self.latest(attached);
        latest.seen = if assigned { version - latest.changes } else { STALE };
        if by_handle {
            latest.handle = if assigned { version } else { STALE };
        }
    }
}
