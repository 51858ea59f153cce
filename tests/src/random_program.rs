//! Random recorded programs for the fuzz targets. Float values stay small integers, so that every order of
//! summation gives the same bits and the stages can be compared exactly; what rounds (division, maths) is the sweep's. Where two
//! ways of running one program are compared, programs may round, and the order of sums shows.

use crate::memory::{Arrangement, array};
use fastrand::Rng;
use fusewire_ir::{
    build::{self, Axis, IndexItem, Operand},
    dtype::DType,
    error::Recorded,
    lazy::Lazy,
    ops::{OPS, Promotion, ScalarOp as S},
    promote::Weak,
    scalar::Scalar,
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Extents that meet vector lanes and blocks from both sides.
const EXTENTS: [usize; 10] = [0, 1, 1, 2, 3, 4, 7, 16, 17, 35];

/// Extents of programs that round: more than the blocks of sums.
const LONG_EXTENTS: [usize; 8] = [1, 2, 15, 33, 70, 260, 600, 5000];

/// What random numbers are made with.
struct Random {
    rng: Rng,
    /// Do all floats stay small integers?
    exact: bool,
}

impl std::ops::Deref for Random {
    type Target = Rng;
    fn deref(&self) -> &Rng {
        &self.rng
    }
}

impl std::ops::DerefMut for Random {
    fn deref_mut(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

/// A random program: inputs, some recorded calls, and one to three of its arrays as roots.
pub fn random_program(seed: u64) -> Vec<Arc<Lazy>> {
    program(Random { rng: Rng::with_seed(seed), exact: true })
}

/// A random program whose floats are any numbers.
pub fn rounding_program(seed: u64) -> Vec<Arc<Lazy>> {
    program(Random { rng: Rng::with_seed(seed), exact: false })
}

fn program(mut random: Random) -> Vec<Arc<Lazy>> {
    let extents: &[usize] = if random.exact || random.bool() { &EXTENTS } else { &LONG_EXTENTS };
    let mut shape: Vec<usize> = (0..random.usize(0..4)).map(|_| extents[random.usize(0..extents.len())]).collect();
    while shape.iter().product::<usize>() > 20_000 {
        shape.pop();
    }
    let mut arrays: Vec<Arc<Lazy>> = (0..random.usize(1..4)).map(|_| random_input(&mut random, &shape)).collect();
    for _ in 0..random.usize(1..14) {
        // A call that does not fit its operands is refused; then another is tried.
        for _ in 0..20 {
            if let Ok(next) = random_call(&mut random, &arrays)
                && next.shape.iter().product::<usize>() <= 20_000
            {
                arrays.push(next);
                break;
            }
        }
    }
    let mut roots: Vec<Arc<Lazy>> = Vec::new();
    for _ in 0..random.usize(1..4) {
        let root = arrays[arrays.len() - 1 - random.usize(0..arrays.len().min(4))].clone();
        if root.buffer().is_none() && !roots.iter().any(|r| Arc::ptr_eq(r, &root)) {
            roots.push(root);
        }
    }
    roots
}

/// An input related to the common shape, so that operands often broadcast.
fn random_input(random: &mut Random, common: &[usize]) -> Arc<Lazy> {
    let dtype = DType::ALL[random.usize(0..DType::ALL.len())];
    let shape: Vec<usize> = match random.u8(0..4) {
        0 => common.iter().map(|&d| if random.bool() { 1 } else { d }).collect(),
        1 if !common.is_empty() => common[1..].to_vec(),
        _ => common.to_vec(),
    };
    random_array(random, dtype, &shape)
}

fn random_array(random: &mut Random, dtype: DType, shape: &[usize]) -> Arc<Lazy> {
    let part = dtype.component();
    let count = shape.iter().product::<usize>() * (dtype.size() / part.size());
    let elements: Vec<Scalar> = (0..count).map(|_| random_element(random, part)).collect();
    let arrangement = Arrangement::ALL[random.usize(0..Arrangement::ALL.len())];
    array(dtype, shape, &elements, arrangement)
}

fn random_element(random: &mut Random, dtype: DType) -> Scalar {
    match dtype {
        _ if !dtype.is_float() && random.u8(0..8) == 0 => Scalar::from_bits(dtype, random.u64(..)),
        _ if dtype.is_float() && !random.exact => Scalar::from_f64(dtype, random.f64() * 4.0 - 1.5),
        _ => Scalar::from_i64(dtype, random.i64(-6..7)),
    }
}

fn pick(random: &mut Random, arrays: &[Arc<Lazy>]) -> Arc<Lazy> {
    // Recent results more often, so that chains grow.
    let back = random.usize(0..arrays.len()).min(random.usize(0..arrays.len()));
    arrays[arrays.len() - 1 - back].clone()
}

fn random_operand(random: &mut Random, arrays: &[Arc<Lazy>]) -> Operand {
    match random.u8(0..5) {
        0 => Operand::Scalar(match random.u8(0..10) {
            0..=2 => Weak::Bool(random.bool()),
            3..=5 => Weak::Int(random.i64(0..5).into()),
            6 => Weak::Complex(f64::from(random.i8(-4..5)), f64::from(random.i8(-4..5))),
            _ => Weak::Float(f64::from(random.i8(-4..5))),
        }),
        _ => Operand::Array(pick(random, arrays)),
    }
}

fn random_call(random: &mut Random, arrays: &[Arc<Lazy>]) -> Recorded<Arc<Lazy>> {
    let x = pick(random, arrays);
    let rank = x.shape.len();
    let axis = if rank == 0 { 0 } else { random.i64(-(rank as i64)..rank as i64) };
    let axes = match random.u8(0..3) {
        0 => Axis::All,
        1 => Axis::List(smallvec![axis]),
        _ => Axis::List((0..rank as i64).filter(|_| random.bool()).collect()),
    };
    let keep = random.bool();
    match random.u8(0..30) {
        0..=11 => random_elementwise(random, arrays),
        12 => build::astype(&x, random_target(random, x.dtype)),
        13 => build::sum(&bounded(&x, 4)?, &axes, None, keep),
        14 if random.exact => build::prod(&signs(&x)?, &axes, None, keep),
        14 => build::prod(&x, &axes, None, keep),
        15 | 16 if !random.exact && keep => build::mean(&x, &axes, random.bool()),
        15 if !random.exact => build::std(&x, &axes, 0.0, random.bool()),
        15 => build::max(&x, &axes, keep),
        16 => build::min(&x, &axes, keep),
        17 => build::any(&x, &axes, keep),
        18 => build::all(&x, &axes, keep),
        19 => build::count_nonzero(&x, &axes, keep),
        20 if random.bool() => build::argmax(&x, Some(axis), keep),
        20 => build::argmin(&x, None, keep),
        21 => build::cumulative_sum(&bounded(&x, 4)?, Some(axis), None, keep),
        22 => {
            let mut order: Vec<i64> = (0..rank as i64).collect();
            random.shuffle(&mut order);
            build::permute_dims(&x, &order)
        }
        23 => build::flip(&x, if keep { None } else { Some(std::slice::from_ref(&axis)) }),
        24 => build::roll(&x, &[random.i64(-5..6)], if keep { None } else { Some(std::slice::from_ref(&axis)) }),
        25 => {
            let y = pick(random, arrays);
            build::concat(&[x, y], if keep { None } else { Some(axis) })
        }
        26 if keep => build::sort(&x, axis, random.bool()),
        26 if rank > 1 => build::argsort(&x, axis, random.bool()),
        26 => build::reshape(&x, &[-1]),
        27 if keep && random.bool() => random_assignment(random, arrays, &x),
        27 if keep => random_index(random, &x),
        27 => random_take(random, arrays, &x, axis),
        28 if keep => build::expand_dims(&x, &[axis]),
        28 => build::tri(&x, random.i64(-2..3), random.bool()),
        _ if keep => build::tile(&x, &[random.i64(0..3), random.i64(1..3)]),
        _ => {
            let y = pick(random, arrays);
            let product = build::matmul(&small(&x)?, &small(&y)?)?;
            if random.bool() {
                return Ok(product);
            }
            // As layers of networks do it.
            let columns = product.shape.last().copied();
            let row = random_array(random, product.dtype, columns.as_slice());
            build::elementwise(S::Add, &[Operand::Array(product), Operand::Array(row)])
        }
    }
}

/// Elementwise ops whose results on small integers are exact, and stay small.
fn random_elementwise(random: &mut Random, arrays: &[Arc<Lazy>]) -> Recorded<Arc<Lazy>> {
    let row = &OPS[random.usize(0..OPS.len())];
    let rounds = row.ulps > 0 || matches!(row.op, S::Divide | S::Sqrt | S::Reciprocal | S::Nextafter);
    if (rounds && random.exact) || row.promotion == Promotion::Internal {
        return build::elementwise(S::Maximum, &[random_operand(random, arrays), Operand::Array(pick(random, arrays))]);
    }
    let mut operands: SmallVec<[Operand; 3]> = (0..row.arity).map(|_| random_operand(random, arrays)).collect();
    if !operands.iter().any(|o| matches!(o, Operand::Array(_))) {
        operands[0] = Operand::Array(pick(random, arrays));
    }
    let complex = operands.iter().any(|o| matches!(o, Operand::Array(x) if x.dtype.is_complex()));
    if complex && random.exact && matches!(row.op, S::Abs | S::Sign) {
        return random_elementwise(random, arrays);
    }
    bounded(&build::elementwise(row.op, operands)?, 60)
}

/// Floats kept between -limit and limit, NaN as 0; integers wrap anyway.
fn bounded(x: &Arc<Lazy>, limit: i128) -> Recorded<Arc<Lazy>> {
    if x.dtype.is_complex() {
        let part = |op| bounded(&build::elementwise(op, &[Operand::Array(x.clone())])?, limit);
        return build::of_parts(&part(S::Real)?, &part(S::Imag)?);
    }
    if !x.dtype.is_float() {
        return Ok(x.clone());
    }
    let array = |x: &Arc<Lazy>| Operand::Array(x.clone());
    let number = build::elementwise(S::Equal, &[array(x), array(x)])?;
    let zero = Operand::Scalar(Weak::Float(0.0));
    let x = build::where_(&array(&number), &array(x), &zero)?;
    build::clip(&x, Some(&Operand::Scalar(Weak::Int(-limit))), Some(&Operand::Scalar(Weak::Int(limit))))
}

/// Factors of a product that may become floats: floats between -4 and 4, integers between 0 and 7.
fn small(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    if x.dtype.is_integer() {
        return build::elementwise(S::And, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Int(7))]);
    }
    bounded(x, 4)
}

/// Floats as -1, 0, 1, whose products are exact; products of complex numbers have one order.
fn signs(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    if x.dtype.is_float() { build::elementwise(S::Sign, &[Operand::Array(bounded(x, 4)?)]) } else { Ok(x.clone()) }
}

/// Anything but float32 from wide integers, which rounds, and integers from floats that may not fit.
fn random_target(random: &mut Random, from: DType) -> DType {
    let to = DType::ALL[random.usize(0..DType::ALL.len())];
    if (to.is_float() || to.is_complex()) && from.is_integer() && from.size() > 1 { from } else { to }
}

/// Elements at indices that are computed too, and always inside.
fn random_take(random: &mut Random, arrays: &[Arc<Lazy>], x: &Arc<Lazy>, axis: i64) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    let along = if rank == 0 || random.u8(0..4) == 0 { None } else { Some(axis) };
    let extent = match along {
        None => x.shape.iter().product(),
        Some(axis) => x.shape[axis.rem_euclid(rank as i64) as usize],
    };
    let indices = pick(random, arrays);
    if extent == 0 || indices.dtype.is_float() {
        return random_index(random, x);
    }
    let indices = build::astype(&indices, DType::I64)?;
    let modulus = Operand::Scalar(Weak::Int(extent as i128));
    let mut indices = build::elementwise(S::Remainder, &[Operand::Array(indices), modulus])?;
    if random.bool() {
        let back = Operand::Scalar(Weak::Int(extent as i128));
        indices = build::elementwise(S::Subtract, &[Operand::Array(indices), back])?;
    }
    match along {
        Some(axis) if indices.shape.len() == rank && random.bool() => {
            build::take_along_axis(x, &indices, axis, &|_, _| None)
        }
        along => build::take(x, &indices, along, &|_, _| None),
    }
}

/// The array with other elements at an index.
fn random_assignment(random: &mut Random, arrays: &[Arc<Lazy>], x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let items = random_items(random, x);
    let value = match random_operand(random, arrays) {
        Operand::Array(value) if value.dtype.is_float() && !x.dtype.is_float() => Operand::Array(bounded(&value, 60)?),
        value => value,
    };
    let (part, value) = build::assigned_part(x, &items, &build::fit(&value, x.dtype)?)?;
    build::assign(x, &part, &value)
}

fn random_index(random: &mut Random, x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let items = random_items(random, x);
    build::index(x, &items)
}

fn random_items(random: &mut Random, x: &Arc<Lazy>) -> SmallVec<[IndexItem; 4]> {
    let mut items: SmallVec<[IndexItem; 4]> = SmallVec::new();
    for &extent in &x.shape {
        let bound = |random: &mut Random| random.bool().then(|| random.i64(-(extent as i64) - 1..extent as i64 + 2));
        items.push(match random.u8(0..4) {
            0 if extent > 0 => IndexItem::Int(random.i64(-(extent as i64)..extent as i64)),
            1 => IndexItem::NewAxis,
            _ => {
                let step = [None, Some(1), Some(-1), Some(2), Some(-3)][random.usize(0..5)];
                IndexItem::Slice { start: bound(random), stop: bound(random), step }
            }
        });
    }
    items
}
