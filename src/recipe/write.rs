//! A recipe as TOML again, every default written out.

use super::schema::*;

impl Recipe {
    /// The recipe as TOML with every default written out; it parses back to an equal recipe.
    pub fn to_toml(&self) -> String {
        let mut out = Out::default();
        out.text("name", &self.name);
        out.line("seed", self.seed);
        out.word("precision", self.precision);
        data(&mut out, &self.data);
        if !self.model.layers.is_empty() {
            model(&mut out, &self.model);
        }
        optimizer(&mut out, &self.optimizer);
        schedule(&mut out, &self.schedule);
        train(&mut out, &self.train);
        if let Some(spec) = &self.sweep {
            sweep(&mut out, spec);
        }
        out.0
    }
}

/// Lines of TOML.
#[derive(Default)]
struct Out(String);

impl Out {
    fn section(&mut self, name: &str) {
        self.0.push_str(&format!("\n[{name}]\n"));
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    /// Always with a point or an exponent, and short enough to read back as the same f32.
    fn number(&mut self, key: &str, value: f32) {
        self.line(key, format_args!("{value:?}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.line(key, quoted(value));
    }

    fn word(&mut self, key: &str, value: impl Keyword) {
        self.text(key, value.word());
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn source(source: &Source) -> String {
    format!("{{ images = {}, labels = {} }}", quoted(&source.images), quoted(&source.labels))
}

fn data(out: &mut Out, spec: &DataSpec) {
    out.section("data");
    if let Some(train) = &spec.train {
        out.line("train", source(train));
    }
    for (key, holdout) in [("test", &spec.test), ("validation", &spec.validation)] {
        match holdout {
            Holdout::None => {}
            Holdout::Fraction(share) => out.line(key, format_args!("{share:?}")),
            Holdout::Count(count) => out.line(key, count),
            Holdout::Files(files) => out.line(key, source(files)),
        }
    }
    if let Some(header) = spec.header {
        out.line("header", header);
    }
    out.word("scale", spec.scale);
    if let Some(seed) = spec.seed {
        out.line("seed", seed);
    }
    for (key, count) in [("classes", spec.classes), ("examples", spec.examples)] {
        if let Some(count) = count {
            out.line(key, count);
        }
    }
}

fn model(out: &mut Out, spec: &ModelSpec) {
    out.section("model");
    if !spec.input.is_empty() {
        out.line("input", format_args!("{:?}", spec.input));
    }
    let layers = spec.layers.iter().map(|spec| format!("  {},\n", spec.toml()));
    out.line("layers", format_args!("[\n{}]", layers.collect::<String>()));
    out.word("loss", spec.loss);
    if spec.loss == Loss::SoftmaxCrossEntropy {
        out.number("label_smoothing", spec.label_smoothing);
    }
    if spec.loss == Loss::Huber {
        out.number("delta", spec.delta);
    }
    out.line("init", spec.init.toml());
    if let Some(init) = spec.bias_init {
        out.line("bias_init", init.toml());
    }
}

fn optimizer(out: &mut Out, spec: &OptimizerSpec) {
    out.section("optimizer");
    out.word("kind", spec.kind);
    out.number("learning_rate", spec.learning_rate);
    match spec.kind {
        OptimizerKind::Sgd => {
            out.number("momentum", spec.momentum);
            out.line("nesterov", spec.nesterov);
        }
        OptimizerKind::RmsProp => {
            out.number("alpha", spec.alpha);
            out.line("centered", spec.centered);
            out.number("momentum", spec.momentum);
            out.number("epsilon", spec.epsilon);
        }
        OptimizerKind::Lion => {
            out.number("beta1", spec.beta1);
            out.number("beta2", spec.beta2);
        }
        OptimizerKind::Adam | OptimizerKind::AdamW => {
            out.number("beta1", spec.beta1);
            out.number("beta2", spec.beta2);
            out.number("epsilon", spec.epsilon);
        }
    }
    out.number("l2", spec.l2);
    out.number("weight_decay", spec.weight_decay);
    if let Some(norm) = spec.clip_norm {
        out.number("clip_norm", norm);
    }
}

fn schedule(out: &mut Out, spec: &Schedule) {
    out.section("schedule");
    match &spec.kind {
        ScheduleKind::Constant => out.text("kind", "constant"),
        ScheduleKind::Step { every, factor } => {
            out.text("kind", "step");
            out.line("every", every);
            out.number("factor", *factor);
        }
        ScheduleKind::MultiStep { epochs, factor } => {
            out.text("kind", "multi_step");
            out.line("epochs", format_args!("{epochs:?}"));
            out.number("factor", *factor);
        }
        ScheduleKind::Cosine { min, by } => {
            out.text("kind", "cosine");
            out.number("min", *min);
            out.word("by", *by);
        }
        ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor, anneal, by } => {
            out.text("kind", "one_cycle");
            out.number("pct_start", *pct_start);
            out.number("div_factor", *div_factor);
            out.number("final_div_factor", *final_div_factor);
            out.word("anneal", *anneal);
            out.word("by", *by);
        }
        ScheduleKind::Plateau { metric, factor, patience, threshold, cooldown, min_lr } => {
            out.text("kind", "plateau");
            out.word("metric", *metric);
            out.number("factor", *factor);
            out.line("patience", patience);
            out.number("threshold", *threshold);
            out.line("cooldown", cooldown);
            out.number("min_lr", *min_lr);
        }
        ScheduleKind::Phases(phases) => {
            out.text("kind", "phases");
            let phase = |p: &Phase| format!("{{ epochs = {}, learning_rate = {:?} }}", p.epochs, p.learning_rate);
            out.line("phases", format_args!("[{}]", phases.iter().map(phase).collect::<Vec<_>>().join(", ")));
        }
    }
    if spec.warmup_epochs == 0.0 {
        out.line("warmup_steps", spec.warmup_steps);
    } else {
        out.number("warmup_epochs", spec.warmup_epochs);
    }
}

fn train(out: &mut Out, spec: &TrainSpec) {
    out.section("train");
    out.line("epochs", spec.epochs);
    match spec.batch {
        Batch::Full => out.text("batch", "full"),
        Batch::Size(size) => out.line("batch", size),
    }
    out.line("shuffle", spec.shuffle);
    out.line("drop_last", spec.drop_last);
    out.line("log_every", spec.log_every);
    out.line("validate_every", spec.validate_every);
    if let Some(EarlyStop { metric, patience, min_delta }) = spec.early_stop {
        let stop = format!("{{ metric = \"{metric}\", patience = {patience}, min_delta = {min_delta:?} }}");
        out.line("early_stop", stop);
    }
    out.line("checkpoint_every", spec.checkpoint_every);
    out.line("checkpoint_steps", spec.checkpoint_steps);
    let record = spec.record.iter().map(|record| quoted(record.word())).collect::<Vec<_>>();
    out.line("record", format_args!("[{}]", record.join(", ")));
    out.line("accumulate", spec.accumulate);
    if let Some(decay) = spec.ema {
        out.number("ema", decay);
    }
}

fn sweep(out: &mut Out, spec: &SweepSpec) {
    out.section("sweep");
    if !spec.recipes.is_empty() {
        let names = spec.recipes.iter().map(|name| quoted(name)).collect::<Vec<_>>();
        out.line("recipes", format_args!("[{}]", names.join(", ")));
    }
    for (key, values) in &spec.grid {
        out.line(&quoted(key), toml::Value::Array(values.clone()));
    }
    out.line("trials", spec.trials);
    out.word("metric", spec.metric);
    out.line("retrain", spec.retrain);
}
