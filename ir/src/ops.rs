//! The op table: every scalar op is one row of [`OPS`]. Printer, parser, inference, folding, interpreters, the Python
//! functions, stubs, docs, sweep and fuzz all read the row; nothing else lists the ops.
//!
//! What an op does to complex numbers is the row's `complex`: a body on their parts (`complex/`), which the first graph pass puts
//! in place of the op. Everything else in a row is about real operands.
//!
//! Three classes: a *primitive* is implemented by each back end; a *composite* has a body in terms of other ops
//! (`composite.rs`) and a *maths* op an expansion (`fusewire-lowering`, `math/`), so that no back end ever sees either.

use crate::{
    complex::{self as z, OnComplex},
    dtype::DType,
    emit, reference as r,
    scalar::Scalar,
};

/// Which real dtypes an op's operands may have (all operands the same one, but for `where`'s condition).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// Every dtype.
    Any,
    /// None: the op makes a complex number of two floats.
    Parts,
    /// Integers and floats.
    Numeric,
    /// Integers.
    Integer,
    /// Booleans and integers.
    Bitwise,
    /// Floats.
    Float,
    /// float32 and float64.
    WideFloat,
    /// The signed integers that are as wide as a float: int32 and int64.
    FloatBits,
}

impl Domain {
    /// Is the dtype in the domain?
    pub fn contains(self, dtype: DType) -> bool {
        match self {
            _ if dtype.is_complex() => false,
            Domain::Any => true,
            Domain::Parts => false,
            Domain::Numeric => dtype != DType::Bool,
            Domain::Integer => dtype.is_integer(),
            Domain::Bitwise => !dtype.is_float(),
            Domain::Float => dtype.is_float(),
            Domain::WideFloat => dtype.is_float() && !dtype.is_half(),
            Domain::FloatBits => matches!(dtype, DType::I32 | DType::I64),
        }
    }
}

/// The result's dtype.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// That of the operands.
    Same,
    /// `bool`.
    Bool,
    /// `where`: that of the second and third operand; the first is `bool`.
    Select,
    /// The signed integer of the float operand's width.
    Bits,
    /// The float of the integer operand's width.
    FromBits,
    /// The complex dtype whose parts the operands are.
    Complex,
}

/// Who implements the op.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// Each back end.
    Primitive,
    /// `body`, in terms of other ops.
    Composite(fn(&mut dyn emit::Emit, &[emit::V]) -> emit::V),
    /// For what is a float or becomes one, the expansion in `fusewire_lowering::math`; for integers, each back end.
    Maths,
    /// The pass that splits complex numbers, which leaves none.
    Parts,
}

/// Where an algebraic law holds bit for bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// Nowhere.
    No,
    /// On booleans and integers only.
    Integers,
    /// On every dtype of the domain (up to which NaN).
    Exact,
}

impl Law {
    /// Does the law hold on this dtype?
    pub fn holds(self, dtype: DType) -> bool {
        match self {
            Law::No => false,
            Law::Integers => !dtype.is_float(),
            Law::Exact => true,
        }
    }
}

/// How the Python function of the row converts its operands before the op (`promote.rs` has the rules).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promotion {
    /// NumPy's `result_type` of the operands.
    Common,
    /// As `Common`, and booleans and integers become floats.
    Float,
    /// As `Common`; on booleans and integers the function is the identity.
    IntegerIdentity,
    /// As `Common`; on booleans and integers the answer is a constant: (value).
    IntegerConstant(bool),
    /// `where`: the condition becomes bool, the others their common dtype.
    Select,
    /// No Python function.
    Internal,
}

/// A row of the op table.
#[derive(Clone, Copy, Debug)]
pub struct OpRow {
    /// The op.
    pub op: ScalarOp,
    /// The Array API's name where there is one; the name in every text form.
    pub name: &'static str,
    /// One sentence for docs and docstrings.
    pub doc: &'static str,
    /// Operands.
    pub arity: usize,
    /// Dtypes of the operands.
    pub domain: Domain,
    /// Dtype of the result.
    pub outcome: Outcome,
    /// Who implements it.
    pub class: Class,
    /// `f(a, b) = f(b, a)`.
    pub commutative: Law,
    /// `f(f(a, b), c) = f(a, f(b, c))`.
    pub associative: Law,
    /// `f(a, a) = a`.
    pub idempotent: Law,
    /// `f(unit, a) = a`; where there is one, the op can be a reduction.
    pub unit: Option<fn(DType) -> Scalar>,
    /// The meaning, one element at a time.
    pub reference: fn(&[Scalar]) -> Scalar,
    /// What it does to complex operands; `None` when it takes none.
    pub complex: Option<OnComplex>,
    /// How the Python function promotes.
    pub promotion: Promotion,
    /// The Python operator, without underscores: `add` for `__add__`.
    pub operator: Option<&'static str>,
    /// Is a float result a number that the operands' format has, whatever format of float that is? (Then nothing rounds.)
    pub exact: bool,
    /// The float inputs that random tests draw from, for each operand.
    pub samples: (f64, f64),
    /// Largest error against the correctly rounded result, in units in the last place. 0 is bit-exact.
    pub ulps: u32,
}

/// Declares [`ScalarOp`] and [`OPS`] together, so that `OPS[op as usize]` is the op's row.
macro_rules! op_table {
    ($( $(#[doc = $doc:literal])+ $variant:ident $name:literal $arity:literal $domain:ident $outcome:ident $class:expr, $reference:expr $(, $field:ident: $value:expr)* ; )*) => {
        /// Every scalar operation. What each is stands in its row of [`OPS`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum ScalarOp { $( $(#[doc = $doc])+ $variant, )* }

        /// The op table, in the order of the enum.
        pub const OPS: &[OpRow] = &[ $( OpRow {
            $($field: $value,)*
            ..OpRow::new(ScalarOp::$variant, $name, concat!($($doc, "\n",)+), $arity, Domain::$domain, Outcome::$outcome, $class, $reference)
        }, )* ];
    };
}

impl OpRow {
    /// Does the op take operands of this dtype?
    pub fn accepts(&self, dtype: DType) -> bool {
        let complex = || self.complex.is_some() || self.outcome == Outcome::Select;
        self.domain.contains(dtype) || (dtype.is_complex() && complex())
    }

    #[expect(clippy::too_many_arguments, reason = "called by the op table's macro only")]
    const fn new(
        op: ScalarOp,
        name: &'static str,
        doc: &'static str,
        arity: usize,
        domain: Domain,
        outcome: Outcome,
        class: Class,
        reference: fn(&[Scalar]) -> Scalar,
    ) -> OpRow {
        OpRow {
            op,
            name,
            doc,
            arity,
            domain,
            outcome,
            class,
            commutative: Law::No,
            associative: Law::No,
            idempotent: Law::No,
            unit: None,
            reference,
            complex: None,
            promotion: Promotion::Common,
            operator: None,
            exact: false,
            samples: (-100.0, 100.0),
            ulps: 0,
        }
    }
}

use crate::composite as c;
use Class::{Composite, Maths, Parts, Primitive};
use Law::{Exact, Integers};
use OnComplex::{Number, Real, Truth};
use Promotion::{Float, IntegerConstant, IntegerIdentity, Internal};

op_table! {
    // Arithmetic.
    /// Sum; integers wrap.
    Add "add" 2 Numeric Same Primitive, r::add, commutative: Exact, associative: Integers, unit: Some(r::zero), operator: Some("add"), complex: Some(Number(z::add));
    /// Difference; integers wrap.
    Subtract "subtract" 2 Numeric Same Primitive, r::subtract, operator: Some("sub"), complex: Some(Number(z::subtract));
    /// Product; integers wrap.
    Multiply "multiply" 2 Numeric Same Primitive, r::multiply, commutative: Exact, associative: Integers, unit: Some(r::one), operator: Some("mul"), complex: Some(Number(z::multiply));
    /// Quotient; integers truncate, and `x / 0` is 0 and `MIN / -1` is MIN. (The Python function converts integers to floats first.)
    Divide "divide" 2 Numeric Same Primitive, r::divide, promotion: Float, operator: Some("truediv"), complex: Some(Number(z::divide));
    /// Remainder of the truncated quotient (C's `fmod` and `%`); integer `x % 0` and `MIN % -1` are 0.
    TruncatedRemainder "truncated-remainder" 2 Numeric Same Primitive, r::truncated_remainder, promotion: Internal, exact: true;
    /// `a * b + c`, rounded once.
    Fma "fma" 3 Float Same Primitive, r::fma, promotion: Internal;
    /// The operand with its sign flipped; integers wrap.
    Negative "negative" 1 Numeric Same Primitive, r::negative, operator: Some("neg"), complex: Some(Number(z::negative)), exact: true;
    /// Absolute value; integers wrap.
    Abs "abs" 1 Numeric Same Primitive, r::abs, idempotent: Exact, operator: Some("abs"), complex: Some(Real(z::abs)), exact: true;
    /// The larger operand; NaN if either is NaN; 0.0 is larger than -0.0.
    Maximum "maximum" 2 Any Same Primitive, r::maximum, commutative: Exact, associative: Exact, idempotent: Exact, unit: Some(r::lowest), exact: true;
    /// The smaller operand; NaN if either is NaN; -0.0 is smaller than 0.0.
    Minimum "minimum" 2 Any Same Primitive, r::minimum, commutative: Exact, associative: Exact, idempotent: Exact, unit: Some(r::highest), exact: true;
    /// Square root, correctly rounded.
    Sqrt "sqrt" 1 Float Same Primitive, r::sqrt, promotion: Float, samples: (0.0, 1e6), complex: Some(Number(z::sqrt));
    /// Largest integer not above.
    Floor "floor" 1 Float Same Primitive, r::floor, idempotent: Exact, promotion: IntegerIdentity, exact: true;
    /// Smallest integer not below.
    Ceil "ceil" 1 Float Same Primitive, r::ceil, idempotent: Exact, promotion: IntegerIdentity, exact: true;
    /// The integer part.
    Trunc "trunc" 1 Float Same Primitive, r::trunc, idempotent: Exact, promotion: IntegerIdentity, exact: true;
    /// Nearest integer, halves to even.
    Round "round" 1 Float Same Primitive, r::round, idempotent: Exact, promotion: IntegerIdentity, complex: Some(Number(z::round)), exact: true;

    // Bits.
    /// Bitwise (for bool: logical) and.
    And "bitwise_and" 2 Bitwise Same Primitive, r::and, commutative: Exact, associative: Exact, idempotent: Exact, unit: Some(r::all_ones), operator: Some("and");
    /// Bitwise (for bool: logical) or.
    Or "bitwise_or" 2 Bitwise Same Primitive, r::or, commutative: Exact, associative: Exact, idempotent: Exact, unit: Some(r::zero), operator: Some("or");
    /// Bitwise (for bool: logical) exclusive or.
    Xor "bitwise_xor" 2 Bitwise Same Primitive, r::xor, commutative: Exact, associative: Exact, unit: Some(r::zero), operator: Some("xor");
    /// Every bit flipped; for bool: logical not.
    Not "bitwise_invert" 1 Bitwise Same Primitive, r::not, operator: Some("invert");
    /// `a << b`; 0 when b is negative or at least the width.
    ShiftLeft "bitwise_left_shift" 2 Integer Same Primitive, r::shift_left, operator: Some("lshift");
    /// `a >> b`, arithmetic for signed dtypes; only sign bits when b is negative or at least the width.
    ShiftRight "bitwise_right_shift" 2 Integer Same Primitive, r::shift_right, operator: Some("rshift");
    /// The bits of a float as a signed integer.
    ToBits "to-bits" 1 Float Bits Primitive, r::to_bits, promotion: Internal;
    /// The float whose bits the integer has.
    FromBits "from-bits" 1 FloatBits FromBits Primitive, r::from_bits, promotion: Internal;

    // Floats of 16 bits, by the last 16 bits of an integer.
    /// The nearest number that float16 has.
    RoundToFloat16 "round-to-float16" 1 WideFloat Same Maths, r::round_to_float16, idempotent: Exact, promotion: Internal;
    /// The bits of the nearest float16, sign-extended.
    Float16Bits "float16-bits" 1 WideFloat Bits Maths, r::float16_bits, promotion: Internal;
    /// The number that a float16 of these bits is.
    Float16FromBits "float16-from-bits" 1 FloatBits FromBits Maths, r::float16_from_bits, promotion: Internal;
    /// The nearest number that bfloat16 has.
    RoundToBfloat16 "round-to-bfloat16" 1 WideFloat Same Maths, r::round_to_bfloat16, idempotent: Exact, promotion: Internal;
    /// The bits of the nearest bfloat16, sign-extended.
    Bfloat16Bits "bfloat16-bits" 1 WideFloat Bits Maths, r::bfloat16_bits, promotion: Internal;
    /// The number that a bfloat16 of these bits is.
    Bfloat16FromBits "bfloat16-from-bits" 1 FloatBits FromBits Maths, r::bfloat16_from_bits, promotion: Internal;

    // Comparison and choice.
    /// `a == b`.
    Equal "equal" 2 Any Bool Primitive, r::equal, commutative: Exact, operator: Some("eq"), complex: Some(Truth(z::equal));
    /// `a != b`.
    NotEqual "not_equal" 2 Any Bool Primitive, r::not_equal, commutative: Exact, operator: Some("ne"), complex: Some(Truth(z::not_equal));
    /// `a < b`.
    Less "less" 2 Any Bool Primitive, r::less, operator: Some("lt");
    /// `a <= b`.
    LessEqual "less_equal" 2 Any Bool Primitive, r::less_equal, operator: Some("le");
    /// `a > b`.
    Greater "greater" 2 Any Bool Primitive, r::greater, operator: Some("gt");
    /// `a >= b`.
    GreaterEqual "greater_equal" 2 Any Bool Primitive, r::greater_equal, operator: Some("ge");
    /// The second operand where the first is true, else the third.
    Where "where" 3 Any Select Primitive, r::select, promotion: Promotion::Select, exact: true;

    // Exact trigonometric reduction on its rare path. Both are 0 for every |x| below 2^20 and for inf and NaN.
    /// `x - n * pi/2` for the nearest integer n, correctly rounded, where |x| is at least 2^20.
    HugeTrigRemainder "huge-trig-remainder" 1 Float Same Primitive, r::huge_trig_remainder, promotion: Internal, samples: (-1e9, 1e9);
    /// That n modulo 4, as 0.0 to 3.0.
    HugeTrigQuadrant "huge-trig-quadrant" 1 Float Same Primitive, r::huge_trig_quadrant, promotion: Internal, samples: (-1e9, 1e9);

    // Parts of complex numbers.
    /// The complex number with these parts.
    Complex "complex" 2 Parts Complex Parts, |_| unreachable!("no scalar is complex"), promotion: Internal;
    /// The real part; real numbers stay as they are.
    Real "real" 1 Any Same Composite(c::positive), r::positive, complex: Some(Real(|_, a| a[0].re)), exact: true;
    /// The imaginary part: 0 for real numbers.
    Imag "imag" 1 Any Same Composite(|b, a| b.lit(a[0], 0.0)), |a| r::zero(a[0].dtype()), complex: Some(Real(|_, a| a[0].im)), exact: true;
    /// The complex conjugate; real numbers stay as they are.
    Conj "conj" 1 Any Same Composite(c::positive), r::positive, complex: Some(Number(z::conj)), exact: true;

    // Composites.
    /// The operand itself.
    Positive "positive" 1 Numeric Same Composite(c::positive), r::positive, operator: Some("pos"), complex: Some(Number(|_, a| a[0])), exact: true;
    /// `x * x`.
    Square "square" 1 Numeric Same Composite(c::square), r::square, complex: Some(Number(z::square));
    /// `1 / x`; integers truncate, and NumPy's results for 0.
    Reciprocal "reciprocal" 1 Numeric Same Composite(c::reciprocal), r::reciprocal, complex: Some(Number(z::reciprocal));
    /// -1, 0 or 1; NaN for NaN.
    Sign "sign" 1 Numeric Same Composite(c::sign), r::sign, complex: Some(Number(z::sign)), exact: true;
    /// Is the sign bit set?
    Signbit "signbit" 1 Numeric Bool Composite(c::signbit), r::signbit;
    /// The first operand with the sign bit of the second.
    Copysign "copysign" 2 Float Same Composite(c::copysign), r::copysign, promotion: Float, exact: true;
    /// The next float after the first operand towards the second.
    Nextafter "nextafter" 2 Float Same Composite(c::nextafter), r::nextafter, promotion: Float, exact: true;
    /// Neither infinite nor NaN?
    IsFinite "isfinite" 1 Float Bool Composite(c::isfinite), r::isfinite, promotion: IntegerConstant(true), complex: Some(Truth(z::isfinite));
    /// Infinite?
    IsInf "isinf" 1 Float Bool Composite(c::isinf), r::isinf, promotion: IntegerConstant(false), complex: Some(Truth(z::isinf));
    /// Not a number?
    IsNan "isnan" 1 Float Bool Composite(c::isnan), r::isnan, promotion: IntegerConstant(false), complex: Some(Truth(z::isnan));
    /// Quotient rounded down, NumPy's results for zero divisors and for MIN // -1; of or by an infinity as `divide`.
    FloorDivide "floor_divide" 2 Numeric Same Composite(c::floor_divide), r::floor_divide, operator: Some("floordiv");
    /// Remainder with the divisor's sign, NumPy's results for zero divisors.
    Remainder "remainder" 2 Numeric Same Composite(c::remainder), r::remainder, operator: Some("mod");
    /// `log(exp(a) + exp(b))` without overflow; where the result is near 0 its two terms cancel, as they do in NumPy.
    Logaddexp "logaddexp" 2 Float Same Composite(c::logaddexp), r::logaddexp, promotion: Float, ulps: 32;

    // Maths.
    /// e to the power x.
    Exp "exp" 1 Float Same Maths, r::exp, promotion: Float, samples: (-90.0, 90.0), ulps: 1, complex: Some(Number(z::exp));
    /// 2 to the power x.
    Exp2 "exp2" 1 Float Same Maths, r::exp2, promotion: Float, samples: (-130.0, 130.0), ulps: 1;
    /// `exp(x) - 1`, accurate near 0.
    Expm1 "expm1" 1 Float Same Maths, r::expm1, promotion: Float, samples: (-20.0, 90.0), ulps: 1, complex: Some(Number(z::expm1));
    /// Natural logarithm.
    Log "log" 1 Float Same Maths, r::log, promotion: Float, samples: (0.0, 1e6), ulps: 1, complex: Some(Number(z::log));
    /// `log(1 + x)`, accurate near 0.
    Log1p "log1p" 1 Float Same Maths, r::log1p, promotion: Float, samples: (-1.0, 1e6), ulps: 1, complex: Some(Number(z::log1p));
    /// Binary logarithm.
    Log2 "log2" 1 Float Same Maths, r::log2, promotion: Float, samples: (0.0, 1e6), ulps: 1, complex: Some(Number(z::log2));
    /// Decimal logarithm.
    Log10 "log10" 1 Float Same Maths, r::log10, promotion: Float, samples: (0.0, 1e6), ulps: 1, complex: Some(Number(z::log10));
    /// Sine of x radians.
    Sin "sin" 1 Float Same Maths, r::sin, promotion: Float, ulps: 2, complex: Some(Number(z::sin));
    /// Cosine of x radians.
    Cos "cos" 1 Float Same Maths, r::cos, promotion: Float, ulps: 2, complex: Some(Number(z::cos));
    /// Tangent of x radians.
    Tan "tan" 1 Float Same Maths, r::tan, promotion: Float, ulps: 2, complex: Some(Number(z::tan));
    /// Inverse sine, radians.
    Asin "asin" 1 Float Same Maths, r::asin, promotion: Float, samples: (-1.0, 1.0), ulps: 2, complex: Some(Number(z::asin));
    /// Inverse cosine, radians.
    Acos "acos" 1 Float Same Maths, r::acos, promotion: Float, samples: (-1.0, 1.0), ulps: 2, complex: Some(Number(z::acos));
    /// Inverse tangent, radians.
    Atan "atan" 1 Float Same Maths, r::atan, promotion: Float, ulps: 2, complex: Some(Number(z::atan));
    /// Angle of the point (x = second, y = first operand), radians.
    Atan2 "atan2" 2 Float Same Maths, r::atan2, promotion: Float, ulps: 2;
    /// Hyperbolic sine.
    Sinh "sinh" 1 Float Same Maths, r::sinh, promotion: Float, samples: (-90.0, 90.0), ulps: 2, complex: Some(Number(z::sinh));
    /// Hyperbolic cosine.
    Cosh "cosh" 1 Float Same Maths, r::cosh, promotion: Float, samples: (-90.0, 90.0), ulps: 2, complex: Some(Number(z::cosh));
    /// Hyperbolic tangent.
    Tanh "tanh" 1 Float Same Maths, r::tanh, promotion: Float, samples: (-20.0, 20.0), ulps: 2, complex: Some(Number(z::tanh));
    /// Inverse hyperbolic sine.
    Asinh "asinh" 1 Float Same Maths, r::asinh, promotion: Float, samples: (-1e6, 1e6), ulps: 2, complex: Some(Number(z::asinh));
    /// Inverse hyperbolic cosine.
    Acosh "acosh" 1 Float Same Maths, r::acosh, promotion: Float, samples: (1.0, 1e6), ulps: 2, complex: Some(Number(z::acosh));
    /// Inverse hyperbolic tangent.
    Atanh "atanh" 1 Float Same Maths, r::atanh, promotion: Float, samples: (-1.0, 1.0), ulps: 2, complex: Some(Number(z::atanh));
    /// Length of the vector (a, b), without overflow.
    Hypot "hypot" 2 Float Same Maths, r::hypot, promotion: Float, ulps: 2;
    /// a to the power b; integers wrap, and a negative exponent gives the truncated reciprocal (0 for base 0).
    Pow "pow" 2 Numeric Same Maths, r::pow, operator: Some("pow"), samples: (0.0, 20.0), ulps: 2, complex: Some(Number(z::pow));
}

impl ScalarOp {
    /// The op's row.
    pub fn row(self) -> &'static OpRow {
        &OPS[self as usize]
    }

    /// The op of that name.
    pub fn from_name(name: &str) -> Option<ScalarOp> {
        OPS.iter().find(|row| row.name == name).map(|row| row.op)
    }

    /// The result's dtype for operands of these dtypes, or `None` when the row does not accept them.
    pub fn result_dtype(self, operands: &[DType]) -> Option<DType> {
        let row = self.row();
        if operands.len() != row.arity {
            return None;
        }
        let operands = match row.outcome {
            Outcome::Select => (operands[0] == DType::Bool).then(|| &operands[1..])?,
            _ => operands,
        };
        let dtype = operands[0];
        if operands.iter().any(|&d| d != dtype) {
            return None;
        }
        if row.outcome == Outcome::Complex {
            return (dtype.is_float() && !dtype.is_half()).then(|| dtype.complex());
        }
        if !row.accepts(dtype) {
            return None;
        }
        Some(match row.outcome {
            Outcome::Same if dtype.is_complex() && matches!(row.complex, Some(OnComplex::Real(_))) => dtype.component(),
            Outcome::Same | Outcome::Select | Outcome::Complex => dtype,
            Outcome::Bool => DType::Bool,
            Outcome::Bits => dtype.same_width_signed(),
            Outcome::FromBits if dtype == DType::I32 => DType::F32,
            Outcome::FromBits => DType::F64,
        })
    }

    /// Can a reduction or a running fold of this dtype use the op?
    pub fn folds(self, dtype: DType) -> bool {
        // The parts of a complex sum are two sums; a product is not two of anything.
        self.unit(dtype).is_some() || (self == ScalarOp::Add && dtype.is_complex())
    }

    /// The unit of a reduction with this op; `None` when the op cannot reduce this dtype.
    pub fn unit(self, dtype: DType) -> Option<Scalar> {
        self.row().unit.filter(|_| self.row().domain.contains(dtype)).map(|unit| unit(dtype))
    }
}
