//! A written recipe reads back as the same recipe, and no text makes the reader panic.

use gputrain::layers::{
    ActivationLayer, Conv2d, Conv2dTranspose, Dense, Dropout, Flatten, GlobalPool, Pool, Pooling, Reshape,
};
use gputrain::recipe::*;
use proptest::prelude::*;

fn word<T: Keyword + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (0..T::WORDS.len()).prop_map(|index| T::WORDS[index].1)
}

/// Any positive f32 with all its digits, not just short decimals.
fn positive() -> impl Strategy<Value = f32> {
    (0x0080_0000u32..0x7f7f_ffff).prop_map(f32::from_bits)
}

fn below_one() -> impl Strategy<Value = f32> {
    0.0f32..1.0
}

fn init() -> impl Strategy<Value = Init> {
    prop_oneof![
        Just(Init::GlorotUniform),
        Just(Init::GlorotNormal),
        Just(Init::HeUniform),
        Just(Init::HeNormal),
        Just(Init::FanInUniform),
        Just(Init::Zeros),
        (0.0..10.0).prop_map(Init::Normal),
        (0.0..10.0).prop_map(Init::Uniform),
        (-10.0..10.0).prop_map(Init::Constant),
    ]
}

fn pair() -> impl Strategy<Value = [usize; 2]> {
    [1usize..9, 1usize..9]
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same), pair().prop_map(Padding::Pixels)]
}

fn pooling() -> impl Strategy<Value = Pooling> {
    prop_oneof![Just(Pooling::Max), Just(Pooling::Average)]
}

fn layer() -> impl Strategy<Value = LayerSpec> {
    let ends = || (word(), any::<bool>(), proptest::option::of(init()), proptest::option::of(init()));
    prop_oneof![
        (1usize..9999, ends()).prop_map(|(units, (activation, bias, init, bias_init))| {
            Dense { units, activation, bias, init, bias_init }.into()
        }),
        (1usize..99, [pair(), pair(), pair()], padding(), 1usize..9, ends()).prop_map(
            |(filters, [kernel, stride, dilation], padding, groups, (activation, bias, init, bias_init))| {
                Conv2d { filters, kernel, stride, dilation, padding, groups, activation, bias, init, bias_init }.into()
            }
        ),
        (pooling(), pair(), pair(), padding()).prop_map(|(pooling, size, stride, padding)| Pool {
            pooling,
            size,
            stride,
            padding
        }
        .into()),
        (1usize..99, [pair(), pair(), pair(), pair()], padding(), 1usize..9, ends()).prop_map(
            |(filters, [kernel, stride, dilation, output_padding], padding, groups, ends)| {
                let (activation, bias, init, bias_init) = ends;
                Conv2dTranspose {
                    filters,
                    kernel,
                    stride,
                    dilation,
                    padding,
                    output_padding,
                    groups,
                    activation,
                    bias,
                    init,
                    bias_init,
                }
                .into()
            }
        ),
        [1usize..9, 1usize..9, 1usize..9].prop_map(|size| Reshape { size }.into()),
        pooling().prop_map(|pooling| GlobalPool { pooling }.into()),
        Just(Flatten.into()),
        below_one().prop_map(|rate| Dropout { rate }.into()),
        word().prop_map(|activation| ActivationLayer(activation).into()),
    ]
}

/// Of one kind: 0 for arrays, 1 for a folder, 2 for a table, 3 for a table of pictures.
fn source(kind: usize) -> BoxedStrategy<Source> {
    let target = || proptest::collection::vec(".{0,5}", 1..3);
    match kind {
        0 => ("[^\\x00]{1,12}", ".{1,12}").prop_map(|(images, labels)| Source::Arrays { images, labels }).boxed(),
        1 => ".{1,12}".prop_map(|folder| Source::Folder { folder }).boxed(),
        2 => (".{1,12}", target()).prop_map(|(table, target)| Source::Table { table, target }).boxed(),
        _ => (".{1,12}", ".{0,5}").prop_map(|(pictures, label)| Source::Pictures { pictures, label }).boxed(),
    }
}

fn holdout(kind: usize) -> impl Strategy<Value = Holdout> {
    prop_oneof![
        (0.001f64..0.499).prop_map(Holdout::Fraction),
        (1usize..100_000).prop_map(Holdout::Count),
        source(kind).prop_map(Holdout::Files),
    ]
}

/// A validation and a test set are always there, because metrics may need them.
fn data() -> impl Strategy<Value = DataSpec> {
    let sets = (0usize..4).prop_flat_map(|kind| (proptest::option::of(source(kind)), holdout(kind), holdout(kind)));
    let part = (
        proptest::option::of(any::<u64>()),
        proptest::option::of(2usize..),
        proptest::option::of(1usize..),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
    );
    let columns = || proptest::collection::vec(".{0,5}", 0..3);
    let of_tables = (any::<bool>(), columns(), columns(), word());
    let image = (proptest::option::of(pair()), proptest::option::of(Just(3)), proptest::option::of(word()));
    let normalize = proptest::option::of((-9.0f32..9.0, positive()));
    (sets, word(), part, of_tables, (image, normalize)).prop_map(
        |(
            (train, test, validation),
            scale,
            (seed, classes, examples, header, stratify),
            of_tables,
            (image, normalize),
        )| {
            let mut spec = DataSpec {
                header,
                train,
                test,
                validation,
                scale,
                stratify,
                seed,
                classes,
                examples,
                ..DataSpec::default()
            };
            match &spec.train {
                Some(Source::Table { target: known, .. }) => {
                    let (picked, columns, categorical, missing) = of_tables;
                    *(if picked { &mut spec.features } else { &mut spec.drop }) = columns;
                    (spec.categorical, spec.missing) = (categorical, missing);
                    for set in [&mut spec.test, &mut spec.validation] {
                        if let Holdout::Files(Source::Table { target, .. }) = set {
                            target.clone_from(known);
                        }
                    }
                }
                Some(Source::Folder { .. } | Source::Pictures { .. }) => {
                    if let Some(Source::Pictures { label: known, .. }) = &spec.train {
                        // Held out tables without a label have that of the training table.
                        for set in [&mut spec.test, &mut spec.validation] {
                            if let Holdout::Files(Source::Pictures { label, .. }) = set {
                                label.clone_from(known);
                            }
                        }
                    }
                    spec.classes = None;
                    let (size, channels, fit) = image;
                    spec.image = ImageSpec { size, channels, fit };
                }
                _ => {}
            }
            if let (Scale::Unit, Some((mean, std))) = (spec.scale, normalize) {
                spec.normalize = Some(Normalize { mean: vec![mean; 2], std: vec![std; 2] });
            }
            spec
        },
    )
}

fn optimizer() -> impl Strategy<Value = OptimizerSpec> {
    (
        word(),
        positive(),
        [below_one(), below_one(), below_one()],
        positive(),
        proptest::option::of(positive()),
        any::<bool>(),
    )
        .prop_map(|(kind, x, [a, b, c], epsilon, clip_norm, nesterov)| {
            let spec = OptimizerSpec {
                learning_rate: x,
                l2: a,
                weight_decay: b,
                decay_bias: a < b,
                clip_norm,
                ..OptimizerSpec::new(kind)
            };
            match kind {
                OptimizerKind::Sgd => OptimizerSpec { momentum: c, nesterov: nesterov && c > 0.0, ..spec },
                OptimizerKind::RmsProp => OptimizerSpec { momentum: c, alpha: b, centered: nesterov, epsilon, ..spec },
                OptimizerKind::Lion => OptimizerSpec { beta1: b, beta2: c, ..spec },
                OptimizerKind::Muon => {
                    let spec = OptimizerSpec { momentum: c, nesterov, adam_learning_rate: epsilon, beta1: b, ..spec };
                    let (ns_steps, adjust_lr_fn) = (1 + u32::from(nesterov), LearningRateAdjustment::MatchRmsAdamw);
                    OptimizerSpec { ns_steps, adjust_lr_fn, ..spec }
                }
                OptimizerKind::Adam | OptimizerKind::AdamW => OptimizerSpec { beta1: b, beta2: c, epsilon, ..spec },
            }
        })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let phase = (1u32..1000, positive()).prop_map(|(epochs, learning_rate)| Phase { epochs, learning_rate });
    let kind = prop_oneof![
        Just(ScheduleKind::Constant),
        (1u32..99, positive()).prop_map(|(every, factor)| ScheduleKind::Step { every, factor }),
        (proptest::collection::btree_set(1u32..999, 1..5), positive())
            .prop_map(|(epochs, factor)| ScheduleKind::MultiStep { epochs: epochs.into_iter().collect(), factor }),
        (positive(), word()).prop_map(|(min, by)| ScheduleKind::Cosine { min, by }),
        (below_one(), [positive(), positive()], word(), word()).prop_map(
            |(pct_start, [div_factor, final_div_factor], anneal, by)| ScheduleKind::OneCycle {
                pct_start,
                div_factor,
                final_div_factor,
                anneal,
                by
            }
        ),
        (word(), 0.01f32..0.99, any::<[u32; 2]>(), below_one(), positive()).prop_map(
            |(metric, factor, [patience, cooldown], threshold, min_lr)| ScheduleKind::Plateau {
                metric,
                factor,
                patience,
                threshold,
                cooldown,
                min_lr
            }
        ),
        proptest::collection::vec(phase, 1..4).prop_map(ScheduleKind::Phases),
    ];
    (kind, any::<u64>(), below_one()).prop_map(|(kind, warmup_steps, warmup_epochs)| {
        let warmup_steps = if warmup_epochs == 0.0 { warmup_steps } else { 0 };
        Schedule { kind, warmup_steps, warmup_epochs }
    })
}

fn train() -> impl Strategy<Value = TrainSpec> {
    let slow = (proptest::option::of(below_one().prop_filter("above 0", |x| *x > 0.0)), below_one());
    let stop = (word(), any::<u32>(), below_one(), any::<[bool; 2]>(), slow).prop_map(
        |(metric, patience, min_delta, [cumulative, restore_best], (slow_down, min_lr))| EarlyStop {
            metric,
            patience,
            min_delta,
            cumulative,
            restore_best,
            slow_down,
            min_lr,
        },
    );
    let batch = prop_oneof![Just(Batch::Full), (1usize..1_000_000).prop_map(Batch::Size)];
    let record = proptest::sample::subsequence(Record::WORDS.iter().map(|(_, r)| *r).collect::<Vec<_>>(), 0..=5);
    let more = (1u32.., proptest::option::of(below_one()));
    (1u32.., batch, any::<[bool; 2]>(), any::<[u32; 3]>(), proptest::option::of(stop), record, more).prop_map(
        |(
            epochs,
            batch,
            [shuffle, drop_last],
            [log_every, checkpoint_every, checkpoint_steps],
            early_stop,
            record,
            (accumulate, ema),
        )| {
            TrainSpec {
                epochs,
                batch,
                shuffle,
                drop_last,
                log_every,
                validate_every: log_every,
                early_stop,
                checkpoint_every,
                checkpoint_steps,
                record,
                accumulate,
                ema,
            }
        },
    )
}

fn sweep() -> impl Strategy<Value = SweepSpec> {
    let rates = proptest::collection::vec(0.001f64..1.0, 1..4);
    let grid = rates.prop_map(|rates| {
        let short = vec!["8:relu,10".into()];
        let rates = rates.into_iter().map(toml::Value::Float).collect();
        let phases = toml::Value::Array(vec![toml::Value::Table(toml::toml! { epochs = 3
        learning_rate = 0.5 })]);
        vec![
            ("optimizer.learning_rate".to_string(), rates),
            ("model.layers".to_string(), short),
            ("schedule.phases".to_string(), vec![phases]),
        ]
    });
    (grid, proptest::collection::vec("[a-z]{1,9}", 0..3), 1u32.., word(), any::<bool>())
        .prop_map(|(grid, recipes, trials, metric, retrain)| SweepSpec { grid, recipes, trials, metric, retrain })
}

fn augment() -> impl Strategy<Value = AugmentSpec> {
    let sizes = proptest::option::of((0.1f32..1.0, 1.0f32..10.0).prop_map(|(low, high)| SizeRange([low, high])));
    let numbers = (0u32..9, 0.0f32..180.0, [0.0f32..1.0, 0.0..1.0, 0.0..1.0], -1.0f32..2.0);
    (proptest::option::of(word()), sizes, numbers).prop_map(|(flip, scale, (translate, rotate, shares, mixup))| {
        let [brightness, contrast, erase] = shares;
        let mixup = if mixup < 0.01 { 0.0 } else { mixup };
        AugmentSpec { flip, translate, rotate, scale, brightness, contrast, erase, mixup }
    })
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let model = (
        prop_oneof![Just(vec![]), Just(vec![784]), Just(vec![28, 30, 3])],
        proptest::collection::vec(layer(), 1..6),
        word(),
        [0.0f32..=1.0, 0.01..=9.0],
        init(),
        proptest::option::of(init()),
    )
        .prop_map(|(input, layers, loss, [smoothing, delta], init, bias_init)| ModelSpec {
            input,
            layers,
            loss,
            label_smoothing: if loss == Loss::SoftmaxCrossEntropy { smoothing } else { 0.0 },
            delta: if loss == Loss::Huber { delta } else { 1.0 },
            init,
            bias_init,
        });
    let head = ("[a-zA-Zäöü0-9#'-]{1,20}", any::<u64>(), word());
    (head, data(), (model, start()), augment(), optimizer(), schedule(), train(), proptest::option::of(sweep()))
        .prop_map(|((name, seed, precision), data, (model, start), augment, optimizer, schedule, train, sweep)| {
            Recipe { name, seed, precision, data, model, start, augment, optimizer, schedule, train, sweep }
        })
}

fn start() -> impl Strategy<Value = StartSpec> {
    let name = "[a-zA-Zä0-9#'. \"-]{0,20}";
    let renames = proptest::collection::btree_map(name, name, 0..3);
    let freeze = proptest::collection::vec("[a-z0-9.]{1,9}", 0..3);
    (proptest::option::of("[a-z#'./\\\\ -]{1,20}"), renames, any::<bool>(), freeze).prop_map(
        |(from, renames, strict, freeze)| {
            let rename = Renames(if from.is_some() { renames.into_iter().collect() } else { Vec::new() });
            StartSpec { strict: strict && from.is_some(), from, rename, freeze }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_recipes_read_back_equal(recipe in recipe()) {
        let text = recipe.to_toml();
        let back = Recipe::parse(&text, "again.toml", &[]);
        prop_assert_eq!(back.as_ref().map_err(|error| format!("{error}\n{text}")), Ok(&recipe));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", key in "\\PC{0,20}", value in "\\PC{0,20}") {
        let _ = Recipe::parse(&text, "any.toml", &[(key, value)]);
    }

    /// Characters of TOML reach deeper than any characters.
    #[test]
    fn no_toml_like_text_panics(text in "(\\[(sweep|model|train|schedule)\\]\n)?[a-z.\"=\\[\\]{} 0-9,\n#-]{0,120}") {
        let _ = Recipe::parse(&text, "any.toml", &[]);
        let _ = parse_layers(&text);
    }

    #[test]
    fn any_override_of_any_key_is_a_recipe_or_an_error(
        key in "(model|data|train|optimizer|schedule|sweep|seed|name)(\\.[a-z0-9_]{1,12}){0,3}",
        value in "[a-z0-9\\[\\]{}=,.\" -]{0,30}",
    ) {
        if let Ok(recipe) = Recipe::parse(Recipe::builtin("fashion5-cnn3").unwrap(), "x.toml", &[(key, value)]) {
            let _ = gputrain::model::Model::build(&recipe.model, None);
        }
    }
}
