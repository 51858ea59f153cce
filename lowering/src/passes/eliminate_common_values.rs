//! Computes equal values once: a value that is computed already, in this block or one around it, is used again. Loads
//! of what the phase itself writes are left alone.

use super::expand_maths::Renames;
use crate::{
    kernel::{Inst, Kernel, Phase, Reduction, Role, Stmt, ValueId},
    pass::KernelPass,
    walk::for_each_stmt,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use rustc_hash::FxHashMap;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "eliminate-common-values",
    doc: "Uses a value that is computed already in place of an equal one.",
    run,
};

fn run(kernel: &mut Kernel) {
    let mut renames = Renames::new(kernel);
    for i in 0..kernel.phases.len() {
        let written = written_buffers(kernel, &kernel.phases[i]);
        let body = std::mem::take(&mut kernel.phases[i].body);
        let mut eliminator =
            Eliminator { kernel, renames: &mut renames, written, known: FxHashMap::default(), scopes: Vec::new() };
        let body = eliminator.block(body);
        kernel.phases[i].body = body;
    }
}

fn written_buffers(kernel: &Kernel, phase: &Phase) -> Vec<bool> {
    let mut written = vec![false; kernel.buffers.len()];
    for_each_stmt(&phase.body, &mut |stmt| {
        if let Stmt::Store { buffer, .. } = stmt {
            written[buffer.0 as usize] = true;
        }
    });
    written
}

struct Eliminator<'a> {
    kernel: &'a mut Kernel,
    renames: &'a mut Renames,
    written: Vec<bool>,
    /// The values that can be seen here.
    known: FxHashMap<(Inst, DType), ValueId>,
    /// What each open block has added.
    scopes: Vec<Vec<(Inst, DType)>>,
}

impl Eliminator<'_> {
    fn block(&mut self, old: Vec<Stmt>) -> Vec<Stmt> {
        self.scopes.push(Vec::new());
        let mut new = Vec::with_capacity(old.len());
        for mut stmt in old {
            if let Stmt::Loop(inner) = &mut stmt {
                // What a loop scans has to be defined in its body.
                let scanned: Vec<ValueId> = inner.scans.iter().map(|s| s.value).collect();
                let outer = std::mem::take(&mut inner.body);
                inner.body = self.loop_body(outer, &scanned);
            }
            self.renames.apply(self.kernel, &mut stmt);
            match &mut stmt {
                Stmt::Let(id) if self.replace(*id) => continue,
                Stmt::Let(_) | Stmt::Store { .. } => {}
                Stmt::Loop(inner) => {
                    let mut kept: Vec<Reduction> = Vec::with_capacity(inner.reductions.len());
                    for reduction in &inner.reductions {
                        match kept.iter().find(|k| k.op == reduction.op && k.value == reduction.value) {
                            Some(equal) => self.renames.set(reduction.result, equal.result),
                            None => kept.push(*reduction),
                        }
                    }
                    inner.reductions = kept;
                }
            }
            new.push(stmt);
        }
        for key in self.scopes.pop().into_iter().flatten() {
            self.known.remove(&key);
        }
        new
    }

    /// A loop's body, in which the scanned values stay even when an equal value is known outside.
    fn loop_body(&mut self, body: Vec<Stmt>, scanned: &[ValueId]) -> Vec<Stmt> {
        let mut hidden = Vec::new();
        for &id in scanned {
            let key = self.key(id);
            if let Some(outside) = self.known.remove(&key) {
                hidden.push((key, outside));
            }
        }
        let body = self.block(body);
        self.known.extend(hidden);
        body
    }

    /// The key under which equal values meet: operands by their present names, in order where order does not matter.
    fn key(&self, id: ValueId) -> (Inst, DType) {
        let value = self.kernel.value(id);
        let mut inst = value.inst.clone();
        inst.operands_mut().iter_mut().for_each(|operand| *operand = self.renames.get(*operand));
        match &mut inst {
            Inst::Op(op, operands) => {
                let dtype = operands.last().map_or(value.dtype, |&operand| self.kernel.dtype(operand));
                if op.row().commutative.holds(dtype) && *op != ScalarOp::Fma {
                    operands.sort_unstable();
                }
            }
            Inst::Index(at) | Inst::Load { at, .. } | Inst::Gather { at, .. } => *at = std::mem::take(at).sorted(),
            Inst::Const(_) | Inst::Param(_) | Inst::Position { .. } | Inst::Cast(_) | Inst::Reduced | Inst::Running => {
            }
        }
        (inst, value.dtype)
    }

    /// Renames the value to an equal one that can be seen; false when there is none, and from now on there is.
    fn replace(&mut self, id: ValueId) -> bool {
        if let Inst::Load { buffer, .. } = self.kernel.value(id).inst
            && self.written[buffer.0 as usize]
            && self.kernel.buffers[buffer.0 as usize].role != Role::Input
        {
            return false;
        }
        let key = self.key(id);
        if let Some(&equal) = self.known.get(&key) {
            self.renames.set(id, equal);
            return true;
        }
        self.known.insert(key.clone(), id);
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(key);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::passes::testing;

    #[test]
    fn equal_values_are_computed_once_where_they_can_be_seen() {
        let text = "kernel @common(b0: in f32, b1: out f32[i0], b2: scratch f32[i1]; p0: f32) {
          i0 = sym m
          i1 = sym n
          phase (v0: i0) {
            %0 = param p0 : f32
            loop v1 in i1 {
              %1 = load b0[v0*i1 + v1] : f32
              %2 = load b0[v1 + v0*i1] : f32
              %3 = param p0 : f32
              %4 = multiply %1, %3 : f32
              %5 = multiply %0, %2 : f32
              %6 = param p0 : f32
              store b2[v1] = %4
              %10 = load b2[v1] : f32
              %11 = add %10, %5 : f32
              store b2[v1] = %11
              %12 = load b2[v1] : f32
            } reduce %7 = add %4 : f32, %8 = add %5 : f32, %9 = add %12 : f32, %14 = add %6 : f32
            %13 = add %7, %8 : f32
            %15 = add %13, %9 : f32
            %16 = add %15, %14 : f32
            store b1[v0] = %16
          }
        }";
        let (before, after) = testing::run_named(text, &["eliminate-common-values"]);
        let printed = crate::text::print(&after);
        assert_eq!(printed.matches("load b0").count(), 1, "{printed}");
        assert_eq!(printed.matches("load b2").count(), 2, "{printed}");
        assert_eq!(printed.matches("= param").count(), 1, "{printed}");
        assert_eq!(printed.matches(" = add %").count(), 7, "{printed}");
        testing::assert_same_results(&before, &after, &[3, 5], 0.0);
    }
}
