//! A look at the generated digits.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use gputrain::data::{Storage, Targets, generate};

/// Draws ten rows of twenty digits: `cargo test --test data_digits -- --ignored --nocapture` says where.
#[test]
#[ignore = "draws a picture for people to look at"]
fn contact_sheet() {
    const SIDE: usize = 28;
    const COLUMNS: usize = 20;
    let data = generate(0, 1000, 0).train;
    let (Storage::U8(pixels), Targets::Classes { labels, .. }) = (&data.features.storage, &data.targets) else {
        panic!("digits are bytes with classes")
    };
    let mut sheet = vec![255u8; 10 * SIDE * COLUMNS * SIDE];
    for digit in 0..10 {
        let images = pixels.chunks_exact(SIDE * SIDE).zip(labels).filter(|(_, label)| **label as usize == digit);
        for (column, (image, _)) in images.take(COLUMNS).enumerate() {
            for (row, line) in image.chunks_exact(SIDE).enumerate() {
                let start = (digit * SIDE + row) * COLUMNS * SIDE + column * SIDE;
                sheet[start..start + SIDE].iter_mut().zip(line).for_each(|(paper, ink)| *paper = 255 - ink);
            }
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("digits.png");
    let file = BufWriter::new(File::create(&path).unwrap());
    let mut encoder = png::Encoder::new(file, (COLUMNS * SIDE) as u32, (10 * SIDE) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&sheet).unwrap();
    println!("{}", path.display());
}
