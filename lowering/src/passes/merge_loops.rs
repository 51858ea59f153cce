//! Merges loops of one block that run over the same range and do not wait for each other: sibling reductions read their
//! input once. What stands between two such loops moves before the first when it can.

use crate::{
    kernel::{BufferId, Inst, Kernel, Loop, LoopKind, Stmt, ValueId},
    pass::KernelPass,
    walk::{for_each_affine_mut, for_each_definition, for_each_root, for_each_stmt, for_each_stmt_mut},
};

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "merge-loops",
    doc: "Merges independent loops over one range, so that sibling reductions read their input once.",
    run,
};

fn run(kernel: &mut Kernel) {
    let mut phases = std::mem::take(&mut kernel.phases);
    for phase in &mut phases {
        merge(kernel, &mut phase.body);
    }
    kernel.phases = phases;
}

fn merge(kernel: &mut Kernel, block: &mut Vec<Stmt>) {
    let mut new: Vec<Stmt> = Vec::with_capacity(block.len());
    for stmt in block.drain(..) {
        match stmt {
            Stmt::Loop(later) => {
                let target = (0..new.len()).rev().find(|&i| can_merge(kernel, &new[i..], &later));
                match target {
                    Some(i) => merge_into(kernel, &mut new, i, later),
                    None => new.push(Stmt::Loop(later)),
                }
            }
            Stmt::Let(_) | Stmt::Store { .. } => new.push(stmt),
        }
    }
    for stmt in &mut new {
        if let Stmt::Loop(inner) = stmt {
            merge(kernel, &mut inner.body);
        }
    }
    *block = new;
}

/// The buffers that statements load from and store to.
fn memory(kernel: &Kernel, block: &[Stmt]) -> (Vec<BufferId>, Vec<BufferId>) {
    let (mut loaded, mut stored) = (Vec::new(), Vec::new());
    for_each_stmt(block, &mut |stmt| match stmt {
        Stmt::Let(id) => {
            if let Inst::Load { buffer, .. } = kernel.value(*id).inst {
                loaded.push(buffer);
            }
        }
        Stmt::Store { buffer, .. } => stored.push(*buffer),
        Stmt::Loop(_) => {}
    });
    (loaded, stored)
}

/// The values that change, or would have to wait, when `later` joins the loop that `before` begins with: results of its
/// loops and everything computed from them or from memory that `before` writes.
fn waiting(kernel: &Kernel, before: &[Stmt]) -> Vec<bool> {
    let (_, stored) = memory(kernel, before);
    let mut waiting = vec![false; kernel.values.len()];
    for stmt in before {
        match stmt {
            Stmt::Let(id) => {
                let inst = &kernel.value(*id).inst;
                waiting[id.0 as usize] = inst.operands().iter().any(|operand| waiting[operand.0 as usize])
                    || matches!(inst, Inst::Load { buffer, .. } if stored.contains(buffer));
            }
            Stmt::Store { .. } => {}
            Stmt::Loop(inner) => inner.results().for_each(|result| waiting[result.0 as usize] = true),
        }
    }
    waiting
}

fn can_merge(kernel: &Kernel, before: &[Stmt], later: &Loop) -> bool {
    let Stmt::Loop(first) = &before[0] else { return false };
    if first.range != later.range || first.kind != later.kind || first.kind != LoopKind::Serial {
        return false;
    }
    let (loaded, stored) = memory(kernel, before);
    let (later_loaded, later_stored) = memory(kernel, &later.body);
    if later_loaded.iter().any(|b| stored.contains(b))
        || later_stored.iter().any(|b| stored.contains(b) || loaded.contains(b))
    {
        return false;
    }
    let waiting = waiting(kernel, before);
    let mut waits = false;
    let mut check = |id: ValueId| waits |= waiting[id.0 as usize];
    for_each_root(&later.body, &mut check);
    for_each_definition(&later.body, &mut |id| kernel.value(id).inst.operands().iter().for_each(|&o| check(o)));
    later.reductions.iter().for_each(|r| check(r.value));
    !waits
}

fn merge_into(kernel: &mut Kernel, block: &mut Vec<Stmt>, position: usize, mut later: Loop) {
    let waiting = waiting(kernel, &block[position..]);
    let after = block.split_off(position + 1);
    let Some(Stmt::Loop(mut first)) = block.pop() else { unreachable!("can_merge has found a loop there") };
    let (moved, stays): (Vec<Stmt>, Vec<Stmt>) =
        after.into_iter().partition(|stmt| matches!(stmt, Stmt::Let(id) if !waiting[id.0 as usize]));
    block.extend(moved);
    for_each_affine_mut(&mut kernel.values, &mut later.body, &mut |at| at.rename(later.var, first.var));
    for_each_stmt_mut(&mut later.body, &mut |stmt| {
        if let Stmt::Loop(inner) = stmt
            && let crate::kernel::Range::Tile { tile, .. } = &mut inner.range
            && *tile == later.var
        {
            *tile = first.var;
        }
    });
    first.body.extend(later.body);
    first.reductions.extend(later.reductions);
    first.scans.extend(later.scans);
    block.push(Stmt::Loop(first));
    block.extend(stays);
}

#[cfg(test)]
mod tests {
    use crate::passes::testing;

    #[test]
    fn independent_loops_merge_and_dependent_ones_do_not() {
        let text = "kernel @deviation(b0: in f32, b1: in f32, b2: out f32[i0], b3: out f32[i0], b4: out f32[i0]) {
          i0 = sym m
          i1 = sym n
          phase (v0: i0) {
            loop v1 in i1 {
              %0 = load b0[v0*i1 + v1] : f32
            } reduce %1 = add %0 : f32
            store b2[v0] = %1
            loop v2 in i1 {
              %2 = load b0[v0*i1 + v2] : f32
              %3 = subtract %2, %1 : f32
              %4 = multiply %3, %3 : f32
            } reduce %5 = add %4 : f32
            store b3[v0] = %5
            %6 = load b1[v0] : f32
            loop v3 in i1 {
              %7 = load b0[v0*i1 + v3] : f32
              %8 = multiply %7, %6 : f32
            } reduce %9 = maximum %8 : f32
            store b4[v0] = %9
          }
        }";
        let (before, after) = testing::run_named(text, &["merge-loops"]);
        let printed = crate::text::print(&after);
        assert_eq!(printed.matches("loop").count(), 2, "{printed}");
        testing::assert_same_results(&before, &after, &[3, 40], 0.0);
        let (_, shared) = testing::run_named(text, &["merge-loops", "eliminate-common-values"]);
        assert_eq!(crate::text::print(&shared).matches("load b0").count(), 2);
    }

    #[test]
    fn nests_merge_down_to_their_innermost_loops() {
        let text = "kernel @both(b0: in f32, b1: out f32[i2], b2: out f32[i2]) {
          i0 = sym m
          i1 = sym n
          i2 = const 1
          phase () {
            loop v0 in i0 {
              loop v1 in i1 {
                %0 = load b0[v0*i1 + v1] : f32
              } reduce %1 = add %0 : f32
            } reduce %2 = add %1 : f32
            loop v2 in i0 {
              loop v3 in i1 {
                %3 = load b0[v2*i1 + v3] : f32
              } reduce %4 = minimum %3 : f32
            } reduce %5 = minimum %4 : f32
            store b1[0] = %2
            store b2[0] = %5
          }
        }";
        let (before, after) = testing::run_named(text, &["merge-loops"]);
        assert_eq!(crate::text::print(&after).matches("loop").count(), 2);
        testing::assert_same_results(&before, &after, &[7, 9], 0.0);
    }

    #[test]
    fn a_loop_that_reads_what_another_writes_stays_behind_it() {
        let text = "kernel @through(b0: in f32, b1: out f32[i0], b2: scratch f32[i0]) {
          i0 = sym m
          i1 = const 1
          i2 = sub i0, i1
          phase () {
            loop v0 in i0 {
              %0 = load b0[v0] : f32
              store b2[v0] = %0
            }
            loop v1 in i0 {
              %1 = load b2[-v1 + i2] : f32
              store b1[v1] = %1
            }
          }
        }";
        let (before, after) = testing::run_named(text, &["merge-loops"]);
        assert_eq!(crate::text::print(&after).matches("loop").count(), 2);
        testing::assert_same_results(&before, &after, &[9], 0.0);
    }
}
