//! Scaling of features: what is subtracted, divided by and added while a batch is gathered.

use super::{Features, Problem, Storage};
use crate::model::Shape;
use crate::recipe::{DataSpec, Normalize, Scale};

/// A scaling fitted to training data: `x' = (x - subtract[f]) / divide[f] + add`, each vector of length 1 (for all
/// features) or with an entry per feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// Subtracted first.
    pub subtract: Vec<f32>,
    /// Divided by then; never 0.
    pub divide: Vec<f32>,
    /// Added last.
    pub add: f32,
}

impl Scaling {
    /// Whether the values of a feature stay as they are.
    pub fn keeps(&self, feature: usize) -> bool {
        let of = |numbers: &[f32]| numbers[feature % numbers.len()];
        of(&self.subtract) == 0.0 && of(&self.divide) == 1.0 && self.add == 0.0
    }

    /// Fits `kind` to the training features; validation and test data are scaled by the same numbers.
    pub fn fit(kind: Scale, train: &Features) -> Scaling {
        match kind {
            Scale::None => uniform(0.0, 1.0, 0.0),
            Scale::Unit => uniform(0.0, full_scale(train), 0.0),
            Scale::Centered => uniform(0.0, full_scale(train), -0.5),
            Scale::MinMax => {
                let (low, high) = train.storage.bounds();
                uniform(low, nonzero(0.5 * (high - low)), -1.0)
            }
            Scale::Standard => standard(train),
        }
    }

    /// The scaling that a recipe's data asks for.
    pub fn of(data: &DataSpec, train: &Features) -> Result<Scaling, Problem> {
        let scaling = Scaling::fit(data.scale, train);
        match &data.normalize {
            Some(normalize) => scaling.then(normalize, train.shape),
            None => Ok(scaling),
        }
    }

    /// One number for all features, then a mean and a deviation for each channel.
    fn then(&self, Normalize { mean, std }: &Normalize, shape: Shape) -> Result<Scaling, Problem> {
        let plane = match shape {
            _ if mean.len() == 1 => 1,
            Shape::Image { channels, height, width } if channels == mean.len() => height * width,
            _ => return Err(Problem::Channels { given: mean.len(), shape }),
        };
        let divide = f64::from(self.divide[0]);
        let of_features = |of_channel: &dyn Fn(usize) -> f64| -> Vec<f32> {
            (0..mean.len()).flat_map(|channel| std::iter::repeat_n(of_channel(channel) as f32, plane)).collect()
        };
        Ok(Scaling {
            subtract: of_features(&|channel| divide * f64::from(mean[channel])),
            divide: of_features(&|channel| divide * f64::from(std[channel])),
            add: 0.0,
        })
    }

    /// The scaling that channels' means and deviations followed, if any did.
    pub fn before(&self, data: &DataSpec) -> Scaling {
        let Some(Normalize { std, .. }) = &data.normalize else { return self.clone() };
        let white = f64::from(self.divide[0]) / f64::from(std[0]);
        let is_whole = (white - white.round()).abs() < 1e-6 * white;
        uniform(0.0, if is_whole { white.round() } else { white } as f32, 0.0)
    }

    /// Whether the features of a channel have numbers of their own, so that they cannot change places.
    pub fn differs_within_channels(&self, shape: Shape) -> bool {
        let plane = match shape {
            Shape::Image { height, width, .. } => height * width,
            _ => usize::MAX,
        };
        let differs = |numbers: &[f32]| numbers.chunks(plane).any(|channel| channel.iter().any(|x| *x != channel[0]));
        differs(&self.subtract) || differs(&self.divide)
    }

    /// What is done to values, for people; `kind` is what the scaling was fitted by.
    pub fn in_words(&self, kind: Scale) -> String {
        let (subtract, divide) = (self.subtract[0], self.divide[0]);
        match kind {
            Scale::None => "values as they are stored".into(),
            Scale::Unit => format!("divided by {divide}"),
            Scale::Centered => format!("divided by {divide}, less 0.5"),
            Scale::MinMax => format!("{subtract} to {} become -1 to 1", subtract + 2.0 * divide),
            Scale::Standard => "each feature less its mean, divided by its standard deviation".into(),
        }
    }

    /// The scaled value of feature number `feature`.
    pub fn apply(&self, value: f32, feature: usize) -> f32 {
        let of = |numbers: &[f32]| if numbers.len() == 1 { numbers[0] } else { numbers[feature] };
        (value - of(&self.subtract)) / of(&self.divide) + self.add
    }
}

fn uniform(subtract: f32, divide: f32, add: f32) -> Scaling {
    Scaling { subtract: vec![subtract], divide: vec![divide], add }
}

/// The value that stands for white. 255 for bytes; for other types it is told from the data, because files of floats
/// in 0..1 (already scaled), of floats in 0..255 and of 16-bit images are all about.
fn full_scale(features: &Features) -> f32 {
    if matches!(features.storage, Storage::U8(_)) {
        return 255.0;
    }
    let (low, high) = features.storage.bounds();
    match low.abs().max(high.abs()) {
        largest if largest <= 1.0 => 1.0,
        largest if largest <= 255.0 => 255.0,
        largest if largest <= 65535.0 => 65535.0,
        largest => largest,
    }
}

/// Mean and standard deviation of every feature, in double precision.
fn standard(features: &Features) -> Scaling {
    let width = features.shape.len();
    let count = features.count.max(1) as f64;
    let mut mean = vec![0.0f64; width];
    features.storage.for_each_row(width, |feature, value| mean[feature] += f64::from(value));
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut variance = vec![0.0f64; width];
    features.storage.for_each_row(width, |feature, value| {
        let distance = f64::from(value) - mean[feature];
        variance[feature] += distance * distance;
    });
    Scaling {
        subtract: mean.iter().map(|&mean| mean as f32).collect(),
        // A feature that never varies, like a corner pixel, carries nothing: it becomes 0.
        divide: variance.iter().map(|&sum| nonzero((sum / count).sqrt() as f32)).collect(),
        add: 0.0,
    }
}

fn nonzero(divisor: f32) -> f32 {
    if divisor == 0.0 { 1.0 } else { divisor }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f32], width: usize) -> Features {
        let storage = Storage::F32(values.to_vec().into());
        Features { storage, count: values.len() / width, shape: Shape::Features(width) }
    }

    #[test]
    fn bytes_scale_by_255() {
        let bytes = Features { storage: Storage::U8(vec![0, 1].into()), count: 2, shape: Shape::Features(1) };
        assert_eq!(Scaling::fit(Scale::Unit, &bytes).apply(255.0, 0), 1.0);
        assert_eq!(Scaling::fit(Scale::Centered, &bytes).apply(0.0, 0), -0.5);
        assert_eq!(Scaling::fit(Scale::None, &bytes).apply(7.0, 0), 7.0);
    }

    #[test]
    fn floats_scale_by_what_their_white_must_be() {
        for (largest, white) in [(1.0, 1.0), (200.0, 255.0), (60000.0, 65535.0), (1e6, 1e6)] {
            let scaling = Scaling::fit(Scale::Unit, &floats(&[0.0, largest], 1));
            assert_eq!(scaling.divide, [white]);
        }
    }

    #[test]
    fn channels_are_normalised_behind_unit() {
        let shape = Shape::Image { channels: 3, height: 1, width: 2 };
        let image = Features { storage: Storage::U8(vec![0, 255, 51, 102, 128, 7].into()), count: 1, shape };
        let (mean, std) = (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);
        let data = |mean: &[f32], std: &[f32]| DataSpec {
            normalize: Some(Normalize { mean: mean.to_vec(), std: std.to_vec() }),
            ..DataSpec::default()
        };
        let scaling = Scaling::of(&data(&mean, &std), &image).unwrap();
        // torchvision: Normalize(mean, std)(ToTensor()(image))
        let expected = [-2.117_904, 2.248_908, -1.142_857, -0.25, 0.426_492, -1.682_44];
        for (feature, value) in expected.into_iter().enumerate() {
            let found = scaling.apply(image.storage.get(feature), feature);
            assert!((found - value).abs() < 2e-6, "{feature}: {found}, not {value}");
        }
        assert_eq!(scaling.before(&data(&mean, &std)), Scaling::fit(Scale::Unit, &image));
        assert!(!scaling.differs_within_channels(shape) && scaling.differs_within_channels(Shape::Features(6)));
        let one = Scaling::of(&data(&[0.1307], &[0.3081]), &image).unwrap();
        assert_eq!(one.subtract.len(), 1);
        assert!((one.apply(255.0, 5) - (1.0 - 0.1307) / 0.3081).abs() < 1e-6);
        let problem = Scaling::of(&data(&mean[..2], &std[..2]), &image).unwrap_err().to_string();
        assert!(problem.contains("2 channels") && problem.contains("data.normalize"), "{problem}");
    }

    #[test]
    fn minmax_reaches_both_ends() {
        let scaling = Scaling::fit(Scale::MinMax, &floats(&[2.0, 6.0, 4.0], 1));
        assert_eq!([2.0, 4.0, 6.0].map(|v| scaling.apply(v, 0)), [-1.0, 0.0, 1.0]);
        assert_eq!(scaling.in_words(Scale::MinMax), "2 to 6 become -1 to 1");
        assert_eq!(Scaling::fit(Scale::MinMax, &floats(&[3.0, 3.0], 1)).apply(3.0, 0), -1.0);
    }

    #[test]
    fn standard_is_per_feature_and_leaves_constants_at_0() {
        let scaling = Scaling::fit(Scale::Standard, &floats(&[1.0, 5.0, 3.0, 5.0], 2));
        assert_eq!(scaling.subtract, [2.0, 5.0]);
        assert_eq!(scaling.divide, [1.0, 1.0]);
        assert_eq!((scaling.apply(3.0, 0), scaling.apply(5.0, 1)), (1.0, 0.0));
    }
}
