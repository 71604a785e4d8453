//! Trains on arrays in memory, with a loop of its own: `cargo run --release --example train_on_arrays`.

use gputrain::backend::cpu::CpuBackend;
use gputrain::data::Examples;
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use gputrain::train::Set;
use std::error::Error;

/// Points of two spirals that wind around each other: two coordinates each, and which spiral they are on.
fn spirals(count: usize) -> Result<Examples, Box<dyn Error>> {
    let angle = |index: usize| 6.0 * (index / 2) as f32 / (count / 2) as f32;
    let point = |index: usize| {
        let (angle, side) = (angle(index), if index.is_multiple_of(2) { 1.0 } else { -1.0 });
        let radius = side * (0.2 + angle / 6.0);
        [radius * angle.cos(), radius * angle.sin()]
    };
    let points: Vec<f32> = (0..count).flat_map(point).collect();
    let labels: Vec<u32> = (0..count as u32).map(|index| index % 2).collect();
    Ok(Examples::new(points, &[count, 2], labels)?)
}

/// Trains until the validation loss is low enough; gives the accuracy on the validation set.
pub fn train() -> Result<f32, Box<dyn Error>> {
    let recipe = r#"
        data = { validation = 0.2, scale = "none" }
        model = { input = [2], layers = [{ dense = 32, activation = "tanh" }, { dense = 32, activation = "tanh" }, { dense = 2 }] }
        optimizer = { kind = "adam", learning_rate = 0.01 }
        train = { batch = 32 }
    "#;
    let job = Job::with_examples(Recipe::parse(recipe, "spirals", &[])?, spirals(1000)?, None)?;
    let mut trainer = job.trainer(&CpuBackend::new())?;
    let steps = trainer.steps_per_epoch() as u32;
    loop {
        trainer.step(10 * steps)?;
        let (train, validation) = (trainer.scores(Set::Train)?[0], trainer.scores(Set::Validation)?[0]);
        println!("epoch {}: loss {:.4}, validation loss {:.4}", trainer.epochs_finished(), train.loss, validation.loss);
        if validation.loss < 0.05 || trainer.epochs_finished() >= 200 {
            return Ok(validation.accuracy.unwrap_or(f32::NAN));
        }
    }
}

#[allow(dead_code, reason = "a test runs what is in here")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("validation accuracy {:.1} %", 100.0 * train()?);
    Ok(())
}
