//! What can be wrong with one layer.

use super::Shape;
use crate::kernel::Activation;
use crate::keys::did_you_mean;

/// What is wrong with one layer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LayerProblem {
    /// A number that must be positive is 0.
    #[error("{key} is 0; expected 1 or more")]
    Zero {
        /// The key of the recipe.
        key: &'static str,
    },
    /// A layer for images gets a vector.
    #[error(
        "needs an image, but gets {got} flat features; put it before flatten and dense layers, and write model.input \
         as [height, width, channels]"
    )]
    NeedsImage {
        /// How many features come in.
        got: usize,
    },
    /// The window does not fit into the image.
    #[error(
        "its window is {}x{}, but the image it gets is only {}x{}; use a smaller window, fewer poolings before it, or \
         padding = \"same\"",
        size[0], size[1], image[0], image[1]
    )]
    WindowTooLarge {
        /// Height and width of the window.
        size: [usize; 2],
        /// Height and width of the image.
        image: [usize; 2],
    },
    /// A dropout rate that is no probability below 1.
    #[error("rate is {rate}; expected 0 or more, below 1")]
    DropoutRate {
        /// What the recipe says.
        rate: f32,
    },
    /// A softmax over more than one pixel.
    #[error("softmax needs one row of numbers, but this is an image {output}; put {{ flatten = true }} in front of it")]
    SoftmaxOverImage {
        /// What it would be taken over.
        output: Shape,
    },
    /// Binary cross-entropy without a probability to compare.
    #[error(
        "loss = \"binary_cross_entropy\" needs a last layer with activation = \"sigmoid\", but this one {}",
        found.map_or("has none".to_string(), |found| format!("has \"{found}\""))
    )]
    NeedsSigmoid {
        /// The last layer's activation, if its kind has one.
        found: Option<Activation>,
    },
    /// Class probabilities over an image.
    #[error(
        "gives an image {output}, but loss = \"softmax_cross_entropy\" needs one number per class; end with \
         {{ global_average_pool = true }} or {{ flatten = true }} and {{ dense = CLASSES }}"
    )]
    NeedsClasses {
        /// What comes out.
        output: Shape,
    },
    /// A softmax over one number is always 1.
    #[error(
        "gives one output, but loss = \"softmax_cross_entropy\" needs one per class, at least two; for one probability \
         use activation = \"sigmoid\" with loss = \"binary_cross_entropy\""
    )]
    OneClass,
    /// Sums of things of different shapes.
    #[error(
        "adds {first} and {other}, which must be of one shape; a convolution of kernel 1 makes another number of channels"
    )]
    Unequal {
        /// The first shape.
        first: Shape,
        /// Another one.
        other: Shape,
    },
    /// Things that cannot follow each other.
    #[error("joins {first} and {other}; give vectors, or images of one height and width")]
    Unjoinable {
        /// What came so far.
        first: Shape,
        /// What does not fit it.
        other: Shape,
    },
    /// A name that no layer before has.
    #[error("takes the output of \"{name}\", but no layer before it has that name{}", did_you_mean(suggestion))]
    NoSuchLayer {
        /// The name.
        name: String,
        /// The known name that looks most like it.
        suggestion: Option<String>,
    },
    /// Two layers of one name.
    #[error("is called \"{name}\", as another layer is; give each layer a name of its own")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// An output that goes nowhere.
    #[error(
        "gives an output that no other layer takes; name it in the from, add or concat of a later one, or remove it"
    )]
    Unused,
    /// An embedding of what are no numbers of levels.
    #[error(
        "looks up the numbers of levels that the data holds in each example's row, but gets {what}; write model.input as [COUNT], and \
         put it first or give it from = \"input\""
    )]
    NeedsLevels {
        /// What it gets.
        what: String,
    },
    /// An embedding of nobody knows how many levels.
    #[error(
        "has no levels, and no table with categories tells how many: say so, such as {{ embedding = 16, levels = 1000 }}"
    )]
    NoLevels,
    /// An embedding of more values than there are.
    #[error("looks up the last {categories} values of each example, but gets {values}; lower its categories")]
    FewValues {
        /// Values of an example.
        values: usize,
        /// Those that are looked up.
        categories: usize,
    },
    /// Filters that can whiten nothing.
    #[error(
        "init = \"whitening\" is for the weights of a convolution of the data, without groups and dilation, within the image, whose \
         filters are an even number of at most twice the values that one sees ({patch} here); give it to such a layer alone"
    )]
    Whitening {
        /// Values that a filter sees.
        patch: usize,
    },
    /// Channels that do not make equal groups.
    #[error("makes {groups} groups of {channels} channels; give a number that divides them")]
    Groups {
        /// The groups.
        groups: usize,
        /// The channels.
        channels: usize,
    },
    /// Filters that do not make equal groups.
    #[error("makes {groups} groups of {filters} filters; give a number of groups that divides them, or other filters")]
    FilterGroups {
        /// The groups.
        groups: usize,
        /// The filters.
        filters: usize,
    },
    /// A pooling whose padding is more than half of its window.
    #[error(
        "pads {}x{} pixels, more than half of its window of {}x{}, so that some windows would be empty; give it less padding",
        padding[0], padding[1], size[0], size[1]
    )]
    PaddingTooWide {
        /// Rows and columns of padding.
        padding: [usize; 2],
        /// Height and width of the window.
        size: [usize; 2],
    },
    /// Padding of a transposed convolution's output that is a step or more.
    #[error(
        "output_padding is {}x{}, but must be below the stride {}x{} or the dilation {}x{}, and 0 with padding = \"same\"",
        padding[0], padding[1], stride[0], stride[1], dilation[0], dilation[1]
    )]
    OutputPadding {
        /// Rows and columns of it.
        padding: [usize; 2],
        /// The layer's stride.
        stride: [usize; 2],
        /// The layer's dilation.
        dilation: [usize; 2],
    },
    /// A transposed convolution of which the padding cuts off all, or that gives more than can be counted.
    #[error(
        "makes of an image of {}x{} one of no pixels, or of more than {limit} along a side; give it less padding, or a smaller \
         stride",
        image[0], image[1]
    )]
    NothingLeft {
        /// Height and width of the image.
        image: [usize; 2],
        /// The most pixels along a side.
        limit: usize,
    },
    /// A shape of another number of values.
    #[error("makes {to} of {from}, which are {} and {} values; both must be as many", to.len(), from.len())]
    OtherSize {
        /// What comes in.
        from: Shape,
        /// What is asked for.
        to: Shape,
    },
    /// A stride, window or padding beyond what a shader can count.
    #[error("has a stride, window or padding of {number} pixels, more than {limit}; give it less")]
    TooManyPixels {
        /// The number.
        number: usize,
        /// The most there may be.
        limit: usize,
    },
    /// A tensor beyond what a shader can index.
    #[error("{what} has {size} numbers, more than the {limit} that can be indexed; make the layer smaller")]
    TooLarge {
        /// Which tensor.
        what: &'static str,
        /// Its size in words, because it may not fit a number.
        size: String,
        /// The most there may be.
        limit: u64,
    },
}

impl Shape {
    /// Channels, and height and width, of what must be an image.
    pub(crate) fn image(&self) -> Result<(usize, [usize; 2]), LayerProblem> {
        match *self {
            Shape::Image { channels, height, width } => Ok((channels, [height, width])),
            Shape::Features(got) => Err(LayerProblem::NeedsImage { got }),
        }
    }
}
