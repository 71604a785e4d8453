//! Trains a small network from a Rust program: `cargo run --release --example train_from_rust`.

use gputrain::backend::cpu::CpuBackend;
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use gputrain::train::{EpochMetrics, Observer, Predictions};

/// Prints every epoch.
struct Printer;

impl Observer for Printer {
    fn epoch(&mut self, _member: usize, metrics: &EpochMetrics) {
        println!("epoch {}: loss {:.4}", metrics.epoch, metrics.train_loss);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A recipe is TOML; without a [data] section it trains on the generated digits.
    let recipe = Recipe::parse(
        r#"
        name = "from-rust"
        [data]
        validation = 0.1
        [model]
        input = [784]
        layers = [{ dense = 64, activation = "relu" }, { dense = 10 }]
        [optimizer]
        kind = "adam"
        [train]
        epochs = 5
        "#,
        "from-rust",
        &[],
    )?;
    let job = Job::load(recipe)?;
    let backend = CpuBackend::new(); // or backend::gpu::GpuBackend::open(&DeviceChoice::default())?
    let mut trainer = job.trainer(&backend)?;
    trainer.train(&mut Printer)?;
    let outcome = &trainer.finish()?[0];

    let test = job.dataset.test.as_ref().ok_or("the generated digits have a test set")?;
    let optimizer = &job.recipe.optimizer;
    let result = Predictions::run(&backend, &job.model, &outcome.parameters, &job.scaling, optimizer, test)?;
    println!(
        "test accuracy {:.2} %, first prediction {}",
        result.score.accuracy.unwrap_or(f32::NAN) * 100.0,
        result.classes()[0]
    );
    Ok(())
}
