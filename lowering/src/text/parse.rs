//! Text to kernels. Every mistake is an error with its line; names may be numbered in any way. Whether the kernel makes sense
//! beyond its names and dtypes is for `verify.rs`.

use super::LAST;
use crate::kernel::{
    Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, KernelParam, Loop, LoopKind, Phase, Range,
    Reduction, Role, Scan, Stmt, Value, ValueId, VarId,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp, shape::SymId, text as graph_text};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::fmt;

/// Why a text is not a kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, ParseError>;

/// The kernel a text describes. Lines that begin with `;` are comments.
pub fn parse(text: &str) -> Parsed<Kernel> {
    let mut parser = Parser {
        tokens: tokenize(text)?,
        position: 0,
        kernel: Kernel::empty(""),
        ints: FxHashMap::default(),
        values: FxHashMap::default(),
        vars: FxHashMap::default(),
        scans: Vec::new(),
    };
    parser.kernel()?;
    Ok(parser.kernel)
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Words are runs of letters, digits, and `_ . : %` with signs where a number's exponent or a name has them; every other
/// character is a token.
fn tokenize(text: &str) -> Parsed<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        if line.trim_start().starts_with(';') {
            continue;
        }
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            if first.is_whitespace() {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let length = match first {
                '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | ':' | '=' | '*' | '+' => 1,
                '@' => name_length(rest),
                '-' if rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == 'i') => 1 + word_length(&rest[1..]),
                '-' => 1,
                '%' => 1 + word_length(&rest[1..]),
                c if c.is_ascii_alphanumeric() => word_length(rest),
                c => {
                    return Err(ParseError { line: line_number, message: format!("unexpected character {c:?}") });
                }
            };
            tokens.push(Token { text: &rest[..length], line: line_number });
            rest = &rest[length..];
        }
    }
    Ok(tokens)
}

/// A kernel's name ends where its arguments begin.
fn name_length(text: &str) -> usize {
    text.find(['(', ' ']).unwrap_or(text.len())
}

/// Letters, digits, `_`, `.`; a hyphen between letters (`huge-trig-remainder`), and the sign of an exponent; the colon of
/// `nan:0x...`.
fn word_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let number = bytes.first().is_some_and(u8::is_ascii_digit) && !text.starts_with("0x");
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let next = bytes.get(length + 1).copied().unwrap_or(b' ');
        let inside = match byte {
            b'_' | b'.' => true,
            b'-' if number => length > 0 && bytes[length - 1] == b'e' && next.is_ascii_digit(),
            b'-' => next.is_ascii_alphabetic(),
            b':' => &text[..length] == "nan" && next == b'0',
            _ => byte.is_ascii_alphanumeric(),
        };
        if !inside {
            break;
        }
        length += 1;
    }
    length
}

/// How deep loops may be nested: whatever walks blocks recurses.
const MOST_LOOPS: usize = 200;

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
    kernel: Kernel,
    ints: FxHashMap<u32, IntId>,
    values: FxHashMap<u32, ValueId>,
    vars: FxHashMap<u32, VarId>,
    /// The scans of the loops that are open, outermost first.
    scans: Vec<Vec<Scan>>,
}

impl<'a> Parser<'a> {
    fn line(&self) -> usize {
        let at = self.position.min(self.tokens.len().saturating_sub(1));
        self.tokens.get(at).map_or(1, |t| t.line)
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        // What is wrong is the token just read.
        let line = self.tokens.get(self.position.saturating_sub(1)).map_or_else(|| self.line(), |t| t.line);
        Err(ParseError { line, message: message.into() })
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.position).map_or("", |t| t.text)
    }

    fn next(&mut self) -> &'a str {
        let text = self.peek();
        self.position += 1;
        text
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.peek() == text && self.position < self.tokens.len();
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        match self.next() {
            found if found == text => Ok(()),
            "" => self.error(format!("expected `{text}`, found the end of the text")),
            found => self.error(format!("expected `{text}`, found `{found}`")),
        }
    }

    /// The number in a name like `b3`.
    fn numbered(&mut self, prefix: &str) -> Parsed<u32> {
        let token = self.next();
        match token.strip_prefix(prefix).and_then(|n| n.parse().ok()) {
            Some(number) => Ok(number),
            None => self.error(format!("expected {prefix} and a number, found `{token}`")),
        }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Parsed<T> {
        let token = self.next();
        token.parse().or_else(|_| self.error(format!("expected a number, found `{token}`")))
    }

    fn dtype(&mut self) -> Parsed<DType> {
        let token = self.next();
        DType::from_short_name(token).map_or_else(|| self.error(format!("`{token}` is not a dtype")), Ok)
    }

    fn kernel(&mut self) -> Parsed<()> {
        self.expect("kernel")?;
        let name = self.next();
        match name.strip_prefix('@') {
            Some(name) => self.kernel.name = name.to_string(),
            None => return self.error(format!("expected @ and the kernel's name, found `{name}`")),
        }
        self.expect("(")?;
        // Lengths name ints that are declared in the body.
        let mut lengths = Vec::new();
        while self.peek().starts_with('b') {
            self.buffer(&mut lengths)?;
            if !self.accept(",") {
                break;
            }
        }
        if self.accept(";") {
            while self.peek().starts_with('p') {
                let number = self.numbered("p")?;
                if number as usize != self.kernel.params.len() {
                    return self.error("parameters are numbered in order");
                }
                self.expect(":")?;
                let dtype = self.dtype()?;
                self.kernel.params.push(dtype);
                if !self.accept(",") {
                    break;
                }
            }
        }
        self.expect(")")?;
        self.expect("{")?;
        while self.peek().starts_with('i') {
            self.int_definition()?;
        }
        for (buffer, number, line) in lengths {
            let Some(&id) = self.ints.get(&number) else {
                return Err(ParseError { line, message: format!("i{number} is not defined") });
            };
            self.kernel.buffers[buffer as usize].length = Some(id);
        }
        while self.accept("phase") {
            self.phase()?;
        }
        self.expect("}")?;
        if self.position < self.tokens.len() {
            let token = self.next();
            return self.error(format!("expected the end of the text, found `{token}`"));
        }
        Ok(())
    }

    fn buffer(&mut self, lengths: &mut Vec<(u32, u32, usize)>) -> Parsed<()> {
        let number = self.numbered("b")?;
        if number as usize != self.kernel.buffers.len() {
            return self.error("buffers are numbered in order");
        }
        self.expect(":")?;
        let role = match self.next() {
            "in" => Role::Input,
            "out" => Role::Output,
            "tmp" => Role::Temporary,
            "scratch" => Role::Scratch,
            other => return self.error(format!("`{other}` is not one of in, out, tmp, scratch")),
        };
        let dtype = self.dtype()?;
        if self.accept("[") {
            let line = self.line();
            lengths.push((number, self.numbered("i")?, line));
            self.expect("]")?;
        }
        self.kernel.buffers.push(BufferDecl { dtype, role, length: None });
        Ok(())
    }

    fn int_definition(&mut self) -> Parsed<()> {
        let number = self.numbered("i")?;
        self.expect("=")?;
        let expr = match self.next() {
            "const" => IntExpr::Const(self.number()?),
            "workers" => IntExpr::Workers,
            "sym" => IntExpr::Sym(self.symbol()?),
            "stride" => IntExpr::Stride { buffer: self.buffer_use()?, axis: self.number()? },
            "add" => IntExpr::Add(self.int()?, self.second_int()?),
            "sub" => IntExpr::Sub(self.int()?, self.second_int()?),
            "mul" => IntExpr::Mul(self.int()?, self.second_int()?),
            "ceildiv" => IntExpr::CeilDiv(self.int()?, self.second_int()?),
            "min" => IntExpr::Min(self.int()?, self.second_int()?),
            "max" => IntExpr::Max(self.int()?, self.second_int()?),
            other => return self.error(format!("`{other}` does not define an integer")),
        };
        self.kernel.ints.push(expr);
        let id = IntId(self.kernel.ints.len() as u32 - 1);
        match self.ints.insert(number, id) {
            None => Ok(()),
            Some(_) => self.error(format!("i{number} is defined twice")),
        }
    }

    fn int(&mut self) -> Parsed<IntId> {
        let number = self.numbered("i")?;
        self.ints.get(&number).copied().map_or_else(|| self.error(format!("i{number} is not defined")), Ok)
    }

    fn second_int(&mut self) -> Parsed<IntId> {
        self.expect(",")?;
        self.int()
    }

    fn symbol(&mut self) -> Parsed<SymId> {
        let name = self.next();
        graph_text::symbol_of_name(name).map_or_else(|| self.error(format!("`{name}` is not a symbol")), Ok)
    }

    fn buffer_use(&mut self) -> Parsed<BufferId> {
        let number = self.numbered("b")?;
        if (number as usize) < self.kernel.buffers.len() {
            Ok(BufferId(number))
        } else {
            self.error(format!("there is no b{number}"))
        }
    }

    fn define_var(&mut self) -> Parsed<VarId> {
        let number = self.numbered("v")?;
        let id = self.kernel.new_var();
        match self.vars.insert(number, id) {
            None => Ok(id),
            Some(_) => self.error(format!("v{number} is defined twice")),
        }
    }

    fn var(&mut self) -> Parsed<VarId> {
        let number = self.numbered("v")?;
        self.vars.get(&number).copied().map_or_else(|| self.error(format!("v{number} is not defined")), Ok)
    }

    fn value(&mut self) -> Parsed<ValueId> {
        let number = self.numbered("%")?;
        self.values.get(&number).copied().map_or_else(|| self.error(format!("%{number} is not defined")), Ok)
    }

    fn define_value(&mut self, number: u32, inst: Inst, dtype: DType) -> Parsed<ValueId> {
        self.kernel.values.push(Value { inst, dtype });
        let id = ValueId(self.kernel.values.len() as u32 - 1);
        match self.values.insert(number, id) {
            None => Ok(id),
            Some(_) => self.error(format!("%{number} is defined twice")),
        }
    }

    fn phase(&mut self) -> Parsed<()> {
        self.expect("(")?;
        let mut dims = Vec::new();
        while self.peek() != ")" {
            let var = self.define_var()?;
            self.expect(":")?;
            dims.push((var, self.int()?));
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")")?;
        let body = self.block()?;
        self.kernel.phases.push(Phase { dims, body });
        Ok(())
    }

    fn block(&mut self) -> Parsed<Vec<Stmt>> {
        self.expect("{")?;
        let mut block = Vec::new();
        while !self.accept("}") {
            match self.peek() {
                "store" => {
                    self.next();
                    let buffer = self.buffer_use()?;
                    let at = self.affine()?;
                    self.expect("=")?;
                    block.push(Stmt::Store { buffer, at, value: self.value()? });
                }
                "loop" => {
                    self.next();
                    let inner = self.inner_loop()?;
                    block.push(Stmt::Loop(inner));
                }
                _ => block.extend(self.definition()?.map(Stmt::Let)),
            }
        }
        Ok(block)
    }

    fn inner_loop(&mut self) -> Parsed<Loop> {
        let var = self.define_var()?;
        self.expect("in")?;
        let range = if self.accept("tile") {
            self.expect("(")?;
            let extent = self.int()?;
            self.expect(",")?;
            let tile = self.var()?;
            self.expect(",")?;
            let size = self.number()?;
            self.expect(")")?;
            Range::Tile { extent, tile, size }
        } else {
            Range::Full(self.int()?)
        };
        let kind = if self.accept("vector") { LoopKind::Vector { lanes: self.number()? } } else { LoopKind::Serial };
        if self.scans.len() == MOST_LOOPS {
            return self.error(format!("more than {MOST_LOOPS} loops inside one another"));
        }
        self.scans.push(Vec::new());
        let body = self.block()?;
        let mut scans = self.scans.pop().unwrap_or_default();
        let mut reductions = Vec::new();
        if self.accept("reduce") {
            loop {
                let number = self.numbered("%")?;
                self.expect("=")?;
                let op = if self.accept(LAST) { None } else { Some(self.op()?) };
                let value = self.value()?;
                self.expect(":")?;
                let dtype = self.dtype()?;
                let Some(op) = op else {
                    let total = self.define_value(number, Inst::Reduced, dtype)?;
                    match scans.iter_mut().find(|scan| scan.running == value) {
                        Some(scan) => scan.total = Some(total),
                        None => return self.error("the last of what is no running fold of the loop"),
                    }
                    if !self.accept(",") {
                        break;
                    }
                    continue;
                };
                reductions.push(Reduction { op, value, result: self.define_value(number, Inst::Reduced, dtype)? });
                if !self.accept(",") {
                    break;
                }
            }
        }
        Ok(Loop { var, range, kind, reductions, scans, body })
    }

    fn op(&mut self) -> Parsed<ScalarOp> {
        let name = self.next();
        ScalarOp::from_name(name).map_or_else(|| self.error(format!("`{name}` is not an op")), Ok)
    }

    /// A value's definition; `None` for a running fold, which is defined by the loop.
    fn definition(&mut self) -> Parsed<Option<ValueId>> {
        let number = self.numbered("%")?;
        self.expect("=")?;
        let inst = match self.peek() {
            "scan" => {
                self.next();
                let op = self.op()?;
                let value = self.value()?;
                let dtype = self.result_dtype()?;
                let running = self.define_value(number, Inst::Running, dtype)?;
                let Some(scans) = self.scans.last_mut() else { return self.error("a scan stands in a loop") };
                scans.push(Scan { op, value, running, total: None });
                return Ok(None);
            }
            "const" => {
                self.next();
                let text = self.next();
                let dtype = self.result_dtype()?;
                let Some(value) = graph_text::scalar_of_literal(dtype, text) else {
                    return self.error(format!("`{text}` is not a {dtype}"));
                };
                return self.define_value(number, Inst::Const(value), dtype).map(Some);
            }
            "param" => {
                self.next();
                let param = self.numbered("p")?;
                if param as usize >= self.kernel.params.len() {
                    return self.error(format!("there is no p{param}"));
                }
                Inst::Param(KernelParam(param))
            }
            "index" => {
                self.next();
                Inst::Index(self.affine()?)
            }
            "load" => {
                self.next();
                Inst::Load { buffer: self.buffer_use()?, at: self.affine()? }
            }
            "position" => {
                self.next();
                let index = self.value()?;
                self.expect("in")?;
                Inst::Position { index, extent: self.int()? }
            }
            "gather" => {
                self.next();
                let (buffer, at) = (self.buffer_use()?, self.affine()?);
                let (mut positions, mut strides) = (SmallVec::new(), SmallVec::new());
                loop {
                    positions.push(self.value()?);
                    self.expect("*")?;
                    let literal = !self.peek().starts_with('i');
                    strides.push(if literal {
                        Coefficient::Const(if self.accept("-") { -self.number::<i64>()? } else { self.number()? })
                    } else {
                        Coefficient::Int(self.int()?)
                    });
                    if !self.accept(",") {
                        break;
                    }
                }
                Inst::Gather { buffer, at, positions, strides }
            }
            "cast" => {
                self.next();
                Inst::Cast(self.value()?)
            }
            _ => {
                let op = self.op()?;
                let mut operands = SmallVec::new();
                loop {
                    operands.push(self.value()?);
                    if !self.accept(",") {
                        break;
                    }
                }
                Inst::Op(op, operands)
            }
        };
        let dtype = self.result_dtype()?;
        self.define_value(number, inst, dtype).map(Some)
    }

    fn result_dtype(&mut self) -> Parsed<DType> {
        self.expect(":")?;
        self.dtype()
    }

    /// `[v0*i3 - v1 + i7]`; `[0]` is the index without terms.
    fn affine(&mut self) -> Parsed<Affine> {
        self.expect("[")?;
        let mut at = Affine::default();
        if self.accept("0") {
            return self.expect("]").map(|()| at);
        }
        let mut sign = if self.accept("-") { -1 } else { 1 };
        loop {
            if self.peek().starts_with('i') {
                let offset = self.int()?;
                if sign < 0 || at.offset.is_some() {
                    return self.error("an index has one offset, and it is added");
                }
                at.offset = Some(offset);
            } else {
                let var = self.var()?;
                let coefficient = if !self.accept("*") {
                    Coefficient::Const(sign)
                } else if self.peek().starts_with('i') {
                    if sign < 0 {
                        return self.error("a term with an integer for its coefficient is added");
                    }
                    Coefficient::Int(self.int()?)
                } else {
                    Coefficient::Const(self.number::<i64>()?.wrapping_mul(sign))
                };
                if at.mentions(var) {
                    return self.error("a variable occurs twice in an index");
                }
                at = at.plus(var, coefficient);
            }
            match self.next() {
                "+" => sign = 1,
                "-" => sign = -1,
                "]" => return Ok(at),
                other => return self.error(format!("expected `+`, `-` or `]`, found `{other}`")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::print;

    const ROW_SUMS: &str = "\
kernel @row-sums(b0: in f32, b1: out f32[i0], b2: scratch f64[i1]; p0: f32) {
  i0 = sym m
  i1 = sym n
  i2 = const 4096
  i3 = ceildiv i1, i2
  phase (v0: i0) {
    %0 = const -1.5e-7 : f32
    %1 = const nan:0xffc00000 : f32
    loop v1 in i3 {
      loop v2 in tile(i1, v1, 4096) vector 16 {
        %2 = load b0[v0*i1 - v2*3 + i2] : f32
        %3 = index [v0 - v2] : i64
        %4 = cast %3 : f32
        %5 = fma %2, %4, %0 : f32
      } reduce %6 = add %5 : f32, %7 = maximum %2 : f32
      %8 = scan add %6 : f32
      store b2[v1] = %8
    } reduce %9 = add %6 : f32, %10 = maximum %7 : f32
    %11 = param p0 : f32
    %12 = multiply %9, %11 : f32
    store b1[v0] = %12
  }
}
";

    #[test]
    fn printing_what_was_parsed_gives_the_text_again() {
        assert_eq!(print(&parse(ROW_SUMS).unwrap()), ROW_SUMS);
    }

    #[test]
    fn names_are_renumbered_in_the_order_of_their_definition() {
        let renamed = ROW_SUMS.replace("%1 ", "%90 ").replace("v2", "v7").replace("i3", "i33");
        assert_ne!(renamed, ROW_SUMS);
        assert_eq!(print(&parse(&renamed).unwrap()), ROW_SUMS);
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("f32, b1", "f32, b3", 1, "numbered in order"),
            ("i3 = ceildiv i1, i2", "i3 = ceildiv i1, i9", 5, "i9 is not defined"),
            ("cast %3", "cast %40", 13, "%40 is not defined"),
            ("= fma", "= fmaa", 14, "`fmaa` is not an op"),
            ("-1.5e-7", "-1.5x", 7, "is not a f32"),
            ("v1, 4096)", "v1, many)", 10, "expected a number"),
            ("b1[v0] = %12", "b1[v0 v0] = %12", 21, "expected `+`"),
            ("store b2[v1]", "store b2[v1 + v1]", 17, "twice"),
            ("%12 = multiply", "%11 = multiply", 20, "defined twice"),
        ];
        for (from, to, line, message) in cases {
            assert!(ROW_SUMS.contains(from), "{from}");
            let error = parse(&ROW_SUMS.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.message.contains(message), "{error}");
        }
        assert!(parse("").is_err());
        assert!(parse("kernel @a() {").is_err());
        assert!(parse("kernel @a() { } }").is_err());
    }
}
