//! Norms at sizes that the CPU backend shares out to threads and whose sums are split.

use gputrain::backend::cpu::CpuBackend;
use gputrain::kernel::formula::activation::TANH;
use gputrain::kernel::norm::backward_weight::{self, Norm};
use gputrain::kernel::norm::batch_backward_input::{self, BatchBackwardInput};
use gputrain::kernel::norm::batch_forward::{self, BatchForward, Statistics};
use gputrain::kernel::norm::row_backward_input::{self, RowBackwardInput};
use gputrain::kernel::norm::row_forward::{self, RowForward};
use gputrain::kernel::norm::{batch_moments, batch_statistics};
use gputrain::kernel::step::state;
use gputrain::kernel::{Case, Contents, Launch, Specification};
use gputrain::parity::Prepared;

/// What the norms launch for a batch whose last rows lie past the end of the epoch: (batch, channels, plane). A group has two
/// channels.
fn launches([batch, channels, plane]: [usize; 3]) -> Vec<(&'static Specification, Case)> {
    let (len, rows, label, models) = (batch * channels * plane, batch * channels / 2, String::from("large"), 1);
    let examples = batch - batch / 5;
    let random = |len: usize, seed: u32| Contents::random(len, 1.0, seed);
    let counters = || Contents::U32(vec![0; state::COUNTERS]);
    let s = Case::slices(&[0; 8].map(|_| Contents::F32(vec![0.0])));
    let u32s = |values: [usize; 4]| values.map(|n| n as u32);
    let mut cases: Vec<(&'static Specification, &dyn Launch, Vec<Contents>)> = Vec::new();

    let [rows_u32, groups, channels_per_group, plane_u32] = u32s([rows, channels / 2, 2, plane]);
    let (parameter_stride, epsilon, activation) = (0, 1e-5, TANH);
    let shape =
        row_forward::Params { rows: rows_u32, groups, channels_per_group, plane: plane_u32, parameter_stride, epsilon };
    let operands = row_forward::Operands { input: s[0], weight: s[1], bias: s[2], output: s[3], statistics: s[4] };
    let forward = RowForward { label: label.clone(), shape, models, activation, operands };
    let contents = vec![random(len, 1), random(channels, 2), random(channels, 3), random(len, 4), random(2 * rows, 5)];
    cases.push((&row_forward::SPECIFICATION, &forward, contents));

    let shape =
        row_backward_input::Params { rows: rows_u32, groups, channels_per_group, plane: plane_u32, parameter_stride };
    let operands = row_backward_input::Operands {
        output_gradient: s[0],
        input: s[1],
        weight: s[2],
        statistics: s[3],
        saved: s[4],
        input_gradient: s[5],
    };
    let backward = RowBackwardInput { label: label.clone(), shape, models, activation, operands };
    let contents =
        vec![random(len, 1), random(len, 2), random(channels, 3), random(2 * rows, 4), random(len, 5), random(len, 6)];
    cases.push((&row_backward_input::SPECIFICATION, &backward, contents));

    let norms =
        [(Norm::rows(batch, channels / 2, 2, plane), 2 * rows), (Norm::batch(batch, channels, plane), 2 * channels)];
    let operands = backward_weight::Operands {
        output_gradient: s[0],
        input: s[1],
        statistics: s[2],
        gradient: s[3],
        bias_offset: channels,
        parameter_stride: 2 * channels,
        scratch: Some(s[4]),
    };
    let split = norms.map(|(norm, _)| backward_weight::launches("large", norm, models, operands));
    for ((norm, statistics), launches) in norms.iter().zip(&split) {
        assert_eq!(launches.len(), 2, "the sums are split");
        let contents =
            vec![random(len, 1), random(len, 2), random(*statistics, 3), random(norm.scratch_len(models), 4)];
        cases.push((&backward_weight::SPECIFICATION, &*launches[0], contents));
    }

    let shape = batch_statistics::Shape {
        batch,
        channels,
        plane,
        examples,
        running_stride: 2 * channels,
        variance_offset: channels,
        momentum: 0.1,
        epsilon,
    };
    let operands =
        batch_statistics::Operands { input: s[0], counters: s[1], scratch: s[2], statistics: s[3], running: s[4] };
    let moments = batch_statistics::launches("large", shape, models, operands);
    let contents = vec![random(len, 1), counters(), random(shape.scratch_len(models), 2)];
    cases.push((&batch_moments::SPECIFICATION, &*moments[0], contents));

    let operands = batch_forward::Operands {
        input: s[0],
        weight: s[1],
        bias: s[2],
        parameter_stride: channels,
        statistics: Statistics::Batch(s[3]),
        output: s[4],
    };
    let forward =
        BatchForward { label: label.clone(), batch, channels, plane, models, activation, gradient: false, operands };
    let contents =
        vec![random(len, 1), random(channels, 2), random(channels, 3), random(2 * channels, 4), random(len, 5)];
    cases.push((&batch_forward::SPECIFICATION, &forward, contents));

    let operands = batch_backward_input::Operands {
        output_gradient: s[0],
        input: s[1],
        weight: s[2],
        statistics: s[3],
        sums: s[4],
        saved: s[5],
        counters: s[6],
        input_gradient: s[7],
    };
    let [batch, channels_u32, plane, examples] = u32s([batch, channels, plane, examples]);
    let shape = batch_backward_input::Params {
        batch,
        channels: channels_u32,
        plane,
        examples,
        parameter_stride: channels_u32,
        sums_stride: 2 * channels_u32,
        bias_offset: channels_u32,
    };
    let backward = BatchBackwardInput { label, shape, models, activation, operands };
    let contents = vec![
        random(len, 1),
        random(len, 2),
        random(channels, 3),
        random(2 * channels, 4),
        random(2 * channels, 5),
        random(len, 6),
        counters(),
        random(len, 7),
    ];
    cases.push((&batch_backward_input::SPECIFICATION, &backward, contents));

    let case = |(known, launch, contents): (&'static Specification, &dyn Launch, _)| {
        (known, Case { name: "large".into(), dispatch: launch.lower(), contents })
    };
    cases.into_iter().map(case).collect()
}

#[test]
fn large_norms_agree_with_the_reference_on_threads() {
    let backend = CpuBackend::new();
    for size in [[48, 24, 131], [1031, 130, 1]] {
        for (known, case) in launches(size) {
            let row = Prepared::new(known, vec![case]).expect("a valid case").verify(&backend, known.kernel);
            assert!(row.passed, "{size:?}: {row:?}");
        }
    }
}
