//! Changes of a batch's images: what an epoch shows of each follows from the model's seed, the epoch and the example alone.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::formula::hash::combine;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Operand, Real, Specification};

params! {
    /// Shape of one launch, and how far each change goes.
    Params {
        /// Images in the batch.
        rows: u32,
        /// Channels of an image.
        channels: u32,
        /// Its rows.
        height: u32,
        /// Its columns.
        width: u32,
        /// Bit 0: columns may change their order; bit 1: rows.
        flips: u32,
        /// Most pixels that an image moves in each direction.
        translate: u32,
        /// The largest angle that it is turned by, in half turns.
        angle: f32,
        /// The smallest factor of its size.
        scale_low: f32,
        /// The largest.
        scale_high: f32,
        /// How far its brightness may differ from 1.
        brightness: f32,
        /// How far its contrast may differ from 1.
        contrast: f32,
        /// Pixels of the smallest rectangle that is blackened.
        erase_low: u32,
        /// Pixels of the largest; 0 for none.
        erase_high: u32,
        /// What scaling adds last.
        add: f32,
    }
}

impl Params {
    /// No change of images of this shape.
    pub const fn none(rows: u32, [channels, height, width]: [u32; 3]) -> Params {
        let (flips, translate, angle, scale_low, scale_high) = (0, 0, 0.0, 1.0, 1.0);
        let (brightness, contrast, erase_low, erase_high, add) = (0.0, 0.0, 0, 0, 0.0);
        Params {
            rows,
            channels,
            height,
            width,
            flips,
            translate,
            angle,
            scale_low,
            scale_high,
            brightness,
            contrast,
            erase_low,
            erase_high,
            add,
        }
    }

    /// Whether pixels come to lie between others: otherwise all are copies.
    pub(crate) fn warps(&self) -> bool {
        self.angle != 0.0 || self.scale_low != 1.0 || self.scale_high != 1.0
    }

    /// Features of one image.
    pub(crate) fn len(&self) -> usize {
        (self.channels * self.height * self.width) as usize
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "augment",
    wgsl: include_str!("../../../shaders/augment.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("input"),
        read_u32("indices"),
        read_u32("counters"),
        read("subtract"),
        read("divide"),
        write("output"),
    ],
    params: Params::FIELDS,
};

/// What it computes. What lies between pixels is as exact as its place, which is a difference of numbers as large as the image.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 2e-5,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, channels, height, width), scaled.
    pub input: Slice,
    /// (models, rows): the examples.
    pub indices: Slice,
    /// Step state.
    pub counters: Slice,
    /// What scaling subtracts: one per feature, or one for all.
    pub subtract: Slice,
    /// What it divides by; as long as `subtract`.
    pub divide: Slice,
    /// As `input`.
    pub output: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct Augment {
    /// What it computes here.
    pub label: String,
    /// Its shape and numbers.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Augment {
    fn lower(&self) -> Dispatch {
        let Augment { label, shape, models, operands: o } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("PER_FEATURE", (o.subtract.len > 1).into()),
                ("WARP", shape.warps().into()),
                ("BRIGHTNESS", (shape.brightness > 0.0).into()),
                ("CONTRAST", (shape.contrast > 0.0).into()),
            ],
            cost: cost(&shape).times(models),
            params: shape.words(),
            slices: vec![o.input, o.indices, o.counters, o.subtract, o.divide, o.output],
            grid: linear_grid(shape.rows as usize, models as u32),
            demands: Demands::default(),
        }
    }
}

/// What the hash of a change starts from, and the number of each change: as in the shader.
const AUGMENT: u32 = 0x6175_676d;
const FLIP_COLUMNS: u32 = 0;
const FLIP_ROWS: u32 = 1;
const MOVE_ROWS: u32 = 2;
const MOVE_COLUMNS: u32 = 3;
const TURN: u32 = 4;
const ENLARGE: u32 = 5;
const BRIGHTEN: u32 = 6;
const CONTRAST_FACTOR: u32 = 7;
const ERASE: u32 = 8;
const ERASE_AREA: u32 = 9;
const ERASE_HEIGHT: u32 = 10;
const ERASE_TOP: u32 = 11;
const ERASE_LEFT: u32 = 12;

/// What an epoch does to one example.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changes {
    /// Whether columns change their order, and whether rows do.
    pub(crate) flips: [bool; 2],
    /// Pixels down and to the right.
    pub(crate) moved: [i32; 2],
    /// Sine and cosine of the angle, divided by the factor of the size.
    pub(crate) turn: [f64; 2],
    /// Factor of the brightness.
    pub(crate) brightness: f64,
    /// Factor of the contrast.
    pub(crate) contrast: f64,
    /// The rows and the columns of the rectangle that is blackened; empty where there is none.
    pub(crate) erased: [std::ops::Range<u32>; 2],
}

impl Changes {
    /// Draws them for an example; `counters` are the model's own.
    pub(crate) fn draw(p: &Params, counters: &[u32], example: u32) -> Changes {
        let of_model = combine(combine(AUGMENT, counters[state::SEED]), counters[state::EPOCH]);
        let key = combine(of_model, example);
        let flip = |bit: u32, change: u32| p.flips >> bit & combine(key, change) & 1 == 1;
        let below = |change: u32, count: u32| combine(key, change) % count;
        let moved = |change: u32| below(change, 2 * p.translate + 1) as i32 - p.translate as i32;
        let between = |change: u32, low: f32, high: f32| {
            let share = f64::from(combine(key, change) >> 8) / 16_777_216.0;
            f64::from(low) + share * f64::from(high - low)
        };
        let factor = |change: u32, most: f32| between(change, (1.0 - most).max(0.0), 1.0 + most);
        let angle = between(TURN, -p.angle, p.angle) * std::f64::consts::PI;
        let scale = between(ENLARGE, p.scale_low, p.scale_high);
        Changes {
            flips: [flip(0, FLIP_COLUMNS), flip(1, FLIP_ROWS)],
            moved: [moved(MOVE_ROWS), moved(MOVE_COLUMNS)],
            turn: [angle.sin() / scale, angle.cos() / scale],
            brightness: factor(BRIGHTEN, p.brightness),
            contrast: factor(CONTRAST_FACTOR, p.contrast),
            erased: Changes::erased(p, key, below),
        }
    }

    fn erased(p: &Params, key: u32, below: impl Fn(u32, u32) -> u32) -> [std::ops::Range<u32>; 2] {
        if p.erase_high == 0 || combine(key, ERASE) & 1 == 0 {
            return [0..0, 0..0];
        }
        let area = p.erase_low + below(ERASE_AREA, p.erase_high - p.erase_low + 1);
        // Its sides have a ratio of 0.3 to 3.3 where the image has room for that.
        let least = (area * 3 / 10).isqrt().max(area.div_ceil(p.width)).max(1).min(p.height);
        let most = (area * 33 / 10).isqrt().min(p.height).max(least);
        let height = least + below(ERASE_HEIGHT, most - least + 1);
        let width = area / height;
        let top = below(ERASE_TOP, p.height - height + 1);
        let left = below(ERASE_LEFT, p.width - width + 1);
        [top..top + height, left..left + width]
    }

    /// Whether a pixel is blackened.
    pub(crate) fn erases(&self, y: u32, x: u32) -> bool {
        self.erased[0].contains(&y) && self.erased[1].contains(&x)
    }
}

/// How much a channel counts in an image's mean: as in grey, where there are three.
pub(crate) fn weight(channels: u32, channel: usize) -> f64 {
    if channels == 3 { [0.2989, 0.587, 0.114][channel] } else { 1.0 / f64::from(channels) }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, per_feature) = (args.models(), args.constant("PER_FEATURE", 0) == 1);
    let [input, indices, counters, subtract, divide, output] = args.operands();
    let (input, indices, counters) = (input.read(), indices.read_u32(), counters.read_u32());
    let (subtract, divide, output) = (subtract.read(), divide.read(), output.write());
    let (rows, len) = (p.rows as usize, p.len());
    let scale = |feature: usize| {
        let i = if per_feature { feature } else { 0 };
        (subtract[i].to_f64(), divide[i].to_f64())
    };
    let scaled = |raw: f64, feature: usize| {
        let (subtract, divide) = scale(feature);
        (raw - subtract) / divide + f64::from(p.add)
    };
    let plane = (p.height * p.width) as usize;
    let place = |i: usize| ((i % plane) as u32 / p.width, (i % plane) as u32 % p.width);
    for row in 0..models * rows {
        let changes = Changes::draw(&p, &counters[row / rows * state::COUNTERS..], indices[row]);
        let image = &input[row * len..][..len];
        let mut values: Vec<f64> = (0..len)
            .map(|i| {
                let ((y, x), black) = (place(i), scaled(0.0, i));
                let value = moved(&p, &changes, &image[i / plane * plane..], y, x, black);
                black + changes.brightness * (value - black)
            })
            .collect();
        if p.contrast > 0.0 {
            let mean = |(i, value): (usize, &f64)| {
                let (subtract, divide) = scale(i);
                weight(p.channels, i / plane) * ((value - f64::from(p.add)) * divide + subtract)
            };
            let mean = values.iter().enumerate().map(mean).sum::<f64>() / plane as f64;
            for (i, value) in values.iter_mut().enumerate() {
                let mean = scaled(mean, i);
                *value = mean + changes.contrast * (*value - mean);
            }
        }
        for (i, value) in values.into_iter().enumerate() {
            let (y, x) = place(i);
            output[row * len + i] = T::from_f64(if changes.erases(y, x) { scaled(0.0, i) } else { value });
        }
    }
}

/// The value of a channel that comes to lie at a pixel.
fn moved<T: Real>(p: &Params, changes: &Changes, channel: &[T], y: u32, x: u32, black: f64) -> f64 {
    let (height, width) = (i64::from(p.height), i64::from(p.width));
    let pixel = |y: i64, x: i64| {
        if !(0..height).contains(&y) || !(0..width).contains(&x) {
            return black;
        }
        let x = if changes.flips[0] { width - 1 - x } else { x };
        let y = if changes.flips[1] { height - 1 - y } else { y };
        channel[(y * width + x) as usize].to_f64()
    };
    let (y, x) = (i64::from(y) - i64::from(changes.moved[0]), i64::from(x) - i64::from(changes.moved[1]));
    if !p.warps() {
        return pixel(y, x);
    }
    let middle = [(height - 1) as f64 / 2.0, (width - 1) as f64 / 2.0];
    let [sine, cosine] = changes.turn;
    let [down, right] = [y as f64 - middle[0], x as f64 - middle[1]];
    let source = [middle[0] + cosine * down - sine * right, middle[1] + cosine * right + sine * down];
    let corner = source.map(f64::floor);
    let share = [source[0] - corner[0], source[1] - corner[1]];
    let [y, x] = corner.map(|number| number as i64);
    let above = pixel(y, x) + share[1] * (pixel(y, x + 1) - pixel(y, x));
    let below = pixel(y + 1, x) + share[1] * (pixel(y + 1, x + 1) - pixel(y + 1, x));
    above + share[0] * (below - above)
}

/// One image of features in this scaling, as a model of a seed sees it in an epoch.
pub fn image(p: &Params, [seed, epoch, example]: [u32; 3], input: &[f32], [subtract, divide]: [&[f32]; 2]) -> Vec<f32> {
    let mut counters = [0; state::COUNTERS];
    (counters[state::SEED], counters[state::EPOCH]) = (seed, epoch);
    let mut output = vec![0.0; p.len()];
    let operands = [
        Operand::Read(input),
        Operand::ReadU32(std::slice::from_ref(&example)),
        Operand::ReadU32(&counters),
        Operand::Read(subtract),
        Operand::Read(divide),
        Operand::Write(&mut output),
    ];
    reference::<f32>(&mut Args {
        params: &Params { rows: 1, ..*p }.words(),
        constants: &[("PER_FEATURE", (subtract.len() > 1).into())],
        grid: [1, 1, 1],
        operands: operands.into_iter().collect(),
    });
    output
}

fn cost(p: &Params) -> Cost {
    let values = f64::from(p.rows) * p.len() as f64;
    Cost { flops: if p.warps() { 24.0 * values } else { values }, bytes: 8.0 * values }
}

fn cases() -> Vec<Case> {
    // (models, rows, channels, height, width)
    let shapes: [[u32; 5]; 7] = [
        [1, 1, 1, 1, 1],
        [2, 3, 1, 5, 7],
        [1, 17, 3, 8, 8],
        [3, 5, 2, 13, 4],
        [1, 4, 3, 31, 17],
        [2, 33, 1, 12, 12],
        [1, 2, 4, 1, 40],
    ];
    let mut cases = Vec::new();
    for (index, [models, rows, channels, height, width]) in shapes.into_iter().enumerate() {
        let none = Params { add: -0.5, ..Params::none(rows, [channels, height, width]) };
        let pixels = height * width;
        let erase = Params { erase_low: pixels.div_ceil(50), erase_high: pixels.div_ceil(3), ..none };
        let moving = Params { flips: 3, translate: 2, ..none };
        let turning = Params { angle: 0.2, ..none };
        let kinds = [
            ("nothing", none),
            ("flip columns", Params { flips: 1, ..none }),
            ("flip rows", Params { flips: 2, ..none }),
            ("translate", Params { translate: 3, ..none }),
            ("turn by any angle", Params { angle: 1.0, ..none }),
            ("resize", Params { scale_low: 0.6, scale_high: 1.7, ..none }),
            ("brightness", Params { brightness: 0.4, ..none }),
            ("contrast", Params { contrast: 1.3, ..none }),
            ("erase", erase),
            ("erase all", Params { erase_low: pixels, erase_high: pixels, ..none }),
            ("move and erase", Params { flips: moving.flips, translate: 1, ..erase }),
            (
                "all",
                Params {
                    brightness: 0.3,
                    contrast: 0.3,
                    scale_low: 0.9,
                    scale_high: 1.1,
                    flips: 3,
                    translate: 2,
                    ..turning
                },
            ),
            ("contrast and erase", Params { contrast: 0.5, brightness: 1.5, ..erase }),
        ];
        for (number, (name, params)) in kinds.into_iter().enumerate() {
            let per_feature = (index + number) % 2 == 1;
            cases.extend(case(name, models, params, per_feature));
        }
    }
    cases
}

fn case(name: &str, models: u32, params: Params, per_feature: bool) -> Option<Case> {
    let images = (models * params.rows) as usize;
    let counters = (0..models as usize * state::COUNTERS).map(|i| i as u32 * 7 + params.rows).collect();
    let scales = if per_feature { params.len() } else { 1 };
    let Contents::F32(divide) = Contents::random(scales, 1.0, 3) else { return None };
    let contents = vec![
        Contents::random(images * params.len(), 1.0, 1),
        Contents::U32((0..images as u32).map(|i| i * 5 % 41).collect()),
        Contents::U32(counters),
        Contents::random(scales, 2.0, 2),
        Contents::F32(divide.iter().map(|d| 2.0 + d).collect()),
        Contents::random(images * params.len(), 1.0, 4),
    ];
    let s = Case::slices(&contents);
    let operands = Operands { input: s[0], indices: s[1], counters: s[2], subtract: s[3], divide: s[4], output: s[5] };
    let dispatch = Augment { label: "case".into(), shape: params, models: models as usize, operands }.lower();
    let Params { rows, channels, height, width, .. } = params;
    let per_feature = if per_feature { ", scaled by feature" } else { "" };
    Some(Case { name: format!("{models}x{rows}x{channels}x{height}x{width} {name}{per_feature}"), dispatch, contents })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::augment::augment as fast;
    use crate::kernel::difference::run_f32;

    fn counters(seed: u32, epoch: u32) -> Vec<u32> {
        let mut counters = vec![0; state::COUNTERS];
        (counters[state::SEED], counters[state::EPOCH]) = (seed, epoch);
        counters
    }

    fn draw(p: &Params, epoch: u32) -> Vec<Changes> {
        (0..1000).map(|example| Changes::draw(p, &counters(1, epoch), example)).collect()
    }

    #[test]
    fn changes_are_spread_as_they_should_be() {
        let none = Params::none(1, [1, 20, 30]);
        let params = Params {
            flips: 3,
            translate: 4,
            angle: 0.1,
            scale_low: 0.8,
            scale_high: 1.2,
            brightness: 0.3,
            contrast: 2.0,
            erase_low: 12,
            erase_high: 150,
            ..none
        };
        let changes = draw(&params, 3);
        let share = |holds: &dyn Fn(&Changes) -> bool| changes.iter().filter(|c| holds(c)).count() as f64 / 1000.0;
        // Half of 1000 with a standard deviation of 0.016.
        for (what, share) in [
            ("columns", share(&|c| c.flips[0])),
            ("rows", share(&|c| c.flips[1])),
            ("both", 2.0 * share(&|c| c.flips == [true, true])),
            ("turns to the right", share(&|c| c.turn[0] > 0.0)),
            ("brighter", share(&|c| c.brightness > 1.0)),
            ("more contrast", share(&|c| c.contrast > 1.5)),
            ("erased", share(&|c| !c.erased[0].is_empty())),
        ] {
            assert!((0.43..0.57).contains(&share), "{what}: {share}");
        }
        // Chi-squared with 8 degrees of freedom: 99.9 % lie below 26.1.
        for axis in [0, 1] {
            let counts = (-4..=4).map(|pixels| changes.iter().filter(|c| c.moved[axis] == pixels).count() as f64);
            let chi_squared: f64 = counts.map(|n| (n - 1000.0 / 9.0).powi(2) / (1000.0 / 9.0)).sum();
            assert!(chi_squared < 26.1, "{axis}: {chi_squared}");
            assert!(changes.iter().all(|c| (-4..=4).contains(&c.moved[axis])));
        }
        let sizes: Vec<f64> = changes.iter().map(|c| 1.0 / c.turn[0].hypot(c.turn[1])).collect();
        assert!(sizes.iter().all(|size| (0.799..1.201).contains(size)));
        assert!((sizes.iter().sum::<f64>() / 1000.0 - 1.0).abs() < 0.02);
        assert!(changes.iter().all(|c| (0.0..=3.0).contains(&c.contrast) && (0.7..=1.3).contains(&c.brightness)));
        let erased: Vec<_> = changes.iter().filter(|c| !c.erased[0].is_empty()).collect();
        let area = |c: &Changes| c.erased.iter().map(|range| f64::from(range.end - range.start)).product::<f64>();
        assert!(erased.iter().all(|c| area(c) <= 150.0 && c.erased[0].end <= 20 && c.erased[1].end <= 30));
        let mean = erased.iter().map(|c| area(c)).sum::<f64>() / erased.len() as f64;
        assert!((70.0..85.0).contains(&mean), "{mean}");
        assert!(draw(&none, 3).iter().all(|c| *c == Changes::draw(&none, &counters(9, 9), 0)), "nothing changes");
    }

    #[test]
    fn other_epochs_examples_and_seeds_draw_anew() {
        let params = Params { flips: 3, translate: 4, ..Params::none(1, [1, 9, 9]) };
        assert_eq!(draw(&params, 5), draw(&params, 5));
        let same = draw(&params, 5).iter().zip(&draw(&params, 6)).filter(|(a, b)| a == b).count();
        assert!(same < 20, "{same} of 1000, where 3 are expected");
        let others = (0..1000).filter(|seed| Changes::draw(&params, &counters(*seed, 5), 0) == draw(&params, 5)[0]);
        assert!(others.count() < 20);
    }

    #[test]
    fn whole_pixels_are_copies_and_what_comes_in_is_black() {
        let (height, width) = (4, 5);
        let shape = Params { flips: 3, translate: 2, add: -0.5, ..Params::none(1, [2, height, width]) };
        let image: Vec<f32> = (0..40).map(|i| 1.0 + i as f32 / 3.0).collect();
        for example in 0..50 {
            let contents = [
                Contents::F32(image.clone()),
                Contents::U32(vec![example]),
                Contents::U32(counters(7, 2)),
                Contents::F32(vec![3.0]),
                Contents::F32(vec![4.0]),
                Contents::F32(vec![9.0; 40]),
            ];
            let s = Case::slices(&contents);
            let operands =
                Operands { input: s[0], indices: s[1], counters: s[2], subtract: s[3], divide: s[4], output: s[5] };
            let dispatch = Augment { label: "".into(), shape, models: 1, operands }.lower();
            let Changes { flips, moved, .. } = Changes::draw(&shape, &counters(7, 2), example);
            let wanted: Vec<f64> = (0..40)
                .map(|i| {
                    let (channel, y, x) = (i / 20, i / 5 % 4 - moved[0], i % 5 - moved[1]);
                    if !(0..4).contains(&y) || !(0..5).contains(&x) {
                        return -3.0 / 4.0 - 0.5;
                    }
                    let (y, x) = (if flips[1] { 3 - y } else { y }, if flips[0] { 4 - x } else { x });
                    f64::from(image[(channel * 20 + y * 5 + x) as usize])
                })
                .collect();
            for code in [fast, reference::<f32>] {
                assert_eq!(run_f32(code, &dispatch, &contents)[5].floats(), wanted, "{example}");
            }
        }
    }
}
