//! Which crate of the workspace may use which.

use std::path::Path;

use serde_json::Value;

use super::{Violation, numbered};
use crate::repository::Tree;

/// What a crate may use of ours. Dependencies of tests are exempt.
pub(super) enum Allowed {
    Only(&'static [&'static str]),
    Anything,
}

pub(super) const LAYERS: [(&str, Allowed); 12] = [
    ("types", Allowed::Only(&[])),
    ("wire", Allowed::Only(&["types"])),
    ("engine", Allowed::Only(&["types"])),
    ("journal", Allowed::Only(&["types"])),
    ("market_view", Allowed::Only(&["types"])),
    ("gateway", Allowed::Only(&["types", "wire"])),
    ("settlement", Allowed::Only(&["types", "wire"])),
    ("replay", Allowed::Only(&["types", "wire", "engine", "journal", "gateway", "settlement"])),
    (
        "exchange",
        Allowed::Only(&[
            "types",
            "wire",
            "engine",
            "journal",
            "market_view",
            "gateway",
            "settlement",
            "replay",
        ]),
    ),
    ("bench", Allowed::Anything),
    ("tests", Allowed::Anything),
    ("xtask", Allowed::Only(&[])),
];

/// A crate of the workspace.
pub(super) struct Member {
    name: String,
    /// Relative to the root of the workspace.
    manifest: String,
    /// Names of crates given by path, for normal and build dependencies.
    uses: Vec<String>,
}

/// Reads the members out of `cargo metadata`.
pub(super) fn members(metadata: &Value) -> Result<Vec<Member>, String> {
    let root = text(metadata, "workspace_root")?;
    list(metadata, "packages")?.iter().map(|package| member(package, root)).collect()
}

pub(super) fn check(members: &[Member], tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in members {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == member.name) else {
            let message = format!("crate `{}` is not in the table of layers", member.name);
            violations.push(Violation::new(&member.manifest, 1, message));
            continue;
        };
        let Allowed::Only(allowed) = allowed else { continue };
        for used in member.uses.iter().filter(|used| !allowed.contains(&used.as_str())) {
            let message = format!("`{}` must not use `{used}`", member.name);
            let line = line_of_dependency(tree, &member.manifest, used);
            violations.push(Violation::new(&member.manifest, line, message));
        }
    }
    violations
}

fn member(package: &Value, root: &str) -> Result<Member, String> {
    let manifest = text(package, "manifest_path")?;
    let manifest = Path::new(manifest)
        .strip_prefix(root)
        .map_err(|error| format!("`{manifest}` is outside the workspace: {error}"))?;
    let mut uses = Vec::new();
    for dependency in list(package, "dependencies")? {
        let is_ours = dependency.get("path").is_some_and(Value::is_string);
        let is_for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
        if is_ours && !is_for_tests {
            uses.push(text(dependency, "name")?.to_owned());
        }
    }
    Ok(Member {
        name: text(package, "name")?.to_owned(),
        manifest: manifest.to_string_lossy().into_owned(),
        uses,
    })
}

fn line_of_dependency(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let text = tree.texts.get(manifest).map_or("", String::as_str);
    numbered(text)
        .find(|(_, line)| line.split(['.', '=', ' ']).next() == Some(dependency))
        .map_or(1, |(line, _)| line)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("cargo metadata lacks `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    let array = value.get(key).and_then(Value::as_array);
    array.map(Vec::as_slice).ok_or_else(|| format!("cargo metadata lacks `{key}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::lines;
    use super::*;

    fn dependency(name: &str, kind: Option<&str>) -> Value {
        json!({ "name": name, "kind": kind, "path": format!("/r/{name}") })
    }

    fn package(name: &str, dependencies: &[Value]) -> Value {
        json!({
            "name": name,
            "manifest_path": format!("/r/{name}/Cargo.toml"),
            "dependencies": dependencies,
        })
    }

    fn check_packages(packages: &[Value]) -> String {
        let metadata = json!({ "workspace_root": "/r", "packages": packages });
        let manifest = "[dependencies]\nserde = \"1\"\nengine.workspace = true\n";
        let tree = Tree::of(&[("gateway/Cargo.toml", manifest)]);
        lines(&check(&members(&metadata).unwrap(), &tree))
    }

    #[test]
    fn a_crate_may_use_lower_layers_only() {
        let packages = [
            package("gateway", &[dependency("types", None), dependency("engine", None)]),
            package("replay", &[dependency("settlement", None), dependency("exchange", None)]),
            package("types", &[dependency("wire", Some("build"))]),
            package("bench", &[dependency("exchange", None)]),
        ];
        assert_eq!(
            check_packages(&packages),
            "gateway/Cargo.toml:3: `gateway` must not use `engine`\n\
             replay/Cargo.toml:1: `replay` must not use `exchange`\n\
             types/Cargo.toml:1: `types` must not use `wire`\n"
        );
    }

    #[test]
    fn tests_and_foreign_crates_of_the_same_name_are_exempt() {
        let foreign = json!({ "name": "journal", "kind": null });
        let packages = [package("gateway", &[dependency("engine", Some("dev")), foreign])];
        assert_eq!(check_packages(&packages), "");
    }

    #[test]
    fn a_crate_outside_the_table_is_refused() {
        assert_eq!(
            check_packages(&[package("extra", &[])]),
            "extra/Cargo.toml:1: crate `extra` is not in the table of layers\n"
        );
    }

    #[test]
    fn metadata_without_packages_is_an_error() {
        assert!(members(&json!({ "workspace_root": "/r" })).is_err());
    }
}
