//! Changes of a batch's images.

use crate::backend::cpu::threads;
use crate::kernel::Args;
use crate::kernel::step::augment::{Changes, Params, weight};
use crate::kernel::step::state;

/// The same in f32, whole rows of pixels at a time where they are copies.
pub(crate) fn augment(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, per_feature) = (args.models(), args.constant("PER_FEATURE", 0) == 1);
    let [input, indices, counters, subtract, divide, output] = args.operands();
    let (input, indices, counters) = (input.read(), indices.read_u32(), counters.read_u32());
    let (rows, len) = (p.rows as usize, p.len());
    let scaling = Scaling { subtract: subtract.read(), divide: divide.read(), add: p.add, per_feature };
    let output = &mut output.write()[..models * rows * len];
    let flops = if p.warps() { 24.0 } else { 4.0 };
    let worth = flops * output.len() as f64 >= threads::WORTH_FLOPS;
    threads::for_each_if(worth, output.chunks_mut(len).enumerate(), |(row, output)| {
        let changes = Changes::draw(&p, &counters[row / rows * state::COUNTERS..], indices[row]);
        change(&p, &changes, &scaling, &input[row * len..][..len], output);
    });
}

struct Scaling<'a> {
    subtract: &'a [f32],
    divide: &'a [f32],
    add: f32,
    per_feature: bool,
}

impl Scaling<'_> {
    fn of(&self, feature: usize) -> (f32, f32) {
        let i = if self.per_feature { feature } else { 0 };
        (self.subtract[i], self.divide[i])
    }

    fn scaled(&self, raw: f32, feature: usize) -> f32 {
        let (subtract, divide) = self.of(feature);
        (raw - subtract) / divide + self.add
    }
}

fn change(p: &Params, changes: &Changes, scaling: &Scaling<'_>, input: &[f32], output: &mut [f32]) {
    let plane = (p.height * p.width) as usize;
    let channels = input.chunks(plane).zip(output.chunks_mut(plane)).enumerate();
    for (channel, (input, output)) in channels {
        if p.warps() {
            warp(p, changes, input, output, |place| scaling.scaled(0.0, channel * plane + place));
        } else {
            copy(p, changes, input, output, |place| scaling.scaled(0.0, channel * plane + place));
        }
    }
    if p.brightness > 0.0 {
        let factor = changes.brightness as f32;
        for (i, value) in output.iter_mut().enumerate() {
            let black = scaling.scaled(0.0, i);
            *value = black + factor * (*value - black);
        }
    }
    if p.contrast > 0.0 {
        let unscaled = |(i, value): (usize, &f32)| {
            let (subtract, divide) = scaling.of(i);
            weight(p.channels, i / plane) * f64::from((value - scaling.add) * divide + subtract)
        };
        let mean = (output.iter().enumerate().map(unscaled).sum::<f64>() / plane as f64) as f32;
        let factor = changes.contrast as f32;
        for (i, value) in output.iter_mut().enumerate() {
            let mean = scaling.scaled(mean, i);
            *value = mean + factor * (*value - mean);
        }
    }
    let [rows, columns] = &changes.erased;
    for channel in 0..p.channels {
        for y in rows.clone() {
            for x in columns.clone() {
                let i = ((channel * p.height + y) * p.width + x) as usize;
                output[i] = scaling.scaled(0.0, i);
            }
        }
    }
}

/// One channel, flipped and moved by whole pixels.
fn copy(p: &Params, changes: &Changes, input: &[f32], output: &mut [f32], black: impl Fn(usize) -> f32) {
    let (height, width) = (p.height as i32, p.width as i32);
    let [down, right] = changes.moved;
    // The columns that are filled, and the first column that they come from.
    let filled = right.clamp(0, width) as usize..(width + right).clamp(0, width) as usize;
    let first = (-right).max(0) as usize;
    for (y, output) in output.chunks_mut(p.width as usize).enumerate() {
        let from = y as i32 - down;
        let inside = (0..height).contains(&from) && !filled.is_empty();
        if !inside || filled.len() < output.len() {
            output.iter_mut().enumerate().for_each(|(x, value)| *value = black(y * p.width as usize + x));
        }
        if !inside {
            continue;
        }
        let from = if changes.flips[1] { height - 1 - from } else { from } as usize;
        let source = &input[from * p.width as usize..][..p.width as usize];
        let target = &mut output[filled.clone()];
        if changes.flips[0] {
            let last = source.len() - first;
            target.iter_mut().zip(source[..last].iter().rev()).for_each(|(to, from)| *to = *from);
        } else {
            target.copy_from_slice(&source[first..first + target.len()]);
        }
    }
}

/// One channel, turned, scaled and moved.
fn warp(p: &Params, changes: &Changes, input: &[f32], output: &mut [f32], black: impl Fn(usize) -> f32) {
    let (height, width) = (p.height as i32, p.width as i32);
    let middle = [(height - 1) as f32 / 2.0, (width - 1) as f32 / 2.0];
    let [sine, cosine] = changes.turn.map(|number| number as f32);
    let [flip_columns, flip_rows] = changes.flips;
    for (place, value) in output.iter_mut().enumerate() {
        let (y, x) = (place as i32 / width - changes.moved[0], place as i32 % width - changes.moved[1]);
        let [down, right] = [y as f32 - middle[0], x as f32 - middle[1]];
        let source = [middle[0] + cosine * down - sine * right, middle[1] + cosine * right + sine * down];
        let corner = source.map(f32::floor);
        let share = [source[0] - corner[0], source[1] - corner[1]];
        let [y, x] = corner.map(|number| number as i32);
        let black = black(place);
        let pixel = |y: i32, x: i32| {
            if !(0..height).contains(&y) || !(0..width).contains(&x) {
                return black;
            }
            let y = if flip_rows { height - 1 - y } else { y };
            let x = if flip_columns { width - 1 - x } else { x };
            input[(y * width + x) as usize]
        };
        let above = pixel(y, x) + share[1] * (pixel(y, x + 1) - pixel(y, x));
        let below = pixel(y + 1, x) + share[1] * (pixel(y + 1, x + 1) - pixel(y + 1, x));
        *value = above + share[0] * (below - above);
    }
}
