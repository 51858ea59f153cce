//! The machine's limits, as JSON: what `make bench` holds the workloads against. Usage: `limits THREADS BYTES`.
//!
//! Reading, copying and the triad `a = b + 2 c` go over arrays of BYTES together, again and again, each thread over its part;
//! the multiply-adds stay in registers. Each figure is the best of several rounds.

use std::{env, hint::black_box, sync::Barrier, thread, time::Instant};

/// How often each thread goes over its part in a round, so that a round takes long enough to be timed.
fn repetitions(bytes: usize) -> usize {
    ((256 << 20) / bytes).max(1)
}

/// The most that `work` gets done a second in one round: amounts by all threads, over the time of the slowest.
fn best(threads: usize, amount: f64, work: impl Fn(usize) + Sync) -> f64 {
    let rounds = 7;
    let mut best = 0.0f64;
    for _ in 0..rounds {
        let barrier = Barrier::new(threads);
        let seconds = thread::scope(|scope| {
            let run = |thread: usize| {
                let (barrier, work) = (&barrier, &work);
                move || {
                    barrier.wait();
                    let start = Instant::now();
                    work(thread);
                    start.elapsed().as_secs_f64()
                }
            };
            let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
            handles.into_iter().map(|h| h.join().expect("it ends")).fold(0.0, f64::max)
        });
        best = best.max(amount / seconds);
    }
    best
}

fn main() {
    let arguments: Vec<usize> = env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let &[threads, bytes] = arguments.as_slice() else {
        eprintln!("usage: limits THREADS BYTES");
        std::process::exit(2);
    };
    let times = repetitions(bytes);
    // Elements of one of so many arrays, of one thread.
    let part = |arrays: usize| (bytes / arrays / threads / 8).max(8);
    let moved = |arrays: usize| (part(arrays) * 8 * arrays * threads * times) as f64;

    let sources: Vec<Vec<f64>> = (0..threads).map(|_| vec![1.0; part(1)]).collect();
    let read = best(threads, moved(1), |thread| {
        for _ in 0..times {
            let sums = sources[thread].chunks_exact(32).fold([0.0; 32], |mut sums, chunk| {
                sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
                sums
            });
            black_box(sums);
        }
    });

    let destinations =
        |arrays| (0..threads).map(|_| std::sync::Mutex::new(vec![0.0f64; part(arrays)])).collect::<Vec<_>>();
    let out = destinations(2);
    let copy = best(threads, moved(2), |thread| {
        let mut out = out[thread].lock().expect("one thread each");
        for _ in 0..times {
            let length = out.len();
            out.copy_from_slice(&sources[thread][..length]);
            black_box(&mut *out);
        }
    });
    let out = destinations(3);
    let triad = best(threads, moved(3), |thread| {
        let mut out = out[thread].lock().expect("one thread each");
        let length = out.len();
        let (b, c) = (&sources[thread][..length], &sources[thread][length..2 * length]);
        for _ in 0..times {
            out.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = b + 2.0 * c);
            black_box(&mut *out);
        }
    });

    const LANES: usize = 256;
    let steps = 1 << 22;
    let fma = best(threads, (steps * LANES * threads) as f64, |_| {
        // Enough chains to hide the latency of each, in vectors of 512 bits too.
        let mut lanes = black_box([1.0f32; LANES]);
        let (a, b) = (black_box(0.999f32), black_box(0.001f32));
        for _ in 0..steps {
            lanes.iter_mut().for_each(|x| *x = x.mul_add(a, b));
        }
        black_box(lanes);
    });
    println!("{{\"read\": {read:.0}, \"copy\": {copy:.0}, \"triad\": {triad:.0}, \"fma_f32\": {fma:.0}}}");
}
