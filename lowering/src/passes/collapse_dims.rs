//! Merges adjacent parallel dims, and nested loops that are one chain, into one where every index goes through both
//! without a gap: stride(outer) = extent(inner) * stride(inner). That this holds must follow from how the integers are
//! computed; strides of inputs that are only known when the kernel runs never merge.

use crate::{
    ints::Product,
    kernel::{Affine, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range, Reduction, Stmt, VarId},
    pass::KernelPass,
    walk::{for_each_affine, for_each_affine_mut, for_each_loop},
};

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "collapse-dims",
    doc: "Merges adjacent dims, and nested loops of one reduction, that every index goes through without a gap.",
    run,
};

fn run(kernel: &mut Kernel) {
    let mut phases = std::mem::take(&mut kernel.phases);
    for phase in &mut phases {
        collapse_loops(kernel, &mut phase.body);
        collapse_phase(kernel, phase);
    }
    kernel.phases = phases;
}

fn collapse_phase(kernel: &mut Kernel, phase: &mut Phase) {
    let mut inner = phase.dims.len();
    while inner > 1 {
        inner -= 1;
        let (outer_var, outer_extent) = phase.dims[inner - 1];
        let (inner_var, inner_extent) = phase.dims[inner];
        if numbers_blocks(&phase.body, outer_var)
            || numbers_blocks(&phase.body, inner_var)
            || !gapless(kernel, &phase.body, outer_var, inner_var, inner_extent)
        {
            continue;
        }
        phase.dims[inner].1 = kernel.int(IntExpr::Mul(outer_extent, inner_extent));
        phase.dims.remove(inner - 1);
        forget(kernel, &mut phase.body, outer_var);
    }
}

/// Does every index that mentions one of the variables go through both of them without a gap?
fn gapless(kernel: &Kernel, body: &[Stmt], outer: VarId, inner: VarId, inner_extent: IntId) -> bool {
    let extent = Product::of(&kernel.ints, inner_extent);
    let matches = |at: &Affine| {
        let product = |c: Coefficient| Product::of_coefficient(&kernel.ints, c);
        match (at.coefficient(outer), at.coefficient(inner)) {
            (None, None) => true,
            (Some(outer), Some(inner)) => product(outer) == product(inner).times(&extent),
            (None, Some(_)) | (Some(_), None) => false,
        }
    };
    let mut all = true;
    for_each_affine(&kernel.values, body, &mut |at| all &= matches(at));
    all
}

fn numbers_blocks(body: &[Stmt], var: VarId) -> bool {
    let mut found = false;
    for_each_loop(body, &mut |inner| found |= inner.range.tile() == Some(var));
    found
}

/// The inner variable now counts through both: the outer one's terms go.
fn forget(kernel: &mut Kernel, body: &mut [Stmt], outer: VarId) {
    for_each_affine_mut(&mut kernel.values, body, &mut |at| at.terms.retain(|(var, _)| *var != outer));
}

fn collapse_loops(kernel: &mut Kernel, block: &mut [Stmt]) {
    for stmt in block {
        if let Stmt::Loop(outer) = stmt {
            collapse_loops(kernel, &mut outer.body);
            collapse_loop(kernel, outer);
        }
    }
}

fn collapse_loop(kernel: &mut Kernel, outer: &mut Loop) {
    let [Stmt::Loop(inner)] = outer.body.as_mut_slice() else { return };
    let (Range::Full(outer_extent), Range::Full(inner_extent)) = (outer.range, inner.range) else { return };
    let serial = outer.kind == LoopKind::Serial && inner.kind == LoopKind::Serial;
    if !serial || !outer.scans.is_empty() || !inner.scans.is_empty() || numbers_blocks(&inner.body, outer.var) {
        return;
    }
    let chain: Option<Vec<Reduction>> = outer
        .reductions
        .iter()
        .map(|o| {
            let i = inner.reductions.iter().find(|i| i.result == o.value && i.op == o.op)?;
            Some(Reduction { op: o.op, value: i.value, result: o.result })
        })
        .collect();
    let Some(reductions) = chain else { return };
    if numbers_blocks(&inner.body, inner.var) || !gapless(kernel, &inner.body, outer.var, inner.var, inner_extent) {
        return;
    }
    debug_assert!(reductions.iter().all(|r| kernel.value(r.result).inst == Inst::Reduced));
    let mut body = std::mem::take(&mut inner.body);
    forget(kernel, &mut body, outer.var);
    let range = Range::Full(kernel.int(IntExpr::Mul(outer_extent, inner_extent)));
    *outer = Loop { var: inner.var, range, kind: LoopKind::Serial, reductions, scans: Vec::new(), body };
}

#[cfg(test)]
mod tests {
    use crate::passes::testing;

    fn count(text: &str, symbols: &[i64], tolerance: f64, passes: &[&str]) -> (usize, usize) {
        let (before, after) = testing::run_named(text, passes);
        testing::assert_same_results(&before, &after, symbols, tolerance);
        (after.phases[0].dims.len(), crate::text::print(&after).matches("loop").count())
    }

    const ADD3: &str = "kernel @add(b0: in f32, b1: in f32, b2: out f32[i4]) {
      i0 = sym m
      i1 = sym n
      i2 = sym p
      i3 = mul i1, i2
      i4 = mul i0, i3
      phase (v0: i0, v1: i1, v2: i2) {
        %0 = load b0[v0*i3 + v1*i2 + v2] : f32
        %1 = load b1[v0*i3 + v1*i2 + v2] : f32
        %2 = add %0, %1 : f32
        store b2[v0*i3 + v1*i2 + v2] = %2
      }
    }";

    #[test]
    fn dense_dims_become_one() {
        assert_eq!(count(ADD3, &[3, 4, 5], 0.0, &["collapse-dims"]), (1, 0));
    }

    #[test]
    fn a_broadcast_keeps_its_dim() {
        let rows = ADD3.replace("load b1[v0*i3 + v1*i2 + v2]", "load b1[v1*i2 + v2]");
        assert_eq!(count(&rows, &[3, 4, 5], 0.0, &["collapse-dims"]), (2, 0));
        let columns = ADD3.replace("load b1[v0*i3 + v1*i2 + v2]", "load b1[v0]");
        assert_eq!(count(&columns, &[3, 4, 5], 0.0, &["collapse-dims"]), (2, 0));
        let middle = ADD3.replace("load b1[v0*i3 + v1*i2 + v2]", "load b1[v1]");
        assert_eq!(count(&middle, &[3, 4, 5], 0.0, &["collapse-dims"]), (3, 0));
    }

    #[test]
    fn run_time_strides_keep_their_dims() {
        let strided = ADD3
            .replace("i4 = mul i0, i3", "i4 = mul i0, i3\n i5 = stride b1 0\n i6 = stride b1 1\n i7 = stride b1 2")
            .replace("load b1[v0*i3 + v1*i2 + v2]", "load b1[v0*i5 + v1*i6 + v2*i7]");
        assert_eq!(count(&strided, &[3, 4, 5], 0.0, &["collapse-dims"]), (3, 0));
    }

    #[test]
    fn a_nest_of_one_reduction_becomes_one_loop() {
        let text = "kernel @total(b0: in f32, b1: out f32[i3], b2: out f32[i3]) {
          i0 = sym m
          i1 = sym n
          i2 = sym p
          i3 = const 1
          i4 = mul i2, i1
          phase () {
            loop v0 in i0 {
              loop v1 in i1 {
                loop v2 in i2 {
                  %0 = load b0[v0*i4 + v1*i2 + v2] : f32
                } reduce %1 = add %0 : f32, %2 = maximum %0 : f32
              } reduce %3 = add %1 : f32, %4 = maximum %2 : f32
            } reduce %5 = maximum %4 : f32, %6 = add %3 : f32
            store b1[0] = %5
            store b2[0] = %6
          }
        }";
        assert_eq!(count(text, &[3, 4, 5], 1e-4, &["collapse-dims"]), (0, 1));
        let other_op = text.replace("add %3", "multiply %3");
        assert_eq!(count(&other_op, &[3, 4, 5], 1e-4, &["collapse-dims"]), (0, 2));
    }
}
