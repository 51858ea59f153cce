//! Lazy nodes: what users hold. Immutable but for the once-slot that receives the computed buffer, upon which the node
//! lets go of its operands. Recording (promotion, broadcasting, checks) is `build.rs`; capturing is `capture.rs`.
//!
//! Dropping is iterative: a chain of a million nodes must not overflow the stack.

use crate::{
    dtype::DType,
    node::{LazyForm, Op},
    shape::Shape,
    value::Buffer,
};
use parking_lot::{RwLock, RwLockReadGuard};
use qcell::{TCell, TCellOwner};
use smallvec::SmallVec;
use std::{
    any::Any,
    cell::RefCell,
    fmt::{self, Debug, Display, Formatter},
    mem,
    sync::{Arc, LazyLock, OnceLock},
};

/// Where arrays live and kernels run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Device {
    /// The host's memory and processors.
    Cpu,
    /// A GPU of NVIDIA's, by the driver's number.
    Cuda(u8),
    /// The emulator of a GPU, which finds mistakes of kernels.
    Simt,
}

impl Device {
    /// The device of a name, as [`Device`] prints; `cuda` alone is `cuda:0`.
    pub fn parse(name: &str) -> Option<Device> {
        match name {
            "cpu" => Some(Device::Cpu),
            "simt" => Some(Device::Simt),
            "cuda" => Some(Device::Cuda(0)),
            _ => name.strip_prefix("cuda:")?.parse().ok().map(Device::Cuda),
        }
    }
}

impl Display for Device {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
            Device::Simt => f.write_str("simt"),
        }
    }
}

/// The operands of a lazy node.
pub type Operands = SmallVec<[Arc<Lazy>; 2]>;

/// How a node that is not yet computed is to be computed.
#[derive(Debug)]
pub struct Expression {
    /// What it does.
    pub op: Op<LazyForm>,
    /// The operands.
    pub inputs: Operands,
}

/// One lock guards the expressions of all nodes: capturing reads many and a lock an expression would cost more than the rest
/// of it. It is held while a graph is walked, never while anything is computed.
static EXPRESSIONS: LazyLock<RwLock<TCellOwner<Lock>>> = LazyLock::new(|| RwLock::new(TCellOwner::new()));

/// Ties the expressions to the lock.
struct Lock;

/// The right to read expressions, which stay as they are as long as it lasts. The thread that has it must fill no node.
pub struct Reading(RwLockReadGuard<'static, TCellOwner<Lock>>);

impl Reading {
    /// Waits until nobody changes an expression.
    pub fn begin() -> Reading {
        Reading(EXPRESSIONS.read())
    }
}

/// Nobody else reads or changes an expression while this is held: for the time of a fork.
pub fn lock_for_fork() -> impl Any {
    EXPRESSIONS.write()
}

/// A node that users hold.
pub struct Lazy {
    /// The element type.
    pub dtype: DType,
    /// The extents.
    pub shape: Shape,
    /// Where it lives. None: nowhere yet, for all that it is made of are numbers and indices; what is computed of it and
    /// of an array lives where the array does. What users hold has a device.
    pub device: Option<Device>,
    /// Length of the longest chain of operands that were not computed when this node was recorded.
    pub depth: u32,
    /// Elements of the nodes that were not computed when this node was recorded, this one included (of reductions those that
    /// are read, of products the multiplications); shared ones count once for each user. A bound on the work, by which small
    /// computations are told from large ones.
    pub work: u64,
    /// How to compute it; `None` once the slot is filled.
    expression: TCell<Lock, Option<Expression>>,
    /// The computed array.
    slot: OnceLock<Buffer>,
}

impl Lazy {
    /// A recorded node. `build.rs` has worked out dtype and shape.
    pub fn recorded(
        op: Op<LazyForm>,
        inputs: Operands,
        dtype: DType,
        shape: Shape,
        device: Option<Device>,
    ) -> Arc<Lazy> {
        let elements = |shape: &[usize]| shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        let own = match (&op, inputs.first()) {
            (Op::Reduce { .. }, Some(operand)) => elements(&operand.shape),
            (Op::Dot, Some(left)) => elements(&shape).saturating_mul(left.shape.last().map_or(1, |&k| k as u64)),
            (Op::Call(routine), Some(operand)) => routine.work(&operand.shape),
            _ => elements(&shape),
        };
        let pending = inputs.iter().filter(|i| i.buffer().is_none());
        let (depth, work) = pending.fold((1, own), |(d, w), i| (d.max(i.depth + 1), w.saturating_add(i.work)));
        Arc::new(Lazy {
            dtype,
            shape,
            device,
            depth,
            work,
            expression: TCell::new(Some(Expression { op, inputs })),
            slot: OnceLock::new(),
        })
    }

    /// A node that has its buffer from the start.
    pub fn computed(buffer: Buffer, dtype: DType, shape: Shape, device: Device) -> Arc<Lazy> {
        Arc::new(Lazy {
            dtype,
            shape,
            device: Some(device),
            depth: 0,
            work: 0,
            expression: TCell::new(None),
            slot: OnceLock::from(buffer),
        })
    }

    /// The same values on this device, if they are on none yet.
    pub fn placed(mut self: Arc<Lazy>, device: Device) -> Arc<Lazy> {
        if self.device.is_some() {
            return self;
        }
        if let Some(alone) = Arc::get_mut(&mut self) {
            alone.device = Some(device);
            return self;
        }
        let reading = Reading::begin();
        let (dtype, shape) = (self.dtype, self.shape.clone());
        match (self.expression(&reading), self.buffer()) {
            (Some(Expression { op, inputs }), _) => {
                Lazy::recorded(op.clone(), inputs.clone(), dtype, shape, Some(device))
            }
            // Others compute with it too, and it was computed for them, where their arrays live.
            (None, Some(buffer)) => Lazy::computed(buffer.clone(), dtype, shape, buffer.storage.device()),
            (None, None) => unreachable!("a node is recorded or computed"),
        }
    }

    /// The computed array, if there is one yet.
    pub fn buffer(&self) -> Option<&Buffer> {
        self.slot.get()
    }

    /// How to compute it; `None` when it is computed.
    pub fn expression<'a>(&'a self, reading: &'a Reading) -> Option<&'a Expression> {
        self.expression.ro(&reading.0).as_ref()
    }

    /// Fills the slot (the first filling wins) and lets go of the operands.
    pub fn fill(&self, buffer: Buffer) {
        let _ = self.slot.set(buffer);
        let expression = self.expression.rw(&mut EXPRESSIONS.write()).take();
        // Dropped when the lock is free again.
        if let Some(expression) = expression {
            drop_later(expression.inputs);
        }
    }
}

impl Drop for Lazy {
    fn drop(&mut self) {
        if let Some(expression) = self.expression.get_mut() {
            drop_later(mem::take(&mut expression.inputs));
        }
    }
}

impl Debug for Lazy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let computed = self.buffer().is_some();
        let place = self.device.map_or("any device".to_owned(), |device| device.to_string());
        write!(f, "Lazy({} {:?} on {place}, computed: {computed})", self.dtype, self.shape)
    }
}

thread_local! {
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending { dropping: false, operands: Vec::new() }) };
}

/// Operands waiting to be dropped by the outermost drop of this thread.
struct Pending {
    /// Is a drop under way?
    dropping: bool,
    operands: Vec<Arc<Lazy>>,
}

/// Drops operands without recursion: a drop inside a drop only queues. What others hold too ends here, and so does what was
/// recorded on computed operands only, for nothing is below those.
fn drop_later(operands: Operands) {
    for operand in operands {
        if operand.depth < 2 || Arc::strong_count(&operand) > 1 {
            drop(operand);
        } else {
            drop_queued(operand);
        }
    }
}

fn drop_queued(operand: Arc<Lazy>) {
    // While the thread itself ends the queue may be gone; then recursion is all that is left.
    let _ = PENDING.try_with(|pending| {
        if mem::replace(&mut pending.borrow_mut().dropping, true) {
            return pending.borrow_mut().operands.push(operand);
        }
        let mut next = Some(operand);
        while let Some(node) = next {
            drop(node);
            next = pending.borrow_mut().operands.pop();
        }
        let mut pending = pending.borrow_mut();
        pending.dropping = false;
        // What most graphs need stays for the next one.
        pending.operands.shrink_to(64);
    });
}
