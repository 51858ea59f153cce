//! Removes values that nothing uses, stores that nothing reads, and loops that are left with nothing to do. Pointer
//! arguments stay even when unused: the caller has numbered them.

use crate::{
    kernel::{Inst, Kernel, Loop, Role, Stmt},
    pass::KernelPass,
    walk::for_each_definition,
};

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "eliminate-dead-values",
    doc: "Removes unused values, stores that nothing reads, and empty loops.",
    run,
};

fn run(kernel: &mut Kernel) {
    // A store that goes may have been the only reader of another buffer.
    loop {
        let mut eliminator = Eliminator {
            used: vec![false; kernel.values.len()],
            read: read_buffers(kernel),
            kernel,
            removed_load: false,
        };
        let mut phases = std::mem::take(&mut eliminator.kernel.phases);
        for phase in phases.iter_mut().rev() {
            let body = std::mem::take(&mut phase.body);
            phase.body = eliminator.block(body, None);
        }
        phases.retain(|phase| !phase.body.is_empty());
        let again = eliminator.removed_load;
        kernel.phases = phases;
        if !again {
            return;
        }
    }
}

/// Which buffers some load reads.
fn read_buffers(kernel: &Kernel) -> Vec<bool> {
    let mut read = vec![false; kernel.buffers.len()];
    for phase in &kernel.phases {
        for_each_definition(&phase.body, &mut |id| {
            if let Inst::Load { buffer, .. } = &kernel.value(id).inst {
                read[buffer.0 as usize] = true;
            }
        });
    }
    read
}

struct Eliminator<'a> {
    kernel: &'a mut Kernel,
    /// Values that a later statement uses.
    used: Vec<bool>,
    read: Vec<bool>,
    /// Has a load of something other than an input gone?
    removed_load: bool,
}

impl Eliminator<'_> {
    fn block(&mut self, old: Vec<Stmt>, mut around: Option<&mut Loop>) -> Vec<Stmt> {
        let mut new = Vec::with_capacity(old.len());
        for mut stmt in old.into_iter().rev() {
            if let Some(around) = &mut around {
                // All uses of a running fold come after what it folds, so they have been seen.
                for scan in around.scans.iter().rev() {
                    self.used[scan.value.0 as usize] |= self.used[scan.running.0 as usize];
                }
            }
            let live = match &mut stmt {
                Stmt::Let(id) => {
                    let (live, value) = (self.used[id.0 as usize], &self.kernel.values[id.0 as usize]);
                    if live {
                        value.inst.operands().iter().for_each(|operand| self.used[operand.0 as usize] = true);
                    } else if let Inst::Load { buffer, .. } = value.inst {
                        self.removed_load |= self.kernel.buffers[buffer.0 as usize].role != Role::Input;
                    }
                    live
                }
                Stmt::Store { buffer, value, .. } => {
                    let output = self.kernel.buffers[buffer.0 as usize].role == Role::Output;
                    let live = output || self.read[buffer.0 as usize];
                    self.used[value.0 as usize] |= live;
                    live
                }
                Stmt::Loop(inner) => {
                    inner.reductions.retain(|r| self.used[r.result.0 as usize]);
                    inner.reductions.iter().for_each(|r| self.used[r.value.0 as usize] = true);
                    for scan in &mut inner.scans {
                        scan.total = scan.total.filter(|total| self.used[total.0 as usize]);
                        self.used[scan.running.0 as usize] |= scan.total.is_some();
                    }
                    let body = std::mem::take(&mut inner.body);
                    inner.body = self.block(body, Some(inner));
                    inner.scans.retain(|s| self.used[s.running.0 as usize]);
                    !inner.body.is_empty() || !inner.reductions.is_empty()
                }
            };
            if live {
                new.push(stmt);
            }
        }
        new.reverse();
        new
    }
}

#[cfg(test)]
mod tests {
    use crate::passes::testing;

    #[test]
    fn what_nothing_reads_goes_and_what_it_used_goes_too() {
        let text = "kernel @dead(b0: in f32, b1: out f32[i0], b2: scratch f32[i0], b3: scratch f32[i0]) {
          i0 = sym m
          phase () {
            %9 = const 3.0 : f32
            loop v0 in i0 {
              %0 = load b0[v0] : f32
              store b2[v0] = %0
            }
            loop v1 in i0 {
              %1 = load b2[v1] : f32
              store b3[v1] = %1
            }
            loop v2 in i0 {
              %2 = load b0[v2] : f32
              %3 = multiply %2, %2 : f32
              %4 = scan add %3 : f32
              %5 = scan multiply %2 : f32
              store b1[v2] = %4
            } reduce %6 = add %2 : f32
          }
        }";
        let (before, after) = testing::run_named(text, &["eliminate-dead-values"]);
        let printed = crate::text::print(&after);
        assert_eq!(printed.matches("loop").count(), 1, "{printed}");
        assert_eq!(printed.matches("= scan ").count(), 1, "{printed}");
        assert!(!printed.contains("reduce") && !printed.contains("const"), "{printed}");
        testing::assert_same_results(&before, &after, &[9], 0.0);
    }
}
