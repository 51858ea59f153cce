//! Moves values that do not change in a loop out of it, as far out as they can go. (Ranges are never empty, and no op can
//! trap, so a value may be computed where it was not before.)

use crate::{
    kernel::{Inst, Kernel, Loop, Stmt, ValueId},
    pass::KernelPass,
    walk::for_each_stmt,
};

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "hoist-invariants",
    doc: "Moves values that do not depend on a loop's variable out of the loop.",
    run,
};

fn run(kernel: &mut Kernel) {
    let mut phases = std::mem::take(&mut kernel.phases);
    // Values that are defined in the loop that is looked at and stay there.
    let mut inside = vec![false; kernel.values.len()];
    for phase in &mut phases {
        hoist(kernel, &mut phase.body, &mut inside);
        constants_first(kernel, &mut phase.body);
    }
    kernel.phases = phases;
}

fn hoist(kernel: &Kernel, block: &mut Vec<Stmt>, inside: &mut [bool]) {
    let mut new = Vec::with_capacity(block.len());
    for mut stmt in block.drain(..) {
        if let Stmt::Loop(inner) = &mut stmt {
            hoist(kernel, &mut inner.body, inside);
            leave(kernel, inner, inside, &mut new);
        }
        new.push(stmt);
    }
    *block = new;
}

/// Moves the invariant values of a loop's body to `before`.
fn leave(kernel: &Kernel, inner: &mut Loop, inside: &mut [bool], before: &mut Vec<Stmt>) {
    let mut written = vec![false; kernel.buffers.len()];
    for_each_stmt(&inner.body, &mut |stmt| {
        if let Stmt::Store { buffer, .. } = stmt {
            written[buffer.0 as usize] = true;
        }
    });
    let scanned = |id: ValueId| inner.scans.iter().any(|s| s.value == id);
    let stay = |id: ValueId, inside: &mut [bool]| inside[id.0 as usize] = true;
    inner.scans.iter().for_each(|s| stay(s.running, inside));
    let mut body = Vec::with_capacity(inner.body.len());
    for stmt in inner.body.drain(..) {
        match &stmt {
            Stmt::Let(id) => {
                let inst = &kernel.value(*id).inst;
                let varies = inst.affine().is_some_and(|at| at.mentions(inner.var))
                    || inst.operands().iter().any(|operand| inside[operand.0 as usize])
                    || matches!(inst, Inst::Load { buffer, .. } if written[buffer.0 as usize]);
                if !varies && !scanned(*id) {
                    before.push(stmt);
                    continue;
                }
                stay(*id, inside);
            }
            Stmt::Store { .. } => {}
            Stmt::Loop(nested) => nested.results().for_each(|result| stay(result, inside)),
        }
        body.push(stmt);
    }
    inner.body = body;
}

/// Constants and parameters at the top of the phase, so that two loops can be neighbours.
fn constants_first(kernel: &Kernel, body: &mut [Stmt]) {
    let constant = |stmt: &Stmt| match stmt {
        Stmt::Let(id) => matches!(kernel.value(*id).inst, Inst::Const(_) | Inst::Param(_)),
        Stmt::Store { .. } | Stmt::Loop(_) => false,
    };
    body.sort_by_key(|stmt| !constant(stmt));
}

#[cfg(test)]
mod tests {
    use crate::passes::testing;

    #[test]
    fn invariant_values_leave_their_loops_and_varying_ones_stay() {
        let text = "kernel @hoist(b0: in f32, b1: in f32, b2: out f32[i2], b3: scratch f32[i1]) {
          i0 = sym m
          i1 = sym n
          i2 = mul i0, i1
          phase () {
            loop v0 in i0 {
              loop v1 in i1 {
                %0 = const 2.0 : f32
                %1 = load b1[v0] : f32
                %2 = multiply %0, %1 : f32
                %3 = load b0[v0*i1 + v1] : f32
                %4 = multiply %2, %3 : f32
                store b3[0] = %4
                %5 = load b3[0] : f32
                store b2[v0*i1 + v1] = %5
              } reduce %6 = add %2 : f32
              store b3[v0] = %6
            }
          }
        }";
        let (before, after) = testing::run_named(text, &["hoist-invariants"]);
        let printed = crate::text::print(&after);
        let place = |what: &str| printed.find(what).unwrap_or_else(|| panic!("no {what} in\n{printed}"));
        assert!(place("const 2.0") < place("loop v0"), "{printed}");
        assert!(place("load b1") > place("loop v0") && place("load b1") < place("loop v1"), "{printed}");
        assert!(place("= multiply") < place("loop v1"), "{printed}");
        assert!(place("load b3") > place("loop v1"), "what the loop writes is loaded in it\n{printed}");
        testing::assert_same_results(&before, &after, &[3, 4], 0.0);
    }
}
