//! Reads the text form; see the head of this module's parent. Checks each binding's declared type through `infer`; what
//! parses is a graph that verifies.

use crate::{
    dtype::DType,
    graph::{Graph, InputDecl, Layout, Node, NodeId, Stride},
    node::{GraphForm, InputId, Op, ParamId, View},
    ops::ScalarOp,
    routine::Routine,
    shape::{Dim, Int, SymId, SymShape},
    text::{
        cursor::{Cursor, ParseError},
        scalar_of_literal, symbol_of_name,
    },
    verify::check_node,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The graph of a text.
pub fn parse(text: &str) -> Result<Graph, ParseError> {
    let mut parser = Parser { at: Cursor::new(text), graph: Graph::default(), values: FxHashMap::default() };
    parser.graph()?;
    Ok(parser.graph)
}

/// Tokens that stand before a type in the text form of a graph, and the type itself, serve other text forms too.
impl Cursor<'_> {
    /// `f32`.
    pub fn dtype(&mut self) -> Result<DType, ParseError> {
        let mut start = self.mark();
        let name = self.word("a dtype")?;
        DType::from_short_name(name).ok_or_else(|| start.error(format!("unknown dtype `{name}`")))
    }

    /// `m`.
    pub fn symbol(&mut self) -> Result<SymId, ParseError> {
        let mut start = self.mark();
        let name = self.word("a symbol")?;
        symbol_of_name(name)
            .ok_or_else(|| start.error(format!("unknown symbol `{name}` (m, n, p, q, r, t, s6, s7, ...)")))
    }

    /// `f32[m, 1]`.
    pub fn array_type(&mut self) -> Result<(DType, SymShape), ParseError> {
        let dtype = self.dtype()?;
        let shape = if self.eat("[") { self.list("]", Cursor::dim)? } else { Vec::new() };
        Ok((dtype, SymShape::from_vec(shape)))
    }

    fn dim(&mut self) -> Result<Dim, ParseError> {
        if self.eat_word("0") {
            Ok(Dim::Zero)
        } else if self.eat_word("1") {
            Ok(Dim::One)
        } else if self.eat_word("2") {
            Ok(Dim::Two)
        } else if self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            Err(self.expected("0, 1, 2 or a symbol"))
        } else {
            self.symbol().map(Dim::Sym)
        }
    }

    fn int(&mut self) -> Result<Int, ParseError> {
        if !self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return self.symbol().map(Int::Sym);
        }
        let mut start = self.mark();
        let text = self.literal("an integer")?;
        text.parse().map(Int::Const).map_err(|_| start.error(format!("`{text}` is not an integer")))
    }

    fn axis(&mut self) -> Result<u8, ParseError> {
        let mut start = self.mark();
        let text = self.literal("an axis")?;
        text.parse().map_err(|_| start.error(format!("`{text}` is not an axis")))
    }

    fn stride(&mut self) -> Result<Stride, ParseError> {
        match () {
            () if self.eat("0") => Ok(Stride::Zero),
            () if self.eat("1") => Ok(Stride::One),
            () if self.eat("?") => Ok(Stride::Dynamic),
            () => Err(self.expected("0, 1 or ?")),
        }
    }
}

struct Parser<'t> {
    at: Cursor<'t>,
    graph: Graph,
    values: FxHashMap<&'t str, NodeId>,
}

impl<'t> Parser<'t> {
    fn graph(&mut self) -> Result<(), ParseError> {
        if !self.at.eat_word("graph") {
            return Err(self.at.expected("`graph`"));
        }
        self.at.expect("@")?;
        self.at.word("a name")?;
        self.at.expect("(")?;
        if !self.at.eat(")") {
            loop {
                self.declaration()?;
                if self.at.eat(")") {
                    break;
                }
                if !self.at.eat(",") {
                    return Err(self.at.expected("`,` or `)`"));
                }
            }
        }
        self.at.expect("->")?;
        let mut results_at = self.at.mark();
        let results =
            if self.at.eat("(") { self.at.list(")", Cursor::array_type)? } else { vec![self.at.array_type()?] };
        self.at.expect("{")?;
        while !self.at.eat_word("return") {
            self.binding()?;
        }
        if !self.at.eat("}") {
            loop {
                let root = self.operand()?;
                self.graph.roots.push(root);
                if self.at.eat("}") {
                    break;
                }
                if !self.at.eat(",") {
                    return Err(self.at.expected("`,` or `}`"));
                }
            }
        }
        if !self.at.is_at_end() {
            return Err(self.at.expected("the end of the text"));
        }
        let declared = results.iter().map(|(dtype, shape)| (*dtype, shape));
        let returned = self.graph.roots.iter().map(|&r| (self.graph.node(r).dtype, &self.graph.node(r).shape));
        if !declared.eq(returned) {
            return Err(results_at.error("the declared results are not the types of what is returned"));
        }
        for (_, shape) in &results {
            self.count_symbols(shape);
        }
        Ok(())
    }

    /// `%a0: f32[m, n] strided(?, 1)` or `%s0: f32 param`.
    fn declaration(&mut self) -> Result<(), ParseError> {
        let mut name_at = self.at.mark();
        self.at.expect("%")?;
        let name = self.at.word("a value's name")?;
        self.at.expect(":")?;
        let mut type_at = self.at.mark();
        let (dtype, shape) = self.at.array_type()?;
        self.count_symbols(&shape);
        let op = if self.at.eat_word("param") {
            if !shape.is_empty() {
                return Err(type_at.error("a parameter has no axes"));
            }
            self.graph.params.push(dtype);
            Op::Param(ParamId(self.graph.params.len() as u32 - 1))
        } else {
            let mut layout_at = self.at.mark();
            let layout = if self.at.eat_word("strided") {
                self.at.expect("(")?;
                Layout::Strided(SmallVec::from_vec(self.at.list(")", Cursor::stride)?))
            } else {
                Layout::Contiguous
            };
            if matches!(&layout, Layout::Strided(strides) if strides.len() != shape.len()) {
                return Err(layout_at.error("a layout has one stride an axis"));
            }
            self.graph.inputs.push(InputDecl { dtype, shape: shape.clone(), layout });
            Op::Input(InputId(self.graph.inputs.len() as u32 - 1))
        };
        let id = self.graph.add(Node { op, inputs: SmallVec::new(), dtype, shape });
        self.define(&mut name_at, name, id)
    }

    /// `%2 = add %0, %1 : f32[m]`.
    fn binding(&mut self) -> Result<(), ParseError> {
        let mut name_at = self.at.mark();
        if !self.at.eat("%") {
            return Err(self.at.expected("a binding or `return`"));
        }
        let name = self.at.word("a value's name")?;
        self.at.expect("=")?;
        let mut op_at = self.at.mark();
        let mut inputs: SmallVec<[NodeId; 3]> = SmallVec::new();
        let (op, dtype, shape) = if self.at.eat_word("const") {
            self.constant()?
        } else {
            let op = self.operation(&mut inputs)?;
            self.at.expect(":")?;
            let (dtype, shape) = self.at.array_type()?;
            (op, dtype, shape)
        };
        self.count_symbols(&shape);
        let node = Node { op, inputs, dtype, shape };
        check_node(&self.graph, &node).map_err(|message| op_at.error(message))?;
        let id = self.graph.add(node);
        self.define(&mut name_at, name, id)
    }

    /// `1.0 : f32`, after `const`. How the value is read depends on the dtype that stands after it.
    fn constant(&mut self) -> Result<(Op<GraphForm>, DType, SymShape), ParseError> {
        let mut start = self.at.mark();
        let text = self.at.literal("a value")?;
        self.at.expect(":")?;
        let (dtype, shape) = self.at.array_type()?;
        match scalar_of_literal(dtype, text) {
            Some(value) => Ok((Op::Const(value), dtype, shape)),
            None => Err(start.error(format!("`{text}` is not a value of {dtype}"))),
        }
    }

    /// `reduce add %0 axes=[1]`: an op with its operands and attributes.
    fn operation(&mut self, inputs: &mut SmallVec<[NodeId; 3]>) -> Result<Op<GraphForm>, ParseError> {
        let mut start = self.at.mark();
        let name = self.at.word("an op")?;
        let folded = if matches!(name, "reduce" | "scan") { Some(self.scalar_op()?) } else { None };
        let called = if name == "call" { Some(self.routine()?) } else { None };
        while self.at.rest().starts_with('%') {
            inputs.push(self.operand()?);
            if !self.at.eat(",") {
                break;
            }
        }
        if let Some(routine) = called {
            return Ok(Op::Call(routine));
        }
        Ok(match (name, folded) {
            ("reduce", Some(op)) => Op::Reduce { op, axes: SmallVec::from_vec(self.attributes("axes", Cursor::axis)?) },
            ("scan", Some(op)) => Op::Scan { op, axis: self.attribute("axis", Cursor::axis)? },
            ("concat", _) => Op::Concat { axis: self.attribute("axis", Cursor::axis)? },
            ("iota", _) => Op::Iota { axis: self.attribute("axis", Cursor::axis)? },
            ("reshape", _) => Op::View(View::Reshape),
            ("permute", _) => Op::View(View::Permute(SmallVec::from_vec(self.attributes("axes", Cursor::axis)?))),
            ("expand", _) => Op::View(View::Expand),
            ("slice", _) => {
                let starts = SmallVec::from_vec(self.attributes("starts", Cursor::int)?);
                let steps = SmallVec::from_vec(self.attributes("steps", Cursor::int)?);
                for int in starts.iter().chain(&steps) {
                    if let Int::Sym(symbol) = int {
                        self.graph.symbols = self.graph.symbols.max(symbol.0 + 1);
                    }
                }
                Op::View(View::Slice { starts, steps })
            }
            ("cast", _) => Op::Cast,
            ("gather", _) => Op::Gather,
            ("dot", _) => Op::Dot,
            (name, _) => match ScalarOp::from_name(name) {
                Some(op) => Op::Map(op),
                None => return Err(start.error(format!("unknown op `{name}`"))),
            },
        })
    }

    /// `axis=1`.
    fn attribute<T>(
        &mut self,
        name: &str,
        item: impl FnOnce(&mut Cursor<'t>) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if !self.at.eat_word(name) {
            return Err(self.at.expected(&format!("`{name}=`")));
        }
        self.at.expect("=")?;
        item(&mut self.at)
    }

    /// `axes=[0, 2]`.
    fn attributes<T>(
        &mut self,
        name: &str,
        item: impl FnMut(&mut Cursor<'t>) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.attribute(name, |at| {
            at.expect("[")?;
            at.list("]", item)
        })
    }

    fn scalar_op(&mut self) -> Result<ScalarOp, ParseError> {
        let mut start = self.at.mark();
        let name = self.at.word("a scalar op")?;
        ScalarOp::from_name(name).ok_or_else(|| start.error(format!("unknown op `{name}`")))
    }

    fn routine(&mut self) -> Result<Routine, ParseError> {
        let mut start = self.at.mark();
        let name = self.at.word("a routine")?;
        Routine::from_name(name).ok_or_else(|| start.error(format!("unknown routine `{name}`")))
    }

    fn operand(&mut self) -> Result<NodeId, ParseError> {
        let mut start = self.at.mark();
        self.at.expect("%")?;
        let name = self.at.word("a value's name")?;
        self.values.get(name).copied().ok_or_else(|| start.error(format!("`%{name}` is not defined")))
    }

    fn define(&mut self, at: &mut Cursor<'t>, name: &'t str, id: NodeId) -> Result<(), ParseError> {
        match self.values.insert(name, id) {
            None => Ok(()),
            Some(_) => Err(at.error(format!("`%{name}` is defined twice"))),
        }
    }

    fn count_symbols(&mut self, shape: &[Dim]) {
        for dim in shape {
            if let Dim::Sym(symbol) = dim {
                self.graph.symbols = self.graph.symbols.max(symbol.0 + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOFTMAX: &str = "\
graph @f(%a0: f32[m, n], %a1: f32[n, s7] strided(?, 1), %s0: f32 param) -> (f32[m, s7], f32) {
  %0 = reduce maximum %a0 axes=[1] : f32[m, 1]
  %1 = expand %0 : f32[m, n]
  %2 = subtract %a0, %1 : f32[m, n]
  %3 = slice %2 starts=[0, p] steps=[1, -1] : f32[m, n]
  %4 = dot %3, %a1 : f32[m, s7]
  %5 = const -0.0 : f32
  %6 = add %s0, %5 : f32
  return %4, %6
}
";

    #[test]
    fn printed_text_reads_back() {
        assert_eq!(parse(SOFTMAX).unwrap().to_string(), SOFTMAX);
        let empty = "graph @f() -> () {\n  return\n}\n";
        assert_eq!(parse(empty).unwrap().to_string(), empty);
    }

    #[test]
    fn names_comments_and_dead_nodes_do_not_show() {
        let text = "graph @any(%x: f32[m]) -> f32[m] { ; a comment
            %dead = negative %x : f32[m]
            %y = abs %x : f32[m] return %y }";
        let printed = "graph @f(%a0: f32[m]) -> f32[m] {\n  %0 = abs %a0 : f32[m]\n  return %0\n}\n";
        assert_eq!(parse(text).unwrap().to_string(), printed);
    }

    #[test]
    fn the_order_of_bindings_does_not_show() {
        let head = "graph @f(%a0: f32[m]) -> f32[m] {";
        let (abs, exp) = ("%x = abs %a0 : f32[m]", "%y = exp %a0 : f32[m]");
        let tail = "%z = add %x, %y : f32[m] return %z }";
        let first = parse(&format!("{head}{abs} {exp} {tail}")).unwrap();
        let second = parse(&format!("{head}{exp} {abs} {tail}")).unwrap();
        assert_eq!(first.to_string(), second.to_string());
    }

    #[test]
    fn cut_off_text_is_an_error_not_a_panic() {
        for end in 0..SOFTMAX.trim_end().len() {
            assert!(parse(&SOFTMAX[..end]).is_err(), "{}", &SOFTMAX[..end]);
        }
    }

    #[test]
    fn a_deep_chain_prints_and_parses_without_recursion() {
        let mut text = String::from("graph @f(%a0: f32[m]) -> f32[m] {\n  %0 = abs %a0 : f32[m]\n");
        for i in 1..100_000 {
            text += &format!("  %{i} = exp %{} : f32[m]\n", i - 1);
        }
        text += "  return %99999\n}\n";
        assert_eq!(parse(&text).unwrap().to_string(), text);
    }
}
