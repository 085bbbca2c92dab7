//! Reads the documents of the repository as far as tests look at them: headings, code, links, tables.

use std::{collections::BTreeSet, path::Path};

use test_support::{repository, repository_file};

/// A document.
pub(crate) struct Document {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Code between fences.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// The documents that people read, in a fixed order: the README first.
pub(crate) fn documents() -> Vec<Document> {
    let mut paths = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned(), "SECURITY.md".to_owned()];
    let docs = std::fs::read_dir(repository("docs")).unwrap();
    let mut docs: Vec<String> = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    docs.sort_unstable();
    paths.extend(docs.into_iter().filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")));
    paths.into_iter().map(Document::read).collect()
}

impl Document {
    pub(crate) fn read(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { text: repository_file(&path), path }
    }

    /// The code blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Block { language: language.trim().to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a code block is not closed", self.path);
        blocks
    }

    /// The lines outside of code blocks.
    pub(crate) fn prose(&self) -> Vec<&str> {
        let mut inside = false;
        let mut lines = Vec::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push(line);
            }
        }
        lines
    }

    /// What stands between backticks in the prose.
    pub(crate) fn inline_code(&self) -> Vec<String> {
        self.prose().iter().flat_map(|line| code_in(line)).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().into_iter().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// The targets of its links and pictures.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            let line = without_code(line);
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.map(str::to_owned));
        }
        links
    }

    /// The rows of the tables under a heading, up to the next one; without the heads of the tables.
    pub(crate) fn rows(&self, heading: &str) -> Vec<Vec<String>> {
        let lines = self.prose();
        let mut lines = lines.into_iter().skip_while(|line| *line != heading);
        assert!(lines.next().is_some(), "{} has the heading {heading:?}", self.path);
        let level = heading.split(' ').next().unwrap().len();
        let section =
            lines.take_while(|line| !line.starts_with('#') || line.split(' ').next().unwrap().len() > level);
        let rows: Vec<&str> = section.filter(|line| line.starts_with('|')).collect();
        let is_rule = |line: &str| line.starts_with("|---") || line.starts_with("| ---");
        let is_head = |index: usize| rows.get(index + 1).is_some_and(|next| is_rule(next));
        let body = rows.iter().enumerate().filter(|(index, line)| !is_rule(line) && !is_head(*index));
        body.map(|(_, line)| cells(line)).collect()
    }
}

/// What stands between backticks in a text.
pub(crate) fn code_in(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.replace("\\|", "\u{0}").split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

fn anchor(heading: &str) -> String {
    let letters = heading.to_lowercase();
    let kept = letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A path relative to a document, from the root of the repository.
pub(crate) fn beside(document: &str, target: &str) -> String {
    let folder = Path::new(document).parent().unwrap();
    let mut parts: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => assert!(parts.pop().is_some(), "{document}: {target} leaves the repository"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_document_is_read_as_it_is_shown() {
    let text = "# A `b` c: d, e\n\nSee [x](y.md#z) and `[not](this)`.\n\n```sh\nls [a](b)\n```\n\n## Table\n\n| f | g |\n|---|---|\n| `h` | i |\n";
    let document = Document { path: "docs/a.md".to_owned(), text: text.to_owned() };
    assert_eq!(document.blocks(), [Block { language: "sh".to_owned(), text: "ls [a](b)\n".to_owned() }]);
    assert_eq!(document.links(), ["y.md#z"]);
    assert_eq!(document.anchors().into_iter().collect::<Vec<_>>(), ["a-b-c-d-e", "table"]);
    assert_eq!(document.rows("## Table"), [["`h`", "i"]]);
    assert_eq!(beside("docs/a.md", "../crates/./b.rs"), "crates/b.rs");
}
