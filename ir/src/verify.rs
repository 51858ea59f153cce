//! The graph verifier: what every pass may rely on and must leave behind. Dtypes and shapes are `infer::check`'s; here is
//! what needs the graph around the node. A failure is our mistake, never a user's.

use crate::{
    dtype::DType,
    graph::{Graph, Layout, Node},
    infer,
    node::{Op, View},
    shape::{Dim, Int, SymId},
};
use smallvec::SmallVec;

/// Checks a whole graph. The error names the node.
pub fn verify(graph: &Graph) -> Result<(), String> {
    for (i, input) in graph.inputs.iter().enumerate() {
        check_dims(graph, &input.shape).map_err(|e| format!("input {i}: {e}"))?;
        if matches!(&input.layout, Layout::Strided(strides) if strides.len() != input.shape.len()) {
            return Err(format!("input {i}: a layout has one stride an axis"));
        }
    }
    for (id, node) in graph.iter() {
        let context = |e: String| format!("node {} ({:?} : {:?}{:?}): {e}", id.0, node.op, node.dtype, node.shape);
        if node.inputs.iter().any(|&operand| operand >= id) {
            return Err(context("an operand does not stand before the node".to_owned()));
        }
        check_node(graph, node).map_err(context)?;
    }
    match graph.roots.iter().find(|root| root.0 as usize >= graph.len()) {
        Some(root) => Err(format!("root {} is not a node", root.0)),
        None => Ok(()),
    }
}

/// Checks a node whose operands are in the graph already; the node itself need not be.
pub fn check_node(graph: &Graph, node: &Node) -> Result<(), String> {
    check_dims(graph, &node.shape)?;
    let operands: SmallVec<[(DType, &[Dim]); 3]> =
        node.inputs.iter().map(|&operand| (graph.node(operand).dtype, graph.node(operand).shape.as_slice())).collect();
    infer::check(&node.op, &operands, node.dtype, &node.shape)?;
    match &node.op {
        Op::Input(input) => match graph.inputs.get(input.0 as usize) {
            Some(declared) if declared.dtype == node.dtype && declared.shape == node.shape => Ok(()),
            Some(_) => Err("an input has its declared type".to_owned()),
            None => Err("there is no such input".to_owned()),
        },
        Op::Param(param) => match graph.params.get(param.0 as usize) {
            Some(&declared) if declared == node.dtype => Ok(()),
            Some(_) => Err("a parameter has its declared dtype".to_owned()),
            None => Err("there is no such parameter".to_owned()),
        },
        Op::View(View::Reshape) if !may_reshape(operands[0].1, &node.shape) => {
            Err("a reshape keeps the number of elements".to_owned())
        }
        Op::View(View::Slice { starts, steps }) => {
            for int in starts.iter().chain(steps) {
                if let Int::Sym(symbol) = int {
                    check_symbol(graph, *symbol)?;
                }
            }
            if starts.iter().any(|s| matches!(s, Int::Const(c) if *c != 0 && *c != 1)) {
                return Err("a literal start is 0 or 1".to_owned());
            }
            if steps.iter().any(|s| matches!(s, Int::Const(c) if *c != 1 && *c != -1)) {
                return Err("a literal step is 1 or -1".to_owned());
            }
            Ok(())
        }
        Op::Const(_)
        | Op::Iota { .. }
        | Op::Map(_)
        | Op::Cast
        | Op::View(View::Reshape | View::Permute(_) | View::Expand)
        | Op::Reduce { .. }
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Gather
        | Op::Dot
        | Op::Call(_) => Ok(()),
    }
}

fn check_dims(graph: &Graph, shape: &[Dim]) -> Result<(), String> {
    shape.iter().try_for_each(|dim| match dim {
        Dim::Zero | Dim::One | Dim::Two => Ok(()),
        Dim::Sym(symbol) => check_symbol(graph, *symbol),
    })
}

fn check_symbol(graph: &Graph, symbol: SymId) -> Result<(), String> {
    if symbol.0 < graph.symbols { Ok(()) } else { Err(format!("there is no symbol {}", symbol.0)) }
}

/// Can the two shapes have equally many elements? Symbols are 2 or more, so what is left after taking equal symbols from
/// both sides must be nothing on both, or something on both.
fn may_reshape(from: &[Dim], to: &[Dim]) -> bool {
    let is_empty = |shape: &[Dim]| shape.contains(&Dim::Zero);
    if is_empty(from) || is_empty(to) {
        return is_empty(from) == is_empty(to);
    }
    let mut left: SmallVec<[Dim; 8]> = to.iter().copied().filter(|&d| d != Dim::One).collect();
    let mut unmatched = 0;
    for dim in from.iter().filter(|&&d| d != Dim::One) {
        match left.iter().position(|d| d == dim) {
            Some(i) => drop(left.swap_remove(i)),
            None => unmatched += 1,
        }
    }
    (unmatched == 0) == left.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::{InputDecl, NodeId},
        node::InputId,
        ops::ScalarOp,
        shape::SymShape,
    };
    use smallvec::smallvec;

    const M: Dim = Dim::Sym(SymId(0));
    const N: Dim = Dim::Sym(SymId(1));

    fn with_input(shape: &[Dim]) -> Graph {
        let shape = SymShape::from_slice(shape);
        let mut graph = Graph::default();
        graph.symbols = 2;
        graph.inputs.push(InputDecl { dtype: DType::F32, shape: shape.clone(), layout: Layout::Contiguous });
        graph.add(Node { op: Op::Input(InputId(0)), inputs: smallvec![], dtype: DType::F32, shape });
        graph
    }

    fn complaint(graph: &Graph) -> String {
        verify(graph).expect_err("should not verify")
    }

    #[test]
    fn a_root_that_is_no_node_is_found() {
        let mut graph = with_input(&[M]);
        graph.roots.push(NodeId(1));
        assert!(complaint(&graph).contains("root 1"));
    }

    #[test]
    fn a_symbol_that_is_not_counted_is_found() {
        let mut graph = with_input(&[M, N]);
        graph.symbols = 1;
        assert!(complaint(&graph).contains("no symbol 1"));
    }

    #[test]
    fn an_input_that_differs_from_its_declaration_is_found() {
        let mut graph = with_input(&[M]);
        graph.inputs[0].dtype = DType::F64;
        assert!(complaint(&graph).contains("declared type"));
        graph.inputs.clear();
        assert!(complaint(&graph).contains("no such input"));
    }

    #[test]
    fn a_wrongly_typed_map_is_found() {
        let mut graph = with_input(&[M]);
        let operands = smallvec![NodeId(0), NodeId(0)];
        graph.add(Node { op: Op::Map(ScalarOp::Less), inputs: operands, dtype: DType::F32, shape: smallvec![M] });
        assert!(complaint(&graph).contains("the result of less is bool"));
    }

    #[test]
    fn reshapes_that_cannot_keep_the_count_are_found() {
        for (from, to, possible) in [
            (vec![M, N], vec![N, M], true),
            (vec![M, N], vec![Dim::Sym(SymId(2))], true),
            (vec![M, Dim::One], vec![M], true),
            (vec![M], vec![Dim::One], false),
            (vec![M, N], vec![M], false),
            (vec![], vec![Dim::One, Dim::One], true),
            (vec![Dim::Zero, M], vec![N, Dim::Zero], true),
            (vec![Dim::Zero], vec![M], false),
        ] {
            assert_eq!(may_reshape(&from, &to), possible, "{from:?} to {to:?}");
        }
    }
}
