//! The key of a captured graph, by which its plan is found: graphs that differ must have keys that differ, or a plan would
//! compute something else than what was recorded.

use fusewire_ir::capture::capture;
use fusewire_tests::random_program::random_program;
use std::collections::HashMap;

#[test]
fn equal_keys_mean_equal_graphs() {
    let mut graphs: HashMap<Vec<u32>, String> = HashMap::new();
    let mut met_again = 0;
    for seed in 0..20_000 {
        let roots = random_program(seed);
        if roots.is_empty() {
            continue;
        }
        let ((key, text), _) = capture(&roots, |captured| (captured.key.clone(), captured.graph().to_string()));
        match graphs.get(&key) {
            Some(known) => {
                assert_eq!(*known, text, "seed {seed} has the key of another graph");
                met_again += 1;
            }
            None => {
                graphs.insert(key, text);
            }
        }
    }
    println!("{} graphs, {met_again} keys met again", graphs.len());
    assert!(met_again > 100, "only {met_again} keys were met again");
}
