//! Run folders become drawings and pages; pages are complete, escaped and self-contained.

use std::path::{Path, PathBuf};

use gputrain::report::{
    Block, GalleryEntry, ImageGrid, Page, Picture, ReportError, RunRecords, Section, SweepReport, SweepRow, Table,
    Tile, compare_runs, gallery_page, mean_over_trials, write_run_report,
};
use resvg::usvg::roxmltree::Document;

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
}

/// Six epochs; the rate is halved after the third; no test set.
fn write_run(dir: &Path, name: &str) {
    let line = |epoch: u32| {
        let loss = 2.0 / f64::from(epoch);
        let rate = if epoch <= 3 { 0.5 } else { 0.25 };
        format!(
            "{{\"epoch\":{epoch},\"step\":{},\"train_loss\":{loss},\"train_accuracy\":{},\"validation_loss\":{},\
             \"validation_accuracy\":0.9,\"test_loss\":null,\"test_accuracy\":null,\"learning_rate\":{rate},\"seconds\":0.5}}\n",
            epoch * 100,
            1.0 - loss / 4.0,
            loss + 0.1
        )
    };
    write(dir, "metrics.jsonl", &(1..=6).map(line).collect::<String>());
    write(dir, "recipe.toml", "name = \"<recipe> & co\"\n");
    write(
        dir,
        "summary.json",
        &format!(
            "{{\"name\":\"{name}\",\"test_loss\":null,\"test_accuracy\":null,\"validation_accuracy\":0.9742,\
             \"parameters\":109386,\"seed\":12345678901,\"device\":\"llvmpipe <1>\"}}"
        ),
    );
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let nodes = document.descendants().filter(|node| node.has_tag_name("text"));
    nodes.map(|node| node.text().unwrap_or_default().trim().to_string()).collect()
}

#[test]
fn a_run_folder_becomes_drawings_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "digits");
    let extra = Section { title: "Model".into(), blocks: vec![Block::Text("two layers".into())] };
    write_run_report(folder.path(), None, &[extra]).unwrap();

    let loss = texts(&read(folder.path(), "loss.svg"));
    for text in ["digits: loss", "training", "validation", "rate 0.25", "epoch"] {
        assert!(loss.contains(&text.to_string()), "{text} is not in {loss:?}");
    }
    assert!(!loss.contains(&"test".to_string()), "there is no test set");
    assert!(texts(&read(folder.path(), "accuracy.svg")).contains(&"accuracy (%)".to_string()));
    assert!(!folder.path().join("steps.svg").exists());
    let page = read(folder.path(), "report.html");
    assert_eq!(
        page.matches("<div class=\"drawing narrow\">").count(),
        2,
        "every chart is drawn for narrow screens too"
    );
    // On a dark screen the page's ink, and that of its drawings, are light.
    let dark = page.split("prefers-color-scheme:dark").nth(1).unwrap();
    assert!(dark.contains("--ink:#e4e6e9") && dark.contains("[fill=\"#222222\" i]{fill:var(--ink)}"), "{dark}");
    let png = std::fs::read(folder.path().join("loss.png")).unwrap();
    assert_eq!((&png[1..4], &png[16..20]), (&b"PNG"[..], &1440_u32.to_be_bytes()[..]));

    let page = read(folder.path(), "report.html");
    for text in [
        "<h1>digits</h1>",
        "97.42 %",
        "109,386",
        "seed 12345678901",
        "llvmpipe &lt;1&gt;",
        "name = &quot;&lt;recipe&gt; &amp; co&quot;",
        "<p>two layers</p>",
        "<td class=\"number\">0.33333</td>",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    assert_eq!(page.matches("<svg").count(), 4);
    for foreign in ["<script", "<link", "src=\"http", "href=\"http", "url("] {
        assert!(!page.contains(foreign), "{foreign} in the page");
    }
}

#[test]
fn the_rate_is_marked_at_the_end_of_the_last_epoch_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "digits");
    write_run_report(folder.path(), None, &[]).unwrap();
    let svg = read(folder.path(), "loss.svg");
    let document = Document::parse(&svg).unwrap();
    let x = |text: &str| {
        let mut nodes = document.descendants().filter(|n| n.has_tag_name("text"));
        let node = nodes.find(|n| n.text().unwrap_or_default().trim() == text).unwrap();
        let scale = if node.parent().unwrap().has_tag_name("g") { 0.1 } else { 1.0 };
        scale * node.attribute("x").unwrap().parse::<f64>().unwrap()
    };
    assert!((x("rate 0.25") - x("3")).abs() < 0.2);
}

#[test]
fn the_point_to_stop_at_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let marks = |validation: [f64; 4], recipe: &str| {
        let line = |(epoch, loss): (usize, &f64)| {
            let epoch = epoch + 1;
            format!("{{\"epoch\":{epoch},\"train_loss\":1,\"validation_loss\":{loss},\"learning_rate\":0.5}}\n")
        };
        write(folder.path(), "metrics.jsonl", &validation.iter().enumerate().map(line).collect::<String>());
        write(folder.path(), "summary.json", "{\"name\":\"stops\",\"best_epoch\":2}");
        write(folder.path(), "recipe.toml", recipe);
        write_run_report(folder.path(), None, &[]).unwrap();
        let labels = ["lowest validation loss", "early stopping: epoch 2 kept"];
        let found = texts(&read(folder.path(), "loss.svg"));
        labels.map(|label| found.contains(&label.to_string()))
    };
    assert_eq!(marks([3.0, 1.0, 2.0, 2.5], ""), [true, false]);
    assert_eq!(marks([3.0, 2.0, 1.5, 1.0], ""), [false, false]);
    let rule = "[train]\nearly_stop = { metric = \"validation_loss\", patience = 2 }\n";
    assert_eq!(marks([3.0, 1.0, 2.0, 2.5], rule), [false, true]);
}

#[test]
fn steps_and_what_was_recorded_with_them_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "digits");
    let line = |step: u32| {
        let noise = if step.is_multiple_of(2) { 0.1 } else { -0.1 };
        let every_tenth = if step.is_multiple_of(10) { ",\"validation_loss\":1.5" } else { "" };
        format!(
            "{{\"step\":{step},\"loss\":{},\"accuracy\":0.5{every_tenth},\"gradient_norms\":{{\"layers.10.weight\":1.0,\"layers.9.weight\":0.5}}}}\n",
            1.0 + noise
        )
    };
    write(folder.path(), "steps.jsonl", &(1..=2000).map(line).collect::<String>());
    write_run_report(folder.path(), None, &[]).unwrap();
    let steps = read(folder.path(), "steps.svg");
    assert!(texts(&steps).contains(&"validation".to_string()));
    assert!(steps.contains("<polygon"), "the range of condensed steps");
    assert!(folder.path().join("steps-accuracy.svg").exists());
    let norms = texts(&read(folder.path(), "gradient-norms.svg"));
    let place = |text: &str| norms.iter().position(|found| found == text).unwrap();
    assert!(place("layers.9.weight") < place("layers.10.weight"));
    assert!(!folder.path().join("weight-norms.svg").exists());

    let run = RunRecords::load(folder.path()).unwrap();
    assert_eq!(run.step_points("validation_loss").len(), 200);
    assert_eq!(run.step_points("gradient_norms/layers.9.weight")[0], (1.0, 0.5));
}

#[test]
fn malformed_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (line, expected) in [
        ("{\"epoch\":2,", "not JSON"),
        ("[2]", "expected an object with \"epoch\", found an array"),
        ("{\"train_loss\":1.0}", "expected a number \"epoch\""),
        ("{\"epoch\":2,\"train_loss\":\"low\"}", "expected a number for \"train_loss\", found the text \"low\""),
    ] {
        write(folder.path(), "metrics.jsonl", &format!("{{\"epoch\":1}}\n{line}\n{{\"epoch\":3}}\n"));
        let error = RunRecords::load(folder.path()).unwrap_err();
        assert!(matches!(error, ReportError::Record { line: 2, .. }));
        let message = error.to_string();
        assert!(message.contains("metrics.jsonl line 2") && message.contains(expected), "{message}");
    }
    write(folder.path(), "metrics.jsonl", "{\"epoch\":1}\n");
    write(folder.path(), "summary.json", "{\n\"name\": }");
    assert!(RunRecords::load(folder.path()).unwrap_err().to_string().contains("summary.json line 2"));
}

#[test]
fn interrupted_and_resumed_runs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    // Killed in the fourth line.
    write(
        folder.path(),
        "metrics.jsonl",
        "{\"epoch\":1,\"train_loss\":3}\n\n{\"epoch\":2,\"train_loss\":null}\n{\"epoch\":3,\"train_loss\":1}\n{\"epoch\":4,\"tra",
    );
    let run = RunRecords::load(folder.path()).unwrap();
    assert_eq!(run.epochs.len(), 3);
    let points = run.epoch_points("train_loss");
    assert_eq!((points[0], points[2]), ((1.0, 3.0), (3.0, 1.0)));
    assert!(points[1].1.is_nan());
    assert!(run.epoch_points("test_loss").is_empty() && run.summary.is_empty() && run.recipe.is_none());
    write_run_report(folder.path(), None, &[]).unwrap();

    // Resumed after the first epoch: what was logged of the second is superseded.
    let lines = "{\"epoch\":1,\"train_loss\":3}\n{\"epoch\":2,\"train_loss\":9}\n{\"epoch\":2,\"train_loss\":2}\n";
    write(folder.path(), "metrics.jsonl", lines);
    assert_eq!(RunRecords::load(folder.path()).unwrap().epoch_points("train_loss"), [(1.0, 3.0), (2.0, 2.0)]);

    let error = RunRecords::load(&folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, ReportError::NotARun { .. }), "{error}");

    write(folder.path(), "metrics.jsonl", "");
    write_run_report(folder.path(), None, &[]).unwrap();
    assert!(read(folder.path(), "report.html").contains("No epoch has been completed yet."));
}

#[test]
fn runs_are_compared_in_one_drawing() {
    let folder = tempfile::tempdir().unwrap();
    let dirs: Vec<PathBuf> = ["a", "b"].iter().map(|name| folder.path().join(name)).collect();
    write_run(&dirs[0], "tanh");
    write_run(&dirs[1], "relu");
    let out = folder.path().join("both.svg");
    compare_runs(&dirs, &out).unwrap();
    let found = texts(&read(folder.path(), "both.svg"));
    for text in ["tanh, training", "relu, validation", "accuracy (%)", "loss", "2 runs compared"] {
        assert!(found.contains(&text.to_string()), "{text} is not in {found:?}");
    }
    // Runs of one name are told apart by their folders.
    write_run(&dirs[1], "tanh");
    compare_runs(&dirs, &out).unwrap();
    assert!(texts(&read(folder.path(), "both.svg")).contains(&"b, validation".to_string()));

    compare_runs(&dirs, &folder.path().join("both.png")).unwrap();
    let png = std::fs::read(folder.path().join("both.png")).unwrap();
    assert_eq!((&png[16..20], &png[20..24]), (&1440_u32.to_be_bytes()[..], &1680_u32.to_be_bytes()[..]));
}

#[test]
fn pages_escape_everything_and_carry_their_pictures() {
    let attack = "<img src=x onerror=\"alert('1')\">";
    let table = Table {
        header: vec![attack.into()],
        rows: vec![vec![attack.into()]],
        highlight: Some(0),
        links: vec![attack.into()],
    };
    let picture = Picture::from_values([1, 1, 2], &[0.0, 1.0], 0.0, 1.0).unwrap();
    let tile = Tile { picture, caption: vec![attack.into()], wrong: true };
    let grid = ImageGrid { columns: 3, tiles: vec![tile], ..ImageGrid::default() };
    let blocks = vec![
        Block::Text(attack.into()),
        Block::Code(attack.into()),
        Block::Figures(vec![(attack.into(), attack.into())]),
        Block::Table(table),
        Block::Pictures { grid, caption: attack.into() },
    ];
    let page = Page {
        title: attack.into(),
        subtitle: attack.into(),
        sections: vec![Section { title: attack.into(), blocks }],
    };
    let html = page.html();
    assert!(!html.contains("<img src=x") && !html.contains("onerror=\""));
    assert_eq!(html.matches("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;").count(), 14);
    assert!(html.contains("<tr class=\"best leads\">") && html.contains("<div class=\"wrong\">"));
    let data = html.split("src=\"data:image/png;base64,").nth(1).unwrap().split('"').next().unwrap();
    use base64::Engine as _;
    let png = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
    assert_eq!((&png[..4], &png[16..24]), (&b"\x89PNG"[..], &[0, 0, 0, 2, 0, 0, 0, 1][..]));
    assert!(html.contains("width=\"72\" height=\"36\""), "few pixels are shown as squares");
    // What is left of the page without its style and doctype is well-formed XML, so no element is left open.
    let body = &html[html.find("<body>").unwrap()..html.find("</html>").unwrap()];
    Document::parse(body).unwrap();
}

fn sweep(metric: &str, values: &[&[f64]]) -> SweepReport {
    let row = |(index, trials): (usize, &&[f64])| SweepRow {
        settings: vec![("train.batch".into(), index.to_string())],
        metrics: vec![(metric.into(), trials.to_vec())],
        href: format!("run-{index}/report.html"),
        ..SweepRow::default()
    };
    let rows = values.iter().enumerate().map(row).collect();
    let larger_is_better = metric.contains("accuracy");
    SweepReport { title: "grid".into(), metric: metric.into(), larger_is_better, rows, ..SweepReport::default() }
}

#[test]
fn sweeps_are_sorted_with_mean_and_spread() {
    let report = sweep("test_accuracy", &[&[0.90, 0.92], &[0.2, f64::NAN], &[f64::NAN], &[0.95]]);
    let table = report.table();
    let column = |index: usize| table.rows.iter().map(|row| row[index].as_str()).collect::<Vec<_>>();
    assert_eq!(table.header, ["rank", "train.batch", "test accuracy", "trials"]);
    assert_eq!(column(1), ["3", "0", "1", "2"]);
    assert_eq!(column(2), ["95.00 %", "91.0 ± 1.4 %", "20.00 % (1 failed)", "– (1 failed)"]);
    assert_eq!(column(3), ["1", "2", "2: 1 diverged", "1: 1 diverged"]);
    assert_eq!(table.highlight, Some(0));
    let mut more = report.clone();
    (more.rows[1].collapsed, more.rows[1].seconds) = (1, 2.5);
    let table = more.table();
    assert_eq!(table.header[3..], ["trials", "seconds"]);
    assert_eq!(table.rows[2][3..], ["2: 1 collapsed, 1 diverged", "2.5"]);
    let html = report.page().html();
    assert!(html.find("run-3/report.html").unwrap() < html.find("run-0/report.html").unwrap());
    let row = "<tr class=\"best leads\"><td class=\"number\"><a href=\"run-3/report.html\">1</a></td>";
    assert!(html.contains(row), "each row leads to its run: {html}");

    let losses = sweep("validation_loss", &[&[0.5, 0.7], &[0.0913, 0.0917]]).table();
    assert_eq!(losses.rows[0][2], "0.09150 ± 0.00028");
    assert_eq!(losses.rows[1][2], "0.60 ± 0.14");
    assert_eq!(sweep("test_loss", &[&[f64::NAN]]).table().highlight, None);
    assert!(SweepReport::default().page().html().contains("Results"));
}

#[test]
fn curves_are_averaged_over_trials() {
    let trials = [vec![(1.0, 1.0), (2.0, 5.0)], vec![(1.0, 3.0), (2.0, f64::NAN), (3.0, f64::NAN)]];
    let series = mean_over_trials("mean", &trials);
    assert_eq!(series.points[..2], [(1.0, 2.0), (2.0, 5.0)]);
    assert!(series.points[2].1.is_nan());
    let band = series.band.unwrap();
    let spread = 2.0_f64.sqrt();
    assert!((band[0].1 - (2.0 - spread)).abs() < 1e-12 && (band[0].2 - (2.0 + spread)).abs() < 1e-12);
    assert_eq!(band[1], (2.0, 5.0, 5.0));
    assert_eq!(mean_over_trials("one", &trials[..1]).band, None);
}

#[test]
fn the_gallery_leads_to_its_experiments() {
    let entry = GalleryEntry {
        title: "MNIST & more".into(),
        href: "mnist/report.html".into(),
        figures: vec![("test accuracy".into(), "97.42 %".into())],
        ..GalleryEntry::default()
    };
    let html = gallery_page("Gallery", "all of it", &[entry]).html();
    assert!(html.contains("<h2>MNIST &amp; more</h2>") && html.contains("<a href=\"mnist/report.html\">"));
    assert!(html.contains("<b>97.42 %</b><span>test accuracy</span>"));
}
