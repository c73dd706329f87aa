//! Folders of templates: whose comes first, what is refused, and how a fault is shown.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests, which write templates into a temporary folder"
)]

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use common::sample_set;
use llamark_report::{ReportError, Templates, render_markdown, summarize};

struct Folder {
    path: Utf8PathBuf,
    _folder: tempfile::TempDir,
}

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().join("templates")).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("../secret.md.j2"), "SECRET").unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self { path, _folder: folder }
    }

    fn render(&self) -> Result<String, ReportError> {
        render_markdown(&summarize(&sample_set()).unwrap(), &Templates::folder(&self.path)?)
    }

    fn fault(&self) -> String {
        self.render().unwrap_err().to_string()
    }
}

#[test]
fn the_users_templates_come_first_and_the_built_in_ones_fill_in() {
    let page = Folder::with(&[("head.md.j2", "MINE {{ set.name }}\n")]).render().unwrap();
    assert!(page.starts_with("MINE sample\n") && page.contains("## Provenance"), "{page}");
    let mine = "{% extends \"default/report.md.j2\" %}{% block provenance %}short{% endblock %}";
    let page = Folder::with(&[("report.md.j2", mine)]).render().unwrap();
    assert!(
        page.contains("## Summary") && page.ends_with("short\n") && !page.contains("## Provenance"),
        "{page}"
    );
}

#[test]
fn faults_have_a_place_and_show_it() {
    let fault = |text: &str| Folder::with(&[("report.md.j2", text)]).fault();
    insta::assert_snapshot!("undefined", fault("# {{ set.title }}\n\n{{ set.tittle }}\nlast\n"));
    insta::assert_snapshot!("syntax", fault("a\n{% if %}\n"));
    let table = "{% for case in cases %}\n{{ case.metrics.tg | nope }}\n{% endfor %}";
    insta::assert_snapshot!("in_an_included_file", Folder::with(&[("table.md.j2", table)]).fault());
}

#[test]
fn nothing_outside_the_folder_is_read() {
    for name in [
        "../secret.md.j2",
        "/etc/hostname",
        "./../secret.md.j2",
        "a/../../secret.md.j2",
        "..\\\\secret.md.j2",
    ] {
        let folder = Folder::with(&[("report.md.j2", &format!("{{% include \"{name}\" %}}"))]);
        let fault = folder.fault();
        assert!(fault.contains("refused") && !fault.contains("SECRET\n"), "{name}: {fault}");
    }
    let folder = Folder::with(&[("report.md.j2", "{% include \"link.md.j2\" %}")]);
    std::os::unix::fs::symlink("../secret.md.j2", folder.path.join("link.md.j2")).unwrap();
    assert!(folder.fault().contains("leaves the folder"), "{}", folder.fault());
    // A link that stays inside is fine.
    let folder = Folder::with(&[("report.md.j2", "{% include \"link.md.j2\" %}"), ("real.md.j2", "inside")]);
    std::os::unix::fs::symlink("real.md.j2", folder.path.join("link.md.j2")).unwrap();
    assert_eq!(folder.render().unwrap(), "inside\n");
}

#[test]
fn a_template_cannot_run_for_ever_or_fill_the_memory() {
    for text in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for a in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "{% include \"report.md.j2\" %}",
    ] {
        let folder = Folder::with(&[("report.md.j2", text)]);
        assert!(folder.render().is_err(), "{text}");
    }
}

#[test]
fn what_a_template_prints_is_escaped_unless_it_says_otherwise() {
    let text = "{{ '<b>|' }} {{ '<b>' | safe }} {{ '`' | code }} {{ none }} {{ 1.5 }} {{ none | rate }}";
    let page = Folder::with(&[("report.md.j2", text)]).render().unwrap();
    assert_eq!(page, "&lt;b&gt;\\| <b> <code>&#96;</code> — 1.5 —\n");
    let fault = Folder::with(&[("report.md.j2", "{{ 'x' | rate }}")]).fault();
    assert!(fault.contains("a number is expected"), "{fault}");
}

#[test]
fn a_folder_that_is_none_is_said() {
    let error = Templates::folder(Utf8Path::new("/nonexistent/templates")).unwrap_err();
    assert_eq!(error.to_string(), "cannot use `/nonexistent/templates` as a folder of templates");
    let file = common::sample_path().join("plan.json");
    assert!(matches!(Templates::folder(&file), Err(ReportError::TemplateFolder { .. })));
}
