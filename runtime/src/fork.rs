//! Computing in a child made by fork: the runtime's locks are taken before the fork and released on both sides, so the
//! child never inherits one that a thread it does not have was holding. Worker threads are the back ends' business.

use crate::{cache, pool};
use fusewire_ir::lazy;
use std::{any::Any, cell::RefCell, sync::Once};

/// Registers the handlers, once a process.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the handlers are functions of this library, which is never unloaded. Failure (no memory for the
        // table) leaves fork as unsafe as it was.
        unsafe {
            libc::pthread_atfork(Some(before), Some(after), Some(after));
        }
    });
}

thread_local! {
    /// The locks of a fork under way. Both sides of the fork run `after` on the thread that forked, or its copy.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

extern "C" fn before() {
    // In the order in which a computation takes them.
    let locks = (lazy::lock_for_fork(), cache::PLANS.lock_for_fork(), pool::lock_for_fork());
    // A thread that ends while it forks has no place for them; then they are released at once.
    let _ = HELD.try_with(|held| *held.borrow_mut() = Some(Box::new(locks)));
}

extern "C" fn after() {
    let _ = HELD.try_with(|held| held.borrow_mut().take());
}
