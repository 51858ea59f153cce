//! Rules on scalar ops. IEEE is sacred: a rule on floats gives the same bits for every operand, up to which NaN, but for
//! the power rules, which stay inside the op table's error bound.

use super::{binary, constant_like, constant_of, map_of, one_like, splat, unary};
use crate::{
    dtype::{DType, Kind},
    graph::{Graph, NodeId},
    node::Op,
    ops::ScalarOp as S,
    reference as r,
    scalar::Scalar,
};

type Rewritten = Option<NodeId>;

pub(super) fn constant_right(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let [a, b] = operands[..] else { return None };
    let mirrored = match op {
        S::Less => S::Greater,
        S::LessEqual => S::GreaterEqual,
        S::Greater => S::Less,
        S::GreaterEqual => S::LessEqual,
        op if op.row().commutative.holds(g.node(a).dtype) => op,
        _ => return None,
    };
    constant_of(g, a)?;
    if constant_of(g, b).is_some() {
        return None;
    }
    Some(g.map(mirrored, &[b, a]))
}

pub(super) fn drop_unit(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let [a, b] = operands[..] else { return None };
    let dtype = g.node(a).dtype;
    // The unit of float addition is 0.0 for sums, but 0.0 + -0.0 is not -0.0.
    let exact = op.row().commutative.holds(dtype) && !(op == S::Add && dtype.is_float());
    (exact && constant_of(g, b)? == op.unit(dtype)?).then_some(a)
}

pub(super) fn add_negative_zero(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::Add)?;
    (g.node(a).dtype.is_float() && is(g, b, -0.0)).then_some(a)
}

pub(super) fn subtract_zero(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::Subtract)?;
    is(g, b, 0.0).then_some(a)
}

pub(super) fn divide_by_one(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let divides = op == S::Divide || op == S::FloorDivide && !g.node(id).dtype.is_float();
    (divides && is(g, operands[1], 1.0)).then(|| operands[0])
}

pub(super) fn divide_by_power_of_two(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::Divide)?;
    let divisor = constant_of(g, b)?;
    if !divisor.dtype().is_float() || divisor.dtype().is_half() {
        return None;
    }
    // Exact when the mantissa is 1.0 and both exponents are normal.
    let (value, reciprocal) = (divisor.as_f64(), (S::Reciprocal.row().reference)(&[divisor]));
    let (mantissa, smallest) = match divisor.dtype() {
        DType::F32 => (divisor.bits() & 0x7f_ffff, f32::MIN_POSITIVE as f64),
        _ => (divisor.bits() & 0xf_ffff_ffff_ffff, f64::MIN_POSITIVE),
    };
    let normal = |x: f64| x.is_finite() && x.abs() >= smallest;
    if mantissa != 0 || !normal(value) || !normal(reciprocal.as_f64()) {
        return None;
    }
    let reciprocal = constant_like(g, id, reciprocal);
    Some(g.map(S::Multiply, &[a, reciprocal]))
}

pub(super) fn divide_unsigned_by_power_of_two(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let dtype = g.node(id).dtype;
    if dtype.kind() != Kind::Unsigned {
        return None;
    }
    let divisor = constant_of(g, *operands.get(1)?)?.bits();
    if !divisor.is_power_of_two() {
        return None;
    }
    let (to, amount) = match op {
        S::Divide | S::FloorDivide => (S::ShiftRight, divisor.trailing_zeros() as u64),
        S::Remainder | S::TruncatedRemainder => (S::And, divisor - 1),
        _ => return None,
    };
    let amount = constant_like(g, id, Scalar::from_u64(dtype, amount));
    Some(g.map(to, &[operands[0], amount]))
}

pub(super) fn cancel_involution(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    matches!(op, S::Negative | S::Not).then(|| unary(g, operands[0], op)).flatten()
}

pub(super) fn drop_repetition(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    if !op.row().idempotent.holds(g.node(id).dtype) {
        return None;
    }
    match operands[..] {
        [a] => unary(g, a, op).map(|_| a),
        [a, b] if a == b => Some(a),
        // op(op(a, b), b) is op(a, b).
        [a, b] if op.row().associative.holds(g.node(id).dtype) => {
            binary(g, a, op).filter(|inner| inner.contains(&b)).map(|_| a)
        }
        _ => None,
    }
}

pub(super) fn drop_rounding_of_integers(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let rounds = |op: S| matches!(op, S::Floor | S::Ceil | S::Trunc | S::Round);
    if !rounds(op) {
        return None;
    }
    let inner = g.node(operands[0]);
    let integral = match inner.op {
        Op::Map(op) => rounds(op),
        Op::Cast => !g.node(inner.inputs[0]).dtype.is_float(),
        _ => false,
    };
    integral.then_some(operands[0])
}

pub(super) fn drop_positive(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let unsigned = g.node(id).dtype.kind() == Kind::Unsigned;
    (op == S::Positive || op == S::Abs && unsigned).then(|| operands[0])
}

pub(super) fn drop_sign_before_abs(g: &mut Graph, id: NodeId) -> Rewritten {
    let inner = unary(g, id, S::Abs)?;
    let x = unary(g, inner, S::Negative)?;
    Some(g.map(S::Abs, &[x]))
}

pub(super) fn drop_signs_of_factors(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::Multiply)?;
    if let (Some(x), Some(y)) = (unary(g, a, S::Negative), unary(g, b, S::Negative)) {
        return Some(g.map(S::Multiply, &[x, y]));
    }
    let x = unary(g, a, S::Abs).filter(|_| a == b)?;
    Some(g.map(S::Multiply, &[x, x]))
}

pub(super) fn fold_sign_into_sum(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let [a, b] = operands[..] else { return None };
    match op {
        S::Add => match (unary(g, a, S::Negative), unary(g, b, S::Negative)) {
            (_, Some(y)) => Some(g.map(S::Subtract, &[a, y])),
            (Some(x), None) => Some(g.map(S::Subtract, &[b, x])),
            (None, None) => None,
        },
        S::Subtract => {
            let y = unary(g, b, S::Negative)?;
            Some(g.map(S::Add, &[a, y]))
        }
        _ => None,
    }
}

pub(super) fn negate(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let [a, b] = operands[..] else { return None };
    let dtype = g.node(id).dtype;
    let minus_one =
        |g: &Graph, x| dtype.kind() != Kind::Unsigned && constant_of(g, x) == Some(Scalar::from_i64(dtype, -1));
    let x = match op {
        S::Multiply | S::Divide if minus_one(g, b) => a,
        // 0.0 - 0.0 is 0.0, so only -0.0 negates floats.
        S::Subtract if is(g, a, if dtype.is_float() { -0.0 } else { 0.0 }) => b,
        _ => return None,
    };
    Some(g.map(S::Negative, &[x]))
}

pub(super) fn cancel_integers(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let dtype = g.node(id).dtype;
    match operands[..] {
        [a, b] if a == b && !dtype.is_float() && matches!(op, S::Subtract | S::Xor) => {
            Some(constant_like(g, id, r::zero(dtype)))
        }
        _ => None,
    }
}

pub(super) fn compare_with_itself(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let result = match op {
        S::Equal | S::LessEqual | S::GreaterEqual => true,
        S::NotEqual | S::Less | S::Greater => false,
        _ => return None,
    };
    // A NaN is not equal to itself.
    let same = operands[0] == operands[1] && !g.node(operands[0]).dtype.is_float();
    same.then(|| constant_like(g, id, Scalar::bool(result)))
}

pub(super) fn absorb(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let dtype = g.node(id).dtype;
    if dtype.is_float() {
        return None;
    }
    let absorbing = match op {
        S::Multiply | S::And => r::zero(dtype),
        S::Or => r::all_ones(dtype),
        S::Maximum => r::highest(dtype),
        S::Minimum => r::lowest(dtype),
        _ => return None,
    };
    (constant_of(g, operands[1])? == absorbing).then(|| operands[1])
}

pub(super) fn complement(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let dtype = g.node(id).dtype;
    let result = match op {
        S::And => r::zero(dtype),
        S::Or => r::all_ones(dtype),
        _ => return None,
    };
    let [a, b] = operands[..] else { return None };
    let complementary = unary(g, b, S::Not) == Some(a) || unary(g, a, S::Not) == Some(b);
    complementary.then(|| constant_like(g, id, result))
}

pub(super) fn xor_with_ones(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::Xor)?;
    let ones = r::all_ones(g.node(id).dtype);
    (constant_of(g, b)? == ones).then(|| g.map(S::Not, &[a]))
}

pub(super) fn shift_by_zero(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    (matches!(op, S::ShiftLeft | S::ShiftRight) && is(g, operands[1], 0.0)).then(|| operands[0])
}

pub(super) fn merge_constants(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    let dtype = g.node(id).dtype;
    let row = op.row();
    if row.arity != 2 || !row.associative.holds(dtype) || !row.commutative.holds(dtype) {
        return None;
    }
    let outer = constant_of(g, operands[1])?;
    let [x, inner] = binary(g, operands[0], op)?;
    let inner = constant_of(g, inner)?;
    let merged = constant_like(g, id, r::evaluate(op, &[inner, outer]));
    Some(g.map(op, &[x, merged]))
}

pub(super) fn invert_comparison(g: &mut Graph, id: NodeId) -> Rewritten {
    let inner = unary(g, id, S::Not)?;
    let (op, operands) = map_of(g, inner)?;
    // With a NaN every ordered comparison is false, so only (in)equality inverts on floats.
    let ordered = !g.node(*operands.first()?).dtype.is_float();
    let inverse = match op {
        S::Equal => S::NotEqual,
        S::NotEqual => S::Equal,
        S::Less if ordered => S::GreaterEqual,
        S::LessEqual if ordered => S::Greater,
        S::Greater if ordered => S::LessEqual,
        S::GreaterEqual if ordered => S::Less,
        _ => return None,
    };
    Some(g.map(inverse, &operands))
}

pub(super) fn compare_bool_with_constant(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    if !matches!(op, S::Equal | S::NotEqual) || g.node(operands[0]).dtype != DType::Bool {
        return None;
    }
    let wanted = constant_of(g, operands[1])?.as_bool() == (op == S::Equal);
    Some(if wanted { operands[0] } else { g.map(S::Not, &operands[..1]) })
}

pub(super) fn compare_casted_bool(g: &mut Graph, id: NodeId) -> Rewritten {
    let [a, b] = binary(g, id, S::NotEqual)?;
    let cast = g.node(a);
    if cast.op != Op::Cast || g.node(cast.inputs[0]).dtype != DType::Bool {
        return None;
    }
    let condition = cast.inputs[0];
    is(g, b, 0.0).then_some(condition)
}

pub(super) fn choose_at_once(g: &mut Graph, id: NodeId) -> Rewritten {
    let [condition, a, b] = choice(g, id)?;
    match constant_of(g, condition) {
        Some(condition) => Some(if condition.as_bool() { a } else { b }),
        None => (a == b).then_some(a),
    }
}

pub(super) fn choose_without_not(g: &mut Graph, id: NodeId) -> Rewritten {
    let [condition, a, b] = choice(g, id)?;
    let condition = unary(g, condition, S::Not)?;
    Some(g.map(S::Where, &[condition, b, a]))
}

pub(super) fn choose_between_bools(g: &mut Graph, id: NodeId) -> Rewritten {
    let [condition, a, b] = choice(g, id)?;
    if g.node(id).dtype != DType::Bool {
        return None;
    }
    match (constant_of(g, a)?.as_bool(), constant_of(g, b)?.as_bool()) {
        (true, false) => Some(condition),
        (false, true) => Some(g.map(S::Not, &[condition])),
        _ => None,
    }
}

pub(super) fn choose_again(g: &mut Graph, id: NodeId) -> Rewritten {
    let [condition, a, b] = choice(g, id)?;
    if let Some([inner, x, _]) = choice(g, a).filter(|c| c[0] == condition) {
        return Some(g.map(S::Where, &[inner, x, b]));
    }
    let [inner, _, y] = choice(g, b).filter(|c| c[0] == condition)?;
    Some(g.map(S::Where, &[inner, a, y]))
}

/// Powers with exponents for which multiplications stay inside two units in the last place: the square is correctly
/// rounded, the cube within 1.5, the fourth power within 1.92 (a relative error of 2^-53 / m on a square of mantissa m).
pub(super) fn expand_power(g: &mut Graph, id: NodeId) -> Rewritten {
    let [x, exponent] = binary(g, id, S::Pow)?;
    let exponent = constant_of(g, exponent)?;
    let dtype = exponent.dtype();
    let is_exponent = |n: i64| exponent == Scalar::from_i64(dtype, n);
    if is_exponent(0) {
        Some(constant_like(g, id, r::one(dtype)))
    } else if is_exponent(1) {
        Some(x)
    } else if is_exponent(2) {
        Some(g.map(S::Multiply, &[x, x]))
    } else if is_exponent(3) {
        let square = g.map(S::Multiply, &[x, x]);
        Some(g.map(S::Multiply, &[square, x]))
    } else if is_exponent(4) {
        let square = g.map(S::Multiply, &[x, x]);
        Some(g.map(S::Multiply, &[square, square]))
    } else if dtype.is_float() && is_exponent(-1) {
        let one = one_like(g, id);
        Some(g.map(S::Divide, &[one, x]))
    } else {
        None
    }
}

/// Folds an op on constants, but not what is only accurate to some units in the last place: compiled code must not
/// depend on the mathematical library of the machine that compiled it.
pub(super) fn fold_map(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, operands) = map_of(g, id)?;
    if op.row().ulps > 0 && g.node(id).dtype.is_float() {
        return None;
    }
    let mut arguments = smallvec::SmallVec::<[Scalar; 3]>::new();
    for &operand in operands.iter() {
        arguments.push(constant_of(g, operand)?);
    }
    splat(g, id, r::evaluate(op, &arguments))
}

fn choice(g: &Graph, id: NodeId) -> Option<[NodeId; 3]> {
    let node = g.node(id);
    match node.op {
        Op::Map(S::Where) => Some([node.inputs[0], node.inputs[1], node.inputs[2]]),
        _ => None,
    }
}

/// Is the value this constant, bit for bit, in its own dtype?
fn is(g: &Graph, id: NodeId, value: f64) -> bool {
    constant_of(g, id).is_some_and(|c| c == Scalar::from_f64(c.dtype(), value))
}
