//! What TensorBoard is told of a run, and under which tags.

use super::Summary;
use crate::metrics::Metrics;
use crate::report::{Block, ReportError, Section};
use crate::tensorboard::EventFile;
use crate::train::{EpochMetrics, Norms, StepMetrics};

/// Loss, accuracy and what else was measured of each set, at the step that the epoch ended with.
pub(super) fn epoch(events: &mut EventFile, metrics: &EpochMetrics) {
    let step = metrics.step;
    let sets = [
        ("train", Some(metrics.train_loss), metrics.train_accuracy),
        ("validation", metrics.validation_loss, metrics.validation_accuracy),
        ("test", metrics.test_loss, metrics.test_accuracy),
    ];
    for (set, loss, accuracy) in sets {
        scores(events, step, ["loss", "accuracy"].map(|what| format!("{what}/{set}")), (loss, accuracy));
    }
    for (set, found) in &metrics.metrics {
        measured(events, step, "", set, found);
    }
    events.scalar(step, "learning_rate", metrics.learning_rate);
}

/// What was logged of a step.
pub(super) fn step(events: &mut EventFile, metrics: &StepMetrics) {
    let step = metrics.step;
    scores(events, step, ["loss/batch", "accuracy/batch"].map(String::from), (Some(metrics.loss), metrics.accuracy));
    let validation = (metrics.validation_loss, metrics.validation_accuracy);
    scores(events, step, ["loss/validation_by_step", "accuracy/validation_by_step"].map(String::from), validation);
    let mut norms = |what: &str, norms: &Option<Norms>| {
        for (name, norm) in norms.iter().flatten() {
            if let Some(norm) = norm {
                events.scalar(step, &format!("{what}/{name}"), *norm);
            }
        }
    };
    norms("gradient_norm", &metrics.gradient_norms);
    norms("weight_norm", &metrics.weight_norms);
}

/// What the run ended with, and the pictures of its page.
pub(super) fn end(events: &mut EventFile, summary: &Summary, page: &[Section]) -> Result<(), ReportError> {
    let step = summary.steps;
    let sets = [
        ("validation", summary.validation_loss, summary.validation_accuracy),
        ("test", summary.test_loss, summary.test_accuracy),
    ];
    for (set, loss, accuracy) in sets {
        scores(events, step, ["loss", "accuracy"].map(|what| format!("final_{what}/{set}")), (loss, accuracy));
    }
    for (set, found) in &summary.metrics {
        measured(events, step, "final_", set, found);
    }
    for section in page {
        for block in &section.blocks {
            if let Block::Pictures { grid, .. } = block {
                match grid.png() {
                    Ok(png) => events.picture(step, &section.title, &png),
                    // The page says so.
                    Err(ReportError::NoPng) => {}
                    Err(other) => return Err(other),
                }
            }
        }
    }
    Ok(())
}

fn scores(events: &mut EventFile, step: u32, tags: [String; 2], (loss, accuracy): (Option<f32>, Option<f32>)) {
    for (tag, value) in tags.iter().zip([loss, accuracy]) {
        if let Some(value) = value {
            events.scalar(step, tag, value);
        }
    }
}

/// What was measured beyond loss and accuracy, of bits and values one by one too.
fn measured(events: &mut EventFile, step: u32, before: &str, set: &str, metrics: &Metrics) {
    let each = metrics.bits.iter().chain(&metrics.outputs).map(|(name, values)| (format!("{set}/{name}"), values));
    for (place, values) in std::iter::once((set.to_string(), &metrics.values)).chain(each) {
        for (measure, value) in values {
            let counted = measure.is_counted_on_device() && place == set;
            if let Some(value) = value.filter(|_| !counted) {
                events.scalar(step, &format!("{before}{measure}/{place}"), value as f32);
            }
        }
    }
}
