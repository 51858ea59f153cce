//! The stages of a graph as text: complete, in order, and the same every time.

use fusewire_ir::{pass::PIPELINE, text::parse::parse};
use fusewire_lowering::pass::KERNEL_PIPELINE;
use fusewire_runtime::{
    interpreter::Interpreter,
    stages::{CAPTURED, CODE, GRAPH_PASS, KERNEL, KERNEL_PASS, PROGRAM, REGIONS, STAGES, StageText, stages},
};

const GRAPH: &str = "graph @f(%a0: f32[m, n], %a1: f32[n, p]) -> (f32[m, 1], f32[m, p]) {
  %0 = exp %a0 : f32[m, n]
  %1 = square %0 : f32[m, n]
  %2 = reduce add %1 axes=[1] : f32[m, 1]
  %3 = dot %a0, %a1 : f32[m, p]
  return %2, %3
}
";

fn texts() -> Vec<StageText> {
    stages(&parse(GRAPH).unwrap(), &Interpreter).unwrap()
}

#[test]
fn every_stage_is_there_in_order() {
    let texts = texts();
    let position = |text: &StageText| STAGES.iter().position(|stage| *stage == text.stage).unwrap();
    assert!(texts.is_sorted_by_key(position));
    let count = |stage| texts.iter().filter(|text| text.stage == stage).count();
    let stages = [CAPTURED, GRAPH_PASS, REGIONS, PROGRAM, KERNEL, KERNEL_PASS, CODE];
    assert_eq!(stages.map(count), [1, PIPELINE.len(), 1, 1, 1, KERNEL_PIPELINE.len(), 1]);
    assert_eq!(stages.len(), STAGES.len());
}

#[test]
fn texts_show_their_stage() {
    let texts = texts();
    let text = |stage, name| &texts.iter().rfind(|t| t.stage == stage && t.name == name).unwrap().text;
    assert_eq!(text(CAPTURED, "captured"), GRAPH);
    assert!(!text(GRAPH_PASS, "expand-composites").contains("square"));
    assert!(text(REGIONS, "regions").contains("region 0"));
    let program = text(PROGRAM, "program");
    assert!(program.contains("array0: f32[m, n] = input 0") && program.contains("product array"), "{program}");
    assert!(text(KERNEL, "kernel").contains("exp"));
    assert!(!text(KERNEL_PASS, "expand-maths").contains(" = exp "));
    let last = &texts.iter().rfind(|t| t.stage == KERNEL_PASS).unwrap().text;
    assert_eq!(text(CODE, "interpreted"), last);
    assert!(last.contains("vector"), "{last}");
}

#[test]
fn stages_are_the_same_every_time() {
    assert_eq!(texts(), texts());
}
