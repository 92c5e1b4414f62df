//! Relative links in documentation lead to a file or folder of the checkout.

use super::{Violation, numbered};
use crate::repository::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts_with_extension("md") {
        for (line, target) in targets(text) {
            if !is_found(tree, path, &target) {
                let message = format!("link to `{target}` leads nowhere");
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    violations
}

/// Targets of inline links, images and link definitions, outside code.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (line, content) in numbered(text) {
        let trimmed = content.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_code = !is_code;
        } else if !is_code {
            let prose = without_code(content);
            found.extend(inline_targets(&prose).map(|target| (line, target.to_owned())));
            found.extend(defined_target(&prose).map(|target| (line, target.to_owned())));
        }
    }
    found
}

/// The line with its code spans taken out.
fn without_code(line: &str) -> String {
    let mut parts: Vec<&str> = line.split('`').collect();
    if parts.len().is_multiple_of(2) {
        // The last backtick opens nothing: what follows it is prose.
        let tail = parts.pop().unwrap_or_default();
        return parts.into_iter().step_by(2).chain([tail]).collect();
    }
    parts.into_iter().step_by(2).collect()
}

/// Every `target` of `](target "title")`.
fn inline_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        if let Some(rest) = rest.strip_prefix('<') {
            return rest.split('>').next();
        }
        rest.split([')', ' ']).next()
    })
}

/// The `target` of `[name]: target`; footnotes are not links.
fn defined_target(line: &str) -> Option<&str> {
    let (name, target) = line.trim_start().strip_prefix('[')?.split_once("]: ")?;
    let target = target.split_whitespace().next()?;
    if name.starts_with('^') { None } else { Some(target.trim_matches(['<', '>'])) }
}

fn is_found(tree: &Tree, document: &str, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if path.is_empty() || has_scheme {
        return true;
    }
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    resolve(folder, path).is_some_and(|path| tree.exists(&path))
}

/// `path` seen from `folder`; nothing if it leaves the checkout.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let base = if path.starts_with('/') { "" } else { folder };
    let path = path.replace("%20", " ");
    let mut components = Vec::new();
    for component in base.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            name => components.push(name),
        }
    }
    Some(components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn links_are_found_outside_code_only() {
        let text = "see [a](b.md) and ![c](d.png \"title\"), not `[e](f.md)`\n\
                    ```\n[g](h.md)\n```\n\
                    [i]: <j.md>\n[k]: l.md\n[^m]: note\n[n](<o p.md>) a ` [q](r.md)\n";
        let found: Vec<String> = targets(text).into_iter().map(|(_, target)| target).collect();
        assert_eq!(found, ["b.md", "d.png", "j.md", "l.md", "o p.md", "r.md"]);
    }

    #[test]
    fn paths_are_resolved_from_their_document() {
        assert_eq!(resolve("docs/decisions", "../journal.md").as_deref(), Some("docs/journal.md"));
        assert_eq!(resolve("docs", "/README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("docs", "./a%20b.md").as_deref(), Some("docs/a b.md"));
        assert_eq!(resolve("docs", "../../x.md"), None);
        assert_eq!(resolve("", "docs/").as_deref(), Some("docs"));
    }

    #[test]
    fn broken_links_are_named_with_their_line() {
        let readme = "[good](docs/journal.md#faults) [site](https://example.org/x) [top](#top)\n\
                      [folder](docs/) [mail](mailto:a@example.org) [root](.)\n\
                      [bad](docs/none.md) [outside](../x)\n";
        let tree = Tree::of(&[("README.md", readme), ("docs/journal.md", "[up](../README.md)")]);
        assert_eq!(
            lines(&check(&tree)),
            "README.md:3: link to `docs/none.md` leads nowhere\n\
             README.md:3: link to `../x` leads nowhere\n"
        );
    }
}
