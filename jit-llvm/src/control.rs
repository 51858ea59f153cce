//! Blocks, branches and counted loops around whatever is emitted inside them.

use crate::instructions::{Emitted, Instructions, Value};
use inkwell::{
    IntPredicate,
    basic_block::BasicBlock,
    values::{BasicValue, IntValue, PhiValue},
};

impl<'c> Instructions<'c> {
    /// A new block of the function.
    pub fn block(&self, name: &str) -> BasicBlock<'c> {
        self.context.append_basic_block(self.function(), name)
    }

    /// Emits at the end of a block from now on.
    pub fn switch_to(&self, block: BasicBlock<'c>) {
        self.builder.position_at_end(block);
    }

    /// Goes to a block.
    pub fn jump(&self, to: BasicBlock<'c>) -> Emitted<()> {
        self.builder.build_unconditional_branch(to).map(|_| ())
    }

    /// Goes to one of two blocks.
    pub fn branch(&self, condition: Value<'c>, yes: BasicBlock<'c>, no: BasicBlock<'c>) -> Emitted<()> {
        self.builder.build_conditional_branch(condition.into_int_value(), yes, no).map(|_| ())
    }

    /// A value at the beginning of this block, by the block that it was entered from.
    pub fn phi(&self, incoming: &[(Value<'c>, BasicBlock<'c>)]) -> Emitted<PhiValue<'c>> {
        let phi = self.builder.build_phi(incoming[0].0.get_type(), "")?;
        for (value, from) in incoming {
            phi.add_incoming(&[(value as &dyn BasicValue<'c>, *from)]);
        }
        Ok(phi)
    }

    /// `for i in (begin..end).step_by(step)` around what `body` emits; carried values go from iteration to iteration and are
    /// returned. The condition stands at the bottom, and once before.
    pub fn counted_loop(
        &self,
        begin: IntValue<'c>,
        end: IntValue<'c>,
        step: IntValue<'c>,
        carried: &[Value<'c>],
        body: impl FnOnce(IntValue<'c>, &[Value<'c>]) -> Emitted<Vec<Value<'c>>>,
    ) -> Emitted<Vec<Value<'c>>> {
        let (before, head, exit) = (self.here(), self.block("loop"), self.block("after"));
        let any = self.builder.build_int_compare(IntPredicate::SLT, begin, end, "")?;
        self.branch(any.into(), head, exit)?;

        self.switch_to(head);
        let counter = self.phi(&[(begin.into(), before)])?;
        let phis = carried.iter().map(|&value| self.phi(&[(value, before)])).collect::<Emitted<Vec<_>>>()?;
        let values: Vec<_> = phis.iter().map(|phi| phi.as_basic_value()).collect();
        let iteration = counter.as_basic_value().into_int_value();
        let results = body(iteration, &values)?;
        let next = self.builder.build_int_nsw_add(iteration, step, "")?;
        let more = self.builder.build_int_compare(IntPredicate::SLT, next, end, "")?;
        let last = self.here();
        self.branch(more.into(), head, exit)?;
        counter.add_incoming(&[(&next, last)]);
        for (phi, result) in phis.iter().zip(&results) {
            phi.add_incoming(&[(result as &dyn BasicValue<'c>, last)]);
        }

        self.switch_to(exit);
        let after = carried.iter().zip(&results);
        after.map(|(&first, &result)| Ok(self.phi(&[(first, before), (result, last)])?.as_basic_value())).collect()
    }

    /// What `body` emits, on a path that is hardly ever taken: `rare` when the condition is true, else the values given.
    pub fn rarely(
        &self,
        condition: Value<'c>,
        usual: Value<'c>,
        rare: impl FnOnce() -> Emitted<Value<'c>>,
    ) -> Emitted<Value<'c>> {
        let (before, cold, join) = (self.here(), self.block("rare"), self.block("usual"));
        self.branch(condition, cold, join)?;
        self.switch_to(cold);
        let value = rare()?;
        let from = self.here();
        self.jump(join)?;
        self.switch_to(join);
        Ok(self.phi(&[(usual, before), (value, from)])?.as_basic_value())
    }
}
