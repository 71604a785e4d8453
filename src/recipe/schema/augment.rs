//! `[augment]`.

use super::keywords;
use crate::kernel::step::augment::Params;
use crate::keys::{Entry, Form, Item, KeyError, Number, Optional, Plain, Unless, Whole, Written, keyed};
use crate::layers::Shape;

keyed! {
    /// Random changes of the training images, each drawn from the seed, the epoch and the example alone: a run that is resumed,
    /// trained beside others or on another device sees the same. Evaluations and predictions see the images as they are. What
    /// moves in from outside of an image is black: 0 before scaling. `mixup` is for any examples.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AugmentSpec {
        /// Half of the images are mirrored.
        pub flip: Option<Flip> [Optional(Plain); "\"horizontal\""],
        /// Images move by so many whole pixels at most, up or down and left or right, as torchvision's RandomCrop with padding.
        pub translate: u32 [Unless(0, Whole(0))],
        /// Images are turned about their middle by so many degrees at most, either way.
        pub rotate: f32 [Unless(0.0, Number("degrees, from 0 to 180", |x| (0.0..=180.0).contains(&x)))],
        /// The smallest and largest factor of an image's size about its middle.
        pub scale: Option<SizeRange> [Optional(Plain); "[0.9, 1.1]"],
        /// Images are multiplied by a factor between 1 minus and 1 plus this, as torchvision's ColorJitter before scaling, but
        /// without a cut at the brightest value. Brightness comes before contrast; ColorJitter draws their order.
        pub brightness: f32 [Unless(0.0, STRENGTH)],
        /// The distances to the image's mean grey are multiplied by such a factor, as torchvision's ColorJitter does, also
        /// without a cut.
        pub contrast: f32 [Unless(0.0, STRENGTH)],
        /// In half of the images a rectangle is blackened, of 2 % up to this share of the image, its sides in a ratio of 0.3 to
        /// 3.3: as torchvision's RandomErasing before scaling, but the height is drawn evenly among those that the image holds,
        /// where that one draws the ratio; after Normalize, its 0 is the mean, not black.
        pub erase: f32 [Unless(0.0, Number("a share, from 0 to 1, such as 0.25", |x| (0.0..=1.0).contains(&x)))],
        /// Each example of a batch is mixed with the one before it, the first with the last, in a ratio drawn from Beta(A, A) for
        /// the whole batch by the seed, the epoch and the batch's number (Zhang et al., 2018; as torchvision's MixUp), after all
        /// other changes. A cross entropy is that of both targets, each by its share, times the weight of its class or example; of
        /// other losses the target itself is mixed, and so are examples' weights. The loss and the accuracy of training are those of
        /// mixed examples: an answer counts by the share of the target that it meets. With `train.shuffle = false` the pairs are
        /// always the same.
        pub mixup: f32 [Unless(0.0, Number("0 for none, or a number from 0.01 to 100, such as 0.2", |x| {
            x == 0.0 || (0.01..=100.0).contains(&x)
        }))],
    }
}

const STRENGTH: Number = Number("a number from 0 to 1, such as 0.2", |x| (0.0..=1.0).contains(&x));

keywords! {
    /// In which directions images are mirrored.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Flip {
        /// Left and right change places.
        "horizontal" => Horizontal,
        /// Top and bottom change places.
        "vertical" => Vertical,
        /// Each by itself, so that a quarter of the images has both.
        "both" => Both,
    }
}

/// The smallest and the largest factor of an image's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRange(pub [f32; 2]);

impl Form<SizeRange> for Plain {
    fn expected(&self) -> String {
        "the smallest and the largest factor, from 0.1 to 10, such as [0.9, 1.1]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<SizeRange, KeyError> {
        let expected = Form::<SizeRange>::expected(self);
        let factor = |item: &Item<'_>| item.number("a factor from 0.1 to 10", |x| (0.1..=10.0).contains(&x));
        match &item.list(&expected)?[..] {
            [low, high] => {
                let range = [factor(low)?, factor(high)?];
                if range[0] <= range[1] { Ok(SizeRange(range)) } else { Err(item.wrong(expected)) }
            }
            _ => Err(item.wrong(expected)),
        }
    }
}

impl Written for SizeRange {
    fn written(&self) -> Option<Entry> {
        self.0.to_vec().written()
    }
}

/// The smallest share of an image that is blackened.
const LEAST_ERASED: f32 = 0.02;
/// The most pixels of an image for which 33 times the area of a rectangle is a number of 32 bits.
const MOST_ERASED_OF: usize = 1 << 26;

impl AugmentSpec {
    /// No changes.
    pub const NONE: AugmentSpec = AugmentSpec {
        flip: None,
        translate: 0,
        rotate: 0.0,
        scale: None,
        brightness: 0.0,
        contrast: 0.0,
        erase: 0.0,
        mixup: 0.0,
    };

    /// The changes, for people, in a line each for images and mixing; none where there are none.
    pub fn in_words(&self) -> Vec<String> {
        let percent = |share: f32| format!("{} %", (f64::from(share) * 1e4).round() / 100.0);
        let changes = [
            self.flip.map(|flip| format!("flip {flip}")),
            (self.translate > 0).then(|| format!("translate by up to {} pixels", self.translate)),
            (self.rotate > 0.0).then(|| format!("rotate by up to {} degrees", self.rotate)),
            self.scale.map(|SizeRange([low, high])| format!("scale by {low} to {high}")),
            (self.brightness > 0.0).then(|| format!("brightness by up to {}", percent(self.brightness))),
            (self.contrast > 0.0).then(|| format!("contrast by up to {}", percent(self.contrast))),
            (self.erase > 0.0).then(|| format!("erase up to {}", percent(self.erase))),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        let images = (!changes.is_empty()).then(|| format!("augment (training images alone): {}", changes.join(", ")));
        let mixup = self.mixing().map(|strength| {
            format!(
                "mixup (training alone): each example with the one before it in its batch, in a ratio from Beta({strength}, \
                 {strength}); training's loss and accuracy are those of mixed examples"
            )
        });
        images.into_iter().chain(mixup).collect()
    }

    /// The strength of mixup, if there is any.
    pub fn mixing(&self) -> Option<f32> {
        (self.mixup > 0.0).then_some(self.mixup)
    }

    /// Whether images change, beside being mixed.
    pub fn changes_images(&self) -> bool {
        AugmentSpec { mixup: 0.0, ..self.clone() } != AugmentSpec::NONE
    }

    /// Refuses mixing where there is nothing to mix: numbers of levels have none between them, and a batch of one row has no other.
    pub fn check_mixup(&self, takes_levels: bool, batch: usize) -> Result<(), String> {
        let mixes = self.mixing().is_some();
        if mixes && takes_levels {
            return Err("augment.mixup mixes the examples' values, and those of an embedding are numbers of levels, which have \
                        nothing between them; remove augment.mixup, or the embedding"
                .into());
        }
        if mixes && batch == 1 {
            return Err("augment.mixup mixes the examples of a batch, and train.batch = 1 leaves each alone; make the batch larger, \
                        or remove augment.mixup"
                .into());
        }
        Ok(())
    }

    /// The numbers of the changes for images of a shape, or nothing where there are none to make. What is wrong with them, and
    /// what to do, where they make no sense for examples of that shape; `scaled_by_feature` says that features have a scaling each,
    /// with which they cannot change their places.
    pub fn params(&self, shape: Shape, scaled_by_feature: bool) -> Result<Option<Params>, String> {
        if !self.changes_images() {
            return Ok(None);
        }
        let Shape::Image { channels, height, width } = shape else {
            return Err(format!(
                "[augment] changes images, and the examples have {} features without rows and columns; give model.input as \
                 [height, width, channels], or remove [augment]",
                shape.len()
            ));
        };
        let SizeRange([scale_low, scale_high]) = self.scale.unwrap_or(SizeRange([1.0, 1.0]));
        if self.translate as usize >= height.min(width) && self.translate > 0 {
            return Err(format!(
                "augment.translate = {} moves images of {height} x {width} out of sight; expected less than {}",
                self.translate,
                height.min(width)
            ));
        }
        if self.erase > 0.0 && height * width > MOST_ERASED_OF {
            return Err(format!(
                "augment.erase works on images of up to {MOST_ERASED_OF} pixels, and these have {height} x {width}; remove it, or \
                 make the images smaller"
            ));
        }
        let pixels = (height * width) as f32;
        let erased = |share: f32| ((pixels * share) as u32).clamp(1, (height * width) as u32);
        let params = Params {
            flips: match self.flip {
                None => 0,
                Some(Flip::Horizontal) => 1,
                Some(Flip::Vertical) => 2,
                Some(Flip::Both) => 3,
            },
            translate: self.translate,
            angle: self.rotate / 180.0,
            scale_low,
            scale_high,
            brightness: self.brightness,
            contrast: self.contrast,
            erase_low: if self.erase > 0.0 { erased(self.erase.min(LEAST_ERASED)) } else { 0 },
            erase_high: if self.erase > 0.0 { erased(self.erase) } else { 0 },
            ..Params::none(0, [channels, height, width].map(|side| side as u32))
        };
        if scaled_by_feature && (params.flips != 0 || params.translate != 0 || params.warps()) {
            return Err(
                "data.scale = \"standard\" scales each pixel by numbers of its own, and [augment] moves pixels; set data.scale = \
                 \"unit\" or \"minmax\", or keep only brightness, contrast and erase"
                    .into(),
            );
        }
        Ok(Some(params))
    }
}
