//! `inspect --augment`: what `[augment]` makes of training images.

use super::{CliError, Context};
use gputrain::job::Job;
use gputrain::model::Shape;
use gputrain::recipe::AugmentSpec;
use gputrain::report::{ImageGrid, Picture, Tile};
use gputrain::train::{Member, Mixed, Seen};
use serde_json::json;
use std::path::Path;

/// Images that are drawn, and epochs of each.
const IMAGES: usize = 6;
const EPOCHS: u32 = 9;

/// Draws the first training images into a .png file: a row for each, as it is and as each of the first epochs shows it.
pub fn draw(job: &Job, out: &Path, context: &Context) -> Result<(), CliError> {
    if job.recipe.augment == AugmentSpec::NONE {
        let problem = "the recipe has no [augment]; add one, or try --set augment.flip=horizontal";
        return Err(CliError::Usage(problem.into()));
    }
    if out.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("png")) {
        return Err(CliError::Usage(format!("--out {}: expected the name of a .png file", out.display())));
    }
    let spec = job.spec(&[Member::of(&job.recipe)]);
    let count = spec.dataset.train.count().min(IMAGES);
    let Shape::Image { channels, height, width } = job.model.input else {
        let problem = format!("--augment draws images, and the examples have {} features", job.model.input.len());
        return Err(CliError::Usage(problem));
    };
    let rows = (0..count).map(|example| spec.augmented(example, EPOCHS)).collect::<Result<Vec<_>, _>>()?;
    let values = || rows.iter().flat_map(|(plain, _)| plain);
    let low = values().copied().fold(f32::INFINITY, f32::min);
    let high = values().copied().fold(f32::NEG_INFINITY, f32::max);
    let tile = |values: &[f32], caption: Vec<String>| -> Result<Tile, CliError> {
        // One value everywhere is drawn black.
        let high = if high > low { high } else { low + 1.0 };
        let picture = Picture::from_values([channels, height, width], values, low, high)?;
        Ok(Tile { picture, caption, wrong: false })
    };
    let mut tiles = Vec::new();
    for (example, (plain, changed)) in rows.iter().enumerate() {
        tiles.push(tile(plain, vec![format!("image {}", example + 1)])?);
        for (epoch, Seen { values, mixed }) in changed.iter().enumerate() {
            let mixed = mixed.map(|Mixed { example, share }| format!("{:.0} % of {}", 100.0 * share, example + 1));
            tiles.push(tile(values, std::iter::once(format!("epoch {}", epoch + 1)).chain(mixed).collect())?);
        }
    }
    let title = format!("{}: training images as they are, and in each epoch", job.recipe.name);
    ImageGrid { title, columns: 1 + EPOCHS as usize, tiles, colour_bar: None }.save(out)?;
    context.say(format!("wrote {}: {count} images, as they are and in epochs 1 to {EPOCHS}", out.display()));
    context.emit(&json!({ "kind": "augmentation", "file": out, "images": count, "epochs": EPOCHS }));
    Ok(())
}
