//! How many lanes a vector loop has: as many as its values fit the registers of the smallest target, sixteen of 128 bits.
//! Loops that sum floats have as many as hide the latency of additions, whatever else they compute: so a sum has the same bits
//! with whatever it is fused. Code generators take fewer of them at a time where registers are few.

use crate::{
    kernel::{Inst, Kernel, Reduction, Stmt, ValueId},
    walk::{for_each_definition, for_each_loop, for_each_root, for_each_stmt},
};

/// Bytes of a vector register.
const REGISTER: usize = 16;

/// Registers that values may take; the others are for constants and temporaries of the code generators.
const REGISTERS: usize = 14;

/// Registers of one value, at most: so many independent operations hide the latency of additions and multiplications.
const UNROLL: usize = 4;

/// Lanes for a vector loop with this body.
pub(super) fn lanes(kernel: &Kernel, body: &[Stmt], reductions: &[Reduction]) -> u8 {
    let sums = reductions.iter().filter(|r| Reduction::cascades(r.op, kernel.dtype(r.value)));
    match sums.map(|r| kernel.dtype(r.value).size()).max() {
        Some(widest) => (UNROLL * REGISTER / widest) as u8,
        None => fitting(kernel, body, reductions),
    }
}

/// The lanes for which there are registers.
pub(crate) fn fitting(kernel: &Kernel, body: &[Stmt], reductions: &[Reduction]) -> u8 {
    let widest = widest(kernel, body, reductions);
    let pressure = pressure(kernel, body, reductions);
    let mut lanes = UNROLL * REGISTER / widest;
    // Values of the widest type set the pace; narrower ones take less.
    while lanes * widest > REGISTER && pressure * lanes > REGISTERS * REGISTER {
        lanes /= 2;
    }
    // One register of float64 leaves the arithmetic units waiting in chains of operations.
    lanes.max(2 * REGISTER / widest).clamp(4, 64) as u8
}

/// Bytes of the widest value that is computed in lanes. (64-bit indices are, when they are used as values.)
fn widest(kernel: &Kernel, body: &[Stmt], reductions: &[Reduction]) -> usize {
    let mut widest = reductions.iter().map(|r| kernel.dtype(r.value).size()).max().unwrap_or(1);
    for_each_definition(body, &mut |id| widest = widest.max(kernel.dtype(id).size()));
    for_each_root(body, &mut |id| widest = widest.max(kernel.dtype(id).size()));
    widest
}

/// The largest number of bytes a lane that live values take anywhere in the body, constants aside.
fn pressure(kernel: &Kernel, body: &[Stmt], reductions: &[Reduction]) -> usize {
    let size = |id: ValueId| kernel.dtype(id).size();
    let carried: usize = reductions.iter().map(|r| size(r.result)).sum();
    // The folds of inner loops are carried in the places of their results, running folds in places of their own.
    let mut running = 0;
    for_each_loop(body, &mut |inner| {
        running = running.max(inner.scans.iter().map(|s| size(s.running)).sum());
    });
    let constant = |id: ValueId| matches!(kernel.value(id).inst, Inst::Const(_));
    // Walked backwards, a value is live from its last use to its definition. Loops are walked as if they ran once.
    let mut statements: Vec<&Stmt> = Vec::new();
    for_each_stmt(body, &mut |stmt| statements.push(stmt));
    let mut live: rustc_hash::FxHashSet<ValueId> = reductions.iter().map(|r| r.value).collect();
    let mut bytes: usize = live.iter().map(|&id| size(id)).sum();
    let mut most = bytes;
    let mut defined: rustc_hash::FxHashSet<ValueId> = Default::default();
    for_each_definition(body, &mut |id| {
        defined.insert(id);
    });
    for stmt in statements.into_iter().rev() {
        let uses: &[ValueId] = match stmt {
            Stmt::Let(id) => {
                if live.remove(id) {
                    bytes -= size(*id);
                }
                kernel.value(*id).inst.operands()
            }
            Stmt::Store { value, .. } => std::slice::from_ref(value),
            Stmt::Loop(inner) => {
                for result in inner.results() {
                    if live.remove(&result) {
                        bytes -= size(result);
                    }
                }
                &[]
            }
        };
        for &id in uses {
            // What is defined outside the loop can be splat where it is used.
            if !constant(id) && defined.contains(&id) && live.insert(id) {
                bytes += size(id);
            }
        }
        most = most.max(bytes);
    }
    most + carried + running
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    fn lanes_of(body: &str) -> u8 {
        let text = format!(
            "kernel @k(b0: in f32, b1: in f64, b2: in u8, b3: out f32[i0], b4: out f64[i0], b5: out u8[i0]) {{
               i0 = sym m
               phase () {{
                 loop v0 in i0 {{ {body} }}
               }}
             }}"
        );
        let kernel = parse(&text).unwrap();
        let Stmt::Loop(inner) = &kernel.phases[0].body[0] else { panic!("a loop") };
        lanes(&kernel, &inner.body, &inner.reductions)
    }

    #[test]
    fn light_loops_take_four_registers_a_value() {
        assert_eq!(lanes_of("%0 = load b0[v0] : f32 %1 = add %0, %0 : f32 store b3[v0] = %1"), 16);
        assert_eq!(lanes_of("%0 = load b1[v0] : f64 %1 = add %0, %0 : f64 store b4[v0] = %1"), 8);
        assert_eq!(lanes_of("%0 = load b2[v0] : u8 %1 = add %0, %0 : u8 store b5[v0] = %1"), 64);
        assert_eq!(lanes_of("%0 = load b2[v0] : u8 %1 = cast %0 : f32 store b3[v0] = %1"), 16);
    }

    #[test]
    fn many_live_values_take_fewer_lanes() {
        let mut body: String = (0..6).map(|i| format!("%{i} = load b0[v0*{}] : f32 ", i + 1)).collect();
        body += "%6 = add %0, %1 : f32 %7 = add %6, %2 : f32 %8 = add %7, %3 : f32 %9 = add %8, %4 : f32
                 %10 = add %9, %5 : f32 store b3[v0] = %10";
        assert_eq!(lanes_of(&body), 8);
        assert_eq!(lanes_of(&body.replace("f32", "f64").replace("b0", "b1").replace("b3", "b4")), 4);
    }
}
