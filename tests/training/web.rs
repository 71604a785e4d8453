//! Models as pages for a browser and as panels of reports: what is refused or left out, and that nothing can end a script.
//! `tests/web.sh` runs both.

use crate::members::noise;
use gputrain::export::SavedModel;
use gputrain::ir::Limits;
use gputrain::job::Job;
use gputrain::planner::Fusion;
use gputrain::report::{Page, Section};
use gputrain::train::{Draft, Member};
use gputrain::web::{WebError, WebPage, panel, panel_left_out};

const DENSE: &str = "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]";

fn job(changes: &[(&str, &str)]) -> Job {
    let small = [("model.layers", DENSE), ("train.batch", "8"), ("train.epochs", "2")];
    noise(&[&small[..], changes].concat(), 20, [100, 40])
}

fn saved(job: &Job) -> SavedModel {
    let Job { recipe, model, scaling, trained_on, .. } = job.clone();
    let parameters = model.initialise(recipe.seed);
    SavedModel { recipe, model, scaling, trained_on, parameters }
}

fn refused(changes: &[(&str, &str)]) -> WebError {
    let job = job(changes);
    WebPage::new(&saved(&job), Some(&job)).unwrap_err()
}

#[test]
fn a_page_says_what_it_cannot_train() {
    let plateau = refused(&[("schedule.kind", "plateau"), ("schedule.metric", "train_loss")]);
    assert!(plateau.to_string().contains("export without --train"), "{plateau}");
    let mixed = refused(&[("precision", "mixed")]);
    assert!(mixed.to_string().contains("precision = \"f32\""), "{mixed}");
    // Without training both are pages.
    let job = job(&[("precision", "mixed")]);
    assert!(WebPage::new(&saved(&job), None).is_ok());
}

#[test]
fn names_do_not_end_a_pages_script() {
    let job = job(&[]);
    let mut saved = saved(&job);
    saved.recipe.name = "</script><b>".into();
    saved.trained_on.class_names = (0..10).map(|class| format!("</script>{class}")).collect();
    let page = WebPage::new(&saved, Some(&job)).unwrap();
    assert_eq!(page.html().matches("</script>").count(), 2);
    assert!(page.html().contains("<title>&lt;/script&gt;&lt;b&gt;</title>"));
    assert!(page.html().contains(r"\u003c/script>7"));
    let sum: usize = page.parts.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!((sum, page.parts.len()), (page.html().len(), 4));
}

#[test]
fn a_page_without_training_holds_no_examples() {
    let job = job(&[]);
    let saved = saved(&job);
    let [with, without] = [Some(&job), None].map(|job| WebPage::new(&saved, job).unwrap());
    assert!(with.html().contains("\"training\":{") && without.html().contains("\"training\":null"));
    assert_eq!(without.html(), WebPage::new(&saved, None).unwrap().html(), "the same model gives the same bytes");
}

#[test]
fn a_plan_with_its_examples_streams_none() {
    let job = job(&[]);
    let draft = |data_bytes| {
        let spec = job.spec(&[Member::of(&job.recipe)]);
        Draft::new(spec, Fusion::Never, Limits { data_bytes, ..Limits::WEBGPU }).unwrap().with_examples()
    };
    let error = draft(512).err().unwrap().to_string();
    assert!(error.contains("the train set takes 2000 bytes") && error.contains("lower data.examples"), "{error}");
    let plan = draft(u64::MAX).unwrap().plan().lower();
    let source = &plan.io().unwrap().sources[0];
    assert_eq!(plan.initial(source.data).unwrap().len(), 100 * 5);
    assert_eq!(plan.initial(source.targets).unwrap()[..3], [0, 7, 4]);
}

#[test]
fn steps_are_fused_within_the_memory_that_browsers_offer() {
    let page = |changes: &[(&str, &str)]| {
        let job = job(changes);
        WebPage::new(&saved(&job), Some(&job)).unwrap().html().to_string()
    };
    assert!(page(&[]).contains("\"is_fused\":true,\"fused\":null"), "every browser has the memory");
    // With a penalty, which plain steps take from a table of weights.
    let wide =
        [("model.layers", "[{ dense = 600, activation = \"relu\" }, { dense = 10 }]"), ("optimizer.l2", "0.001")];
    let wide = page(&wide);
    assert!(wide.contains("\"is_fused\":false,\"fused\":{") && wide.contains("\"workgroup_bytes\":32768"));
    assert!(page(&[("optimizer.clip_norm", "1.0")]).contains("\"is_fused\":false,\"fused\":null"));
}

fn html(section: Section) -> String {
    Page { sections: vec![section], ..Page::default() }.html()
}

#[test]
fn a_report_lets_one_try_a_small_model_and_says_why_not_a_large_one() {
    let mut small = saved(&job(&[]));
    small.trained_on.class_names = (0..10).map(|class| format!("</script>{class}")).collect();
    let tried = html(panel(&small));
    assert_eq!((tried.matches("<script").count(), tried.matches("</script>").count()), (2, 2));
    assert!(tried.contains("<h2>Try it</h2>") && tried.contains("<h3 id=\"question-title\">Ask</h3>"));
    assert!(tried.contains("\"training\":null") && tried.contains("<noscript>"));

    let large = saved(&job(&[("model.layers", "[{ dense = 20000 }, { dense = 10 }]")]));
    let described = html(panel(&large));
    assert!(described.contains("weights take 2480040 bytes, more than the 2097152"), "{described}");
    for without in [described, html(panel_left_out())] {
        assert!(without.contains("<pre>gputrain export . --to web page.html</pre>") && !without.contains("<script"));
    }

    let mut refused = saved(&job(&[]));
    refused.model.input = gputrain::model::Shape::Image { height: 2, width: 5, channels: 2 };
    assert!(html(panel(&refused)).contains("pictures of 2 channels, and a page shows it pictures of 1 or 3"));
}
