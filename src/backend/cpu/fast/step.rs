//! The current batch out of the data set.

use super::simd;
use crate::backend::cpu::threads;
use crate::kernel::Args;
use crate::kernel::step::{gather, state};

/// The same in f32, row by row, so that the loops vectorise.
pub(crate) fn gather(args: &mut Args<f32>) {
    let p: gather::Params = args.params();
    let (models, variant, per_feature) =
        (args.models(), gather::Variant::of(args.constants), args.constant("PER_FEATURE", 0) == 1);
    let [data, counters, subtract, divide, batch, indices] = args.operands();
    let (data, counters, subtract, divide) = (data.read_u32(), counters.read_u32(), subtract.read(), divide.read());
    let (batch, indices) = (batch.write(), indices.write_u32());
    let (rows, features, row_words) = (p.rows as usize, p.features as usize, p.row_words as usize);
    let row_of = |place: usize| &data[place * row_words..][..row_words];
    let scale_row = |words: &[u32], out: &mut [f32]| {
        let bytes_of_words = bytemuck::cast_slice::<u32, u8>(words);
        match (variant.bytes, per_feature) {
            (true, false) => scale(out, bytes_of_words, |b| f32::from(*b), subtract[0], divide[0], p.add),
            (false, false) => scale(out, words, |w| f32::from_bits(*w), subtract[0], divide[0], p.add),
            (true, true) => scale_each(out, bytes_of_words, |b| f32::from(*b), subtract, divide, p.add),
            (false, true) => scale_each(out, words, |w| f32::from_bits(*w), subtract, divide, p.add),
        }
    };
    // Rows lie anywhere in the data: the next ones are asked for while one is scaled.
    let piece = |first: usize, indices: &mut [u32], batch: &mut [f32]| {
        let mut places = [None; PIECE];
        for (i, (index, place)) in indices.iter_mut().zip(&mut places).enumerate() {
            let (model, row) = ((first + i) / rows, (first + i) % rows);
            let found = gather::example(&p, &counters[model * state::COUNTERS..], model, row as u32, variant);
            (*index, *place) = (found.map_or(0, |(example, _)| example), found.map(|(_, place)| place));
        }
        places.iter().take(AHEAD).flatten().for_each(|place| simd::prefetch(row_of(*place)));
        for (i, out) in batch.chunks_mut(features).enumerate() {
            places.get(i + AHEAD).copied().flatten().into_iter().for_each(|place| simd::prefetch(row_of(place)));
            match places[i] {
                Some(place) => scale_row(row_of(place), out),
                None => out.fill(0.0),
            }
        }
    };
    let (batch, indices) = (&mut batch[..models * rows * features], &mut indices[..models * rows]);
    let worth = 8.0 * batch.len() as f64 >= threads::WORTH_BYTES;
    let pieces = indices.chunks_mut(PIECE).zip(batch.chunks_mut(PIECE * features)).enumerate();
    let numbered = |(i, (indices, batch)): (usize, (&mut [u32], &mut [f32]))| piece(i * PIECE, indices, batch);
    threads::for_each_if(worth, pieces, numbered);
}

/// Rows that a thread takes at a time.
const PIECE: usize = 16;

/// Rows asked for ahead of the one that is scaled.
const AHEAD: usize = 3;

fn scale<W>(out: &mut [f32], raw: &[W], value: impl Fn(&W) -> f32, subtract: f32, divide: f32, add: f32) {
    simd::vectorised(
        #[inline(always)]
        || {
            for (out, raw) in out.iter_mut().zip(raw) {
                *out = (value(raw) - subtract) / divide + add;
            }
        },
    );
}

fn scale_each<W>(out: &mut [f32], raw: &[W], value: impl Fn(&W) -> f32, subtract: &[f32], divide: &[f32], add: f32) {
    simd::vectorised(
        #[inline(always)]
        || {
            for (((out, raw), subtract), divide) in out.iter_mut().zip(raw).zip(subtract).zip(divide) {
                *out = (value(raw) - subtract) / divide + add;
            }
        },
    );
}
