//! The rewrite rules: [`RULES`] has a row each, with a text before and after that is the rule's own test. What applies
//! them is `passes/simplify.rs`. A rule looks at one node and what is below it; where it stands in the table only matters
//! for which of two rules that both fit fires first.

mod algebra;
mod folds;
mod views;

use crate::{
    graph::{Graph, NodeId},
    node::{GraphForm, Op, View},
    ops::ScalarOp,
    reference,
    scalar::Scalar,
};

/// A row of the rule table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A kebab-case verb.
    pub name: &'static str,
    /// What holds, in one sentence.
    pub doc: &'static str,
    /// The smallest graph on which it fires.
    pub before: &'static str,
    /// That graph afterwards.
    pub after: &'static str,
    /// An equal node, if the rule fits. It has the same dtype and shape and is not the node itself.
    pub apply: fn(&mut Graph, NodeId) -> Option<NodeId>,
}

/// Every rule.
pub const RULES: &[Rule] = &[
    // Constants.
    Rule {
        name: "put-constants-right",
        doc: "Constants stand right of what they are combined with.",
        before: "graph @f(%a0: f32[m]) -> bool[m] { %0 = const 2.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = less %2, %a0 : bool[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> bool[m] { %0 = const 2.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = greater %a0, %2 : bool[m] return %3 }",
        apply: algebra::constant_right,
    },
    Rule {
        name: "fold-map",
        doc: "An exact op on constants is a constant.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 1.5 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = negative %2 : f32[m] %4 = add %a0, %3 : f32[m] return %4 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const -1.5 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = add %a0, %2 : f32[m] return %3 }",
        apply: algebra::fold_map,
    },
    Rule {
        name: "fold-cast",
        doc: "A converted constant is a constant.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 2 : i64 %1 = cast %0 : f32 %2 = reshape %1 : f32[1] %3 = expand %2 : f32[m] %4 = pow %a0, %3 : f32[m] return %4 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 2.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = pow %a0, %2 : f32[m] return %3 }",
        apply: views::fold_cast,
    },
    Rule {
        name: "fold-view",
        doc: "Every arrangement of a constant is the constant, broadcast.",
        before: "graph @f() -> f32[m, n] { %0 = const 1.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = reshape %2 : f32[1, m] %4 = expand %3 : f32[n, m] %5 = permute %4 axes=[1, 0] : f32[m, n] return %5 }",
        after: "graph @f() -> f32[m, n] { %0 = const 1.0 : f32 %1 = reshape %0 : f32[1, 1] %2 = expand %1 : f32[m, n] return %2 }",
        apply: views::fold_view,
    },
    Rule {
        name: "merge-constants",
        doc: "Two constants of one associative op are one constant.",
        before: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 3 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] %3 = add %a0, %2 : i32[m] %4 = const 4 : i32 %5 = reshape %4 : i32[1] %6 = expand %5 : i32[m] %7 = add %3, %6 : i32[m] return %7 }",
        after: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 7 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] %3 = add %a0, %2 : i32[m] return %3 }",
        apply: algebra::merge_constants,
    },
    // What does nothing.
    Rule {
        name: "drop-unit",
        doc: "An op with its unit does nothing.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 1.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = multiply %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: algebra::drop_unit,
    },
    Rule {
        name: "drop-negative-zero",
        doc: "x + -0.0 is x, for every float; x + 0.0 is not.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const -0.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = add %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: algebra::add_negative_zero,
    },
    Rule {
        name: "drop-subtracted-zero",
        doc: "x - 0.0 is x, for every float; x - -0.0 is not.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 0.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = subtract %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: algebra::subtract_zero,
    },
    Rule {
        name: "drop-division-by-one",
        doc: "x / 1 is x.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 1.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = divide %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: algebra::divide_by_one,
    },
    Rule {
        name: "drop-positive",
        doc: "+x is x, and so is |x| of unsigned integers.",
        before: "graph @f(%a0: u32[m]) -> u32[m] { %0 = abs %a0 : u32[m] return %0 }",
        after: "graph @f(%a0: u32[m]) -> u32[m] { return %a0 }",
        apply: algebra::drop_positive,
    },
    Rule {
        name: "drop-shift-by-zero",
        doc: "A shift by 0 does nothing.",
        before: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 0 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] %3 = bitwise_left_shift %a0, %2 : i32[m] return %3 }",
        after: "graph @f(%a0: i32[m]) -> i32[m] { return %a0 }",
        apply: algebra::shift_by_zero,
    },
    Rule {
        name: "absorb-constant",
        doc: "x * 0 is 0 on integers, and alike for the other ops that have such a constant.",
        before: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 0 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] %3 = multiply %a0, %2 : i32[m] return %3 }",
        after: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 0 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] return %2 }",
        apply: algebra::absorb,
    },
    Rule {
        name: "cancel-integers",
        doc: "x - x and x ^ x are 0 on integers; infinities and NaN have none of it.",
        before: "graph @f(%a0: i32[m]) -> i32[m] { %0 = subtract %a0, %a0 : i32[m] return %0 }",
        after: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const 0 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] return %2 }",
        apply: algebra::cancel_integers,
    },
    Rule {
        name: "cancel-involution",
        doc: "-(-x) and ~(~x) are x.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = negative %a0 : f32[m] %1 = negative %0 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: algebra::cancel_involution,
    },
    Rule {
        name: "drop-repetition",
        doc: "An idempotent op does nothing the second time.",
        before: "graph @f(%a0: f32[m], %a1: f32[m]) -> f32[m] { %0 = maximum %a0, %a1 : f32[m] %1 = maximum %0, %a1 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m], %a1: f32[m]) -> f32[m] { %0 = maximum %a0, %a1 : f32[m] return %0 }",
        apply: algebra::drop_repetition,
    },
    Rule {
        name: "drop-rounding-of-integers",
        doc: "What is rounded already, or comes from an integer, rounds to itself.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = ceil %a0 : f32[m] %1 = floor %0 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = ceil %a0 : f32[m] return %0 }",
        apply: algebra::drop_rounding_of_integers,
    },
    Rule {
        name: "meet-complement",
        doc: "x & ~x is 0 and x | ~x is all ones.",
        before: "graph @f(%a0: bool[m]) -> bool[m] { %0 = bitwise_invert %a0 : bool[m] %1 = bitwise_or %a0, %0 : bool[m] return %1 }",
        after: "graph @f(%a0: bool[m]) -> bool[m] { %0 = const true : bool %1 = reshape %0 : bool[1] %2 = expand %1 : bool[m] return %2 }",
        apply: algebra::complement,
    },
    Rule {
        name: "invert-by-xor",
        doc: "x ^ all ones is ~x.",
        before: "graph @f(%a0: i32[m]) -> i32[m] { %0 = const -1 : i32 %1 = reshape %0 : i32[1] %2 = expand %1 : i32[m] %3 = bitwise_xor %a0, %2 : i32[m] return %3 }",
        after: "graph @f(%a0: i32[m]) -> i32[m] { %0 = bitwise_invert %a0 : i32[m] return %0 }",
        apply: algebra::xor_with_ones,
    },
    // Signs.
    Rule {
        name: "negate",
        doc: "-0.0 - x, x * -1 and x / -1 are -x.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const -1.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = multiply %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = negative %a0 : f32[m] return %0 }",
        apply: algebra::negate,
    },
    Rule {
        name: "fold-sign-into-sum",
        doc: "a + -b is a - b, and a - -b is a + b.",
        before: "graph @f(%a0: f32[m], %a1: f32[m]) -> f32[m] { %0 = negative %a0 : f32[m] %1 = add %0, %a1 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m], %a1: f32[m]) -> f32[m] { %0 = subtract %a1, %a0 : f32[m] return %0 }",
        apply: algebra::fold_sign_into_sum,
    },
    Rule {
        name: "drop-sign-before-abs",
        doc: "|-x| is |x|.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = negative %a0 : f32[m] %1 = abs %0 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = abs %a0 : f32[m] return %0 }",
        apply: algebra::drop_sign_before_abs,
    },
    Rule {
        name: "drop-signs-of-factors",
        doc: "-a * -b is a * b, and |x| * |x| is x * x.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = abs %a0 : f32[m] %1 = multiply %0, %0 : f32[m] return %1 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = multiply %a0, %a0 : f32[m] return %0 }",
        apply: algebra::drop_signs_of_factors,
    },
    // Division and powers.
    Rule {
        name: "divide-by-power-of-two",
        doc: "Dividing a float by a power of two is multiplying by its exact reciprocal.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const -8.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = divide %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const -0.125 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = multiply %a0, %2 : f32[m] return %3 }",
        apply: algebra::divide_by_power_of_two,
    },
    Rule {
        name: "divide-unsigned-by-power-of-two",
        doc: "The quotient is a shift and the remainder a mask.",
        before: "graph @f(%a0: u32[m]) -> u32[m] { %0 = const 8 : u32 %1 = reshape %0 : u32[1] %2 = expand %1 : u32[m] %3 = floor_divide %a0, %2 : u32[m] return %3 }",
        after: "graph @f(%a0: u32[m]) -> u32[m] { %0 = const 3 : u32 %1 = reshape %0 : u32[1] %2 = expand %1 : u32[m] %3 = bitwise_right_shift %a0, %2 : u32[m] return %3 }",
        apply: algebra::divide_unsigned_by_power_of_two,
    },
    Rule {
        name: "expand-power",
        doc: "x to the power 0, 1, 2, 3, 4 or -1 needs no pow.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = const 3.0 : f32 %1 = reshape %0 : f32[1] %2 = expand %1 : f32[m] %3 = pow %a0, %2 : f32[m] return %3 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { %0 = multiply %a0, %a0 : f32[m] %1 = multiply %0, %a0 : f32[m] return %1 }",
        apply: algebra::expand_power,
    },
    // Comparison and choice.
    Rule {
        name: "compare-with-itself",
        doc: "An integer is equal to itself; a NaN is not.",
        before: "graph @f(%a0: i32[m]) -> bool[m] { %0 = less %a0, %a0 : bool[m] return %0 }",
        after: "graph @f(%a0: i32[m]) -> bool[m] { %0 = const false : bool %1 = reshape %0 : bool[1] %2 = expand %1 : bool[m] return %2 }",
        apply: algebra::compare_with_itself,
    },
    Rule {
        name: "invert-comparison",
        doc: "~(a == b) is a != b; on integers, ~(a < b) is a >= b too.",
        before: "graph @f(%a0: i32[m], %a1: i32[m]) -> bool[m] { %0 = less %a0, %a1 : bool[m] %1 = bitwise_invert %0 : bool[m] return %1 }",
        after: "graph @f(%a0: i32[m], %a1: i32[m]) -> bool[m] { %0 = greater_equal %a0, %a1 : bool[m] return %0 }",
        apply: algebra::invert_comparison,
    },
    Rule {
        name: "compare-bool-with-constant",
        doc: "b == true is b, and b == false is ~b.",
        before: "graph @f(%a0: bool[m]) -> bool[m] { %0 = const false : bool %1 = reshape %0 : bool[1] %2 = expand %1 : bool[m] %3 = equal %a0, %2 : bool[m] return %3 }",
        after: "graph @f(%a0: bool[m]) -> bool[m] { %0 = bitwise_invert %a0 : bool[m] return %0 }",
        apply: algebra::compare_bool_with_constant,
    },
    Rule {
        name: "compare-casted-bool",
        doc: "A bool converted to a number is not 0 where it is true.",
        before: "graph @f(%a0: bool[m]) -> bool[m] { %0 = cast %a0 : f32[m] %1 = const 0.0 : f32 %2 = reshape %1 : f32[1] %3 = expand %2 : f32[m] %4 = not_equal %0, %3 : bool[m] return %4 }",
        after: "graph @f(%a0: bool[m]) -> bool[m] { return %a0 }",
        apply: algebra::compare_casted_bool,
    },
    Rule {
        name: "choose-at-once",
        doc: "where with a constant condition or equal branches chooses nothing.",
        before: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { %0 = const false : bool %1 = reshape %0 : bool[1] %2 = expand %1 : bool[m] %3 = where %2, %a1, %a2 : f32[m] return %3 }",
        after: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { return %a2 }",
        apply: algebra::choose_at_once,
    },
    Rule {
        name: "choose-without-not",
        doc: "where(~c, a, b) is where(c, b, a).",
        before: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { %0 = bitwise_invert %a0 : bool[m] %1 = where %0, %a1, %a2 : f32[m] return %1 }",
        after: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { %0 = where %a0, %a2, %a1 : f32[m] return %0 }",
        apply: algebra::choose_without_not,
    },
    Rule {
        name: "choose-between-bools",
        doc: "where(c, true, false) is c.",
        before: "graph @f(%a0: bool[m]) -> bool[m] { %0 = const true : bool %1 = reshape %0 : bool[1] %2 = expand %1 : bool[m] %3 = const false : bool %4 = reshape %3 : bool[1] %5 = expand %4 : bool[m] %6 = where %a0, %5, %2 : bool[m] return %6 }",
        after: "graph @f(%a0: bool[m]) -> bool[m] { %0 = bitwise_invert %a0 : bool[m] return %0 }",
        apply: algebra::choose_between_bools,
    },
    Rule {
        name: "choose-again",
        doc: "A branch that asks the same condition again knows the answer.",
        before: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { %0 = where %a0, %a1, %a2 : f32[m] %1 = where %a0, %0, %a1 : f32[m] return %1 }",
        after: "graph @f(%a0: bool[m], %a1: f32[m], %a2: f32[m]) -> f32[m] { %0 = where %a0, %a1, %a1 : f32[m] return %0 }",
        apply: algebra::choose_again,
    },
    // Casts.
    Rule {
        name: "drop-cast",
        doc: "A conversion to the dtype it has does nothing.",
        before: "graph @f(%a0: f32[m]) -> f32[m] { %0 = cast %a0 : f32[m] return %0 }",
        after: "graph @f(%a0: f32[m]) -> f32[m] { return %a0 }",
        apply: views::drop_cast,
    },
    Rule {
        name: "merge-casts",
        doc: "Two conversions are one where the middle dtype loses nothing that the last one keeps.",
        before: "graph @f(%a0: u8[m]) -> f64[m] { %0 = cast %a0 : f32[m] %1 = cast %0 : f64[m] return %1 }",
        after: "graph @f(%a0: u8[m]) -> f64[m] { %0 = cast %a0 : f64[m] return %0 }",
        apply: views::merge_casts,
    },
    // Views.
    Rule {
        name: "drop-view",
        doc: "A view that changes nothing goes.",
        before: "graph @f(%a0: f32[m, n]) -> f32[m, n] { %0 = slice %a0 starts=[0, 0] steps=[1, 1] : f32[m, n] return %0 }",
        after: "graph @f(%a0: f32[m, n]) -> f32[m, n] { return %a0 }",
        apply: views::drop_view,
    },
    Rule {
        name: "merge-reshapes",
        doc: "Two reshapes are one.",
        before: "graph @f(%a0: f32[m, n]) -> f32[n, m] { %0 = reshape %a0 : f32[p] %1 = reshape %0 : f32[n, m] return %1 }",
        after: "graph @f(%a0: f32[m, n]) -> f32[n, m] { %0 = reshape %a0 : f32[n, m] return %0 }",
        apply: views::merge_reshapes,
    },
    Rule {
        name: "merge-expands",
        doc: "Two expands are one.",
        before: "graph @f(%a0: f32[1, 1]) -> f32[m, n] { %0 = expand %a0 : f32[m, 1] %1 = expand %0 : f32[m, n] return %1 }",
        after: "graph @f(%a0: f32[1, 1]) -> f32[m, n] { %0 = expand %a0 : f32[m, n] return %0 }",
        apply: views::merge_expands,
    },
    Rule {
        name: "merge-permutes",
        doc: "Two permutations are one.",
        before: "graph @f(%a0: f32[m, n, p]) -> f32[p, m, n] { %0 = permute %a0 axes=[1, 2, 0] : f32[n, p, m] %1 = permute %0 axes=[1, 2, 0] : f32[p, m, n] return %1 }",
        after: "graph @f(%a0: f32[m, n, p]) -> f32[p, m, n] { %0 = permute %a0 axes=[2, 0, 1] : f32[p, m, n] return %0 }",
        apply: views::merge_permutes,
    },
    Rule {
        name: "merge-slices",
        doc: "Two slices are one where that needs no arithmetic on symbols.",
        before: "graph @f(%a0: f32[m, n]) -> f32[m, q] { %0 = slice %a0 starts=[p, 0] steps=[-1, 1] : f32[m, n] %1 = slice %0 starts=[p, r] steps=[-1, t] : f32[m, q] return %1 }",
        after: "graph @f(%a0: f32[m, n]) -> f32[m, q] { %0 = slice %a0 starts=[0, r] steps=[1, t] : f32[m, q] return %0 }",
        apply: views::merge_slices,
    },
    // Reductions, scans and joins.
    Rule {
        name: "reduce-nothing",
        doc: "A reduction of no elements is the op's unit.",
        before: "graph @f(%a0: f32[m, 0]) -> f32[m, 1] { %0 = reduce maximum %a0 axes=[1] : f32[m, 1] return %0 }",
        after: "graph @f(%a0: f32[m, 0]) -> f32[m, 1] { %0 = const -inf : f32 %1 = reshape %0 : f32[1, 1] %2 = expand %1 : f32[m, 1] return %2 }",
        apply: folds::reduce_nothing,
    },
    Rule {
        name: "reduce-fewer-axes",
        doc: "Axes of extent 1 need no reduction, unless a sum would lose the sign of -0.0.",
        before: "graph @f(%a0: f32[m, 1]) -> f32[1, 1] { %0 = reduce add %a0 axes=[0, 1] : f32[1, 1] return %0 }",
        after: "graph @f(%a0: f32[m, 1]) -> f32[1, 1] { %0 = reduce add %a0 axes=[0] : f32[1, 1] return %0 }",
        apply: folds::reduce_fewer_axes,
    },
    Rule {
        name: "reduce-once",
        doc: "A reduction of a reduction with an associative op is one reduction.",
        before: "graph @f(%a0: f32[m, n]) -> f32[1, 1] { %0 = reduce maximum %a0 axes=[1] : f32[m, 1] %1 = reduce maximum %0 axes=[0] : f32[1, 1] return %1 }",
        after: "graph @f(%a0: f32[m, n]) -> f32[1, 1] { %0 = reduce maximum %a0 axes=[0, 1] : f32[1, 1] return %0 }",
        apply: folds::reduce_once,
    },
    Rule {
        name: "reduce-before-expand",
        doc: "Reducing repeated elements with an idempotent op gives the element.",
        before: "graph @f(%a0: f32[m, 1]) -> f32[1, 1] { %0 = expand %a0 : f32[m, n] %1 = reduce minimum %0 axes=[0, 1] : f32[1, 1] return %1 }",
        after: "graph @f(%a0: f32[m, 1]) -> f32[1, 1] { %0 = reduce minimum %a0 axes=[0] : f32[1, 1] return %0 }",
        apply: folds::reduce_before_expand,
    },
    Rule {
        name: "scan-one",
        doc: "A running product over one element is the element.",
        before: "graph @f(%a0: f32[m, 1]) -> f32[m, 1] { %0 = scan multiply %a0 axis=1 : f32[m, 1] return %0 }",
        after: "graph @f(%a0: f32[m, 1]) -> f32[m, 1] { return %a0 }",
        apply: folds::scan_one,
    },
    Rule {
        name: "join-fewer",
        doc: "Joins of joins are one join, and empty operands go.",
        before: "graph @f(%a0: f32[m], %a1: f32[0], %a2: f32[n]) -> f32[q] { %0 = concat %a0, %a1, %a0 axis=0 : f32[p] %1 = concat %0, %a2 axis=0 : f32[q] return %1 }",
        after: "graph @f(%a0: f32[m], %a1: f32[0], %a2: f32[n]) -> f32[q] { %0 = concat %a0, %a0, %a2 axis=0 : f32[q] return %0 }",
        apply: folds::join_fewer,
    },
];

/// The operands of a map, copied out so that the graph can be added to. Most rules look at most nodes in vain, so this
/// is what simplifying costs.
#[derive(Clone, Copy)]
struct Operands {
    ids: [NodeId; 3],
    count: usize,
}

impl std::ops::Deref for Operands {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.ids[..self.count]
    }
}

/// A node's scalar op and operands, if it is a map.
fn map_of(g: &Graph, id: NodeId) -> Option<(ScalarOp, Operands)> {
    let node = g.node(id);
    let Op::Map(op) = node.op else { return None };
    let mut ids = [NodeId(0); 3];
    ids[..node.inputs.len()].copy_from_slice(&node.inputs);
    Some((op, Operands { ids, count: node.inputs.len() }))
}

/// The operand, if the node is a map of this op.
fn unary(g: &Graph, id: NodeId, op: ScalarOp) -> Option<NodeId> {
    let node = g.node(id);
    matches!(node.op, Op::Map(found) if found == op).then(|| node.inputs[0])
}

/// The two operands, if the node is a map of this op.
fn binary(g: &Graph, id: NodeId, op: ScalarOp) -> Option<[NodeId; 2]> {
    let node = g.node(id);
    matches!(node.op, Op::Map(found) if found == op).then(|| [node.inputs[0], node.inputs[1]])
}

/// A node's view and operand, if it is one.
fn view_of(g: &Graph, id: NodeId) -> Option<(&View<GraphForm>, NodeId)> {
    let node = g.node(id);
    match &node.op {
        Op::View(view) => Some((view, node.inputs[0])),
        _ => None,
    }
}

/// The value that every element has, if the node is a constant or a view of one.
pub fn constant_of(g: &Graph, mut id: NodeId) -> Option<Scalar> {
    loop {
        let node = g.node(id);
        match node.op {
            Op::Const(value) => return Some(value),
            Op::View(_) => id = node.inputs[0],
            Op::Input(_)
            | Op::Param(_)
            | Op::Iota { .. }
            | Op::Map(_)
            | Op::Cast
            | Op::Reduce { .. }
            | Op::Scan { .. }
            | Op::Concat { .. }
            | Op::Gather
            | Op::Dot
            | Op::Call(_) => return None,
        }
    }
}

/// A constant with the shape of a node.
fn constant_like(g: &mut Graph, id: NodeId, value: Scalar) -> NodeId {
    let shape = g.node(id).shape.clone();
    let constant = g.constant(value);
    g.broadcast(constant, &shape)
}

/// 1 with the dtype and shape of a node.
fn one_like(g: &mut Graph, id: NodeId) -> NodeId {
    let one = reference::one(g.node(id).dtype);
    constant_like(g, id, one)
}

/// A constant in the place of a node; nothing if the node is that already.
fn splat(g: &mut Graph, id: NodeId, value: Scalar) -> Option<NodeId> {
    let constant = constant_like(g, id, value);
    (constant != id).then_some(constant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{passes::simplify::simplify, text::parse::parse, verify::verify};

    #[test]
    fn each_rule_turns_its_before_into_its_after() {
        for rule in RULES {
            let graph = |text| parse(text).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
            let after = simplify(&graph(rule.before), std::slice::from_ref(rule));
            verify(&after).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
            assert_eq!(after.to_string(), graph(rule.after).to_string(), "{}", rule.name);
        }
    }

    #[test]
    fn simplifying_twice_is_simplifying_once() {
        for rule in RULES {
            let settled = simplify(&parse(rule.before).unwrap(), RULES);
            let again = simplify(&settled, RULES);
            assert_eq!(settled.to_string(), again.to_string(), "{}", rule.name);
        }
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(RULES[..i].iter().all(|r| r.name != rule.name), "{}", rule.name);
            assert!(rule.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.name);
        }
    }
}
